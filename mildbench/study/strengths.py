"""Bradley-Terry: how strong each method is, from who was preferred to whom."""

from __future__ import annotations

import numpy as np

PRIOR_DEVIATION = 3.0
"""Of the normal prior on strengths, in log-odds: weak, and it keeps a method that never lost finite."""
_STEPS = 100
_TOLERANCE = 1e-10


def strengths(wins: np.ndarray) -> np.ndarray:
    """The most probable strengths: P(i is preferred to j) = 1 / (1 + exp(s_j - s_i)) (Bradley, Terry 1952).

    Newton's method with the damping log(1 + d) / d, under which the likelihood of such models never falls.

    Args:
        wins: float64[..., M, M], how often i was preferred to j; a tie is half a win for both. Leading axes are
            problems of their own (a bootstrap's draws).

    Returns:
        float64[..., M], natural log-odds with mean 0; a method without comparisons has 0.
    """
    count = wins.shape[-1]
    met = wins + np.swapaxes(wins, -1, -2)
    ridge = 1 / PRIOR_DEVIATION**2
    found = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        odds = 1 / (1 + np.exp(found[..., None, :] - found[..., :, None]))
        slope = (wins - met * odds).sum(axis=-1) - ridge * found
        weight = met * odds * (1 - odds)
        curve = (weight.sum(axis=-1) + ridge)[..., None] * np.eye(count) - weight
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        reach = np.ptp(step, axis=-1, keepdims=True)
        found = found + step * np.where(reach > 0, np.log1p(reach) / np.where(reach > 0, reach, 1), 1)
        if np.abs(step).max(initial=0) < _TOLERANCE:
            return found
    raise ArithmeticError("Bradley-Terry strengths did not settle")
