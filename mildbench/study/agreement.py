"""How far raters agree among themselves, and how far a metric agrees with them."""

from __future__ import annotations

import numpy as np


def krippendorff(counts: np.ndarray) -> float | None:
    """Krippendorff's alpha for nominal values (Krippendorff 2011): 1 is agreement, 0 is chance.

    Args:
        counts: int[units, values], how many raters gave each value to each unit; units with fewer than two don't
            count.

    Returns:
        None where no unit has two values, or all values are the same: then there is nothing to agree on.
    """
    pairable = counts[counts.sum(axis=1) >= 2].astype(np.float64)
    raters = pairable.sum(axis=1)
    overall = pairable.sum(axis=0)
    total = overall.sum()
    expected = total**2 - (overall**2).sum()
    if expected == 0:
        return None
    observed = ((raters**2 - (pairable**2).sum(axis=1)) / (raters - 1)).sum()
    return float(1 - (total - 1) * observed / expected)


def concordance(metric: np.ndarray, people: np.ndarray) -> np.ndarray:
    """float64[N, 4]: of each answer, one of: they agree, they differ, only the metric ties, only the rater ties.

    Args:
        metric: float64[N], positive where the metric prefers A, negative for B, 0 for neither; NaN for no value.
        people: the same of the raters, never NaN.

    Returns:
        All zero where both tie, or the metric has no value. Sums over answers are what `tau` takes.
    """
    one, other = np.sign(metric), np.sign(people)
    both = one * other
    kinds = [both > 0, both < 0, (one == 0) & (other != 0), (one != 0) & (other == 0) & ~np.isnan(one)]
    return np.stack(kinds, axis=1).astype(np.float64)


def tau(sums: np.ndarray) -> np.ndarray:
    """Kendall's tau-b between a metric's preferences and raters'.

    Every answer compares two pictures of one sample, and such a comparison is what Kendall's tau counts: with all
    methods compared on one sample by one rater it is the tau-b of scipy.

    Args:
        sums: float64[..., 4], sums of `concordance`.

    Returns:
        float64[...] in [-1, 1]; NaN where either of them always ties.
    """
    same, different, metric_ties, rater_ties = np.moveaxis(sums, -1, 0)
    compared = same + different
    with np.errstate(invalid="ignore", divide="ignore"):
        return (same - different) / np.sqrt((compared + metric_ties) * (compared + rater_ties))
