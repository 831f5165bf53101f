"""Which entries of a folder may be shown, and how far each was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard import consistency, store
from leaderboard.findings import Findings
from leaderboard.schema import LEVELS, Entry, Level, Verification
from leaderboard.store import StoredEntry
from mildbench.errors import UserError
from mildbench.results.scores import Scores


@dataclass(frozen=True, eq=False)
class Reviewed:
    """An entry that agrees with itself."""

    stored: StoredEntry
    verification: Verification | None
    """The record of its verification, which is of this very entry."""
    findings: Findings
    """Without differences."""

    @property
    def entry(self) -> Entry:
        return self.stored.entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def scores(self) -> Scores:
        """Its rows, to compute with."""
        return Scores(self.stored.rows, self.stored.panel)

    @property
    def level(self) -> Level:
        return "consistent" if self.verification is None else self.verification.level

    @property
    def trust(self) -> int:
        """The level's place in `LEVELS`, from 0."""
        return list(LEVELS).index(self.level)


@dataclass(frozen=True)
class Refused:
    """An entry that is not what it says; nothing of it may be shown as a result."""

    name: str
    """Of its file, without the suffix."""
    differences: Sequence[str]
    """At least one, a sentence each."""


def review(path: Path) -> Reviewed | Refused:
    """Read one entry and check it without looking at pictures."""
    try:
        stored = store.read(path)
        verification = store.read_verification(stored)
    except UserError as error:
        return Refused(path.stem, [str(error)])
    findings = consistency.check(stored)
    if verification is not None and verification.entry != stored.entry.identity:
        findings.differences.append(
            f"it is another than the one whose {verification.level} was recorded on {verification.date}: restore it, "
            f"or delete {stored.record.parent.name}/{stored.record.name} and verify it again"
        )
    if findings.differences:
        return Refused(path.stem, findings.differences)
    return Reviewed(stored, verification, findings)


def review_all(folder: Path = store.ENTRIES) -> tuple[list[Reviewed], list[Refused]]:
    """All entries of a folder, by name; raises `UserError` where there is no such folder."""
    found = [review(path) for path in store.paths(folder)]
    return (
        [item for item in found if isinstance(item, Reviewed)],
        [item for item in found if isinstance(item, Refused)],
    )
