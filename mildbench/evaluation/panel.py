"""The metrics of an invocation: found by name, loaded, and those that cannot be had, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mildbench import extras
from mildbench.dataset.tasks import DEOCCLUDE
from mildbench.errors import UserError
from mildbench.evaluation.run import Run
from mildbench.evaluation.summary import Unavailable
from mildbench.metrics.base import (
    METRICS,
    AttentionMetric,
    FeatureExtractor,
    LayerMetric,
    Metric,
    PairMetric,
    SampleMetric,
    SetMetric,
)
from mildbench.weights import WeightsMissing

BY_NAME_ONLY = frozenset({"lpips-vgg", "pose-oks", "residue"})
"""Not scored unless asked for: slow on a CPU, or in need of an annotator."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Metrics ready to score."""

    pair: tuple[PairMetric, ...]
    layers: tuple[LayerMetric, ...]
    attention: tuple[AttentionMetric, ...]
    sets: tuple[SetMetric, ...]
    extractors: tuple[FeatureExtractor, ...]
    """One for each network that `sets` need."""
    unavailable: tuple[Unavailable, ...]
    effects: bool = False
    """The data set knows the region `effect`."""

    @property
    def samples(self) -> tuple[SampleMetric, ...]:
        """The metrics with numbers per sample, in the order of their columns."""
        return (*self.pair, *self.layers, *self.attention)

    def of(self, run: Run) -> Panel:
        """The part of it that is for the run: its method is capable of it, and its task asks for it."""
        able = run.method.info.capabilities
        completes = "layers" in able and run.config.task == DEOCCLUDE
        return replace(
            self,
            layers=self.layers if completes else (),
            attention=self.attention if "attention" in able else (),
        )


def find(names: Sequence[str]) -> tuple[list[type[Metric]], list[Unavailable]]:
    """The metrics' classes, and those that lack an optional package; loads no weights.

    No names at all means every registered metric except `BY_NAME_ONLY`; then one whose package is not
    installed is unavailable.
    Raises `UserError` for an unknown name, and for a named metric whose package is not installed.
    """
    extras.require("torch", "scoring")
    kinds: list[type[Metric]] = []
    unavailable = []
    for name in dict.fromkeys(names) or (name for name in METRICS.names() if name not in BY_NAME_ONLY):
        try:
            kinds.append(METRICS.load(name))
        except UserError as error:
            if names:
                raise
            unavailable.append(Unavailable(name=name, id=None, reason=str(error)))
    return kinds, unavailable


def unloaded(kinds: Sequence[type[Metric]]) -> Panel:
    """The metrics as they are, to read scores with: they cannot score, and need no weights."""
    metrics = [kind() for kind in kinds]
    return Panel(
        pair=tuple(metric for metric in metrics if isinstance(metric, PairMetric)),
        layers=tuple(metric for metric in metrics if isinstance(metric, LayerMetric)),
        attention=tuple(metric for metric in metrics if isinstance(metric, AttentionMetric)),
        sets=tuple(metric for metric in metrics if isinstance(metric, SetMetric)),
        extractors=(),
        unavailable=(),
    )


def load(kinds: Sequence[type[Metric]], device: str, unavailable: Sequence[Unavailable] = ()) -> Panel:
    """Load the metrics; one whose weights or packages are not here becomes unavailable.

    Raises `UserError` for weights that are here and wrong.
    """
    pair: list[PairMetric] = []
    layers: list[LayerMetric] = []
    attention: list[AttentionMetric] = []
    sets: list[SetMetric] = []
    extractors: dict[type[FeatureExtractor], FeatureExtractor] = {}
    lacking = list(unavailable)
    for kind in kinds:
        metric = kind(device)
        try:
            if isinstance(metric, PairMetric):
                metric.load()
                pair.append(metric)
            elif isinstance(metric, LayerMetric):
                layers.append(metric)
            elif isinstance(metric, AttentionMetric):
                attention.append(metric)
            elif isinstance(metric, SetMetric):
                if metric.extractor not in extractors:
                    extractor = metric.extractor(device)
                    extractor.load()
                    extractors[metric.extractor] = extractor
                sets.append(metric)
            else:
                raise TypeError(f"metric {kind.__name__} is of none of the kinds in mildbench.metrics.base")
        except UserError as error:
            if isinstance(error, WeightsMissing):
                reason = f"weights missing: mildbench weights fetch {error.name}"
            elif isinstance(error.__cause__, ModuleNotFoundError):
                reason = str(error)
            else:
                raise
            lacking.append(Unavailable(name=kind.info.name, id=kind.info.id, reason=reason))
    return Panel(
        pair=tuple(pair),
        layers=tuple(layers),
        attention=tuple(attention),
        sets=tuple(sets),
        extractors=tuple(extractors.values()),
        unavailable=tuple(lacking),
    )
