"""Frechet inception distance (Heusel et al. 2017), without a matrix square root."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import linalg

from mildbench.metrics.base import MetricInfo, SetMetric, SetResult
from mildbench.metrics.inception import CleanInception

RECOMMENDED = 10_000
"""Pictures below which FID's authors warn of bias (README of their repository, bioinf-jku/TTUR)."""


_ROWS = 1024
"""Features in memory at a time, as float64."""


def chunks(features: np.ndarray) -> Iterator[np.ndarray]:
    """float64[n, D] of a few rows after the others; `features` may be a mapped file."""
    for start in range(0, len(features), _ROWS):
        yield features[start : start + _ROWS].astype(np.float64)


def check_features(outputs: np.ndarray, truths: np.ndarray) -> None:
    """Raises ValueError unless both are finite, two-dimensional, and of one width."""
    if outputs.ndim != 2 or truths.ndim != 2 or outputs.shape[1] != truths.shape[1]:
        raise ValueError(
            f"features of shapes {list(outputs.shape)} and {list(truths.shape)} cannot be compared"
        )
    if not all(np.isfinite(chunk).all() for features in (outputs, truths) for chunk in chunks(features)):
        raise ValueError("features are not finite")


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Frechet distance of the Gaussians fitted to float[N, D] and float[M, D]; N and M greater than D.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), in float64. The last trace is that of the root of the symmetric
    sqrt(S1) S2 sqrt(S1): never NaN, never imaginary.
    """
    (mean, covariance), (other_mean, other) = _moments(first), _moments(second)
    shift = mean - other_mean
    values, vectors = linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(min=0))
    product = linalg.eigvalsh(root.T @ other @ root)
    distance = shift @ shift + np.trace(covariance) + np.trace(other) - 2 * np.sqrt(product.clip(min=0)).sum()
    return max(float(distance), 0.0)  # rounding can leave equal sets a hair below zero


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean float64[D] and covariance float64[D, D] over the rows, which are read twice and never all in memory."""
    width = features.shape[1]
    mean = np.zeros(width)
    for chunk in chunks(features):
        mean += chunk.sum(axis=0)
    mean /= len(features)
    covariance = np.zeros((width, width))
    for chunk in chunks(features):
        chunk -= mean
        covariance += chunk.T @ chunk
    return mean, covariance / (len(features) - 1)


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
