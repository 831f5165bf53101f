"""CMMD, the maximum mean discrepancy of CLIP embeddings (Jayasumana et al. 2024)."""

from __future__ import annotations

import numpy as np
import torch

from mildbench.geometry import Box
from mildbench.metrics.base import FeatureExtractor, MetricInfo, SetMetric, SetResult
from mildbench.metrics.crops import bicubic, planes
from mildbench.metrics.frechet import check_features
from mildbench.metrics.networks import Clip, shared

SIGMA = 10.0
"""The kernel's bandwidth, for embeddings of length 1."""
SCALE = 1000.0
_ROWS = 1024
"""Rows of the kernel in memory at a time."""


class CentreClip(FeatureExtractor):
    """CLIP's projected embeddings, of length 1, of a picture's central square, as CMMD's authors cut it."""

    name = f"{Clip.weights},centre,336"
    weights = (Clip.weights,)
    _network: Clip

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Clip, self.device)

    def features(self, images: torch.Tensor) -> np.ndarray:
        """float32[B, D] of images uint8[B, H, W, 3]."""
        height, width = images.shape[1:3]
        shorter, side = min(height, width), self._network.side
        top, left = (height - shorter) // 2, (width - shorter) // 2
        square = Box(left, top, left + shorter, top + shorter)
        pictures = bicubic(planes(images.to(self.device))[..., *square.place], (side, side))
        return self._network.embeddings(pictures).cpu().numpy()


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The biased estimate, from 0 up, of float64[N, D] and float64[M, D] under exp(-|a - b|^2 / (2 SIGMA^2)).

    The kernel is taken less 1, which cancels: its values lie so near to 1 that their digits would be lost.
    """
    return max(_mean_kernel(x, x) + _mean_kernel(y, y) - 2 * _mean_kernel(x, y), 0.0)


def _mean_kernel(x: np.ndarray, y: np.ndarray) -> float:
    lengths = np.sum(y * y, axis=1)
    total = 0.0
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        distances = np.sum(rows * rows, axis=1)[:, None] + lengths - 2 * (rows @ y.T)
        total += float(np.expm1(distances.clip(min=0) / (-2 * SIGMA**2)).sum())
    return total / (len(x) * len(y))


class Cmmd(SetMetric):
    """CMMD as published, in float64; a picture's resize is not rounded to whole grey levels (ours)."""

    info = MetricInfo(
        name="cmmd",
        id=f"cmmd[{CentreClip.name}]@1",
        definition="1000 times the squared MMD (biased, Gaussian kernel of bandwidth 10) between CLIP's picture "
        "embeddings (ViT-L/14) of outputs and of truths, each picture's central square resized to 336x336; from 0 "
        "up. Being biased it falls as the number of pictures grows: compare equal n only.",
        higher_is_better=False,
        unit="",
        weights=(Clip.weights,),
        regions=("full",),
        unasked="if here",
    )
    extractor = CentreClip

    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        """From float[N, D] and float[M, D]."""
        check_features(features_outputs, features_truths)
        outputs, truths = features_outputs.astype(np.float64), features_truths.astype(np.float64)
        return SetResult(SCALE * squared_mmd(outputs, truths), None, len(outputs))
