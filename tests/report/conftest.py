"""Runs of a small data set: a tie, a failure, random weights with attention, and the answer itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from finished_runs import contenders, registered

from mildbench.report import page
from mildbench.results import finished
from mildbench.results.board import Board, boards
from mildbench.results.finished import FinishedRun


@pytest.fixture(scope="module", autouse=True)
def registry() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="session")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Method -> its run on `erase-one`; not to be changed."""
    metrics = ("psnr", "ssim", "cag-kappa", "lacking", "shift")
    return contenders(data, tmp_path_factory.mktemp("runs"), "erase-one", metrics)


@pytest.fixture
def read(runs: dict[str, Path]) -> list[FinishedRun]:
    return [finished.read(folder) for folder in runs.values()]


@pytest.fixture
def board(read: list[FinishedRun]) -> Board[FinishedRun]:
    (found,) = boards(read)
    return found


@pytest.fixture(scope="session")
def report(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all runs."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    with registered():
        assert page.write(path, [finished.read(folder) for folder in runs.values()]) == []
    return path
