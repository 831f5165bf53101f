"""How alike two pictures are to a network that was trained for meaning: cosine of their global features."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch.nn import functional

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs
from mildbench.metrics.crops import bicubic, planes
from mildbench.metrics.networks import Clip, Dinov2, shared

DINO_SIDE = 224
"""Pixels at a side, of which DINOv2 makes 16x16 tokens."""


class _Similarity(PairMetric):
    """Cosine of the features of output and truth, each picture as a whole: a person may stand at its edge.

    Papers that report such numbers seldom say what they do about the shape; the squeeze to a square is our choice.
    """

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`full` -> float64[B], -1 to 1."""
        features = self._features(torch.cat([planes(pairs.outputs), planes(pairs.truths)])).to(torch.float64)
        outputs, truths = features.chunk(2)
        return {"full": functional.cosine_similarity(outputs, truths).cpu().numpy()}

    @abstractmethod
    def _features(self, pictures: torch.Tensor) -> torch.Tensor:
        """float[N, D] of float64[N, 3, H, W]."""


class Dino(_Similarity):
    """Of DINOv2's class token, after the last norm."""

    info = MetricInfo(
        name="dino",
        id=f"dino[{Dinov2.weights},whole,{DINO_SIDE}]@1",
        definition="Cosine of DINOv2's class tokens (ViT-g/14) of output and truth, the whole picture resized to "
        f"{DINO_SIDE}x{DINO_SIDE}; -1 to 1, 1 for identical pictures. It sees what is there, hardly how sharp. "
        "Our choice of network and size: papers leave theirs open.",
        higher_is_better=True,
        unit="",
        weights=(Dinov2.weights,),
        regions=("full",),
        unasked="if here",
    )
    _network: Dinov2

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Dinov2, self.device)

    def _features(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._network.tokens(bicubic(pictures, (DINO_SIDE, DINO_SIDE)))[:, 0]


class ClipSimilarity(_Similarity):
    """Of CLIP's projected embedding of a picture."""

    info = MetricInfo(
        name="clip",
        id=f"clip[{Clip.weights},whole,336]@1",
        definition="Cosine of CLIP's picture embeddings (ViT-L/14) of output and truth, the whole picture resized to "
        "336x336; -1 to 1, 1 for identical pictures. It sees what is there, hardly how sharp. Our choice of "
        "network and size: papers leave theirs open.",
        higher_is_better=True,
        unit="",
        weights=(Clip.weights,),
        regions=("full",),
        unasked="if here",
    )
    _network: Clip

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Clip, self.device)

    def _features(self, pictures: torch.Tensor) -> torch.Tensor:
        side = self._network.side
        return self._network.embeddings(bicubic(pictures, (side, side)))
