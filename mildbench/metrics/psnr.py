"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs
from mildbench.metrics.maps import Array, channel_sums, region_means

PEAK = 255.0


def squared_error(output: Array, truth: Array) -> Array:
    """Squared difference: exact, even summed over three channels, as float32 holds whole numbers to 2^24."""
    difference = output - truth
    return difference * difference


class Psnr(PairMetric):
    """PSNR from the exact MSE: squared errors are whole numbers, and float64 adds them without rounding."""

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
        sums = region_means(channel_sums(squared_error, pairs), pairs.regions)
        return {name: self.from_mean(errors / 3) for name, errors in sums.items()}

    @staticmethod
    def to_mean(values: np.ndarray) -> np.ndarray:
        """PSNR -> MSE, in squared grey levels; inf -> 0."""
        return PEAK**2 * 10 ** (-np.asarray(values) / 10)

    @staticmethod
    def from_mean(means: np.ndarray) -> np.ndarray:
        """MSE -> PSNR; 0 -> inf."""
        with np.errstate(divide="ignore"):
            return 10 * np.log10(PEAK**2 / np.asarray(means))
