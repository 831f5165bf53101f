"""What `entries/*.json` and `reported/*.json` hold.

`entry.schema.json` is the JSON schema of an entry, for editors and reviewers.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mildbench.evaluation.run import Strict
from mildbench.evaluation.summary import RunSummary

SCHEMA = Path(__file__).with_name("entry.schema.json")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Attachment(Strict):
    """A file beside the entry's."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+\.parquet$")]
    """A plain name."""
    sha256: Sha256
    rows: int


class Entry(Strict):
    """One measured result: a method, as it was, on one task of one data set."""

    schema_version: Literal[1] = 1
    added: datetime.date
    """When it joined the leaderboard."""
    summary: RunSummary
    """Method, options, weights' sha256, data set's fingerprint, metric ids and aggregates. Without `strata`, which
    follow from the scores."""
    scores: Attachment
    """`scores.parquet` of the run: one row a sample, compressed."""
    peak_memory_bytes: int | None
    """On the GPU; None where it was not counted."""
    environment: dict[str, str]
    """Versions and hardware that it was scored with."""

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return entry_name(self.summary)

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
