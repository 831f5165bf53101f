"""The metrics of an invocation: found by name, loaded, and those that cannot be had, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mildbench import extras, weights
from mildbench.errors import UserError
from mildbench.evaluation.run import Run
from mildbench.longwork import other_here
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
    """Metrics ready to score. Pickled, it is what was asked for: whoever unpickles it loads metrics of their own."""

    extractors: tuple[FeatureExtractor, ...] = ()
    """One for each network that `sets` need."""
    unavailable: tuple[Unavailable, ...] = ()
    again: Callable[[], LoadedPanel] | None = None
    """Loads the same; None for one that is not sent to workers."""

    def __reduce__(self) -> tuple[Any, ...]:
        assert self.again is not None, "only what `prepare` made can be sent to a worker"
        return _checked, (self.again, self._identities())

    def _identities(self) -> dict[str, Any]:
        """What decides its numbers."""
        known = {metric.info.id: metric.identity() for metric in (*self.samples, *self.sets)}
        return known | {"networks": [extractor.key for extractor in self.extractors]}

    def part_for(self, run: Run) -> LoadedPanel:
        """The part of it that is for the run: its method is capable of it, and its task asks for it."""
        able = run.method.info.capabilities
        completes = "layers" in able and task_of(run.config.task).completes
        return self.part(layers=completes, attention="attention" in able)

    def part(self, *, layers: bool, attention: bool) -> LoadedPanel:
        """It with or without two kinds of metrics."""
        return replace(
            self, layers=self.layers if layers else (), attention=self.attention if attention else ()
        )


def _checked(again: Callable[[], LoadedPanel], identities: dict[str, Any]) -> LoadedPanel:
    panel = again()
    if panel._identities() != identities:
        raise other_here("metrics or weights")
    return panel


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


def asked_for(
    texts: Sequence[str], device: str, *, truth_known: bool
) -> tuple[list[Metric], list[Unavailable]]:
    """What `find` finds, as far as the data have it."""
    found = find(texts, device)
    return found if truth_known else without_truth(*found)


def prepare(texts: Sequence[str], device: str, *, truth_known: bool, effects: bool) -> LoadedPanel:
    """Load what `asked_for` finds, see `load`; the panel can be sent to workers."""
    metrics, lacking = asked_for(texts, device, truth_known=truth_known)
    again = partial(prepare, tuple(texts), device, truth_known=truth_known, effects=effects)
    return replace(load(metrics, device, lacking, effects=effects), again=again)


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
