"""Whether the visible ratios that a recipe asks for were reached, one by one and as distributions."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from synth.recipe import Band

_STEPS = 10_000
"""Points at which distribution functions are compared; the distance is right to 1 / 10,000."""


class VisibleRatios:
    """Collects asked-for and achieved visible ratios, 16 bytes a person."""

    def __init__(self) -> None:
        self._asked = array("d")
        self._achieved = array("d")

    def add(self, asked: float, achieved: float) -> None:
        """A person placed to be visible by the share `asked`, and what came of it; both in 0..1."""
        self._asked.append(asked)
        self._achieved.append(achieved)

    def report(self, bands: Sequence[Band]) -> dict[str, Any]:
        """JSON values; differences and distances are None where nothing was asked for.

        `wasserstein_asked_achieved` and `wasserstein_recipe_achieved` are Wasserstein-1 (earth mover's) distances
        between distributions, in units of the ratio: how far, on average, ratios would have to move to turn one
        into the other. The first sees what placing did to the ratios drawn, the second also the luck of the draw.
        """
        asked, achieved = np.sort(self._asked), np.sort(self._achieved)
        gaps = np.abs(np.array(self._asked) - np.array(self._achieved))
        found = bool(asked.size)
        return {
            "asked_for": int(asked.size),
            "mean_difference": round(float(gaps.mean()), 4) if found else None,
            "largest_difference": round(float(gaps.max()), 4) if found else None,
            # Of as many ratios on each side, the distance is the mean gap in order of size.
            "wasserstein_asked_achieved": round(float(np.abs(asked - achieved).mean()), 4) if found else None,
            "wasserstein_recipe_achieved": round(distance(bands, achieved), 4) if found else None,
            "asked_histogram": _histogram(asked),
            "achieved_histogram": _histogram(achieved),
        }


def distance(bands: Sequence[Band], ratios: np.ndarray) -> float:
    """Wasserstein-1 distance between a recipe's distribution and ratios, float64[N] in ascending order.

    The recipe's is a mixture of uniform distributions; the distance is the area between the two distribution
    functions over [0, 1].
    """
    x = (np.arange(_STEPS) + 0.5) / _STEPS
    total = sum(band.weight for band in bands)
    wanted = np.zeros(_STEPS)
    for band in bands:
        low, high = band.range
        below = (x >= low).astype(float) if low == high else np.clip((x - low) / (high - low), 0, 1)
        wanted += band.weight / total * below
    return float(np.abs(wanted - np.searchsorted(ratios, x, side="right") / len(ratios)).mean())


def _histogram(ratios: np.ndarray) -> list[int]:
    """Counts in ten equal bins of [0, 1]."""
    return [int(count) for count in np.histogram(ratios, bins=10, range=(0, 1))[0]]
