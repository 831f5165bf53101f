"""Boards: the entries of one task on one data set, ranked by paired intervals where that is fair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboard.schema import Entry
from leaderboard.store import Stored
from mildbench.errors import UserError
from mildbench.evaluation.aggregate import HEADLINE, Scores, headline_columns, metric_of
from mildbench.evaluation.compare import ColumnComparison, compare_column
from mildbench.evaluation.finished import panel_of
from mildbench.evaluation.summary import MetricRecord

REQUIRED = ("psnr", "ssim")
"""Metrics without which an entry is incomplete. They need no weights, so they are there on every machine; an entry
without one of the others has no place in its columns."""


@dataclass(frozen=True, eq=False)
class Placed:
    """An entry on its board."""

    stored: Stored
    unranked: str
    """Why it has no rank; empty when it may have one."""
    superseded_by: str | None
    """The newer entry of the same method with the same options."""

    @property
    def entry(self) -> Entry:
        return self.stored.entry


@dataclass(frozen=True, eq=False)
class Board:
    """Entries that can be compared, best first."""

    entries: tuple[Placed, ...]
    metrics: dict[str, MetricRecord]
    columns: dict[str, ColumnComparison]
    """Score column -> ranks of the entries that may have one, by entry name."""

    @property
    def title(self) -> str:
        summary = self.entries[0].entry.summary
        corrupted = (
            f", inputs corrupted: {' '.join(summary.config.corruption)}" if summary.config.corruption else ""
        )
        return f"{summary.task} on {summary.dataset} ({summary.split}{corrupted})"

    @property
    def ranks(self) -> dict[str, int]:
        """Entry name -> rank in the headline column."""
        return self.columns[HEADLINE].ranks if HEADLINE in self.columns else {}

    def best(self, column: str) -> set[str]:
        """Names of the entries that nothing beats beyond a tie; empty where there is nothing to beat."""
        ranks = self.columns[column].ranks
        return {name for name, rank in ranks.items() if rank == 1} if len(ranks) > 1 else set()


def boards(stored: Sequence[Stored]) -> list[Board]:
    """Group and rank entries; raises `UserError` where scores are missing or the samples of a board differ."""
    groups: dict[tuple, list[Stored]] = {}
    for item in stored:
        summary, config = item.entry.summary, item.entry.summary.config
        key = (
            summary.dataset,
            config.dataset,
            config.task,
            config.split,
            config.corruption,
            summary.paste_dilation,
        )
        groups.setdefault(key, []).append(item)
    return [_board(groups[key]) for key in sorted(groups)]


def _board(group: Sequence[Stored]) -> Board:
    samples = max(item.entry.summary.samples for item in group)
    newest = _newest(group)
    placed = [
        Placed(
            item,
            unranked=_unranked(item.entry, samples, newest[_identity(item.entry)]),
            superseded_by=None
            if newest[_identity(item.entry)] is item.entry
            else newest[_identity(item.entry)].name,
        )
        for item in group
    ]
    scores = {item.entry.name: item.scores() for item in group}
    metrics = {metric.name: metric for item in group for metric in item.entry.summary.metrics}
    fair = [place for place in placed if not place.unranked]
    columns = _columns(fair, scores, metrics, group[0].entry.summary.task)
    headline = columns.get(HEADLINE)
    better = headline is None or headline.higher_is_better

    def key(place: Placed) -> tuple[int, float, str]:
        estimate = place.entry.summary.estimate(HEADLINE)
        value = None if estimate is None else estimate.value
        last = 2 if place.superseded_by else 1 if place.unranked and not _reference(place.entry) else 0
        return last, np.inf if value is None else -value if better else value, place.entry.name

    return Board(tuple(sorted(placed, key=key)), metrics, columns)


def _columns(
    fair: Sequence[Placed], scores: dict[str, Scores], metrics: dict[str, MetricRecord], task: str
) -> dict[str, ColumnComparison]:
    """Ranks column by column; entries that lack a column are not in it."""
    panel = panel_of(metrics.values(), "the board")
    ids: list[str] = []
    clusters = np.empty(0, dtype=np.int64)
    for place in fair:
        mine = scores[place.entry.name]
        if ids and mine.ids != ids:
            raise UserError(f"entry {place.entry.name} is of other samples than its board: verify it")
        ids, clusters = mine.ids, mine.clusters
    found = {}
    for column in headline_columns(panel, task):
        values = {
            place.entry.name: mine.values[column]
            for place in fair
            if column in (mine := scores[place.entry.name]).values
        }
        found[column] = compare_column(metric_of(panel, column), column, values, clusters, list(values))
    return found


def _identity(entry: Entry) -> tuple:
    """What makes two entries revisions of one thing: code, weights and trained files may differ."""
    config = entry.summary.config
    return config.method, tuple(config.options.items()), config.seed


def _newest(group: Sequence[Stored]) -> dict[tuple, Entry]:
    return {
        _identity(item.entry): item.entry
        for item in sorted(group, key=lambda item: (item.entry.added, item.entry.name))
    }


def _reference(entry: Entry) -> bool:
    """Shown where its score puts it, though it is told the answer."""
    return "truth" in entry.summary.method.capabilities


def _unranked(entry: Entry, samples: int, newest: Entry) -> str:
    """Why the entry has no rank; empty when it may have one."""
    summary = entry.summary
    if newest is not entry:
        return "superseded"
    if _reference(entry):
        return "is shown the answer"
    if summary.method.untrained is not None:
        return f"random weights ({summary.method.untrained})"
    if summary.failures:
        return f"incomplete: {len(summary.failures)} of {summary.samples} samples have no score"
    if summary.samples < samples or summary.limit is not None:
        return f"incomplete: {summary.samples} samples only"
    lacking = [name for name in REQUIRED if name not in {metric.name for metric in summary.metrics}]
    return f"incomplete: not scored: {', '.join(lacking)}" if lacking else ""
