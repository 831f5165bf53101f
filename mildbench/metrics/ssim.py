"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004, section III)."""

from __future__ import annotations

from math import exp

import cv2
import numpy as np

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs
from mildbench.metrics.maps import Array, channel_sums, region_means

RADIUS = 5
SIGMA = 1.5
PEAK = 255.0
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2

_UNSCALED = [exp(-((tap - RADIUS) ** 2) / (2 * SIGMA**2)) for tap in range(2 * RADIUS + 1)]
TAPS = np.array(_UNSCALED) / sum(_UNSCALED)


def blur(planes: Array) -> Array:
    """Gaussian-weighted mean of float32[..., H, W] where the window fits: float32[..., H - 10, W - 10].

    A numpy array has two axes. A tensor is shifted and added, since a GPU's convolutions may round to TF32.
    """
    if isinstance(planes, np.ndarray):
        return cv2.sepFilter2D(planes, -1, TAPS, TAPS)[RADIUS:-RADIUS, RADIUS:-RADIUS]
    for axis in (-2, -1):
        size = max(planes.shape[axis] - 2 * RADIUS, 0)
        shifted = [
            planes.narrow(axis, min(shift, planes.shape[axis] - size), size) for shift in range(len(TAPS))
        ]
        planes = shifted[0] * float(TAPS[0])
        for part, weight in zip(shifted[1:], TAPS[1:], strict=True):
            planes.add_(part, alpha=float(weight))
    return planes


def similarity(x: Array, y: Array) -> Array:
    """SSIM of each window that fits: float32[..., H - 10, W - 10] of two float32[..., H, W]; in [-1, 1].

    Written in s = x + y and d = x - y, where 2 mx my = (ms^2 - md^2) / 2 and mx^2 + my^2 = (ms^2 + md^2) / 2,
    and likewise for the covariance and the variances. Equal pictures have d = 0, hence exactly 1, and single
    precision is enough: s is centred, which leaves its variance alone, and no small variance is a difference
    of large numbers of both pictures. Measured against float64: below 1e-4 per window; below 2e-6 in the mean
    of a photograph, and 1e-5 in the worst pictures found (flat, nearly black or white, and noisy).
    """
    s, d = x + y - PEAK, x - y
    mean_s, mean_d = blur(s), blur(d)
    square_d = mean_d * mean_d
    luminance = _ratio((mean_s + PEAK) ** 2, square_d, 2 * C1)
    structure = _ratio(blur(s * s) - mean_s * mean_s, blur(d * d) - square_d, 2 * C2)
    return luminance * structure


def _ratio(of_sum: Array, of_difference: Array, constant: float) -> Array:
    return (of_sum - of_difference + constant) / (of_sum + of_difference + constant)


class Ssim(PairMetric):
    """SSIM with the paper's 11x11 Gaussian window, over the windows that lie inside the frame."""

    info = MetricInfo(
        name="ssim",
        id="ssim@1",
        definition="Mean over the region and RGB of SSIM (Wang 2004: 11x11 Gaussian, sigma 1.5, "
        "K=(0.01, 0.03), population covariance, range 255), windows centred in the region and wholly inside "
        "the frame; in [-1, 1], 1 for identical pictures. Undefined for pictures smaller than 11x11.",
        higher_is_better=True,
        unit="",
    )

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """Region name -> float64[B] in [-1, 1]."""
        sums = region_means(channel_sums(similarity, pairs), pairs.regions, margin=RADIUS)
        return {name: total / 3 for name, total in sums.items()}
