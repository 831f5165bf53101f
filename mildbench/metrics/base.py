"""What a metric implements: one class of one of four kinds.

    PairMetric        output and truth, picture by picture
    SetMetric         all outputs and all truths at once
    LayerMetric       a person as the method completed them
    AttentionMetric   where the method's self-attention went

A metric's `id` names its exact definition; change what is computed and the number after the @ changes too.
Pictures come as RGB uint8; a metric converts for itself, once. Importing this module imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mildbench import weights
from mildbench.method import AttentionRecord, Capability
from mildbench.options import Spec
from mildbench.registry import Registry

if TYPE_CHECKING:
    import torch

REGIONS = ("full", "mask", "outside", "ring", "overlap")
"""The regions of a picture (see `mildbench.regions`), in the order in which tables show them."""
EFFECT = "effect"
"""One more, where it is known (see `mildbench.marking`): a metric of all `REGIONS` is scored there as well."""


NO_TRUTH = "it never sees the truth, and a fill may suit its surroundings better than what is really there"
"""`MetricInfo.blind` of those that look at the output alone."""
Unasked = Literal["scored", "if here", "left out"]
"""`scored`, or unavailable where its weights are not here; `if here`: scored only where they are, for a table without
it is still complete; `left out`: slow on a CPU, in need of an annotator, or easily misread."""


@dataclass(frozen=True)
class MetricInfo:
    """What a metric says of itself; recorded in every summary."""

    name: str
    """As the registry and the command line know it, e.g. `psnr`."""
    id: str
    """The exact definition's id, e.g. `fid[inception-tf,clean]@1`."""
    definition: str
    """One or two sentences: what is computed, its unit and range."""
    higher_is_better: bool
    unit: str
    """`dB`, or empty for a plain number."""
    weights: tuple[str, ...] = ()
    """Names in the weights manifest that `load` reads."""
    regions: tuple[str, ...] = REGIONS
    """Where it is defined. The two kinds that do not look at pictures name regions of their own."""
    note: str | None = None
    """What tables must say beside the number."""
    blind: str | None = None
    """Why the answer (`oracle`) need not come first in it, or the input (`copy`) last; None: they must."""
    unasked: Unasked = "scored"
    """What happens to it where no metric is named."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The one person whom a sample asks to complete, as they truly are."""

    keypoints: np.ndarray
    """float32[17, 3]: x, y in pixels and COCO visibility; 0 where unknown or outside the frame."""
    amodal: np.ndarray
    """bool[H, W]: the whole person, clipped by the frame; not empty."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """B outputs and their truths, of one shape and on one device. Raises ValueError when they do not fit."""

    outputs: torch.Tensor
    """uint8[B, H, W, 3], RGB."""
    truths: torch.Tensor
    """uint8[B, H, W, 3], RGB."""
    regions: dict[str, torch.Tensor]
    """Region name -> bool[B, H, W]; a region may be empty in a sample."""
    subjects: tuple[Subject, ...] | None = None
    """One a sample; None in a task that asks for nobody in particular."""

    def __post_init__(self) -> None:
        shape = tuple(self.outputs.shape)
        if len(shape) != 4 or shape[3] != 3 or str(self.outputs.dtype) != "torch.uint8":
            raise ValueError(f"outputs are {self.outputs.dtype}{list(shape)}, expected uint8[B, H, W, 3]")
        expected: dict[str, tuple[torch.Tensor, tuple[int, ...], str]]
        expected = {"truths": (self.truths, shape, "torch.uint8")}
        for name, region in self.regions.items():
            expected[f"region {name}"] = (region, shape[:3], "torch.bool")
        for name, (tensor, size, dtype) in expected.items():
            if tuple(tensor.shape) != size or str(tensor.dtype) != dtype:
                raise ValueError(f"{name}: {tensor.dtype}{list(tensor.shape)}, expected {dtype}{list(size)}")
            if tensor.device != self.outputs.device:
                raise ValueError(f"{name} is on {tensor.device}, the outputs are on {self.outputs.device}")
        if self.subjects is not None and len(self.subjects) != len(self.outputs):
            raise ValueError(f"{len(self.subjects)} subjects for {len(self.outputs)} outputs")


class Metric(ABC):
    """What all kinds share. Constructor arguments are the metric's options; `device` is set before `load`."""

    info: ClassVar[MetricInfo]
    device: str = "cpu"

    def identity(self) -> dict[str, str]:
        """What decides its numbers beside the definition: here the digests of its weights; of a loaded metric."""
        return {name: weights.digest(name) for name in self.info.weights}


class SampleMetric(Metric):
    """A number per sample, or several: what the kinds but `SetMetric` share."""

    needs: ClassVar[Capability | None] = None
    """What a method must be capable of to have this number; then it is one of the raw output alone."""

    @staticmethod
    def to_mean(values: np.ndarray) -> np.ndarray:
        """Scores -> the scale on which they are averaged (float64, same shape; NaN stays NaN)."""
        return values

    @staticmethod
    def from_mean(means: np.ndarray) -> np.ndarray:
        """The inverse of `to_mean`; monotone, though not necessarily increasing."""
        return means


class PairMetric(SampleMetric):
    """A number per sample and region. Scores never depend on the batch a sample is in."""

    def load(self) -> None:
        """Read the weights; raises `mildbench.weights.WeightsMissing`. Called once, before `score`."""

    @abstractmethod
    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """Region name -> float64[B], for each of the pairs' regions in `info.regions`.

        NaN, and only NaN, says that a sample has no value there: its region is empty, or it is too small.
        """


class LayerMetric(SampleMetric):
    """Numbers of the completed subject, in tasks that have one."""

    needs = "layers"

    @abstractmethod
    def score(self, completed: np.ndarray, visible: np.ndarray, amodal: np.ndarray) -> dict[str, float]:
        """Each of `info.regions` -> a number; NaN says that there is none.

        Args:
            completed: bool[H, W], the subject's mask as the method completed it (alpha of 128 or more); the
                visible mask where the method returned none.
            visible: bool[H, W], what the input shows of the subject.
            amodal: bool[H, W], the whole subject.
        """


class AttentionMetric(SampleMetric):
    """A number of a sample's attention record; `info.regions` has one name."""

    needs = "attention"

    @abstractmethod
    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """One number; NaN says that there is none. `targets`: people who are erased, from 0."""


class FeatureExtractor(ABC):
    """A network whose features several set metrics share: two metrics share a pass if they name one class."""

    name: ClassVar[str]
    """Network and preprocessing, e.g. `inception-tf,clean`."""
    weights: ClassVar[tuple[str, ...]]
    """Names in the weights manifest that `load` reads."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    @property
    def key(self) -> str:
        """What cached features are kept under: the name, and the start of each digest of weights."""
        return " ".join([self.name, *(weights.digest(name)[:12] for name in self.weights)])

    @abstractmethod
    def load(self) -> None:
        """Read the weights; raises `mildbench.weights.WeightsMissing`. Called once, before `features`."""

    @abstractmethod
    def features(self, images: torch.Tensor) -> np.ndarray:
        """float32[B, D] of images uint8[B, H, W, 3] (RGB, any size, on any device)."""


@dataclass(frozen=True)
class SetResult:
    """A number for a whole set of pictures."""

    value: float | None
    """None when it is refused; `note` then says why."""
    spread: float | None
    """Standard deviation over subsets, for a metric that has one."""
    n: int
    """Pictures on the outputs' side."""
    note: str | None = None


class SetMetric(Metric):
    """A number that compares the distribution of all outputs with that of all truths (region `full`)."""

    extractor: ClassVar[type[FeatureExtractor]]

    @abstractmethod
    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        """From float[N, D] and float[M, D] of the extractor; refuses (value None, a note) when they are few.

        An evaluation gives N = M, and rows with one number are of one sample. They may be more than memory holds, in
        a mapped file: take some rows at a time, in a fixed order.

        Raises ValueError for features that are not finite or whose D differ.
        """


METRICS: Registry[Metric] = Registry("metric", "metrics", Metric)
"""Entry points of the group `mildbench.metrics`."""


class MetricSpec(Spec[Metric]):
    """A metric and its options.

    The option `annotator` comes last: it is one with its options, `residue:annotator=litert:models=DIR`.
    """

    registry = METRICS
    nested = "annotator"

    def create(self, device: str = "cpu") -> Metric:
        """The metric, not loaded; raises `UserError` for what is unknown, and for a missing package."""
        metric = self.instantiate()
        metric.device = device
        return metric
