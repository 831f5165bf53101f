"""`mildbench figure`: samples and outputs side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import invoke

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.report import figure
from mildbench.results.board import Board
from mildbench.results.finished import FinishedRun, reopen


def test_a_row_is_input_mask_truth_and_the_pasted_outputs(board: Board[FinishedRun]) -> None:
    _, source = reopen(board.results[0].record)
    (sample_id,) = figure.spread(board, 1)
    triplet = source.triplet("erase-one", sample_id)
    image, tint, truth, *outputs = figure.pictures(board, source, sample_id)
    assert np.array_equal(image, triplet.image)
    assert np.array_equal(truth, triplet.truth)
    assert np.array_equal((tint != image).any(axis=-1), triplet.mask)
    assert len(outputs) == len(board.results)
    for run, shown in zip(board.results, outputs, strict=True):
        made = read_rgb(run.folder.prediction(sample_id), "prediction")
        assert np.array_equal(shown[triplet.mask], made[triplet.mask])
        assert np.array_equal(shown[~triplet.mask], image[~triplet.mask])


def test_samples_are_spread_over_those_that_every_run_has(board: Board[FinishedRun]) -> None:
    failed = {failure.sample_id for run in board.results for failure in run.summary.failures}
    assert failed
    everything = figure.spread(board, 10**6)
    assert everything == [sample_id for sample_id in board.ids if sample_id not in failed]
    two = figure.spread(board, 2)
    quarters = [everything[len(everything) // 4], everything[3 * len(everything) // 4]]
    assert two == quarters


def test_the_command_draws_the_runs(runs: dict[str, Path], tmp_path: Path) -> None:
    folders = [runs["copy"], runs["telea"]]
    assert invoke("figure", *folders, "--count", 2, "--out", tmp_path / "two.png") == 0
    assert invoke("figure", *folders, "--count", 1, "--out", tmp_path / "one.png") == 0
    assert invoke("figure", *folders, "--count", 1, "--out", tmp_path / "one.pdf") == 0
    two, one = (cv2.imread(str(tmp_path / name)) for name in ("two.png", "one.png"))
    assert two is not None
    assert one is not None
    assert two.shape[0] > one.shape[0]
    assert two.shape[1] == one.shape[1] == round(5 * figure.INCHES * 200)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_errors_name_the_remedy(read: list[FinishedRun], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is \.png, \.pdf or \.svg"):
        figure.write(tmp_path / "figure.jpg", read)
    with pytest.raises(UserError, match="no run has the sample 'nobody'"):
        figure.write(tmp_path / "figure.png", read, samples=["nobody"])
    with pytest.raises(UserError, match="give 1 or more"):
        figure.write(tmp_path / "figure.png", read, count=0)
    assert not list(tmp_path.iterdir())


def test_a_cleared_run_says_so(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(runs["telea"], tmp_path / runs["telea"].name))
    shutil.rmtree(copy / "predictions")
    assert invoke("figure", copy, "--out", tmp_path / "figure.png") == 2
    assert "evaluate it again" in capsys.readouterr().err
