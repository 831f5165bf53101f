"""From per-sample scores to means with intervals, comparisons, ranks and strata.

Samples of one scene share most of their pixels, so they are no independent evidence: the unit of all that is
said about sampling is the scene (a cluster of samples). Intervals are Student's, with the standard error of the
delete-one-scene jackknife (Miller 1974), and reach further to the side where the scenes' skewness asks for it (Hall
1992); tests are Student's on the means of scenes. With a handful of scenes they keep their level far better than a
bootstrap's percentiles (`tests/benchmarks/intervals.py`).

A sample whose score is NaN has none; it is left out, and the count of such samples is part of every result.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
_SYMMETRIC = 1e-6
"""Skewness below which nothing is corrected."""
FEW_SCENES = 20
"""Below so many scenes a table warns: a few more could change what it says."""


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
class Interval:
    """A number with its 95 % interval."""

    value: float | None
    """May be infinite (PSNR of identical pictures); None where no sample has a score."""
    low: float | None
    high: float | None
    """Bounds of the interval; None where fewer than two scenes have a score, or one scene alone decides whether the
    number is finite."""
    n: int
    """Samples that count."""
    scenes: int
    """Scenes that they are of."""
    undefined: int
    """Samples left out because their score is NaN."""


def mean(scores: np.ndarray, scale: Scale | None = None, clusters: np.ndarray | None = None) -> Interval:
    """Mean of float64[N] with its 95 % interval.

    Args:
        scores: finite or NaN on the scale they are averaged on; else ValueError.
        scale: on which they are averaged.
        clusters: int[N], the scene of each sample; None if all are independent.
    """
    return _estimate(scores[:, None], scale or Plain(), clusters)


def difference(
    first: np.ndarray, second: np.ndarray, scale: Scale | None = None, clusters: np.ndarray | None = None
) -> tuple[Interval, float]:
    """Mean of `first` minus mean of `second` with its 95 % interval, and the p-value of there being no difference.

    Both are float64[N] for the same samples in the same order, and paired: scenes are left out of both at once.
    Only samples where both have a score count. The test is the two-sided t-test of the scenes' mean differences on
    the scale they are averaged on: between equal methods these are symmetric, however skewed the scores are, so the
    test does not err where the interval, of a ratio or a logarithm, is only approximate. p is 1 below two scenes.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired scores of {len(first)} and {len(second)} samples")
    scores, scale = np.stack([first, second], axis=1), scale or Plain()
    return _estimate(scores, scale, clusters), _paired_p(scale.to_mean(scores), clusters)


def _paired_p(values: np.ndarray, clusters: np.ndarray | None) -> float:
    """Of float64[N, 2]."""
    gaps = values[:, 0] - values[:, 1]
    defined = ~np.isnan(gaps)
    members = np.arange(len(gaps)) if clusters is None else clusters
    _, members, sizes = np.unique(members[defined], return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return 1.0
    means = np.bincount(members, gaps[defined]) / sizes
    value, error = abs(float(means.mean())), float(means.std(ddof=1)) / math.sqrt(len(means))
    # Equal gaps differ by rounding alone.
    if error <= 1e-12 * value:
        return 0.0 if value else 1.0
    return float(2 * stdtr(len(means) - 1, -value / error))


def _estimate(scores: np.ndarray, scale: Scale, clusters: np.ndarray | None) -> Interval:
    """The mean of float64[N, 1], or the difference of the two means of float64[N, 2]."""
    values = scale.to_mean(scores)
    defined = ~np.isnan(values).any(axis=1)
    undefined = int((~defined).sum())
    if not defined.any():
        return Interval(None, None, None, 0, 0, undefined)
    values = values[defined]
    if not np.isfinite(values).all():
        raise ValueError("infinite values cannot be averaged: transform them first")
    members = np.arange(len(values)) if clusters is None else clusters[defined]
    _, members, sizes = np.unique(members, return_inverse=True, return_counts=True)
    scenes, n = len(sizes), len(values)
    value = float(_gap(scale.from_mean(values.mean(axis=0))))
    if scenes < 2:
        return Interval(value, None, None, n, scenes, undefined)
    sums = np.zeros((scenes, values.shape[1]))
    np.add.at(sums, members, values)
    # Without scene i: what comes before it and what comes after it. Subtracting it from all would leave rounding
    # errors where there is nothing else.
    start = np.zeros((1, values.shape[1]))
    before = np.concatenate([start, np.cumsum(sums[:-1], axis=0)])
    after = np.concatenate([np.cumsum(sums[:0:-1], axis=0)[::-1], start])
    rest = (before + after) / (n - sizes)[:, None]
    without = _gap(scale.from_mean(rest))
    if not np.isfinite(without).all():
        same = math.isinf(value) and bool((without == value).all())
        bound = value if same else None
        return Interval(value, bound, bound, n, scenes, undefined)
    shifts = without.mean() - without
    error = math.sqrt((scenes - 1) / scenes * float((shifts**2).sum()))
    below, above = _reaches(_skewness(shifts), scenes)
    return Interval(value, value - below * error, value + above * error, n, scenes, undefined)


def _skewness(shifts: np.ndarray) -> float:
    """Of what each scene adds to a number, float64[S] with mean 0; 0 where they differ by rounding alone."""
    variance = float((shifts**2).mean())
    # Cubes of what is smaller underflow.
    return float((shifts**3).mean()) / variance**1.5 if variance > 1e-100 else 0.0


def _reaches(skewness: float, scenes: int) -> tuple[float, float]:
    """How far a 95 % interval goes below and above its number, in standard errors: as far as Student's, or further.

    Where a few scenes decide (PSNR, whose mean is that of errors), a mean and its standard error hang together, and
    Student's interval misses on one side. Hall's cubic of Student's t has no skewness to first order, and its
    inverse gives the quantiles of t itself. On the other side it is too short when scenes are few, as their skewness
    is then known badly: so each side takes the wider of both.
    """
    t = float(stdtrit(scenes - 1, (1 + LEVEL) / 2))
    if abs(skewness) < _SYMMETRIC:
        return t, t
    root = math.sqrt(scenes)

    def of_t(quantile: float) -> float:
        inner = 1 + skewness * (quantile / root - skewness / (6 * scenes))
        return 3 * root / skewness * (float(np.cbrt(inner)) - 1)

    return max(t, of_t(t)), max(t, -of_t(-t))


def _gap(values: np.ndarray) -> np.ndarray:
    """float64[...] of float64[..., 1 or 2]: the first, minus the second; two equal infinities are zero apart."""
    first = values[..., 0]
    if values.shape[-1] == 1:
        return first
    second = values[..., 1]
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, first - second)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order (Holm 1979); at most 1."""
    count = len(p_values)
    adjusted, largest = [1.0] * count, 0.0
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (count - step) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class Difference:
    """Two methods on the samples where both have a score."""

    first: str
    second: str
    difference: Interval
    """Of `first` minus `second`."""
    p: float
    """Of the paired test, see `difference`."""
    p_holm: float
    """Adjusted for all pairs of the same call."""

    @property
    def gap(self) -> float | None:
        """The difference itself."""
        return self.difference.value

    @property
    def tied(self) -> bool:
        """Not told apart once all pairs are accounted for."""
        return self.p_holm >= 1 - LEVEL


def compare(
    scores: Mapping[str, np.ndarray], scale: Scale | None = None, clusters: np.ndarray | None = None
) -> list[Difference]:
    """Every pair of methods; `scores` holds float64[N] per method, the same samples in the same order."""
    pairs = list(combinations(scores, 2))
    found = [difference(scores[a], scores[b], scale, clusters) for a, b in pairs]
    adjusted = holm([p for _, p in found])
    return [
        Difference(a, b, gap, p, corrected)
        for (a, b), (gap, p), corrected in zip(pairs, found, adjusted, strict=True)
    ]


Rank = tuple[int, int]
"""First and last of the ranks that a method may have: 1 + those that are better, N - those that are worse."""


class Compared(Protocol):
    """What ranks need of two methods' comparison."""

    @property
    def first(self) -> str: ...

    @property
    def second(self) -> str: ...

    @property
    def gap(self) -> float | None: ...

    @property
    def tied(self) -> bool: ...


def ranks(
    names: Sequence[str], comparisons: Sequence[Compared], *, higher_is_better: bool
) -> dict[str, Rank]:
    """The range of ranks that the comparisons leave to each method."""
    best, worst = dict.fromkeys(names, 1), dict.fromkeys(names, len(names))
    for comparison in comparisons:
        gap = comparison.gap
        if not comparison.tied and gap is not None:
            first, second = comparison.first, comparison.second
            better, worse = (first, second) if (gap > 0) == higher_is_better else (second, first)
            best[worse] += 1
            worst[better] -= 1
    return {name: (best[name], worst[name]) for name in names}


def ranks_of_values(values: Mapping[str, float], *, higher_is_better: bool) -> dict[str, Rank]:
    """Ranks of numbers without intervals; equal ones share theirs."""
    signed = {name: value if higher_is_better else -value for name, value in values.items()}
    found = list(signed.values())
    return {
        name: (1 + sum(other > mine for other in found), len(found) - sum(other < mine for other in found))
        for name, mine in signed.items()
    }


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
