"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
import torch

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs
from mildbench.metrics.pooling import region_means

PEAK = 255.0


def squared_error(output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """int32[H, W]: squared difference of two uint8[H, W, 3], summed over RGB; exact."""
    # Planes first: a sum over the last of three interleaved channels is several times slower.
    difference = output.permute(2, 0, 1).to(torch.int32, memory_format=torch.contiguous_format)
    difference -= truth.permute(2, 0, 1)
    red, green, blue = difference.mul_(difference)
    return red.add_(green).add_(blue)


class Psnr(PairMetric):
    """PSNR from the exact MSE: the squared errors are integers, and float64 adds them without rounding."""

    info = MetricInfo(
        name="psnr",
        id="psnr@1",
        definition="10 log10(255^2 / MSE) over the region's pixels and RGB, in dB; identical pictures give "
        "inf. A mean over samples is the PSNR of the mean MSE.",
        higher_is_better=True,
        unit="dB",
    )

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """Region name -> float64[B] in dB, 0 (black against white) to inf."""
        errors = map(squared_error, pairs.outputs, pairs.truths)
        return {name: self.from_mean(sums / 3) for name, sums in region_means(errors, pairs.regions).items()}

    @staticmethod
    def to_mean(values: np.ndarray) -> np.ndarray:
        """PSNR -> MSE, in squared grey levels; inf -> 0."""
        return PEAK**2 * 10 ** (-np.asarray(values) / 10)

    @staticmethod
    def from_mean(means: np.ndarray) -> np.ndarray:
        """MSE -> PSNR; 0 -> inf."""
        with np.errstate(divide="ignore"):
            return 10 * np.log10(PEAK**2 / np.asarray(means))
