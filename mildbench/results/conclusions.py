"""What a board says in words, before its tables: what nothing beats, how many differ, how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.compare import PairRecord


def conclusions(board: Board[Any]) -> list[str]:
    """Sentences on each headline, of the ranked results alone; none where there is nothing to compare."""
    lines = [line for column in board.headlines for line in _of(board, column)]
    return [*lines, *wording.few(board.scenes)] if lines else []


def _of(board: Board[Any], column: str) -> list[str]:
    compared = board.comparisons[column]
    ranked = list(compared.ranks)
    pairs = [pair for pair in compared.pairs if {pair.first, pair.second} <= compared.ranks.keys()]
    if not pairs:
        return []
    by = wording.column_text(column)
    best = [run for run in ranked if run in board.best(column)]
    if not best:
        lines = [f"By {by}, the {len(ranked)} ranked methods are not told apart."]
    else:
        alike = " They are not told apart from each other." if len(best) > 1 else ""
        lines = [f"By {by}, nothing beats {_joined(board, best)}.{alike}"]
    apart = sum(not pair.tied for pair in pairs)
    scenes = wording.span([board.scenes if pair.scenes is None else pair.scenes for pair in pairs])
    line = (
        f"{apart} of {len(pairs)} pairs differ: paired tests over {scenes} scenes, corrected for all pairs."
    )
    halves = [(pair.high - pair.low) / 2 for pair in pairs if pair.low is not None and pair.high is not None]
    if halves and math.isfinite(half := float(np.median(halves))):
        metric = board.metric(column)
        unit = f" {metric.unit}" if metric.unit else ""
        line += (
            f" A difference is known to within ±{half:.{wording.digits(metric.unit)}f}{unit} (95 %, median)."
        )
    return [*lines, line, *_beside_controls(board, pairs, ranked, higher=compared.higher_is_better)]


def _beside_controls(
    board: Board[Any], pairs: Sequence[PairRecord], ranked: Sequence[str], *, higher: bool
) -> list[str]:
    """Whether a method is worth its effort: whether it beats what does next to nothing."""
    controls = {summary.run for summary in board.summaries if summary.control}.intersection(ranked)
    methods = [run for run in ranked if run not in controls]
    if not controls or not methods:
        return []
    beaten: dict[str, set[str]] = {run: set() for run in methods}
    for pair in pairs:
        if not pair.tied and pair.value is not None:
            winner, loser = (pair.first, pair.second)[:: 1 if (pair.value > 0) == higher else -1]
            if winner in beaten:
                beaten[winner].add(loser)
    better = [run for run in methods if controls <= beaten[run]]
    if not better:
        return ["No method is better than every control."]
    return [f"Better than every control: {_joined(board, better)}."]


def _joined(board: Board[Any], runs: Sequence[str]) -> str:
    """The names in the board's order."""
    *names, last = [board.names[row.run] for row in board.summaries if row.run in runs]
    return f"{', '.join(names)} and {last}" if names else last
