"""The attention gap: exact values, and brute force on explicit attention maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mildbench.method import AttentionRecord, Painted
from mildbench.metrics.attention import (
    Cag,
    CagKappa,
    CompletionKappa,
    Foreign,
    KeptKappa,
    KeptLogOdds,
    Leak,
    completion_kappas,
    corrected_gaps,
    foreign_shares,
    gaps,
    kept_gaps,
    kept_log_odds,
    leaks,
)


def record(masses: np.ndarray, tokens: np.ndarray) -> AttentionRecord:
    """A record whose entries differ in their timestep alone."""
    count = len(masses)
    times = np.linspace(1, 0, count, dtype=np.float32)
    return AttentionRecord(
        ("layer",) * count, ("background",) * count, times, masses.astype(np.float32), tokens.astype(np.int32)
    )


def explicit(
    seed: int, sizes: list[int], unlabelled: int = 5, heads: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """float64[heads, T, T] row-softmaxed attention, and int[T] region of each token (-1: none)."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([*range(len(sizes)), -1], [*sizes, unlabelled]))
    logits = rng.normal(0, 2, (heads, len(labels), len(labels)))
    weights = np.exp(logits)
    return weights / weights.sum(axis=2, keepdims=True), labels


def matrix(attention: np.ndarray, labels: np.ndarray, regions: int) -> np.ndarray:
    """float64[R, R] as `AttentionRecord.masses` defines it: NaN in the row of a region without tokens."""
    masses = np.full((regions, regions), np.nan)
    for r in range(regions):
        if not (labels == r).any():
            continue
        rows = attention[:, labels == r]
        shares = np.array([rows[:, :, labels == s].sum(axis=2).mean() for s in range(regions)])
        masses[r] = shares / shares.sum()
    return masses


@pytest.mark.parametrize("sizes", [[40, 12, 5], [3, 3], [20, 0, 9, 1], [0, 7, 8]])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force_on_explicit_maps(sizes: list[int], seed: int) -> None:
    attention, labels = explicit(seed, sizes)
    present = [r for r in range(len(sizes)) if sizes[r]]
    inside, corrected = [], []
    for r in present:
        own = crossing = 0.0
        for head in attention:
            for q in np.flatnonzero(labels == r):
                own += head[q][labels == r].sum()
                crossing += sum(head[q][labels == s].sum() for s in present if s != r)
        share = own / (own + crossing)
        chance = sizes[r] / sum(sizes)
        inside.append(share - (1 - share))
        corrected.append((share - chance) / (1 - chance))
    masses = matrix(attention, labels, len(sizes))[None]
    tokens = np.array([sizes])
    assert gaps(masses, tokens)[0] == pytest.approx(np.mean(inside), abs=1e-12)
    assert corrected_gaps(masses, tokens)[0] == pytest.approx(np.mean(corrected), abs=1e-12)


@pytest.mark.parametrize("targets", [(0,), (1,), (0, 2), (2,)])
def test_leak_agrees_with_brute_force_on_explicit_maps(targets: tuple[int, ...]) -> None:
    sizes = [30, 8, 5, 11]
    # Every query has the same mass on labelled tokens, so renormalising rows is renormalising queries.
    attention, labels = explicit(4, sizes, unlabelled=0)
    erased = np.isin(labels, [k + 1 for k in targets])
    kept = (labels > 0) & ~erased
    expected = attention[:, erased][:, :, kept].sum() / (attention.shape[0] * erased.sum())
    found = leaks(matrix(attention, labels, 4)[None], np.array([sizes]), targets)
    assert found[0] == pytest.approx(expected, abs=1e-12)


def uniform(tokens: np.ndarray) -> np.ndarray:
    shares = tokens / tokens.sum()
    return np.repeat(shares[None], len(tokens), axis=0)


@pytest.mark.parametrize("sizes", [[1, 1], [1000, 3], [40, 12, 5, 0, 2]])
def test_uniform_attention_is_chance_and_separation_is_one(sizes: list[int]) -> None:
    tokens = np.array([sizes])
    assert corrected_gaps(uniform(tokens[0])[None], tokens)[0] == pytest.approx(0, abs=1e-12)
    apart = np.eye(len(sizes))[None]
    assert corrected_gaps(apart, tokens)[0] == 1
    assert gaps(apart, tokens)[0] == 1
    assert gaps(1 - np.eye(2)[None], np.array([[5, 9]]))[0] == -1


@pytest.mark.parametrize("penalty", [0.5, 2.0, 8.0])
def test_a_cross_region_penalty_scales_the_odds(penalty: float) -> None:
    """-lambda on all cross-region logits multiplies cross/intra by exp(-lambda), and the gap is (1-o)/(1+o)."""
    labels = np.repeat([0, 1], 20)
    odds = []
    for amount in (0.0, penalty):
        logits = np.where(labels[:, None] == labels, 0.0, -amount)
        attention = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        gap = gaps(matrix(attention[None], labels, 2)[None], np.array([[20, 20]]))[0]
        odds.append((1 - gap) / (1 + gap))
    assert odds[1] / odds[0] == pytest.approx(np.exp(-penalty), rel=1e-12)


def test_one_region_is_undefined_and_empty_regions_are_left_out() -> None:
    alone = np.array([[[1.0, 0, 0], [np.nan] * 3, [np.nan] * 3]])
    assert np.isnan(gaps(alone, np.array([[9, 0, 0]]))).all()
    assert np.isnan(corrected_gaps(alone, np.array([[9, 0, 0]]))).all()
    two = np.array([[[0.75, 0.25], [0.5, 0.5]]])
    three = np.full((1, 3, 3), np.nan)
    three[0, :2] = [[0.75, 0.25, 0], [0.5, 0.5, 0]]
    assert gaps(three, np.array([[6, 2, 0]])) == gaps(two, np.array([[6, 2]]))
    assert corrected_gaps(three, np.array([[6, 2, 0]])) == corrected_gaps(two, np.array([[6, 2]]))


def test_leak_needs_somebody_who_stays_and_somebody_who_goes() -> None:
    masses = np.array([[[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]])
    tokens = np.array([[50, 10, 20]])
    assert leaks(masses, tokens, (0,))[0] == pytest.approx(0.3)
    assert leaks(masses, tokens, (1,))[0] == pytest.approx(0.3)
    assert np.isnan(leaks(masses, tokens, (0, 1))[0])
    assert np.isnan(leaks(masses, tokens, ())[0])
    assert np.isnan(leaks(masses, np.array([[50, 10, 0]]), (0,))[0])


def test_who_stays_counts_where_they_are_made() -> None:
    rng = np.random.default_rng(3)
    masses = rng.dirichlet(np.ones(4), (4, 4)).astype(np.float32)
    tokens = np.tile([40, 10, 20, 30], (4, 1)).astype(np.int32)
    tokens[3, 2] = 0
    pathways = ("background", "person 0", "person 1", "person 2")
    times = np.ones(4, np.float32)
    split = AttentionRecord(("layer",) * 4, pathways, times, masses, tokens)

    def kappa(entry: int, region: int) -> float:
        chance = tokens[entry, region] / tokens[entry].sum()
        return float((masses[entry, region, region] - chance) / (1 - chance))

    # Person 1 goes; the background's pathway makes nobody, and person 1's is of somebody who does not stay.
    found = kept_gaps(split, [1])
    np.testing.assert_allclose(found, [np.nan, kappa(1, 1), np.nan, kappa(3, 3)], rtol=1e-6)
    assert KeptKappa().score(split, [1]) == pytest.approx((kappa(1, 1) + kappa(3, 3)) / 2)
    assert np.isnan(KeptKappa().score(split, [0, 1, 2]))

    whole = AttentionRecord(("layer",) * 4, ("picture",) * 4, times, masses, tokens)
    everybody = [np.mean([kappa(entry, region) for region in (1, 3)]) for entry in range(4)]
    np.testing.assert_allclose(kept_gaps(whole, [1]), everybody, rtol=1e-6)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("sizes", [[40, 10, 20], [5, 30, 4]])
def test_a_penalty_adds_itself_to_the_log_odds_of_who_stays(sizes: list[int], penalty: float) -> None:
    labels = np.repeat(range(len(sizes)), sizes)
    logits = np.where(labels[:, None] == labels, 0.0, -penalty)
    attention = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    masses, tokens = matrix(attention[None], labels, len(sizes))[None], np.array([sizes])
    whole = AttentionRecord(("layer",), ("picture",), np.ones(1, np.float32), masses, tokens)
    assert KeptLogOdds().score(whole, [0]) == pytest.approx(penalty, abs=1e-9)
    background = AttentionRecord(("layer",), ("background",), np.ones(1, np.float32), masses, tokens)
    assert np.isnan(kept_log_odds(background, [0])).all()


def test_full_separation_has_finite_log_odds() -> None:
    apart = AttentionRecord(
        ("layer",),
        ("picture",),
        np.ones(1, np.float32),
        np.eye(2, dtype=np.float32)[None],
        np.array([[9, 1]]),
    )
    assert 10 < KeptLogOdds().score(apart, []) < 20


def test_two_erased_people_count_by_their_tokens() -> None:
    masses = np.array([[[1, 0, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 0.9, 0.1], [0, 0, 0, 1]]])
    assert leaks(masses, np.array([[9, 30, 10, 5]]), (0, 1))[0] == pytest.approx((30 * 0.5 + 10 * 0.1) / 40)


def test_a_sample_is_the_mean_of_its_defined_entries() -> None:
    masses = np.array([[[0.9, 0.1], [0.3, 0.7]], [[1, 0], [np.nan, np.nan]], [[0.5, 0.5], [0.5, 0.5]]])
    tokens = np.array([[5, 5], [5, 0], [5, 5]])
    found = record(masses, tokens)
    assert Cag().score(found, (0,)) == pytest.approx(0.3)  # (0.8 + 0.4) / 2 and 0
    assert CagKappa().score(found, (0,)) == pytest.approx(0.3)  # two equal regions: the same
    assert np.isnan(Leak().score(found, (0,)))  # nobody stays
    assert np.isnan(Cag().score(record(masses[1:2], tokens[1:2]), (0,)))


def test_a_record_that_does_not_fit_together_is_refused() -> None:
    masses, tokens = np.ones((2, 3, 3)) / 3, np.ones((2, 3))
    with pytest.raises(ValueError, match=r"masses of shape \[2, 2, 3\], expected \[2, 3, 3\]"):
        record(masses[:, :2], tokens)
    with pytest.raises(ValueError, match=r"tokens of shape \[1, 3\]"):
        record(masses, tokens[:1])
    with pytest.raises(ValueError, match="no entries"):
        record(masses[:0], tokens[:0])


def painted(
    sizes: list[int], queries: list[int], penalty: float, layers: tuple[str, ...] = ("layer",)
) -> Painted:
    """What attention gives that is alike for all tokens but for a penalty on those of other content, exactly.

    `sizes` are the known tokens of each region, `queries` the tokens of the erase mask where the answer has each.
    """
    region = np.repeat(range(len(sizes)), sizes)
    masses = np.full((len(sizes), len(sizes)), np.nan)
    for content in np.flatnonzero(queries):
        weights = np.exp(np.where(region == content, 0.0, -penalty))
        masses[content] = np.bincount(region, weights, len(sizes)) / weights.sum()
    count = len(layers)
    return Painted(
        layers,
        ("picture",) * count,
        np.stack([masses] * count).astype(np.float32),
        np.array([queries] * count, np.int32),
        np.array([sizes] * count, np.int32),
    )


@pytest.mark.parametrize("sizes", [[400, 30, 20], [10, 300, 4], [5, 5, 0]])
@pytest.mark.parametrize("queries", [[50, 0, 0], [20, 7, 0], [0, 9, 0]])
def test_painting_by_chance_is_zero_and_a_penalty_on_the_wrong_content_raises_it(
    sizes: list[int], queries: list[int]
) -> None:
    penalties = [0.0, 1.0, 3.0, 30.0]
    kappas = [float(completion_kappas(painted(sizes, queries, penalty))[0]) for penalty in penalties]
    assert kappas[0] == pytest.approx(0, abs=1e-6)
    assert kappas == sorted(kappas)
    assert kappas[1] > 0.05
    assert kappas[3] == pytest.approx(1, abs=1e-6)
    foreign = [float(foreign_shares(painted(sizes, queries, penalty))[0]) for penalty in penalties]
    share = np.array(sizes) / sum(sizes)
    wrong = [share[1:].sum(), *(share[1:].sum() - share[1:])]
    assert foreign[0] == pytest.approx(np.average(wrong, weights=queries), abs=1e-6)
    assert foreign[3] == pytest.approx(0, abs=1e-6)
    assert foreign == sorted(foreign, reverse=True)


def test_a_painting_is_pooled_in_its_layer_and_averaged_over_layers() -> None:
    first, second = painted([30, 10], [40, 0], 1.0), painted([30, 10], [0, 10], 2.0)
    both = Painted(
        ("a", "a"),
        ("background", "person 0"),
        np.concatenate([first.masses, second.masses]),
        np.concatenate([first.tokens, second.tokens]),
        np.concatenate([first.known, second.known]),
    )
    right = (40 * first.masses[0, 0, 0] + 10 * second.masses[0, 1, 1]) / 50
    chance = (40 * 0.75 + 10 * 0.25) / 50
    assert completion_kappas(both) == pytest.approx([(right - chance) / (1 - chance)])
    layers = replace(both, layers=("a", "b"))
    alone = [completion_kappas(first)[0], completion_kappas(second)[0]]
    assert completion_kappas(layers) == pytest.approx(alone)
    record = AttentionRecord(
        ("a",), ("picture",), np.ones(1, np.float32), np.eye(2)[None], np.array([[9, 1]]), painted=layers
    )
    assert CompletionKappa().score(record, [0]) == pytest.approx(np.mean(alone))
    assert Foreign().score(record, [0]) == pytest.approx(np.mean([first.masses[0, 0, 1], 0]))


def test_nothing_painted_or_nothing_else_known_is_undefined() -> None:
    assert np.isnan(completion_kappas(painted([30, 10], [0, 0], 1.0))).all()
    assert np.isnan(completion_kappas(painted([30, 0], [9, 0], 1.0))).all()
    assert foreign_shares(painted([30, 0], [9, 0], 1.0)) == [0]
    record = AttentionRecord(
        ("a",), ("picture",), np.ones(1, np.float32), np.eye(2)[None], np.array([[9, 1]])
    )
    assert np.isnan(CompletionKappa().score(record, [0]))
    assert np.isnan(Foreign().score(record, [0]))
