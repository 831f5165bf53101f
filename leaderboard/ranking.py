"""Boards: the entries of one task on one data set, ranked by paired intervals where that is fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboard.review import Reviewed
from leaderboard.schema import Entry
from mildbench.evaluation.aggregate import HEADLINE, headline_columns, metric_of
from mildbench.evaluation.compare import ColumnComparison, compare_column
from mildbench.evaluation.finished import panel_of
from mildbench.evaluation.summary import MetricRecord

REQUIRED = ("psnr", "ssim")
"""Metrics without which an entry is incomplete. They need no weights, so they are there on every machine; an entry
without one of the others has no place in its columns."""


@dataclass(frozen=True, eq=False)
class Placed:
    """An entry on its board."""

    reviewed: Reviewed
    unranked: str
    """Why it has no rank; empty when it may have one."""
    superseded_by: str | None
    """The newer entry of the same method with the same options, checked at least as far."""

    @property
    def entry(self) -> Entry:
        return self.reviewed.entry

    @property
    def reference(self) -> bool:
        """It is shown where its score puts it, though it is told the answer."""
        return _is_told(self.entry)


@dataclass(frozen=True, eq=False)
class Board:
    """Entries that can be compared, best first."""

    entries: tuple[Placed, ...]
    metrics: dict[str, MetricRecord]
    columns: dict[str, ColumnComparison]
    """Score column -> ranks of the entries that may have one, by entry name."""
    samples: int
    """Samples that a complete entry has."""

    @property
    def title(self) -> str:
        summary = self.entries[0].entry.summary
        return f"{summary.task} on {summary.dataset} ({summary.split}{summary.config.inputs})"

    @property
    def ranks(self) -> dict[str, int]:
        """Entry name -> rank in the headline column."""
        return self.columns[HEADLINE].ranks if HEADLINE in self.columns else {}

    def best(self, column: str) -> set[str]:
        """Names of the entries that nothing beats beyond a tie; empty where there is nothing to beat."""
        ranks = self.columns[column].ranks
        return {name for name, rank in ranks.items() if rank == 1} if len(ranks) > 1 else set()


def boards(reviewed: Sequence[Reviewed]) -> list[Board]:
    """Group and rank entries; one of samples that its board does not have is shown there, unranked."""
    groups: dict[tuple, list[Reviewed]] = {}
    for item in reviewed:
        summary, config = item.entry.summary, item.entry.summary.config
        key = (
            summary.dataset,
            config.dataset,
            config.task,
            config.split,
            config.corruption,
            config.mask,
            summary.paste_dilation,
        )
        groups.setdefault(key, []).append(item)
    return [_board(groups[key]) for key in sorted(groups)]


def lineage(entry: Entry) -> tuple:
    """What makes two entries revisions of one thing: code, weights and trained files may differ."""
    config = entry.summary.config
    return config.method, tuple(config.options.items()), config.seed


def _board(group: Sequence[Reviewed]) -> Board:
    samples = _samples(group)
    superseded = {item.entry.name: _superseded_by(item, group) for item in group}
    placed = [
        Placed(
            item,
            unranked=_unranked(item, samples, superseded[item.entry.name]),
            superseded_by=superseded[item.entry.name],
        )
        for item in group
    ]
    metrics = {metric.name: metric for item in group for metric in item.entry.summary.metrics}
    columns = _columns(
        [place for place in placed if not place.unranked], metrics, group[0].entry.summary.task
    )
    headline = columns.get(HEADLINE)
    better = headline is None or headline.higher_is_better

    def key(place: Placed) -> tuple[int, float, str]:
        estimate = place.entry.summary.estimate(HEADLINE)
        value = None if estimate is None else estimate.value
        last = 2 if place.superseded_by else 1 if place.unranked and not place.reference else 0
        return last, np.inf if value is None else -value if better else value, place.entry.name

    return Board(tuple(sorted(placed, key=key)), metrics, columns, len(samples))


def _samples(group: Sequence[Reviewed]) -> tuple[tuple, ...]:
    """What the board's samples are, as `_facts` has it: those of the entries that were checked furthest.

    Among equally checked ones those of most entries, then of the oldest: an entry alone cannot change what the
    others are measured by. Entries of a part of the samples have no say while there are others.
    """
    whole = [item for item in group if item.entry.summary.limit is None] or list(group)
    votes = Counter((item.trust, _facts(item)) for item in whole)

    def weight(item: Reviewed) -> tuple[int, int, int]:
        return item.trust, votes[item.trust, _facts(item)], -item.entry.added.toordinal()

    return _facts(max(whole, key=weight))


def _facts(item: Reviewed) -> tuple[tuple, ...]:
    """Of each sample its id, its scene and the digest of its truth."""
    rows = item.stored.rows
    columns = (rows.column(name).to_pylist() for name in ("id", "scene", "truth_sha256"))
    return tuple(zip(*columns, strict=True))


def _columns(
    fair: Sequence[Placed], metrics: dict[str, MetricRecord], task: str
) -> dict[str, ColumnComparison]:
    """Ranks column by column, of entries with the board's samples; one that lacks a column is not in it."""
    panel = panel_of(metrics.values(), "the board")
    scores = {place.entry.name: place.reviewed.scores for place in fair}
    clusters = next((mine.clusters for mine in scores.values()), np.empty(0, dtype=np.int64))
    found = {}
    for column in headline_columns(panel, task):
        values = {name: mine.values[column] for name, mine in scores.items() if column in mine.values}
        found[column] = compare_column(metric_of(panel, column), column, values, clusters, list(values))
    return found


def _superseded_by(item: Reviewed, group: Sequence[Reviewed]) -> str | None:
    """The newest entry of the same lineage, unless it was checked less far."""
    revisions = [
        other for other in group if lineage(other.entry) == lineage(item.entry) and other.trust >= item.trust
    ]
    newest = max(revisions, key=lambda other: (other.entry.added, other.entry.name))
    return None if newest is item else newest.entry.name


def _is_told(entry: Entry) -> bool:
    return "truth" in entry.summary.method.capabilities


def _unranked(item: Reviewed, samples: tuple[tuple, ...], superseded_by: str | None) -> str:
    """Why the entry has no rank; empty when it may have one."""
    summary, mine = item.entry.summary, _facts(item)
    if superseded_by is not None:
        return "superseded"
    board = set(samples)
    if foreign := [fact for fact in mine if fact not in board]:
        return f"of other samples than the board: {foreign[0][0]}"
    if _is_told(item.entry):
        return "is shown the answer"
    if summary.method.untrained is not None:
        return f"random weights ({summary.method.untrained})"
    if summary.failures:
        return f"incomplete: {len(summary.failures)} of {summary.samples} samples have no score"
    if len(mine) < len(samples) or summary.limit is not None:
        return f"incomplete: {summary.samples} samples only"
    if mine != samples:
        return "its samples are in another order than the board's"
    lacking = [name for name in REQUIRED if name not in {metric.name for metric in summary.metrics}]
    return f"incomplete: not scored: {', '.join(lacking)}" if lacking else ""
