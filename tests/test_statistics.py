"""Statistics: closed forms, coverage, determinism, and what infinities and undefined scores do."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from mildbench.metrics.psnr import Psnr
from mildbench.statistics import (
    STRATA,
    UNKNOWN,
    Comparison,
    Estimate,
    bootstrap_means,
    compare,
    difference,
    holm,
    mean,
    ranks,
    signed_rank,
    strata,
)


def sample(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, n)


def test_interval_agrees_with_scipys_bootstrap() -> None:
    values = sample(0, 200)
    ours = mean(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1)
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    estimates = [mean(sample(seed, 60)) for seed in range(200)]
    covered = sum(e.low <= 0 <= e.high for e in estimates)
    assert 176 <= covered <= 199


def test_equal_arguments_give_equal_bytes_and_the_seed_matters() -> None:
    values = sample(0, 50)[:, None]
    np.testing.assert_array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=3))
    assert not np.array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=4))


def test_blocks_change_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sample(0, 50)[:, None]
    whole = bootstrap_means(values)
    monkeypatch.setattr("mildbench.statistics._BLOCK", 170)
    np.testing.assert_allclose(bootstrap_means(values), whole, rtol=1e-12)


def test_a_large_table_costs_less_than_drawing_its_rows_one_draw_after_the_other() -> None:
    values = sample(0, 50_000).reshape(10_000, 5)
    generator = np.random.default_rng(0)

    def one_by_one() -> None:
        for _ in range(1000):
            values[generator.integers(len(values), size=len(values))].mean(axis=0)

    assert seconds(lambda: bootstrap_means(values)) < seconds(one_by_one)


def seconds(work: Callable[[], object]) -> float:
    """Processor time, the least of three: other processes on the machine hardly count."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def test_undefined_samples_are_left_out_and_counted() -> None:
    values = sample(0, 40)
    holes = np.concatenate([values, np.full(7, np.nan)])
    whole, holed = mean(values), mean(holes)
    assert (holed.value, holed.low, holed.high) == (whole.value, whole.low, whole.high)
    assert (holed.n, holed.undefined) == (40, 7)
    assert mean(np.full(3, np.nan)) == Estimate(None, None, None, 0, 3)
    assert mean(np.empty(0)) == Estimate(None, None, None, 0, 0)


def test_one_sample_has_no_interval() -> None:
    assert mean(np.array([4.0])) == Estimate(4.0, None, None, 1, 0)
    together = mean(np.array([4.0, 6.0]), clusters=np.array([1, 1]))
    assert (together.value, together.low, together.high) == (5.0, None, None)


def test_psnr_is_averaged_through_the_mse_in_value_and_interval() -> None:
    scores = np.array([20.0, 30.0, 40.0, np.inf])
    estimate = mean(scores, Psnr)
    errors = 255**2 * 10 ** (-scores / 10)
    assert estimate.value == pytest.approx(10 * np.log10(255**2 / errors.mean()))
    assert 20 <= estimate.low < estimate.value < estimate.high
    perfect = mean(np.full(5, np.inf), Psnr)
    assert perfect.value == perfect.low == perfect.high == np.inf


def test_an_infinite_plain_score_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        mean(np.array([1.0, np.inf]))


def test_clusters_are_drawn_whole() -> None:
    # Ten copies of each sample say nothing new; as independent samples they would look ten times as sure.
    values = sample(0, 40)
    copies, scenes = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    plain, clustered = mean(values), mean(copies, clusters=scenes)
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high))
    assert mean(copies).high - mean(copies).low < 0.5 * (plain.high - plain.low)


def test_pairing_removes_what_samples_have_in_common() -> None:
    common = 10 * sample(0, 300)
    first, second = common + sample(1, 300, 0.5), common + sample(2, 300)
    estimate = difference(first, second)
    assert estimate.value == pytest.approx((first - second).mean())
    assert 0 < estimate.low < estimate.value < estimate.high < 1
    reverse = difference(second, first)
    assert (reverse.value, reverse.low, reverse.high) == pytest.approx(
        (-estimate.value, -estimate.high, -estimate.low)
    )


def test_only_common_samples_are_compared() -> None:
    first, second = sample(0, 30), sample(1, 30)
    first[:4], second[2:7] = np.nan, np.nan
    estimate = difference(first, second)
    assert (estimate.n, estimate.undefined) == (23, 7)
    assert estimate.value == pytest.approx((first - second)[7:].mean())
    with pytest.raises(ValueError, match="30 and 29"):
        difference(first, second[:-1])


def test_perfect_methods_are_zero_apart_and_infinitely_better_than_others() -> None:
    perfect, good = np.full(20, np.inf), np.linspace(20, 30, 20)
    same = difference(perfect, perfect, Psnr)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    ahead = difference(perfect, good, Psnr)
    assert ahead.value == ahead.low == ahead.high == np.inf


def test_signed_rank() -> None:
    first, second = sample(0, 40, 0.4), sample(1, 40)
    assert signed_rank(first, second) == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert signed_rank(first, first) == 1
    holed = np.where(np.arange(40) < 5, np.nan, first)
    assert signed_rank(holed, second) == pytest.approx(stats.wilcoxon(first[5:], second[5:]).pvalue)
    assert signed_rank(np.full(20, np.inf), np.linspace(20, 30, 20), Psnr) < 1e-4


def test_holm() -> None:
    # The worked example of Holm's procedure: 4, 3, 2, 1 times the sorted values, made monotone.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_ranks_tie_where_the_interval_covers_zero() -> None:
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
    assert ranks(list(scores), comparisons, higher_is_better=True) == {"far": 1, "near": 2, "twin": 2}
    assert ranks(list(scores), comparisons, higher_is_better=False) == {"far": 3, "near": 1, "twin": 1}


def test_ties_need_not_be_transitive() -> None:
    def comparison(first: str, second: str, low: float, high: float) -> Comparison:
        return Comparison(first, second, Estimate((low + high) / 2, low, high, 9, 0), 0.5, 0.5)

    found = [comparison("a", "b", -1, 2), comparison("b", "c", -1, 2), comparison("a", "c", 1, 2)]
    assert ranks(["a", "b", "c"], found, higher_is_better=True) == {"a": 1, "b": 1, "c": 2}


def test_a_comparison_without_an_interval_is_a_tie() -> None:
    (lonely,) = compare({"a": np.array([1.0]), "b": np.array([2.0])})
    assert lonely.tied
    (disjoint,) = compare({"a": np.array([1.0, np.nan]), "b": np.array([np.nan, 2.0])})
    assert disjoint.tied
    assert disjoint.difference.n == 0
    assert ranks(["a", "b"], [disjoint], higher_is_better=True) == {"a": 1, "b": 1}


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
