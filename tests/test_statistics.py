"""Statistics: closed forms, coverage, determinism, and what infinities and undefined scores do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from mildbench.metrics.psnr import Psnr
from mildbench.statistics import (
    STRATA,
    UNKNOWN,
    Difference,
    Interval,
    compare,
    difference,
    holm,
    mean,
    ranks,
    strata,
)


def sample(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_interval_of_a_symmetric_sample_and_every_p_are_students() -> None:
    half = sample(0, 8, 0.7)
    even = np.concatenate([half, -half])
    ours, theirs = mean(even), stats.ttest_1samp(even, 0).confidence_interval(0.95)
    assert (ours.value, ours.low, ours.high) == pytest.approx((0, theirs.low, theirs.high))
    first, second = sample(0, 9, 0.7), sample(1, 9)
    assert difference(first, second)[1] == pytest.approx(stats.ttest_rel(first, second).pvalue)


@pytest.mark.parametrize("scenes", [3, 9, 40])
def test_interval_of_a_skewed_sample_is_the_wider_of_students_and_halls(scenes: int) -> None:
    values = np.exp(sample(scenes, scenes))
    error = values.std(ddof=1) / np.sqrt(scenes)
    skewness = stats.skew(values)

    def corrected(t: float) -> float:
        """Hall 1992, equation (2): of Student's t, without its skewness."""
        cubic = skewness * t**2 / 3 / np.sqrt(scenes) + skewness**2 * t**3 / 27 / scenes
        return t + cubic + skewness / 6 / np.sqrt(scenes)

    quantiles = stats.t.ppf([0.025, 0.975], scenes - 1)
    low, high = (optimize.brentq(lambda t, at=at: corrected(t) - at, -1e3, 1e3) for at in quantiles)
    ours = mean(values)
    assert skewness > 0.5
    assert ours.low == pytest.approx(values.mean() - max(high, quantiles[1]) * error)
    assert ours.high == pytest.approx(values.mean() + max(-low, -quantiles[0]) * error)
    assert ours.high - ours.value > ours.value - ours.low
    mirrored = mean(-values)
    assert (mirrored.low, mirrored.high) == pytest.approx((-ours.high, -ours.low))


@pytest.mark.parametrize("scenes", [7, 24, 64])
@pytest.mark.parametrize("decibels", [None, 3.0])
def test_interval_covers_the_truth_about_as_often_as_it_says(scenes: int, decibels: float | None) -> None:
    """Of a plain score, and of PSNR whose mean squared errors are log-normal."""
    rng = np.random.default_rng(scenes)
    clusters = np.repeat(np.arange(scenes), 4)
    spread = decibels or 1.0
    natural = np.sqrt(2) * spread * np.log(10) / 10
    true = -10 / np.log(10) * natural**2 / 2 if decibels else 0.0
    covered = 0
    for _ in range(1000):
        scores = spread * (rng.normal(size=scenes)[clusters] + rng.normal(size=len(clusters)))
        found = mean(scores, Psnr if decibels else None, clusters)
        covered += found.low <= true <= found.high
    assert 925 <= covered <= 975


def test_equal_methods_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(7), 4)
    false = 0
    for _ in range(200):
        common = 5 * rng.normal(size=7)[clusters]
        scores = {str(m): common + rng.normal(size=7)[clusters] + rng.normal(size=28) for m in range(7)}
        false += not all(pair.tied for pair in compare(scores, None, clusters))
    assert false <= 20


def test_a_scene_that_decides_alone_leaves_no_interval() -> None:
    found = mean(np.array([np.inf, np.inf, 30.0]), Psnr)
    assert found.value < np.inf
    assert (found.low, found.high) == (None, None)


def test_a_difference_that_is_the_same_everywhere_is_certain() -> None:
    found, p = difference(np.array([1.5, 2.5, 4.5]), np.array([1.0, 2.0, 4.0]))
    assert (found.low, found.high, p) == pytest.approx((0.5, 0.5, 0))


def test_undefined_samples_are_left_out_and_counted() -> None:
    values = sample(0, 40)
    holes = np.concatenate([values, np.full(7, np.nan)])
    whole, holed = mean(values), mean(holes)
    assert (holed.value, holed.low, holed.high) == (whole.value, whole.low, whole.high)
    assert (holed.n, holed.undefined) == (40, 7)
    assert mean(np.full(3, np.nan)) == Interval(None, None, None, 0, 0, 3)
    assert mean(np.empty(0)) == Interval(None, None, None, 0, 0, 0)


def test_one_sample_has_no_interval() -> None:
    assert mean(np.array([4.0])) == Interval(4.0, None, None, 1, 1, 0)
    together = mean(np.array([4.0, 6.0]), clusters=np.array([1, 1]))
    assert (together.value, together.low, together.high) == (5.0, None, None)


def test_psnr_is_averaged_through_the_mse_in_value_and_interval() -> None:
    scores = np.array([20.0, 30.0, 40.0, np.inf])
    estimate = mean(scores, Psnr)
    errors = 255**2 * 10 ** (-scores / 10)
    assert estimate.value == pytest.approx(10 * np.log10(255**2 / errors.mean()))
    assert estimate.low < estimate.value < estimate.high
    perfect = mean(np.full(5, np.inf), Psnr)
    assert perfect.value == perfect.low == perfect.high == np.inf


def test_an_infinite_plain_score_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        mean(np.array([1.0, np.inf]))


def test_copies_within_a_scene_say_nothing_new() -> None:
    # Ten copies of each sample say nothing new; as independent samples they would look ten times as sure.
    values = sample(0, 40)
    copies, scenes = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    plain, clustered = mean(values), mean(copies, clusters=scenes)
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high))
    assert mean(copies).high - mean(copies).low < 0.5 * (plain.high - plain.low)


def test_pairing_removes_what_samples_have_in_common() -> None:
    common = 10 * sample(0, 300)
    first, second = common + sample(1, 300, 0.5), common + sample(2, 300)
    estimate, _ = difference(first, second)
    assert estimate.value == pytest.approx((first - second).mean())
    assert 0 < estimate.low < estimate.value < estimate.high < 1
    reverse, _ = difference(second, first)
    assert (reverse.value, reverse.low, reverse.high) == pytest.approx(
        (-estimate.value, -estimate.high, -estimate.low)
    )


def test_only_common_samples_are_compared() -> None:
    first, second = sample(0, 30), sample(1, 30)
    first[:4], second[2:7] = np.nan, np.nan
    estimate, _ = difference(first, second)
    assert (estimate.n, estimate.undefined) == (23, 7)
    assert estimate.value == pytest.approx((first - second)[7:].mean())
    with pytest.raises(ValueError, match="30 and 29"):
        difference(first, second[:-1])


def test_perfect_methods_are_zero_apart_and_infinitely_better_than_others() -> None:
    perfect, good = np.full(20, np.inf), np.linspace(20, 30, 20)
    same, p = difference(perfect, perfect, Psnr)
    assert p == 1
    assert (same.value, same.low, same.high) == (0, 0, 0)
    ahead, p = difference(perfect, good, Psnr)
    assert p < 1e-4
    assert ahead.value == ahead.low == ahead.high == np.inf


def test_holm() -> None:
    # The worked example of Holm's procedure: 4, 3, 2, 1 times the sorted values, made monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_ranks_are_ranges_where_methods_tie() -> None:
    common = sample(9, 200)
    scores = {
        "far": common + 3,
        "near": common + sample(1, 200) * 0.1,
        "twin": common + sample(2, 200) * 0.1,
    }
    comparisons = compare(scores)
    assert [(c.first, c.second) for c in comparisons] == [("far", "near"), ("far", "twin"), ("near", "twin")]
    assert [c.tied for c in comparisons] == [False, False, True]
    assert all(c.p <= c.p_holm <= 1 for c in comparisons)
    assert ranks(list(scores), comparisons, higher_is_better=True) == {
        "far": (1, 1),
        "near": (2, 3),
        "twin": (2, 3),
    }
    assert ranks(list(scores), comparisons, higher_is_better=False) == {
        "far": (3, 3),
        "near": (1, 2),
        "twin": (1, 2),
    }


def test_ties_need_not_be_transitive() -> None:
    def comparison(first: str, second: str, p: float) -> Difference:
        return Difference(first, second, Interval(1.0, -1.0, 3.0, 9, 9, 0), p, p)

    found = [comparison("a", "b", 0.5), comparison("b", "c", 0.5), comparison("a", "c", 0.01)]
    assert ranks(["a", "b", "c"], found, higher_is_better=True) == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}


def test_a_comparison_without_an_interval_is_a_tie() -> None:
    (lonely,) = compare({"a": np.array([1.0]), "b": np.array([2.0])})
    assert lonely.tied
    (disjoint,) = compare({"a": np.array([1.0, np.nan]), "b": np.array([np.nan, 2.0])})
    assert disjoint.tied
    assert disjoint.difference.n == 0
    assert ranks(["a", "b"], [disjoint], higher_is_better=True) == {"a": (1, 2), "b": (1, 2)}


@pytest.mark.parametrize(
    ("ratio", "label"),
    [(0.0, "0.0-0.1"), (0.1, "0.1-0.2"), (0.3, "0.3-0.4"), (0.95, "0.9-1.0"), (1.0, "0.9-1.0")],
)
def test_visible_ratio_bins(ratio: float, label: str) -> None:
    assert strata(ratio, None, 0.1, None, None, None)["visible_ratio"] == label


def test_strata() -> None:
    assert len(STRATA["visible_ratio"]) == 10
    assert strata(None, None, 0.05, None, None, None) == {
        "visible_ratio": UNKNOWN,
        "people": UNKNOWN,
        "mask_share": "5-10%",
        "family": UNKNOWN,
        "difficulty": UNKNOWN,
        "ground": UNKNOWN,
    }
    known = strata(0.5, 9, 0.4, "occlusion", 0.2, "exact")
    assert known == {
        "visible_ratio": "0.5-0.6",
        "people": "7+",
        "mask_share": ">=40%",
        "family": "occlusion",
        "difficulty": "occlusion 0.2-0.4",
        "ground": "exact",
    }
    with pytest.raises(ValueError, match="mask_share"):
        strata(None, None, 1.5, None, None, None)
