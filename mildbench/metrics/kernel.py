"""Kernel inception distance (Binkowski et al. 2018): unbiased, so it bears few pictures."""

from __future__ import annotations

import numpy as np

from mildbench.metrics.base import MetricInfo, SetMetric, SetResult
from mildbench.metrics.frechet import check_features
from mildbench.metrics.inception import CleanInception

SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020
"""torch-fidelity's defaults, seed included: equal features give its numbers."""


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """float64[N, M] of float64[N, D] and float64[M, D]: (x.y / D + 1)^3."""
    base = x @ y.T
    base /= x.shape[1]
    base += 1
    return base * base * base


def squared_mmd(x: np.ndarray, y: np.ndarray, *, paired: bool = False) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy; each sample at least 2. May be below 0.

    `paired`: x[i] and y[i] belong together (an output and its truth), so they are no independent pair and their
    kernel is left out, as that of x[i] and itself is. With it equal sets would score below 0; without it exactly 0.
    """
    across = _distinct(x, y) if paired else float(polynomial_kernel(x, y).mean())
    return _distinct(x, x) + _distinct(y, y) - 2 * across


def _distinct(x: np.ndarray, y: np.ndarray) -> float:
    """Mean kernel of x[i] and y[j], i and j distinct."""
    kernel = polynomial_kernel(x, y)
    return float(kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))


class Kid(SetMetric):
    """KID in float64: of unpaired sets as torch-fidelity computes it, of paired ones without the pairs themselves."""

    info = MetricInfo(
        name="kid",
        id=f"kid[{CleanInception.name},paired]@1",
        definition="Unbiased squared MMD (kernel (x.y/D + 1)^3) between the 2048 Inception features "
        "(TensorFlow weights, clean-fid resize) of outputs and of truths: mean and standard deviation over "
        f"{SUBSETS} subsets of {SUBSET_SIZE}; where there are no more pictures, over all of them at once, "
        "without a deviation. An output and its own truth are not compared with each other. From about 0 up.",
        higher_is_better=False,
        unit="",
        weights=CleanInception.weights,
        regions=("full",),
    )
    extractor = CleanInception

    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        """From float[N, D] and float[M, D], where N = M row by row of the same samples; refused below 2 pictures."""
        check_features(features_outputs, features_truths)
        n, others = len(features_outputs), len(features_truths)
        fewest, paired = min(n, others), n == others

        def distance(rows: np.ndarray, other_rows: np.ndarray) -> float:
            outputs, truths = features_outputs[rows], features_truths[other_rows]
            return squared_mmd(outputs.astype(np.float64), truths.astype(np.float64), paired=paired)

        if fewest < 2:
            return SetResult(None, None, n, f"n={fewest}: KID needs at least 2 pictures")
        if max(n, others) <= SUBSET_SIZE:
            # Every subset would be the whole.
            value = distance(np.arange(n), np.arange(others))
            return SetResult(value, None, n, "one subset of all pictures, so no spread")
        size = min(fewest, SUBSET_SIZE)
        generator = np.random.RandomState(SEED)  # torch-fidelity's generator, for its very subsets
        distances = []
        for _ in range(SUBSETS):
            chosen = generator.choice(n, size, replace=False)
            distances.append(
                distance(chosen, chosen if paired else generator.choice(others, size, replace=False))
            )
        note = f"subsets of {size}" if size < SUBSET_SIZE else None
        return SetResult(float(np.mean(distances)), float(np.std(distances)), n, note)
