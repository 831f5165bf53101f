"""The metrics of an invocation: found by name, loaded, and those that cannot be had, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mildbench import extras, weights
from mildbench.errors import UserError
from mildbench.evaluation.run import Run
from mildbench.metrics.base import (
    METRICS,
    AttentionMetric,
    FeatureExtractor,
    LayerMetric,
    Metric,
    MetricInfo,
    MetricSpec,
    PairMetric,
    SetMetric,
)
from mildbench.results.panel import Panel
from mildbench.results.summary import MetricRecord, Unavailable
from mildbench.tasks import task_of
from mildbench.weights import WeightsMissing

NO_TRUE_PICTURE = "the data set's photos have no true picture: only the masks of completed people are scored"
"""Why a metric of pictures is unavailable."""


@dataclass(frozen=True, eq=False)
class LoadedPanel(Panel):
    """Metrics ready to score."""

    extractors: tuple[FeatureExtractor, ...] = ()
    """One for each network that `sets` need."""
    unavailable: tuple[Unavailable, ...] = ()

    def part_for(self, run: Run) -> LoadedPanel:
        """The part of it that is for the run: its method is capable of it, and its task asks for it."""
        able = run.method.info.capabilities
        completes = "layers" in able and task_of(run.config.task).completes
        return replace(
            self,
            layers=self.layers if completes else (),
            attention=self.attention if "attention" in able else (),
        )


def find(texts: Sequence[str], device: str) -> tuple[list[Metric], list[Unavailable]]:
    """The metrics, not loaded, and those that lack an optional package.

    Args:
        texts: as `MetricSpec.parse` reads them. None at all means every registered metric, as far as `MetricInfo`'s
            `unasked` says; then one whose package is not installed is unavailable.
        device: where they are to run.

    Raises:
        UserError: an unknown name or option, one metric with two sets of options, and a named metric whose package
            is not installed.
    """
    extras.require("torch", "scoring")
    metrics: list[Metric] = []
    unavailable = []
    specs: dict[str, MetricSpec] = {}
    for text in texts or METRICS.names():
        spec = MetricSpec.parse(text)
        if specs.setdefault(spec.name, spec) != spec:
            raise UserError(f"metric {spec.name} is given with different options: score one after the other")
    for name, spec in specs.items():
        try:
            if texts or _wanted(METRICS.load(name).info):
                metrics.append(spec.create(device))
        except UserError as error:
            if texts:
                raise
            unavailable.append(Unavailable(name=name, id=None, reason=str(error)))
    return metrics, unavailable


def without_truth(
    metrics: Sequence[Metric], unavailable: Sequence[Unavailable]
) -> tuple[list[Metric], list[Unavailable]]:
    """What is left of `find`'s answer where no true pictures are known: metrics of pictures become unavailable."""
    kept: list[Metric] = [metric for metric in metrics if isinstance(metric, LayerMetric | AttentionMetric)]
    lacking = [
        Unavailable(name=metric.info.name, id=metric.info.id, reason=NO_TRUE_PICTURE)
        for metric in metrics
        if metric not in kept
    ]
    return kept, [*unavailable, *lacking]


def _wanted(info: MetricInfo) -> bool:
    """Whether a metric is scored that nobody has named."""
    if info.unasked == "if here":
        return all(map(weights.is_here, info.weights))
    return info.unasked == "scored"


def record_of(metric: Metric) -> MetricRecord:
    """What a summary says of a loaded metric."""
    info = metric.info
    return MetricRecord(
        name=info.name,
        id=info.id,
        identity=metric.identity(),
        definition=info.definition,
        unit=info.unit,
        higher_is_better=info.higher_is_better,
        note=info.note,
    )


def load(
    metrics: Sequence[Metric], device: str, unavailable: Sequence[Unavailable] = (), *, effects: bool = False
) -> LoadedPanel:
    """Load the metrics, and their networks on `device`; one whose weights or packages are not here becomes unavailable.

    `effects`: the data set knows the region `effect`. Raises `UserError` for weights that are here and wrong.
    """
    ready: list[Metric] = []
    extractors: dict[type[FeatureExtractor], FeatureExtractor] = {}
    lacking = list(unavailable)
    for metric in metrics:
        try:
            if isinstance(metric, PairMetric):
                metric.load()
            elif isinstance(metric, SetMetric) and metric.extractor not in extractors:
                extractor = metric.extractor(device)
                extractor.load()
                extractors[metric.extractor] = extractor
            ready.append(metric)
        except UserError as error:
            if isinstance(error, WeightsMissing):
                absent = [name for name in metric.info.weights if not weights.is_here(name)] or [error.name]
                reason = f"weights missing: mildbench weights fetch {' '.join(absent)}"
            elif isinstance(error.__cause__, ModuleNotFoundError):
                reason = str(error)
            else:
                raise
            lacking.append(Unavailable(name=metric.info.name, id=metric.info.id, reason=reason))
    return LoadedPanel.of(
        ready, effects=effects, extractors=tuple(extractors.values()), unavailable=tuple(lacking)
    )
