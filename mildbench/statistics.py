"""From per-sample scores to means with intervals, comparisons, ranks and strata.

A sample whose score is NaN has none; it is left out, and the count of such samples is part of every result.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from scipy.stats import wilcoxon

RESAMPLES = 1000
LEVEL = 0.95
_BLOCK = 1 << 20
"""Resampled indices held at a time."""


class Scale(Protocol):
    """On which scale scores are averaged; a `PairMetric` is one (PSNR is averaged through the MSE)."""

    def to_mean(self, values: np.ndarray) -> np.ndarray: ...

    def from_mean(self, means: np.ndarray) -> np.ndarray: ...


class Plain:
    """Scores are averaged as they are."""

    def to_mean(self, values: np.ndarray) -> np.ndarray:
        return values

    def from_mean(self, means: np.ndarray) -> np.ndarray:
        return means


@dataclass(frozen=True)
class Estimate:
    """A number with its percentile bootstrap interval."""

    value: float | None
    """May be infinite (PSNR of identical pictures); None where no sample has a score."""
    low: float | None
    high: float | None
    """Bounds of the interval; None where fewer than two clusters of samples have a score."""
    n: int
    """Samples that count."""
    undefined: int
    """Samples left out because their score is NaN."""


def bootstrap_means(
    values: np.ndarray, clusters: np.ndarray | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Means of `values` in samples drawn with replacement; the same draws for every column.

    Args:
        values: float64[N, M], finite or NaN; NaN is left out.
        clusters: int[N], samples of one cluster (one scene's tasks, say) are drawn together; None if all are
            independent.

    Returns:
        float64[resamples, M]; NaN where a draw holds no value of a column. Equal arguments, equal bytes.
    """
    defined = ~np.isnan(values)
    kept = np.where(defined, values, 0.0)
    if not np.isfinite(kept).all():
        raise ValueError("infinite values cannot be averaged: transform them first")
    _, members = np.unique(np.arange(len(values)) if clusters is None else clusters, return_inverse=True)
    count = int(members.max(initial=-1)) + 1
    # Sums per cluster suffice: a draw is then a vector of cluster counts, and all means are matrix products.
    sums, sizes = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, members, kept)
    np.add.at(sizes, members, defined)
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(count, 1))
    means = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((times @ sums) / (times @ sizes))
    return np.concatenate(means)


def mean(
    scores: np.ndarray, scale: Scale | None = None, clusters: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """Mean of float64[N] with its 95% percentile bootstrap interval (see `bootstrap_means`)."""
    scale = scale or Plain()
    values = scale.to_mean(scores)
    defined = ~np.isnan(values)
    undefined = int((~defined).sum())
    if not defined.any():
        return Estimate(None, None, None, 0, undefined)
    values, clusters = values[defined], None if clusters is None else clusters[defined]
    value = float(scale.from_mean(values.mean()))
    low, high = None, None
    if _clusters(values, clusters) > 1:
        low, high = _interval(scale.from_mean(bootstrap_means(values[:, None], clusters, seed=seed)[:, 0]))
    return Estimate(value, low, high, len(values), undefined)


def difference(
    first: np.ndarray,
    second: np.ndarray,
    scale: Scale | None = None,
    clusters: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> Estimate:
    """Mean of `first` minus mean of `second`, with its 95% paired bootstrap interval.

    Both are float64[N] for the same samples in the same order; each draw takes the same samples of both. Only
    samples where both have a score count.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired scores of {len(first)} and {len(second)} samples")
    scale = scale or Plain()
    values = scale.to_mean(np.stack([first, second], axis=1))
    defined = ~np.isnan(values).any(axis=1)
    undefined = int((~defined).sum())
    if not defined.any():
        return Estimate(None, None, None, 0, undefined)
    values, clusters = values[defined], None if clusters is None else clusters[defined]
    value = float(_gap(scale.from_mean(values.mean(axis=0))))
    low, high = None, None
    if _clusters(values, clusters) > 1:
        low, high = _interval(_gap(scale.from_mean(bootstrap_means(values, clusters, seed=seed))))
    return Estimate(value, low, high, len(values), undefined)


def _clusters(values: np.ndarray, clusters: np.ndarray | None) -> int:
    return len(values) if clusters is None else len(np.unique(clusters))


def _gap(pairs: np.ndarray) -> np.ndarray:
    """float64[...] of float64[..., 2]: first - second, where two equal infinities are zero apart."""
    first, second = pairs[..., 0], pairs[..., 1]
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, first - second)


def _interval(draws: np.ndarray) -> tuple[float, float]:
    """The percentile interval by order statistics: interpolating would make NaN of an infinite PSNR."""
    ordered = np.sort(draws)
    cut = int((1 - LEVEL) / 2 * len(ordered))
    return float(ordered[cut]), float(ordered[len(ordered) - 1 - cut])


def signed_rank(first: np.ndarray, second: np.ndarray, scale: Scale | None = None) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on the paired scores, on the scale they are averaged on.

    Equal pairs are dropped, as Wilcoxon did; 1 where none is left. Samples are taken to be independent.
    """
    scale = scale or Plain()
    gaps = scale.to_mean(first) - scale.to_mean(second)
    gaps = gaps[~np.isnan(gaps) & (gaps != 0)]
    return float(wilcoxon(gaps).pvalue) if len(gaps) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order (Holm 1979); at most 1."""
    count = len(p_values)
    adjusted, largest = [1.0] * count, 0.0
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (count - step) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """Two methods on the samples where both have a score."""

    first: str
    second: str
    difference: Estimate
    """Of `first` minus `second`."""
    p: float
    """Wilcoxon's signed-rank test."""
    p_holm: float
    """Adjusted for all pairs of the same call."""

    @property
    def tied(self) -> bool:
        """The interval covers zero, or there is none."""
        low, high = self.difference.low, self.difference.high
        return low is None or high is None or low <= 0 <= high


def compare(
    scores: Mapping[str, np.ndarray],
    scale: Scale | None = None,
    clusters: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> list[Comparison]:
    """Every pair of methods; `scores` holds float64[N] per method, the same samples in the same order."""
    pairs = list(combinations(scores, 2))
    p_values = [signed_rank(scores[a], scores[b], scale) for a, b in pairs]
    return [
        Comparison(a, b, difference(scores[a], scores[b], scale, clusters, seed=seed), p, adjusted)
        for (a, b), p, adjusted in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def ranks(
    names: Sequence[str], comparisons: Sequence[Comparison], *, higher_is_better: bool
) -> dict[str, int]:
    """1 + the number of methods that are better beyond a tie. Ties share a rank, and may leave gaps."""
    found = dict.fromkeys(names, 1)
    for comparison in comparisons:
        gap = comparison.difference.value
        if not comparison.tied and gap is not None:
            found[comparison.second if (gap > 0) == higher_is_better else comparison.first] += 1
    return found


UNKNOWN = "n/a"
"""The stratum of a sample whose value is not known (imported pairs without people, say)."""

_RATIO_EDGES = [tenth / 10 for tenth in range(1, 10)]
_FIFTHS = [fifth / 5 for fifth in range(1, 5)]
_AREA_EDGES = [0.05, 0.10, 0.20, 0.40]
_MOST_PEOPLE = 7

STRATA: dict[str, tuple[str, ...]] = {
    "visible_ratio": tuple(f"{low / 10:.1f}-{(low + 1) / 10:.1f}" for low in range(10)),
    "people": (*map(str, range(_MOST_PEOPLE)), f"{_MOST_PEOPLE}+"),
    "mask_share": ("<5%", "5-10%", "10-20%", "20-40%", ">=40%"),
    "difficulty": tuple(f"{low / 5:.1f}-{(low + 1) / 5:.1f}" for low in range(5)),
}
"""Stratification -> its strata in the order of tables. A bin holds its lower edge, the last one also 1."""


def strata(
    visible_ratio: float | None,
    people: int | None,
    mask_share: float,
    family: str | None,
    difficulty: float | None,
    ground: str | None,
) -> dict[str, str]:
    """The stratum of one sample in each stratification; `UNKNOWN` for None.

    Args:
        visible_ratio: of the person in question, 0 to 1.
        people: in the picture.
        mask_share: the mask's share of the picture, 0 to 1.
        family: of the scenario, as the data set names it; kept as it is.
        difficulty: in the family's own measure, 0 to 1; fifths of it are strata of their family.
        ground: how it is known where people can stand in the background; kept as it is.
    """
    return {
        "visible_ratio": _binned("visible_ratio", _RATIO_EDGES, visible_ratio),
        "people": UNKNOWN if people is None else STRATA["people"][min(people, _MOST_PEOPLE)],
        "mask_share": _binned("mask_share", _AREA_EDGES, mask_share),
        "family": UNKNOWN if family is None else family,
        "difficulty": UNKNOWN
        if difficulty is None
        else f"{family or UNKNOWN} {_binned('difficulty', _FIFTHS, difficulty)}",
        "ground": UNKNOWN if ground is None else ground,
    }


def _binned(name: str, edges: list[float], value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: {value} is outside 0 to 1")
    return STRATA[name][bisect_right(edges, value)]
