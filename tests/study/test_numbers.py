"""Strengths, agreement and intervals, against references."""

from __future__ import annotations

import choix
import krippendorff as reference
import numpy as np
import pytest
from scipy.stats import kendalltau

from mildbench.study import bootstrap
from mildbench.study.agreement import concordance, krippendorff, tau
from mildbench.study.strengths import PRIOR_DEVIATION, strengths

PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, example C: four observers, twelve units."""


def outcomes(rng: np.random.Generator, methods: int, answers: int) -> np.ndarray:
    """int[answers, 3]: first, second, and 2 for won, 1 for a tie, 0 for lost."""
    first = rng.integers(methods, size=answers)
    second = (first + rng.integers(1, methods, size=answers)) % methods
    return np.stack([first, second, rng.integers(3, size=answers)], axis=1)


def table(rows: np.ndarray, methods: int) -> np.ndarray:
    wins = np.zeros((methods, methods))
    for first, second, won in rows:
        wins[first, second] += won / 2
        wins[second, first] += 1 - won / 2
    return wins


@pytest.mark.parametrize("seed", range(5))
def test_strengths_are_those_of_choix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = outcomes(rng, 6, 80)
    # Every answer counts twice there, a tie once each way; so does the prior.
    twice = []
    for first, second, won in rows.tolist():
        twice += [(first, second)] * won + [(second, first)] * (2 - won)
    expected = choix.opt_pairwise(6, twice, alpha=1 / PRIOR_DEVIATION**2, tol=1e-10)
    assert strengths(table(rows, 6)) == pytest.approx(expected, abs=1e-5)


def test_strengths_are_found_again() -> None:
    rng = np.random.default_rng(1)
    true = np.array([1.5, 0.5, 0.0, -0.5, -1.5])
    wins = np.zeros((5, 5))
    for first in range(5):
        for second in range(first + 1, 5):
            won = rng.binomial(4000, 1 / (1 + np.exp(true[second] - true[first])))
            wins[first, second], wins[second, first] = won, 4000 - won
    assert strengths(wins) == pytest.approx(true, abs=0.1)


def test_a_method_that_never_lost_stays_finite_and_many_problems_are_solved_at_once() -> None:
    rng = np.random.default_rng(2)
    tables = np.stack([table(outcomes(rng, 4, 30), 4) for _ in range(20)])
    tables[3, :, 0] = 0  # never lost
    tables[4] = 0
    found = strengths(tables)
    assert np.isfinite(found).all()
    assert found[3].argmax() == 0
    assert (found[4] == 0).all()
    assert found.sum(axis=1) == pytest.approx(0, abs=1e-9)
    for one, alone in zip(found, map(strengths, tables), strict=True):
        assert one == pytest.approx(alone, abs=1e-8)
    extreme = np.array([[0.0, 1e5], [0.0, 0.0]])
    assert 1 < strengths(extreme)[0] < 100


def test_alpha_is_the_published_one() -> None:
    values = [[row[unit] for row in PUBLISHED] for unit in range(12)]
    counts = np.array([[unit.count(value) for value in range(1, 6)] for unit in values])
    assert krippendorff(counts) == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_that_of_the_reference_package() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        counts = rng.integers(0, 4, size=(15, 3))
        expected = reference.alpha(value_counts=counts, level_of_measurement="nominal")
        assert krippendorff(counts) == pytest.approx(expected, abs=1e-12)


def test_alpha_needs_two_values_and_two_raters() -> None:
    assert krippendorff(np.array([[2, 0, 0], [3, 0, 0]])) is None
    assert krippendorff(np.array([[1, 0, 0], [0, 1, 0]])) is None
    assert krippendorff(np.array([[2, 0, 0], [0, 2, 0]])) == 1


def test_tau_of_a_whole_ranking_is_kendalls() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        metric, people = rng.integers(6, size=8), rng.integers(4, size=8)
        first, second = np.triu_indices(8, 1)
        sums = concordance(metric[first] - metric[second], people[first] - people[second]).sum(axis=0)
        assert tau(sums) == pytest.approx(kendalltau(metric, people, variant="b").statistic)


def test_tau_leaves_out_what_has_no_score_and_is_undefined_where_all_are_ties() -> None:
    people = np.array([1.0, -1.0, 0.0, 1.0])
    assert concordance(np.array([1.0, 1.0, 1.0, np.nan]), people).sum(axis=0).tolist() == [1, 1, 0, 1]
    assert np.isnan(tau(concordance(np.zeros(4), people).sum(axis=0)))
    assert tau(concordance(np.array([np.inf, -np.inf, 0, 1]), people).sum(axis=0)) == 1


def test_intervals_cover_what_they_should_where_plain_percentiles_do_not() -> None:
    rng = np.random.default_rng(5)
    drawn = bootstrap.draws(8)
    covered = plainly = 0
    for _ in range(2000):
        means = drawn @ rng.normal(size=8) / 8
        low, high = bootstrap.interval(means, 8) or (0, 0)
        covered += low <= 0 <= high
        low, high = np.quantile(means, [0.025, 0.975])
        plainly += low <= 0 <= high
    assert 0.92 < covered / 2000 < 0.97
    assert plainly / 2000 < 0.92


def test_no_interval_of_one_scene_or_of_what_is_mostly_undefined() -> None:
    assert bootstrap.interval(np.zeros(100), 1) is None
    values = np.full(100, np.nan)
    values[:40] = 1
    assert bootstrap.interval(values, 9) is None
    values[:60] = 1
    assert bootstrap.interval(values, 9) == (1, 1)
