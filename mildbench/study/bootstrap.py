"""Intervals over scenes: answers to one scene's pictures hang together, so scenes are drawn, never answers."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtrit

from mildbench.statistics import LEVEL

RESAMPLES = 1000


def draws(scenes: int, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """float64[resamples, scenes]: how often each scene is in each draw with replacement; rows sum to `scenes`."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(scenes, np.full(scenes, 1 / scenes), size=resamples).astype(np.float64)


def interval(values: np.ndarray, scenes: int) -> tuple[float, float] | None:
    """The 95% expanded percentile interval (Hesterberg 2015) of a statistic's draws.

    The percentiles are those at which a normal interval from as many scenes would be as wide as Student's, with the
    spread's n / (n - 1): the plain ones cover too little where scenes are few.

    Args:
        values: float64[resamples]; NaN where a draw has no value.
        scenes: that the statistic is of.

    Returns:
        None for fewer than two scenes, or where fewer than half of the draws have a value.
    """
    known = values[~np.isnan(values)]
    if scenes < 2 or 2 * len(known) < len(values):
        return None
    tail = ndtr(np.sqrt(scenes / (scenes - 1)) * stdtrit(scenes - 1, (1 - LEVEL) / 2))
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
