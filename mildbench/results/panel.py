"""The metrics that numbers are of, and the score columns that they give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mildbench.errors import UserError
from mildbench.metrics.base import (
    EFFECT,
    METRICS,
    REGIONS,
    AttentionMetric,
    LayerMetric,
    Metric,
    PairMetric,
    SampleMetric,
    SetMetric,
)
from mildbench.results.summary import VARIANTS, RunSummary
from mildbench.tasks import keeps

_KINDS: Any = (PairMetric, LayerMetric, AttentionMetric, SetMetric)


@dataclass(frozen=True, eq=False)
class Panel:
    """Metrics, loaded or not."""

    pair: tuple[PairMetric, ...]
    layers: tuple[LayerMetric, ...]
    attention: tuple[AttentionMetric, ...]
    sets: tuple[SetMetric, ...]
    effects: bool = False
    """The region `effect` is scored too: the data set knows it."""

    @classmethod
    def of(cls, metrics: Iterable[Metric], **more: Any) -> Self:
        """The panel of these metrics; raises TypeError for one of no kind in `mildbench.metrics.base`."""
        known = list(metrics)
        if strange := [metric for metric in known if not isinstance(metric, _KINDS)]:
            raise TypeError(
                f"metric {type(strange[0]).__name__} is of none of the kinds in mildbench.metrics.base"
            )
        pair, layers, attention, sets = (
            tuple(metric for metric in known if isinstance(metric, kind)) for kind in _KINDS
        )
        return cls(pair, layers, attention, sets, **more)

    @property
    def samples(self) -> tuple[SampleMetric, ...]:
        """The metrics with numbers per sample, in the order of their columns."""
        return (*self.pair, *self.layers, *self.attention)

    @property
    def columns(self) -> list[str]:
        """The score columns, in order: metric, region, variant (`raw` alone for what is not a picture's number)."""
        return [
            f"{metric.info.name}.{region}.{variant}"
            for metric in self.samples
            for region in self._regions(metric)
            for variant in (VARIANTS if metric.needs is None else VARIANTS[:1])
        ]

    def _regions(self, metric: SampleMetric) -> tuple[str, ...]:
        everywhere = metric.info.regions == REGIONS
        return (*metric.info.regions, EFFECT) if self.effects and everywhere else metric.info.regions

    def headline_columns(self, task: str) -> list[str]:
        """The score columns that tables show and strata and comparisons are made for, in order."""
        found = []
        for metric in self.pair:
            name, regions = metric.info.name, metric.info.regions
            shown = ("mask",) if "mask" in regions else regions
            found += [f"{name}.{region}.{variant}" for region in shown for variant in VARIANTS]
            if name == "psnr":
                found.append("psnr.outside.raw")
                if self.effects:
                    found.append(f"psnr.{EFFECT}.raw")
                if keeps(task):
                    found.append("psnr.overlap.pasted")
        for other in (*self.layers, *self.attention):
            found += [f"{other.info.name}.{region}.{VARIANTS[0]}" for region in other.info.regions]
        return found

    def metric(self, column: str) -> SampleMetric:
        """The metric that a score column belongs to."""
        name = column.partition(".")[0]
        return next(metric for metric in self.samples if metric.info.name == name)


def panel_of(summaries: Sequence[RunSummary], what: str) -> Panel:
    """The metrics that gave the numbers, not loaded; raises `UserError` where their definition is another now."""
    kinds: dict[str, type[Metric]] = {}
    for metric in (metric for summary in summaries for metric in summary.metrics):
        kind = METRICS.load(metric.name)
        if kind.info.id != metric.id:
            raise UserError(
                f"{what} was scored by {metric.id}, and this mildbench has {kind.info.id}: evaluate it again"
            )
        kinds[metric.name] = kind
    effects = any(item.region == EFFECT for summary in summaries for item in summary.estimates)
    return Panel.of((kind() for kind in kinds.values()), effects=effects)
