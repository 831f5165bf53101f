"""Fetching and adding: whole and verified, or one clear error and nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback import CONTENT, body, leftovers
from processes import PATIENCE, started

from mildbench import weights
from mildbench.errors import UserError

HTML = b"<!DOCTYPE html><html>Rate limit exceeded</html>"


def redirect(location):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_a_good_file_is_fetched_once_and_resolves(server, known, cache):
    server.answers["/a"] = body(CONTENT)
    known(server.url("/a"))
    seen = []
    path = weights.fetch("small", progress=lambda done, total: seen.append((done, total)))
    assert path == cache / "small.pth" == weights.resolve("small")
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert weights.fetch("small") == path
    assert server.hits["/a"] == 1
    assert leftovers(cache) == {"small.pth"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(body(CONTENT[:5000], promised=len(CONTENT)), "5,000 bytes", id="truncated"),
        pytest.param(body(CONTENT[:5000]), "5,000 bytes, not 102,400", id="short"),
        pytest.param(body(CONTENT + b"x"), "more than 102,400 bytes", id="long"),
        pytest.param(body(CONTENT[::-1]), "sha256", id="wrong bytes"),
        pytest.param(body(HTML), "HTML page", id="html"),
        pytest.param(
            body(HTML + b" " * (len(CONTENT) - len(HTML))), "HTML page", id="html of the right size"
        ),
        pytest.param(body(b"", status=404), "HTTP 404", id="not found"),
        pytest.param(redirect("file:///etc/hostname"), "not allowed", id="redirect to a file"),
        pytest.param(redirect("ftp://127.0.0.1/a"), "unknown url type", id="redirect to ftp"),
    ],
)
def test_a_bad_answer_is_one_clear_error_and_leaves_nothing(server, known, cache, answer, reason):
    server.answers["/a"] = answer
    known(server.url("/a"))
    with pytest.raises(UserError, match="no mirror gave the file") as error:
        weights.fetch("small")
    assert reason in str(error.value)
    assert "mildbench weights add small FILE" in str(error.value)
    assert "\n" not in str(error.value)
    assert leftovers(cache) == set()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "data:,x", "no-scheme"])
def test_other_schemes_are_refused(known, url):
    known(url)
    with pytest.raises(UserError, match="unknown url type"):
        weights.fetch("small")


def test_mirrors_are_tried_in_turn(server, known, cache, tmp_path):
    server.answers["/html"] = body(HTML)
    server.answers["/broken"] = body(CONTENT[:9], promised=len(CONTENT))
    (tmp_path / "mirror.pth").write_bytes(CONTENT)
    dead = "http://127.0.0.1:1/a"
    known(dead, server.url("/html"), server.url("/broken"), (tmp_path / "mirror.pth").as_uri())
    assert weights.fetch("small").read_bytes() == CONTENT
    assert server.hits == {"/html": 1, "/broken": 1}
    assert leftovers(cache) == {"small.pth"}


def test_two_processes_download_once(server, known, cache):
    asking = threading.Semaphore(0)

    def when_both_have_asked(handler):
        for _ in range(2):
            assert asking.acquire(timeout=PATIENCE)
        body(CONTENT)(handler)

    server.answers["/a"] = when_both_have_asked
    entry = known(server.url("/a"))
    script = (
        "import sys; from mildbench import weights; from mildbench.weights import WeightsFile, manifest;"
        f"manifest.entries = lambda: {{'small': {entry!r}}}; print(flush=True); print(weights.fetch('small'))"
    )

    def fetched(_):
        with started([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            asking.release()
            told = process.communicate(timeout=PATIENCE)[0].strip()
            return process.returncode, told

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fetched, range(2))) == [(0, str(cache / "small.pth"))] * 2
    assert server.hits["/a"] == 1
    assert leftovers(cache) == {"small.pth"}


@pytest.mark.parametrize("variable", [None, "MILDBENCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_uses_what_is_here_and_no_network(server, known, cache, monkeypatch, variable):
    server.answers["/a"] = body(CONTENT)
    known(server.url("/a"))
    if variable:
        monkeypatch.setenv(variable, "1")
    with pytest.raises(UserError, match="forbids the network"):
        weights.fetch("small", offline=variable is None)
    assert not server.hits
    cache.mkdir(parents=True)
    (cache / "small.pth").write_bytes(CONTENT)
    assert weights.fetch("small", offline=True) == cache / "small.pth"


def test_a_wrong_file_in_the_cache_is_replaced(server, known, cache):
    server.answers["/a"] = body(CONTENT)
    known(server.url("/a"))
    cache.mkdir(parents=True)
    (cache / "small.pth").write_bytes(HTML)
    (cache / ".small.pth.part").write_bytes(b"left by a killed process")
    assert weights.fetch("small").read_bytes() == CONTENT
    assert leftovers(cache) == {"small.pth"}


def test_no_room_is_said_before_the_download(server, known, cache, monkeypatch):
    known(server.url("/a"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5))
    with pytest.raises(UserError, match="no room in"):
        weights.fetch("small")
    assert not server.hits


def test_a_disk_that_fills_up_leaves_nothing_and_tries_no_other_mirror(server, known, cache):
    server.answers["/a"] = server.answers["/b"] = body(CONTENT)
    known(server.url("/a"), server.url("/b"))
    cache.mkdir(parents=True)
    (cache / ".small.pth.part").symlink_to("/dev/full")  # every write there fails with ENOSPC
    with pytest.raises(UserError, match="no room in"):
        weights.fetch("small")
    assert server.hits == {"/a": 1}
    assert leftovers(cache) == set()


def test_an_unexpected_failure_leaves_nothing(server, known, cache):
    server.answers["/a"] = body(CONTENT)
    known(server.url("/a"))

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch("small", progress=interrupt)
    assert leftovers(cache) == set()


def test_add_copies_a_right_file(known, cache, tmp_path):
    known("http://127.0.0.1:1/a")
    (tmp_path / "downloaded.bin").write_bytes(CONTENT)
    assert weights.add("small", tmp_path / "downloaded.bin") == weights.resolve("small")
    assert weights.add("small", cache / "small.pth").read_bytes() == CONTENT
    assert leftovers(cache) == {"small.pth"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(HTML, "HTML page"), (CONTENT[:7], "7 bytes, not 102,400"), (CONTENT[::-1], "sha256")],
)
def test_add_refuses_a_wrong_file(known, cache, tmp_path, content, reason):
    known("http://127.0.0.1:1/a")
    (tmp_path / "wrong.bin").write_bytes(content)
    with pytest.raises(UserError, match=reason):
        weights.add("small", tmp_path / "wrong.bin")
    assert leftovers(cache) == set()


def test_add_refuses_a_missing_file(known, tmp_path):
    known("http://127.0.0.1:1/a")
    with pytest.raises(UserError, match="weights file not found"):
        weights.add("small", tmp_path / "nothing")


def test_a_cache_that_is_a_file_is_one_clear_error(server, known, cache, tmp_path):
    known(server.url("/a"))
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(UserError, match="is not a folder"):
        weights.fetch("small")
