"""What each metric rewards, seen by how it ranks the controls: nobody has to believe that these are good or bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mildbench.metrics.base import METRICS
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.headline import one_a_metric
from mildbench.statistics import Rank, ranks_of_values

SMOOTH, SHARP = "blur", "patchmatch"
"""A fill without any edge or texture, and one that is all texture, often in the wrong place."""
LAST = ("copy", "visible")
"""Controls that do nothing."""


@dataclass(frozen=True)
class Rewarded:
    """One metric's view of the controls."""

    metric: str
    where: str
    """Region and variant."""
    ranks: dict[str, Rank]
    """Run of a control -> its ranks among the controls; those without a value are not in it."""
    prefers: str
    """Which of `SMOOTH` and `SHARP` it puts first; empty where one is missing or they tie."""
    remark: str
    """Why the answer is not first, or the input not last; empty where they are."""


def rewarded(board: Board[Any]) -> list[Rewarded]:
    """A row for each metric that has a value for two controls or more."""
    controls = {summary.run: summary for summary in board.summaries if summary.control}
    rows: list[tuple[str, str, str, dict[str, Rank]]] = []
    for column in one_a_metric(board.columns):
        compared = board.comparisons[column]
        runs = [
            run
            for run, summary in controls.items()
            if run in board.values[column]
            and (found := summary.estimate(column)) is not None
            and found.value is not None
        ]
        name, region, variant = column.split(".")
        rows.append((name, region, variant, compared.ranks_among(runs)))
    for name, variant in board.sets:
        values = {
            run: over.value
            for run, summary in controls.items()
            if (over := summary.of_set(name, variant)) is not None and over.value is not None
        }
        better = board.metrics[name].higher_is_better
        rows.append((name, "full", variant, ranks_of_values(values, higher_is_better=better)))
    names = {run: summary.method.name for run, summary in controls.items()}
    told = {run for run, summary in controls.items() if "truth" in summary.method.capabilities}
    return [
        Rewarded(
            name, f"{region}, {variant}", ranks, _prefers(ranks, names), _remark(name, ranks, names, told)
        )
        for name, region, variant, ranks in rows
        if len(ranks) > 1
    ]


def _prefers(ranks: dict[str, Rank], names: dict[str, str]) -> str:
    of = {names[run]: rank for run, rank in ranks.items()}
    if not {SMOOTH, SHARP} <= of.keys():
        return ""
    smooth, sharp = of[SMOOTH], of[SHARP]
    if smooth[1] < sharp[0]:
        return SMOOTH
    return SHARP if sharp[1] < smooth[0] else ""


def _remark(name: str, ranks: dict[str, Rank], names: dict[str, str], told: set[str]) -> str:
    wrong = [f"{names[run]} is not first" for run, (first, _) in ranks.items() if run in told and first > 1]
    wrong += [
        f"{names[run]} is not last"
        for run, (_, last) in ranks.items()
        if names[run] in LAST and last < len(ranks)
    ]
    if not wrong:
        return ""
    blind = METRICS.load(name).info.blind
    return f"{'; '.join(wrong)}: {blind or 'this metric is broken, or these samples are'}"


def names_of(rows: Sequence[Rewarded], board: Board[Any]) -> list[tuple[str, str]]:
    """Run and name of the controls that any row ranks, in the board's order."""
    return [(run, name) for run, name in board.names.items() if any(run in row.ranks for row in rows)]


def texts(row: Rewarded, runs: Sequence[str]) -> list[str]:
    """The ranks of these runs, as tables write them."""
    return [wording.rank(run, row.ranks) for run in runs]
