"""Ranks are by the headline that was named; unasked by what people see, where all have it, beside fidelity."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_fakes import Calls
from rich.console import Console

from mildbench.errors import UserError
from mildbench.report import page
from mildbench.results import finished, table
from mildbench.results.board import Board, board_of, boards
from mildbench.results.finished import FinishedRun
from mildbench.results.headline import FIDELITY
from mildbench.results.summary import RunSummary

Run = Callable[..., list[RunSummary]]
SEEN = "lpips.mask.pasted"
BOTH = ["psnr", "ssim", "lpips"]


def read(root: Path, summaries: list[RunSummary]) -> list[FinishedRun]:
    return [finished.read(next(root.glob(f"*/*/{summary.run}"))) for summary in summaries]


def order(board: Board[FinishedRun]) -> list[str]:
    return [summary.label for summary in board.summaries]


def test_what_people_see_decides_where_all_have_it_and_fidelity_stands_beside(
    run: Run, tmp_path: Path
) -> None:
    runs = read(tmp_path, run("copy", "noise", "telea", metrics=BOTH))
    board = board_of(runs)
    assert board.headlines == (SEEN, FIDELITY)
    assert board.ranks == board.comparisons[SEEN].ranks
    values = [summary.estimate(SEEN).value for summary in board.summaries]  # type: ignore[union-attr]
    assert values == sorted(values)  # type: ignore[type-var]
    assert order(board) != order(board_of(runs, FIDELITY))
    stream = io.StringIO()
    Console(file=stream, width=200).print(table.build(board, 200))
    assert any(line.split()[:2] == ["LPIPS", "PSNR"] for line in stream.getvalue().splitlines())
    assert "ranked by LPIPS (mask, pasted), and beside it by PSNR (mask, pasted)" in stream.getvalue()
    assert "PSNR rewards closeness to the one true picture, and blur" in stream.getvalue()


def test_what_one_of_the_ranked_lacks_decides_nothing(run: Run, tmp_path: Path) -> None:
    some = read(tmp_path, run("copy", "noise", metrics=BOTH))
    others = read(tmp_path / "other", run("telea", metrics=["psnr"], out=tmp_path / "other"))
    board = board_of([*some, *others])
    assert board.headlines == (FIDELITY,)
    named = board_of([*some, *others], SEEN)
    assert named.headlines == (SEEN,)
    assert len(named.ranks) == 2
    assert order(named)[-1] == "telea"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("ssim", "ssim.mask.pasted"),
        ("psnr.full", "psnr.full.pasted"),
        ("psnr.outside.raw", "psnr.outside.raw"),
        ("lpips", SEEN),
    ],
)
def test_any_scored_column_can_be_named(run: Run, tmp_path: Path, text: str, column: str) -> None:
    (board,) = boards(read(tmp_path, run("copy", "noise", "telea", metrics=BOTH)), text)
    assert board.headlines == (column,)
    assert column in board.columns
    values = [summary.estimate(column).value for summary in board.summaries]  # type: ignore[union-attr]
    assert values == sorted(values, reverse=board.metric(column).higher_is_better)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("psnrr", "unknown metric 'psnrr': did you mean 'psnr'?"),
        ("difference", "difference was not scored here"),
        ("psnr.hole", "psnr has no such column; it has psnr.full.raw"),
        ("shift", "one number for a whole set"),
        ("lacking", "weights missing: mildbench weights fetch lpips-alex"),
    ],
)
def test_a_headline_that_will_not_be_there_is_told_before_any_work(run: Run, text: str, reason: str) -> None:
    metrics = ["psnr", "shift", "lacking"]
    with pytest.raises(UserError) as caught:
        run("noise", metrics=metrics, headline=text)
    assert reason in str(caught.value)
    assert Calls.erased == []


def test_the_command_ranks_by_it(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    shared = ("--method", "copy", "--method", "noise", "--metric", "psnr", "--metric", "lpips", "--wide")
    assert command(*shared, "--headline", "psnr") == 0
    assert "ranked by PSNR (mask, pasted):" in capsys.readouterr().out
    assert command(*shared) == 0
    assert "ranked by LPIPS (mask, pasted), and beside it by PSNR" in capsys.readouterr().out


def test_the_report_draws_the_front(run: Run, tmp_path: Path) -> None:
    runs = read(tmp_path, run("copy", "noise", "telea", "oracle", metrics=BOTH))
    page.write(tmp_path / "both.html", runs)
    text = (tmp_path / "both.html").read_text()
    assert "fidelity against plausibility" in text
    alone = read(tmp_path / "alone", run("copy", "noise", metrics=["psnr"], out=tmp_path / "alone"))
    page.write(tmp_path / "alone.html", alone)
    assert "Not drawn: nothing here was scored for what people see" in (tmp_path / "alone.html").read_text()
