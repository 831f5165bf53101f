"""Runs that can be compared: one task on one split of one data set, shown and pasted alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mildbench.errors import UserError
from mildbench.evaluation import wording
from mildbench.evaluation.aggregate import HEADLINE, Scores, headline_columns, metric_of
from mildbench.evaluation.compare import ColumnComparison, compare_column
from mildbench.evaluation.finished import FinishedRun, panel_of
from mildbench.evaluation.summary import MetricRecord


@dataclass(frozen=True, eq=False)
class Section:
    """Comparable runs, best first."""

    runs: tuple[FinishedRun, ...]
    names: dict[str, str]
    """Run -> what tables call it."""
    metrics: dict[str, MetricRecord]
    """Of all runs, by name."""
    ids: tuple[str, ...]
    """Samples that any of the runs has."""
    values: dict[str, dict[str, np.ndarray]]
    """Headline column -> run -> float64[N] over `ids`; NaN where it has no score. A run without the column is not
    in it."""
    comparisons: dict[str, ColumnComparison]
    """By headline column."""

    @property
    def columns(self) -> list[str]:
        """The score columns that are shown, in order."""
        return list(self.values)

    @property
    def headline(self) -> str | None:
        """The column that runs are ranked by; None where nothing was scored sample by sample."""
        return HEADLINE if HEADLINE in self.values else next(iter(self.values), None)

    @property
    def ranks(self) -> dict[str, int]:
        """Run -> rank in the headline column, for those that have one."""
        return {} if self.headline is None else self.comparisons[self.headline].ranks

    @property
    def title(self) -> str:
        """Task, data set, split, and what was done to the inputs."""
        summary = self.runs[0].summary
        return f"{summary.task} on {summary.dataset} ({summary.split}{summary.config.inputs})"

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
        """The ranked runs that nothing beats beyond a tie in a column; empty where there is nothing to beat."""
        ranks = self.comparisons[column].ranks
        return {run for run, rank in ranks.items() if rank == 1} if len(ranks) > 1 else set()


def sections(runs: Sequence[FinishedRun]) -> list[Section]:
    """Group runs into what can be compared, in the order of the first of each.

    Raises `UserError` for the same run from two places.
    """
    groups: dict[tuple, list[FinishedRun]] = {}
    for run in runs:
        config = run.summary.config
        shown = (config.mask, config.corruption, run.summary.paste_dilation)
        key = (config.dataset, config.task, config.split, *shown)
        groups.setdefault(key, []).append(run)
    return [_section(group) for group in groups.values()]


def _section(runs: Sequence[FinishedRun]) -> Section:
    folders: dict[str, FinishedRun] = {}
    for run in runs:
        if (other := folders.setdefault(run.summary.run, run)) is not run:
            raise UserError(f"{other.folder} and {run.folder} are the same run: leave one out")
    summaries = [run.summary for run in runs]
    metrics: dict[str, MetricRecord] = {}
    for summary in summaries:
        for metric in summary.metrics:
            if metrics.setdefault(metric.name, metric).identity != metric.identity:
                raise UserError(
                    f"{metric.name} of {summary.label} was scored with another annotator or other weights than that "
                    f"of {summaries[0].label}: evaluate them together again"
                )
    panel = panel_of(metrics.values(), "the report")
    scores = {run.summary.run: Scores(run.rows, run.panel) for run in runs}
    panel = replace(panel, effects=any(score.effects for score in scores.values()))
    largest = max(scores.values(), key=lambda score: len(score.ids))
    ids = tuple(dict.fromkeys([*largest.ids, *(name for score in scores.values() for name in score.ids)]))
    places = {name: place for place, name in enumerate(ids)}

    scenes = np.array(ids, dtype=object)
    for score in scores.values():
        at = [places[name] for name in score.ids]
        scenes[at] = [scene or name for scene, name in zip(score.column("scene"), score.ids, strict=True)]
    clusters = np.unique(scenes.astype(str), return_inverse=True)[1]

    values: dict[str, dict[str, np.ndarray]] = {}
    for column in headline_columns(panel, summaries[0].task):
        having = {
            run: _spread(score, column, places) for run, score in scores.items() if column in score.values
        }
        if having:
            values[column] = having
    samples = max(summary.samples for summary in summaries)
    fair = [summary.run for summary in summaries if summary.ranked and summary.samples == samples]
    comparisons = {
        column: compare_column(
            metric_of(panel, column), column, having, clusters, [run for run in fair if run in having]
        )
        for column, having in values.items()
    }
    headline = HEADLINE if HEADLINE in values else next(iter(values), None)
    ordered = wording.ordered(summaries, headline, metrics)
    return Section(
        runs=tuple(folders[summary.run] for summary in ordered),
        names=wording.names(ordered),
        metrics=metrics,
        ids=ids,
        values=values,
        comparisons=comparisons,
    )


def _spread(scores: Scores, column: str, places: dict[str, int]) -> np.ndarray:
    """float64[N] over all samples: the run's scores at their places, NaN elsewhere."""
    values = np.full(len(places), np.nan)
    values[[places[name] for name in scores.ids]] = scores.values[column]
    return values
