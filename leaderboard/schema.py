"""What `entries/*.json`, `entries/verified/*.json` and `reported/*.json` hold.

`entry.schema.json` is the JSON schema of an entry, for editors and reviewers.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mildbench.files import fingerprint
from mildbench.records import Strict
from mildbench.results.summary import RunSummary

SCHEMA = Path(__file__).with_name("entry.schema.json")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, Field(pattern=r"^(https?|hf|s3|gs)://[!-~]+$")]

Level = Literal["consistent", "rescored", "rerun"]
LEVELS: dict[Level, str] = {
    "consistent": "arithmetic only: the aggregates follow from the scores, and what is said of the method is what "
    "its code says; whether the scores are true was not tried",
    "rescored": "the predictions at the stated address hold what the entry says, and were scored again: the same "
    "scores; whether the method made them was not tried",
    "rerun": "the method was run again, the same in all that decides its pictures, and was scored again: the same "
    "scores",
}
"""How far an entry was checked -> what that means; each is more than the one before."""


class Attachment(Strict):
    """The entry's per-sample scores, in a file beside it: `<entry>.<first 8 digits of sha256>.parquet`."""

    sha256: Sha256
    rows: int


class Predictions(Strict):
    """The pictures that were scored."""

    sha256: Sha256
    """`predictions_sha256`: of what the pictures show, however they are compressed."""
    at: Address | None
    """Where they can be had; None where they were not kept."""


class Entry(Strict):
    """One measured result: a method, as it was, on one task of one data set."""

    schema_version: Literal[2] = 2
    added: datetime.date
    """When it joined the leaderboard."""
    summary: RunSummary
    """Method, options, weights' sha256, data set's fingerprint, metric ids and aggregates. Without `strata`, which
    follow from the scores."""
    scores: Attachment
    """`scores.parquet` of the run: one row a sample, compressed."""
    predictions: Predictions
    peak_memory_bytes: int | None
    """On the GPU; None where it was not counted."""
    environment: dict[str, str]
    """Versions and hardware that it was scored with."""

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return entry_name(self.summary)

    @property
    def scores_file(self) -> str:
        """The name of the scores' file."""
        return f"{self.name}.{self.scores.sha256[:8]}.parquet"

    @property
    def identity(self) -> str:
        """64 hex digits that change with any field, and through `scores` with any score.

        Only the aggregates are not in it: they follow from the scores, and every review holds them against these.
        """
        return fingerprint(self.model_dump(mode="json", exclude={"summary": {"estimates"}}))

    @property
    def weights(self) -> Literal["stock", "retrained", "no weights"]:
        """Whether it ran on published weights, or on ones that somebody trained, we included."""
        config = self.summary.config
        if config.files:
            return "retrained"
        return "stock" if config.weights else "no weights"


def entry_name(summary: RunSummary) -> str:
    """What the entry of a run is called: each configuration on each task of each data set has its own."""
    method = summary.run.rpartition("@")[0]
    return f"{summary.dataset}-{summary.config.dataset[:8]}-{summary.task}-{method}-{summary.config.hash[:8]}"


def predictions_sha256(pictures: Iterable[tuple[str, str | None]]) -> str:
    """The identity of a run's predictions: sha256 of the canonical JSON of `[[sample id, raw_sha256], ...]`.

    Args:
        pictures: sample ids in the task's order, with the digest of the decoded picture, as `scores.parquet` has
            it; None where there is no picture.
    """
    return fingerprint([[sample_id, digest] for sample_id, digest in pictures])


class Verification(Strict):
    """Says that an entry was rescored or rerun: written by `leaderboard verify --record`, kept in git.

    It is of the entry with this very identity: after a change of what was measured it counts for nothing. It
    proves no more than that whoever put it into the repository says so; the command that made it can be repeated.
    """

    schema_version: Literal[1] = 1
    entry: Sha256
    """`Entry.identity`."""
    level: Literal["rescored", "rerun"]
    date: datetime.date
    mildbench: str
    """Version."""
    device: str
    environment: dict[str, str]
    """Versions and hardware that it was checked with."""
    pictures: int
    """Predictions compared."""
    identical: int
    """Those that were the same to the bit."""
    left_out: list[str]
    """Names of the entry's metrics that were not recomputed."""


class ReportedResult(Strict):
    """One row of a paper's table; a number that it does not give is None."""

    dataset: str
    method: str
    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    fid: float | None = None


class ReportedVariant(Strict):
    """One row of a paper's ablation."""

    variant: str
    psnr: float


class ReportedAblation(Strict):
    """A paper's ablation."""

    dataset: str
    results: list[ReportedVariant]


class Reported(Strict):
    """Numbers copied from one paper."""

    paper: str
    arxiv: str
    provenance: Literal["reported"]
    results: list[ReportedResult]
    ablation: ReportedAblation | None = None
