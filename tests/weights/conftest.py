"""A cache of its own, a manifest of one small file, and a server to fetch it from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import CONTENT, Server

from mildbench.weights import WeightsFile, manifest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("MILDBENCH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Callable[..., WeightsFile]:
    """Make the manifest hold one entry, `small`, with the given mirrors."""

    def register(*urls: str) -> WeightsFile:
        digest = hashlib.sha256(CONTENT).hexdigest()
        entry = WeightsFile("small", "small.pth", urls, len(CONTENT), digest, "CC0-1.0", "tests")
        monkeypatch.setattr(manifest, "entries", lambda: {"small": entry})
        return entry

    return register
