"""`mildbench weights`."""

from __future__ import annotations

import pytest
from loopback import CONTENT, body
from typer.testing import CliRunner

from mildbench.cli.weights import app
from mildbench.errors import UserError


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")

    def invoke(*arguments: str):
        return CliRunner().invoke(app, arguments)

    return invoke


def test_list_fetch_verify(run, server, known, cache):
    server.answers["/a"] = body(CONTENT)
    known(server.url("/a"))
    assert "missing" in run("list").output
    fetched = run("fetch", "small")
    assert fetched.exit_code == 0
    assert str(cache / "small.pth") in fetched.output
    assert "here" in run("list").output
    assert run("verify").exit_code == 0
    assert run("verify", "small").exit_code == 0


def test_add(run, known, tmp_path, cache):
    known("http://127.0.0.1:1/a")
    (tmp_path / "file").write_bytes(CONTENT)
    assert run("add", "small", str(tmp_path / "file")).exit_code == 0
    assert (cache / "small.pth").read_bytes() == CONTENT


def test_a_misspelt_name_is_said_before_any_download(run, server, known):
    known(server.url("/a"))
    result = run("fetch", "small", "smal")
    assert isinstance(result.exception, UserError)
    assert "did you mean 'small'" in str(result.exception)
    assert not server.hits


def test_verify_fails_for_wrong_and_for_named_missing_weights(run, known, cache):
    known("http://127.0.0.1:1/a")
    assert run("verify").exit_code == 0  # nothing was asked for, and what is here is right
    assert isinstance(run("verify", "small").exception, UserError)
    cache.mkdir(parents=True)
    (cache / "small.pth").write_bytes(b"<html>")
    result = run("verify")
    assert isinstance(result.exception, UserError)
    assert "HTML page" in result.output
