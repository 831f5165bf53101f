"""Runs as they lie on disk, opened to be looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mildbench.errors import UserError
from mildbench.results import finished
from mildbench.results.folder import RunFolder
from mildbench.results.record import RunRecord
from mildbench.results.summary import MetricRecord, RunSummary


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """One run with its scores."""

    name: str
    """Unique among the runs that are looked at; letters, digits and underscores, with a letter first."""
    folder: RunFolder
    record: RunRecord
    summary: RunSummary
    scores: pd.DataFrame
    """`scores.parquet` by sample id."""

    @cached_property
    def columns(self) -> list[str]:
        """The score columns, in order."""
        return [item.column for item in self.summary.estimates]

    def metric(self, name: str) -> MetricRecord | None:
        """The metric of this name, if it was scored."""
        return next((item for item in self.summary.metrics if item.name == name), None)

    def headline(self, metric: str) -> str | None:
        """The column that stands for a metric: inside the mask, output pasted into the input, where it has that."""
        mine = [column for column in self.columns if column.partition(".")[0] == metric]
        best = f"{metric}.mask.pasted"
        return best if best in mine else next(iter(mine), None)

    def finite(self, column: str) -> pd.Series:
        """A column's scores that are defined and finite: a picture that is the truth has none worth looking at."""
        values = self.scores[column]
        return values[np.isfinite(values)]

    def field(self, column: str) -> str:
        """The name of a score column as a FiftyOne field."""
        return f"{self.name}_{_identifier(column)}"

    def prediction(self, sample_id: str) -> Path | None:
        """The sample's output; None where there is none that could be scored.

        Raises `UserError` for an id that would leave the folder.
        """
        if sample_id not in self.scores.index or self.failure(sample_id) is not None:
            return None
        path = self.folder.prediction(sample_id)
        return path if path.exists() else None

    def failure(self, sample_id: str) -> str | None:
        """Why the sample has no score; None where it has, or was never asked for."""
        reason = self.scores["error"].get(sample_id)
        return reason if isinstance(reason, str) else None


def open_runs(paths: Sequence[Path]) -> tuple[ScoredRun, ...]:
    """Open runs of one task on one split of one data set.

    Raises `UserError` for a run that is unfinished or broken, and runs that do not belong together.
    """
    folders = [RunFolder(path) for path in paths]
    found = [finished.contents(folder) for folder in folders]
    first, _, _ = found[0]
    for folder, (record, _, _) in zip(folders, found, strict=True):
        if (record.config.dataset, record.task, record.split) != (
            first.config.dataset,
            first.task,
            first.split,
        ):
            raise UserError(
                f"{folder} is of {record.dataset.name} {record.config.dataset[:12]} {record.task} {record.split}, "
                f"{folders[0]} of {first.dataset.name} {first.config.dataset[:12]} {first.task} {first.split}: "
                "look at runs of one task on one data set at a time"
            )
    names = [_run_name(record.label) for record, _, _ in found]
    return tuple(
        ScoredRun(
            name if names.count(name) == 1 else f"{name}_{record.config_hash[:8]}",
            folder,
            record,
            summary,
            rows.to_pandas().set_index("id"),
        )
        for folder, (record, summary, rows), name in zip(folders, found, names, strict=True)
    )


def _run_name(label: str) -> str:
    name = _identifier(label).strip("_")
    return name if name[:1].isalpha() else f"run_{name}"


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text)
