"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004, section III)."""

from __future__ import annotations

from math import exp

import numpy as np
import torch

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs
from mildbench.metrics.pooling import region_means

RADIUS = 5
SIGMA = 1.5
PEAK = 255.0
C1 = (0.01 * PEAK) ** 2
C2 = (0.03 * PEAK) ** 2

_UNSCALED = [exp(-((tap - RADIUS) ** 2) / (2 * SIGMA**2)) for tap in range(2 * RADIUS + 1)]
TAPS = [weight / sum(_UNSCALED) for weight in _UNSCALED]


def blur(planes: torch.Tensor) -> torch.Tensor:
    """Gaussian-weighted mean of float[..., H, W] wherever the window fits: float[..., H - 10, W - 10].

    Shift and add: on a CPU far faster than a convolution of single planes, and the same arithmetic on every
    device and for every batch (a GPU's convolutions may round to TF32).
    """
    for axis in (-2, -1):
        size = max(planes.shape[axis] - 2 * RADIUS, 0)
        total = planes.narrow(axis, 0, size) * TAPS[0] if size else planes.narrow(axis, 0, 0)
        for shift, weight in enumerate(TAPS[1:], start=1) if size else ():
            total.add_(planes.narrow(axis, shift, size), alpha=weight)
        planes = total
    return planes


def ssim_map(output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """SSIM of each window that fits: float32[C, H - 10, W - 10] of two uint8[C, H, W]; in [-1, 1].

    Written in s = x + y and d = x - y, where 2 mx my = (ms^2 - md^2) / 2 and mx^2 + my^2 = (ms^2 + md^2) / 2,
    and likewise for the covariance and the variances. Equal pictures have d = 0, hence exactly 1, and single
    precision is enough: s is centred, which leaves its variance alone, and no small variance is a difference
    of large numbers of both pictures. Measured against float64: below 1e-4 per window; below 1e-6 in the mean
    of a photograph, and 1e-5 in the worst pictures found (flat, nearly black or white, and noisy).
    """
    x, y = output.to(torch.float32), truth.to(torch.float32)
    signal = torch.stack([x + y - PEAK, x - y])
    (s, d), (ss, dd) = blur(torch.stack([signal, signal * signal]))
    difference_energy, difference_variance = d * d, dd - d * d
    signal_energy, signal_variance = (s + PEAK) ** 2, ss - s * s
    luminance = _ratio(signal_energy, difference_energy, 2 * C1)
    structure = _ratio(signal_variance, difference_variance, 2 * C2)
    return luminance.mul_(structure)


def _ratio(signal: torch.Tensor, difference: torch.Tensor, floor: float) -> torch.Tensor:
    return (signal - difference).add_(floor).div_((signal + difference).add_(floor))


def _mean_map(output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """float32[H - 10, W - 10] of two uint8[H, W, 3]: `ssim_map` averaged over RGB."""
    x, y = output.permute(2, 0, 1).contiguous(), truth.permute(2, 0, 1).contiguous()
    # One channel's planes stay in a CPU's cache; a GPU would rather start a third of the kernels.
    step = 1 if output.device.type == "cpu" else 3
    parts = [ssim_map(x[c : c + step], y[c : c + step]).sum(dim=0) for c in range(0, 3, step)]
    return torch.stack(parts).sum(dim=0).div_(3)


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
        return region_means(map(_mean_map, pairs.outputs, pairs.truths), pairs.regions, margin=RADIUS)
