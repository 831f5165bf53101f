"""What a metric implements: one class, a `PairMetric` (picture by picture) or a `SetMetric` (all at once).

A metric's `id` names its exact definition; change what is computed and the number after the @ changes too.
Every metric receives RGB uint8 and converts for itself, once. Importing this module imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mildbench.registry import Registry

if TYPE_CHECKING:
    import torch

REGIONS = ("full", "mask", "outside", "ring", "overlap")
"""Every region there is (see `mildbench.regions`), in the order in which tables show them."""


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
    """Where it is defined."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """B outputs and their truths, of one shape and on one device. Raises ValueError when they do not fit."""

    outputs: torch.Tensor
    """uint8[B, H, W, 3], RGB."""
    truths: torch.Tensor
    """uint8[B, H, W, 3], RGB."""
    regions: dict[str, torch.Tensor]
    """Region name -> bool[B, H, W]; a region may be empty in a sample."""

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


class Metric(ABC):
    """What both kinds share."""

    info: ClassVar[MetricInfo]

    def __init__(self, device: str = "cpu") -> None:
        self.device = device


class PairMetric(Metric):
    """A number per sample and region. Scores never depend on the batch a sample is in."""

    def load(self) -> None:
        """Read the weights; raises `mildbench.weights.WeightsMissing`. Called once, before `score`."""

    @abstractmethod
    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """Region name -> float64[B], for each of the pairs' regions in `info.regions`.

        NaN, and only NaN, says that a sample has no value there: its region is empty, or it is too small.
        """

    @staticmethod
    def to_mean(values: np.ndarray) -> np.ndarray:
        """Scores -> the scale on which they are averaged (float64, same shape; NaN stays NaN)."""
        return values

    @staticmethod
    def from_mean(means: np.ndarray) -> np.ndarray:
        """The inverse of `to_mean`; monotone, though not necessarily increasing."""
        return means


class FeatureExtractor(ABC):
    """A network whose features several set metrics share: two metrics share a pass if they name one class."""

    name: ClassVar[str]
    """Network and preprocessing, e.g. `inception-tf,clean`; cached features are keyed by it."""
    weights: ClassVar[tuple[str, ...]]
    """Names in the weights manifest that `load` reads."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

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

        Raises ValueError for features that are not finite or whose D differ.
        """


METRICS: Registry[Metric] = Registry("metric", "metrics")
"""Entry points of the group `mildbench.metrics`."""
