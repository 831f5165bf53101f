"""A leaderboard of its own: real controls, a plug-in, random weights and a failure, on a small data set."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from finished_runs import contenders, registered
from leaderboards import DAY, add, reviewed

from leaderboard import store, verify
from leaderboard.review import Reviewed
from mildbench.dataset import Dataset
from mildbench.method import METHODS


@pytest.fixture(scope="module", autouse=True)
def registry() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="session")
def ours() -> list[Reviewed]:
    """The entries that come with mildbench. Read before a module has its fakes: of methods as they are."""
    assert "lama" in METHODS.names()
    return reviewed(store.ENTRIES)


@pytest.fixture(scope="session")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Method -> its run on `deocclude`; not to be changed."""
    metrics = ("psnr", "ssim", "amodal-iou", "leak", "shift", "lacking")
    return contenders(data, tmp_path_factory.mktemp("runs"), "deocclude", metrics)


@pytest.fixture(scope="session")
def shipped(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an entry of each run; not to be changed."""
    folder = tmp_path_factory.mktemp("entries")
    with registered():
        for path in runs.values():
            add(path, folder)
    return folder


@pytest.fixture(scope="session")
def recorded(shipped: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a record of each one's having been run again, but for the one that failed; not to be changed."""
    folder = Path(shutil.copytree(shipped, tmp_path_factory.mktemp("recorded") / "entries"))
    dataset = Dataset.open(data)
    with registered():
        for item in reviewed(folder):
            done = verify.rerun(item.stored, dataset, device="cpu", today=DAY)
            if not done.findings.differences:
                verify.record(item, done.verification)
    return folder


@pytest.fixture
def entries(shipped: Path, tmp_path: Path) -> Path:
    """A copy of them, to tamper with."""
    return Path(shutil.copytree(shipped, tmp_path / "entries"))
