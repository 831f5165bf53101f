"""Distances between distributions of visible ratios."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from synth.ratios import VisibleRatios, distance
from synth.recipe import Band


def bands(*content: tuple[float, float, float]) -> list[Band]:
    return [Band(range=(low, high), weight=weight) for low, high, weight in content]


MIXED = bands((0.2, 0.4, 1), (0.3, 0.9, 2), (0.5, 0.5, 1), (0, 1, 0))


def draw(rng: np.random.Generator, wanted: list[Band], count: int) -> np.ndarray:
    weights = np.array([band.weight for band in wanted])
    chosen = rng.choice(len(wanted), count, p=weights / weights.sum())
    low, high = np.array([band.range for band in wanted])[chosen].T
    return np.sort(rng.uniform(low, high))


def test_the_distance_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    ratios = np.sort(rng.beta(2, 5, 200))
    wanted = draw(rng, MIXED, 400_000)
    assert distance(MIXED, ratios) == pytest.approx(wasserstein_distance(wanted, ratios), abs=2e-3)


def test_what_is_drawn_from_the_recipe_is_near_it() -> None:
    assert distance(MIXED, draw(np.random.default_rng(1), MIXED, 100_000)) < 0.003


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25])
def test_a_shift_is_as_far_as_it_is_long(shift: float) -> None:
    ratios = (np.arange(1000) + 0.5) / 1000 * 0.5 + shift
    assert distance(bands((0, 0.5, 3)), ratios) == pytest.approx(shift, abs=1e-3)


def test_the_report_compares_one_by_one_and_as_distributions() -> None:
    ratios = VisibleRatios()
    for asked, achieved in ((0.3, 0.5), (0.5, 0.3), (0.7, 0.71)):
        ratios.add(asked, achieved)
    report = ratios.report(bands((0.2, 0.8, 1)))
    assert report["asked_for"] == 3
    assert report["mean_difference"] == pytest.approx(0.1367, abs=1e-4)
    assert report["largest_difference"] == pytest.approx(0.2)
    assert report["wasserstein_asked_achieved"] == pytest.approx(
        0.0033, abs=1e-4
    )  # swapped, the set is the same
    assert sum(report["asked_histogram"]) == sum(report["achieved_histogram"]) == 3


def test_nothing_asked_for_has_no_distance() -> None:
    report = VisibleRatios().report(MIXED)
    assert report["asked_for"] == 0
    assert report["wasserstein_asked_achieved"] is report["wasserstein_recipe_achieved"] is None
