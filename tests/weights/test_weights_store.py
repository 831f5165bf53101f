"""The manifest, the cache's place, and the check at every load."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from loopback import CONTENT

from mildbench import weights
from mildbench.errors import UserError
from mildbench.weights import checks


def put(cache: Path, content: bytes) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "small.pth").write_bytes(content)
    return cache / "small.pth"


def test_missing_weights_say_what_does_without_them_and_come_whole_from_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    with pytest.raises(weights.WeightsMissing, match="fetch lama-big, or take lama:variant=tiny") as caught:
        weights.resolve("lama-big")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (type(sent), str(sent), sent.name) == (weights.WeightsMissing, str(caught.value), "lama-big")
    assert str(weights.WeightsMissing("a-plug-in-s")).endswith("mildbench weights fetch a-plug-in-s")


def test_every_file_is_pinned():
    entries = [entry for entry in weights.entries().values() if isinstance(entry, weights.WeightsFile)]
    assert {entry.name for entry in entries} >= {"lpips-alex", "lpips-vgg", "inception-tf", "lama-big"}
    for entry in entries:
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.size > 0
        assert entry.urls
        assert all(url.startswith("https://") for url in entry.urls)
        # torchvision and torch-fidelity put the first eight digits into the file name.
        if stated := re.search(r"-([0-9a-f]{8})\.pth$", entry.file):
            assert entry.sha256.startswith(stated[1])
    assert len({entry.file for entry in entries}) == len(entries)


def test_missing_weights_say_how_to_get_them(known):
    known("http://127.0.0.1:1/a")
    with pytest.raises(weights.WeightsMissing) as error:
        weights.resolve("small")
    assert str(error.value) == "small weights missing: mildbench weights fetch small"
    assert error.value.name == "small"


def test_an_unknown_name_suggests_the_known_one():
    with pytest.raises(UserError, match="did you mean 'lpips-alex'"):
        weights.resolve("lpips-alexnet")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<html>404</html>", "HTML page"), (CONTENT[:-1], "102,399 bytes"), (CONTENT[::-1], "sha256")],
)
def test_a_wrong_file_is_never_handed_out(known, cache, content, reason):
    known("http://127.0.0.1:1/a")
    put(cache, content)
    with pytest.raises(UserError, match=reason) as error:
        weights.resolve("small")
    assert not isinstance(error.value, weights.WeightsMissing)
    assert "mildbench weights fetch small" in str(error.value)


def test_tampering_after_the_first_check_is_found(known, cache):
    known("http://127.0.0.1:1/a")
    path = put(cache, CONTENT)
    assert weights.resolve("small") == path
    put(cache, b"x" + CONTENT[1:])
    os.utime(path, ns=(0, 1))  # a clock tick passes, whatever the file system's resolution
    with pytest.raises(UserError, match="sha256"):
        weights.resolve("small")


def test_a_file_is_hashed_once_in_a_process(known, cache, monkeypatch):
    known("http://127.0.0.1:1/a")
    put(cache, CONTENT)
    weights.resolve("small")
    monkeypatch.setattr(checks, "file_sha256", lambda path: pytest.fail("hashed again"))
    weights.resolve("small")


def test_states(known, cache):
    known("http://127.0.0.1:1/a")
    assert [s.state for s in weights.verify()] == ["missing"]
    put(cache, CONTENT[::-1])
    assert [s.state for s in weights.overview()] == ["here"]
    assert [s.state for s in weights.verify(["small"])] == ["wrong"]
    put(cache, CONTENT)
    os.utime(cache / "small.pth", ns=(0, 2))
    assert [s.state for s in weights.verify()] == ["here"]


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MILDBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")
    assert weights.cache_dir() == tmp_path / ".cache/mildbench/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights.cache_dir() == tmp_path / "xdg/mildbench/weights"
    monkeypatch.setenv("MILDBENCH_CACHE", "~/own")
    assert weights.cache_dir() == tmp_path / "own/weights"


def test_the_package_imports_no_torch():
    code = "import sys, mildbench.weights, mildbench.cli.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
