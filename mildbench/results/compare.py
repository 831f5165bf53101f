"""Runs against each other, on the samples they share; those of one invocation are `comparison.json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from mildbench import statistics
from mildbench.metrics.base import SampleMetric
from mildbench.records import Strict
from mildbench.results.summary import Infinite, RunSummary


class PairRecord(Infinite):
    """Two runs, on the samples where both have a score."""

    first: str
    second: str
    """Folder names of the runs."""
    value: float | None
    """Mean of `first` minus mean of `second`; infinite where one of them is."""
    low: float | None
    high: float | None
    """Paired 95 % interval (`statistics.difference`)."""
    n: int
    scenes: int | None = None
    """As in `Estimate`."""
    p: float
    """Of the paired test over scenes (`statistics.difference`)."""
    p_holm: float
    """Adjusted for all pairs of the column."""
    tied: bool
    """Not told apart once all pairs are accounted for."""

    @property
    def gap(self) -> float | None:
        """`value`."""
        return self.value


class ColumnComparison(Strict):
    """All pairs in one score column."""

    column: str
    higher_is_better: bool
    pairs: list[PairRecord]
    ranks: dict[str, statistics.Rank]
    """Run -> first and last of the ranks it may have, among the runs that can be ranked (`RunSummary.ranked`) and
    have a value here."""

    def ranks_among(self, runs: Sequence[str]) -> dict[str, statistics.Rank]:
        """Run -> first and last of the ranks that it may have among these runs alone."""
        among = [pair for pair in self.pairs if pair.first in runs and pair.second in runs]
        return statistics.ranks(runs, among, higher_is_better=self.higher_is_better)


class Comparison(Strict):
    """`comparison.json`; of the latest invocation."""

    schema_version: Literal[2] = 2
    task: str
    split: str
    samples: int
    runs: dict[str, str]
    """Folder name -> what tables call the run."""
    columns: list[ColumnComparison]

    @classmethod
    def of(cls, summaries: Sequence[RunSummary], columns: Iterable[ColumnComparison]) -> Comparison:
        """Of runs of one task on the same samples."""
        first = summaries[0]
        return cls(
            task=first.task,
            split=first.split,
            samples=first.samples,
            runs={summary.run: summary.label for summary in summaries},
            columns=list(columns),
        )

    def column(self, column: str) -> ColumnComparison | None:
        """The comparison in one score column."""
        return next((item for item in self.columns if item.column == column), None)


def compare_column(
    metric: SampleMetric,
    column: str,
    values: dict[str, np.ndarray],
    clusters: np.ndarray,
    ranked: Sequence[str],
) -> ColumnComparison:
    """Compare runs in one score column.

    Args:
        metric: what the column holds.
        column: its name.
        values: run -> float64[N], the same samples in the same order; NaN is none.
        clusters: int[N], as `statistics.mean` takes them.
        ranked: those of the runs that get a rank, if they have a value.
    """
    better = metric.info.higher_is_better
    pairs = statistics.compare(values, metric, clusters)
    placed = [run for run in ranked if not np.isnan(values[run]).all()]
    among = [pair for pair in pairs if pair.first in placed and pair.second in placed]
    return ColumnComparison(
        column=column,
        higher_is_better=better,
        pairs=[
            PairRecord(
                first=pair.first,
                second=pair.second,
                value=pair.difference.value,
                low=pair.difference.low,
                high=pair.difference.high,
                n=pair.difference.n,
                scenes=pair.difference.scenes,
                p=pair.p,
                p_holm=pair.p_holm,
                tied=pair.tied,
            )
            for pair in pairs
        ],
        ranks=statistics.ranks(placed, among, higher_is_better=better),
    )
