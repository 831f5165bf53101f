"""Boards: results that can be compared, of one task on one split of one data set, shown and pasted alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from mildbench.errors import UserError
from mildbench.results import wording
from mildbench.results.compare import ColumnComparison, compare_column
from mildbench.results.finished import FinishedRun
from mildbench.results.headline import named, usual
from mildbench.results.panel import panel_of
from mildbench.results.scores import Scores
from mildbench.results.summary import MetricRecord, RunSummary, Variant
from mildbench.statistics import Rank


class BoardItem(Protocol):
    """What a board holds: a run, or an entry of the leaderboard."""

    @property
    def summary(self) -> RunSummary: ...


Item = TypeVar("Item", bound=BoardItem)


@dataclass(frozen=True, eq=False)
class Board(Generic[Item]):
    """Comparable results, best first. Everything is by the run's name, `RunSummary.run`."""

    results: tuple[Item, ...]
    names: dict[str, str]
    """Run -> what tables call it."""
    metrics: dict[str, MetricRecord]
    """Of all results, by name."""
    samples: int
    """Samples that a complete result has."""
    scenes: int
    """Scenes that they are of."""
    ids: tuple[str, ...]
    """Samples that any of the compared results has."""
    values: dict[str, dict[str, np.ndarray]]
    """Shown column -> run -> float64[N] over `ids`; NaN where it has no score. A run without the column, or that
    is not compared, is not in it."""
    comparisons: dict[str, ColumnComparison]
    """By shown column."""
    headlines: tuple[str, ...]
    """The columns that results are ranked by, the first of which decides their order; empty where nothing was scored
    sample by sample."""

    @classmethod
    def of(
        cls,
        results: Sequence[Item],
        scores: Mapping[str, Scores],
        *,
        ranked: Collection[str],
        samples: int,
        scenes: int,
        behind: Callable[[Item], int],
        headline: str | None = None,
    ) -> Board[Item]:
        """Compare results.

        Args:
            results: at least one; of equally good ones the first stays first.
            scores: run -> its rows, for those that are compared.
            ranked: those of them that may have a rank.
            samples: how many a complete result has.
            scenes: how many those are of.
            behind: results for which this is greater come after all others, whatever their scores.
            headline: the score column to rank by. None, or one that nothing here has: the usual ones.

        Raises:
            UserError: a metric's definition is another now.
        """
        summaries = [item.summary for item in results]
        metrics: dict[str, MetricRecord] = {}
        for metric in (metric for summary in summaries for metric in summary.metrics):
            metrics.setdefault(metric.name, metric)
        panel = panel_of(summaries, "the board")
        ids, clusters = _joined(scores.values())
        places = {name: place for place, name in enumerate(ids)}
        values = {
            column: {
                run: _spread(mine, column, places) for run, mine in scores.items() if column in mine.values
            }
            for column in _shown(panel.headline_columns(summaries[0].task), headline)
            if any(summary.estimate(column) is not None for summary in summaries)
        }
        comparisons = {
            column: compare_column(
                panel.metric(column), column, having, clusters, [run for run in having if run in ranked]
            )
            for column, having in values.items()
        }
        everywhere = [
            column
            for column, having in values.items()
            if all(run in having and not np.isnan(having[run]).all() for run in ranked)
        ]
        headlines = (headline,) if headline in values else usual(values, everywhere)

        def key(item: Item) -> tuple[int, float]:
            found = item.summary.estimate(headlines[0]) if headlines else None
            if found is None or found.value is None:
                return behind(item), math.inf
            return behind(item), -found.value if metrics[found.metric].higher_is_better else found.value

        ordered = tuple(sorted(results, key=key))
        names = wording.names([item.summary for item in ordered])
        return cls(ordered, names, metrics, samples, scenes, ids, values, comparisons, headlines)

    @property
    def summaries(self) -> list[RunSummary]:
        """Of the results, best first."""
        return [item.summary for item in self.results]

    @property
    def columns(self) -> list[str]:
        """The score columns that are shown, in order."""
        return list(self.values)

    @property
    def sets(self) -> list[tuple[str, Variant]]:
        """Metric and variant of the numbers of whole sets, in order."""
        found = ((item.metric, item.variant) for summary in self.summaries for item in summary.sets)
        return list(dict.fromkeys(found))

    @property
    def headline(self) -> str | None:
        """The column that decides their order; None where nothing was scored sample by sample."""
        return next(iter(self.headlines), None)

    @property
    def ranks(self) -> dict[str, Rank]:
        """Run -> ranks in the first headline, for those that have one."""
        return {} if self.headline is None else self.comparisons[self.headline].ranks

    @property
    def title(self) -> str:
        """Task, data set, split, and what was done to the inputs."""
        summary = self.results[0].summary
        return f"{summary.task} on {summary.dataset} ({summary.split}{summary.config.inputs})"

    @property
    def footnotes(self) -> list[str]:
        """What one has to know to read the table."""
        return [
            *wording.few(self.scenes),
            *wording.legend(self.headlines, self.results[0].summary),
            *wording.remarks(self.summaries, self.columns, self.metrics),
            *wording.notes(self.summaries, self.names),
        ]

    def metric(self, column: str) -> MetricRecord:
        """What a score column holds."""
        return self.metrics[column.partition(".")[0]]

    def axis(self, column: str) -> str:
        """A score column as the label of an axis: metric, region, variant, unit, and which way is better."""
        metric = self.metric(column)
        _, region, variant = column.split(".")
        unit = f" ({metric.unit})" if metric.unit else ""
        return f"{metric.name.upper()}{unit}, {region}, {variant}  {wording.arrow(metric)} better"

    def best(self, column: str) -> set[str]:
        """The ranked runs that nothing beats beyond a tie in a column; empty where nothing is beaten."""
        ranks = self.comparisons[column].ranks
        beaten = any(first > 1 for first, _ in ranks.values())
        return {run for run, (first, _) in ranks.items() if first == 1} if beaten else set()


def board_of(runs: Sequence[FinishedRun], headline: str | None = None) -> Board[FinishedRun]:
    """The board of comparable runs; those with failures or random weights come last.

    `headline` is as in `Board.of`. Raises `UserError` for the same run from two places, and for one metric of two
    identities.
    """
    folders: dict[str, FinishedRun] = {}
    metrics: dict[str, MetricRecord] = {}
    for run in runs:
        if (other := folders.setdefault(run.summary.run, run)) is not run:
            raise UserError(f"{other.folder} and {run.folder} are the same run: leave one out")
        for metric in run.summary.metrics:
            if metrics.setdefault(metric.name, metric).identity != metric.identity:
                raise UserError(
                    f"{metric.name} of {run.summary.label} was scored with another annotator or other weights than "
                    f"that of {runs[0].summary.label}: evaluate them together again"
                )
    samples = max(run.summary.samples for run in runs)
    scores = {name: Scores(run.rows, run.panel) for name, run in folders.items()}
    return Board.of(
        runs,
        scores,
        ranked={
            name for name, run in folders.items() if run.summary.ranked and run.summary.samples == samples
        },
        samples=samples,
        scenes=max(len(set(mine.scenes)) for mine in scores.values()),
        behind=lambda run: bool(run.summary.failures) or run.summary.method.untrained is not None,
        headline=headline,
    )


def boards(runs: Sequence[FinishedRun], headline: str | None = None) -> list[Board[FinishedRun]]:
    """Group runs into what can be compared, in the order of the first of each.

    `headline` is as `headline.named` reads it; a board without the column has its usual ones. Raises as `board_of`
    and `column_named` do.
    """
    groups: dict[tuple, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(run.summary.setting, []).append(run)
    column = column_named(headline, [run.summary for run in runs])
    return [board_of(group, column) for group in groups.values()]


def column_named(headline: str | None, summaries: Sequence[RunSummary]) -> str | None:
    """The column that a headline names among all that was scored; None stays None.

    Raises `UserError` where nothing has it.
    """
    if headline is None:
        return None
    return named(headline, panel_of(summaries, "the board"), summaries[0].task)


def _shown(columns: Sequence[str], headline: str | None) -> list[str]:
    """The columns, and the headline if it is not among them."""
    return list(dict.fromkeys([*columns, *([] if headline is None else [headline])]))


def _joined(scores: Collection[Scores]) -> tuple[tuple[str, ...], np.ndarray]:
    """The samples that any has, in the order of whoever has most; and int[N], which scene each is of."""
    largest = sorted(scores, key=lambda mine: -len(mine.ids))[:1]
    scenes = {
        name: scene for mine in (*largest, *scores) for name, scene in zip(mine.ids, mine.scenes, strict=True)
    }
    clusters = np.unique(np.array(list(scenes.values()), dtype=str), return_inverse=True)[1]
    return tuple(scenes), clusters


def _spread(scores: Scores, column: str, places: Mapping[str, int]) -> np.ndarray:
    """float64[N] over all samples: the run's scores at their places, NaN elsewhere."""
    values = np.full(len(places), np.nan)
    values[[places[name] for name in scores.ids]] = scores.values[column]
    return values
