"""What there is to look at: a data set, or runs of one task on one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mildbench.browse.runs import ScoredRun, open_runs
from mildbench.dataset import Dataset
from mildbench.dataset.schema import INFO
from mildbench.errors import UserError
from mildbench.results.finished import find, reopen
from mildbench.results.scores import STRATA


@dataclass(frozen=True, eq=False)
class Gallery:
    """A data set with the runs on it, if it is about any."""

    name: str
    """Of the FiftyOne data set: the same for the same task on the same data, whichever runs are looked at."""
    dataset: Dataset
    task: str | None
    """None: the scenes themselves."""
    runs: tuple[ScoredRun, ...]
    facts: pd.DataFrame
    """Sample id -> `STRATA`, in the data set's order."""

    @classmethod
    def open(cls, paths: Sequence[Path], dataset: Path | None = None) -> Gallery:
        """Open runs, or one data set.

        Args:
            paths: at least one; run folders or folders that hold some, or a single data set.
            dataset: where the runs' data set lies now; None: where it lay when they were made.

        Raises:
            UserError: for folders that are neither, that do not belong together, or whose data set is missing.
        """
        if data := next((path for path in paths if (path / INFO).is_file()), None):
            if len(paths) > 1 or dataset is not None:
                raise UserError(f"{data} is a data set: give runs, or one data set alone")
            return _of_dataset(Dataset.open(data))
        return _of_runs(open_runs(find(paths)), dataset)

    def row(self, sample_id: str) -> dict[str, Any]:
        """The row of `samples.parquet` that the sample comes from."""
        return self.dataset.row_of(self.task, sample_id)

    @property
    def contenders(self) -> list[ScoredRun]:
        """The runs of methods that have not seen the answers: only they can be bad, or disagree."""
        return [run for run in self.runs if "truth" not in run.record.method.capabilities]

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics with numbers per sample that any run was scored by."""
        return list(dict.fromkeys(item.metric for run in self.runs for item in run.summary.estimates))


def _of_runs(runs: tuple[ScoredRun, ...], where: Path | None) -> Gallery:
    record = runs[0].record
    dataset, _ = reopen(record, where)
    facts = pd.concat([run.scores[list(STRATA)] for run in runs])
    return Gallery(
        _name(dataset, record.task, record.split),
        dataset,
        record.task,
        runs,
        facts[~facts.index.duplicated()],
    )


def _of_dataset(dataset: Dataset) -> Gallery:
    columns = ("id", "split", "family", "people", "min_visible_ratio", "mask_share", "difficulty", "ground")
    rows = pd.DataFrame(list(dataset.rows(columns)), columns=list(columns))
    rows = rows.rename(columns={"min_visible_ratio": "visible_ratio"})
    facts = rows.assign(scene=rows["id"]).set_index("id")[list(STRATA)]
    return Gallery(_name(dataset), dataset, None, (), facts)


def _name(dataset: Dataset, *task: str) -> str:
    words = ("mildbench", dataset.name, *task, dataset.fingerprint[:8])
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))
