"""Frechet inception distance (Heusel et al. 2017), without a matrix square root."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from mildbench.metrics.base import MetricInfo, SetMetric, SetResult
from mildbench.metrics.inception import CleanInception

RECOMMENDED = 10_000
"""Pictures below which FID's authors warn of bias (README of their repository, bioinf-jku/TTUR)."""


def check_features(outputs: np.ndarray, truths: np.ndarray) -> None:
    """Raises ValueError unless both are finite, two-dimensional, and of one width."""
    if outputs.ndim != 2 or truths.ndim != 2 or outputs.shape[1] != truths.shape[1]:
        raise ValueError(
            f"features of shapes {list(outputs.shape)} and {list(truths.shape)} cannot be compared"
        )
    if not (np.isfinite(outputs).all() and np.isfinite(truths).all()):
        raise ValueError("features are not finite")


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Frechet distance of the Gaussians fitted to float[N, D] and float[M, D]; N and M at least 2.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), in float64. With A and B the centred samples over
    sqrt(n - 1), the last trace is the sum of the singular values of A B^T: never NaN, never imaginary.
    """
    shift = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    a, b = _centred(first), _centred(second)
    distance = shift @ shift + np.sum(a * a) + np.sum(b * b) - 2 * _root_trace(a, b)
    return max(float(distance), 0.0)  # rounding can leave equal sets a hair below zero


def _centred(samples: np.ndarray) -> np.ndarray:
    wide = samples.astype(np.float64)
    return (wide - wide.mean(axis=0)) / np.sqrt(len(wide) - 1)


def _root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """tr sqrt(S1 S2) for S1 = a^T a and S2 = b^T b."""
    if max(len(a), len(b)) <= a.shape[1]:
        return float(linalg.svdvals(a @ b.T).sum())
    # The same singular values, squared, are the eigenvalues of the symmetric D x D product below.
    values, vectors = linalg.eigh(a.T @ a)
    root = vectors * np.sqrt(values.clip(min=0))
    inner = b @ root
    return float(np.sqrt(linalg.eigvalsh(inner.T @ inner).clip(min=0)).sum())


class Fid(SetMetric):
    """FID; refused where no covariance can have full rank, since its bias then drowns what it measures."""

    info = MetricInfo(
        name="fid",
        id=f"fid[{CleanInception.name}]@1",
        definition="Squared Frechet distance between Gaussians fitted to the 2048 Inception features "
        "(TensorFlow weights, clean-fid resize) of outputs and of truths; from 0 up. Needs "
        "more pictures than features.",
        higher_is_better=False,
        unit="",
        weights=CleanInception.weights,
        regions=("full",),
    )
    extractor = CleanInception

    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        """From float[N, D] and float[M, D]; refused unless N and M exceed D."""
        check_features(features_outputs, features_truths)
        n, dimensions = features_outputs.shape
        fewest = min(n, len(features_truths))
        if fewest <= dimensions:
            refusal = f"n={fewest}: FID needs more than {dimensions} pictures (full-rank covariance); see KID"
            return SetResult(None, None, n, refusal)
        biased = fewest < RECOMMENDED
        note = f"n={fewest}: biased below {RECOMMENDED}, compare equal n only" if biased else None
        return SetResult(frechet_distance(features_outputs, features_truths), None, n, note)
