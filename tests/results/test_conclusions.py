"""The sentences above a table say what its ranks and pairs say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mildbench.results import finished
from mildbench.results.board import Board, board_of
from mildbench.results.conclusions import conclusions
from mildbench.results.summary import RunSummary

Run = Callable[..., list[RunSummary]]


def board(root: Path, summaries: list[RunSummary]) -> Board:
    return board_of([finished.read(next(root.glob(f"*/*/{summary.run}"))) for summary in summaries])


@pytest.mark.parametrize("methods", [("copy", "noise"), ("copy", "noise", "oracle", "telea")])
def test_they_follow_from_ranks_and_pairs(run: Run, tmp_path: Path, methods: tuple[str, ...]) -> None:
    found = board(tmp_path, run(*methods, metrics=["psnr", "ssim"]))
    first, second, *others = conclusions(found)
    compared = found.comparisons[found.headline or ""]
    best = {found.names[name] for name, (rank, _) in compared.ranks.items() if rank == 1}
    assert first.startswith("By PSNR (mask, pasted), ")
    assert "oracle" not in first, "who is told the answer is not ranked"
    if "nothing beats" in first:
        named = first.partition("nothing beats ")[2].partition(".")[0]
        assert set(re.split(", | and ", named)) == best
    else:
        assert all(pair.tied for pair in compared.pairs if {pair.first, pair.second} <= compared.ranks.keys())
    apart, pairs = map(int, re.findall(r"(\d+) of (\d+) pairs differ", second)[0])
    ranked = [pair for pair in compared.pairs if {pair.first, pair.second} <= compared.ranks.keys()]
    assert (apart, pairs) == (sum(not pair.tied for pair in ranked), len(ranked))
    assert any("scenes: intervals are wide" in line for line in others)


def test_one_method_alone_says_nothing(run: Run, tmp_path: Path) -> None:
    assert conclusions(board(tmp_path, run("copy", metrics=["psnr"]))) == []
    assert conclusions(board(tmp_path, run("copy", "oracle", metrics=["psnr"]))) == []


def test_a_method_that_loses_to_a_control_is_told_so(run: Run, tmp_path: Path) -> None:
    found = board(tmp_path, run("copy", "telea", "noise", metrics=["psnr"]))
    assert not next(summary for summary in found.summaries if summary.label == "noise").control
    assert "No method is better than every control." in conclusions(found)
