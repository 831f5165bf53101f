"""Boards: the entries of one task on one data set, ranked by paired intervals where that is fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from leaderboard.review import Reviewed
from leaderboard.schema import Entry
from mildbench.results.board import Board, column_named
from mildbench.results.summary import RunSummary

REQUIRED = ("psnr", "ssim")
"""Metrics without which an entry is incomplete. They need no weights, so they are there on every machine; an entry
without one of the others has no place in its columns."""
TOLD = "is shown the answer"
"""Why whoever is told the answer has no rank; it is compared all the same, as the end of every scale."""


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
    def summary(self) -> RunSummary:
        return self.entry.summary

    @property
    def reference(self) -> bool:
        """It is shown where its score puts it, though it is told the answer."""
        return _is_told(self.entry)


def boards(reviewed: Sequence[Reviewed], headline: str | None = None) -> list[Board[Placed]]:
    """Group and rank entries; one of samples that its board does not have is shown there, unranked.

    `headline` is as `mildbench.results.headline.named` reads it; a board without the column has its usual ones.
    Raises `UserError` where nothing has it.
    """
    groups: dict[tuple, list[Reviewed]] = {}
    for item in sorted(reviewed, key=lambda item: item.name):
        summary = item.entry.summary
        groups.setdefault((summary.dataset, *summary.setting), []).append(item)
    column = column_named(headline, [item.entry.summary for item in reviewed])
    return [_board(groups[key], column) for key in sorted(groups)]


def lineage(entry: Entry) -> tuple:
    """What makes two entries revisions of one thing: code, weights and trained files may differ."""
    config = entry.summary.config
    return config.method, tuple(config.options.items()), config.seed


def _board(group: Sequence[Reviewed], headline: str | None) -> Board[Placed]:
    """Whoever may have no rank comes last, but for references; older revisions after them."""
    samples = _samples(group)
    superseded = {item.name: _superseded_by(item, group) for item in group}
    placed = [
        Placed(item, _unranked(item, samples, superseded[item.name]), superseded[item.name]) for item in group
    ]
    return Board.of(
        placed,
        {place.summary.run: place.reviewed.scores for place in placed if place.unranked in ("", TOLD)},
        ranked={place.summary.run for place in placed if not place.unranked},
        samples=len(samples),
        scenes=len({scene or name for name, scene, _ in samples}),
        behind=lambda place: 2 if place.superseded_by else bool(place.unranked) and not place.reference,
        headline=headline,
    )


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
    if summary.method.untrained is not None:
        return f"random weights ({summary.method.untrained})"
    if summary.failures:
        return f"incomplete: {len(summary.failures)} of {summary.samples} samples have no score"
    if len(mine) < len(samples) or summary.limit is not None:
        return f"incomplete: {summary.samples} samples only"
    if mine != samples:
        return "its samples are in another order than the board's"
    lacking = [name for name in REQUIRED if name not in {metric.name for metric in summary.metrics}]
    if lacking:
        return f"incomplete: not scored: {', '.join(lacking)}"
    return TOLD if _is_told(item.entry) else ""
