"""The cross-domain attention gap: do the tokens of one person attend to that person, or to others?

`comp-kappa`, `foreign` and `kept-logodds` are what tables show. The others can be asked for, but read them with care: a
background that fills most of the picture decides `cag-kappa` nearly alone, and pathways count there that make nobody.

MILD introduces such a gap to quantify semantic leakage. Its exact formula was not at hand: the definitions here
are mildbench's own. All are read off the attention-mass matrices of an `AttentionRecord`; regions without
tokens at a layer's resolution are left out, as queries and as keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mildbench.method import AttentionRecord, Painted
from mildbench.metrics.base import AttentionMetric, MetricInfo

OURS = "mildbench's own definition, see mildbench ls metrics"
SUREST = 1e-6
"""Log-odds are finite: shares of attention are taken to be at least this far from 0 and from 1 (13.8 nats), as float32
masses are no more exact."""


def gaps(masses: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Mean over regions of the attention to themselves minus that to all others, in [-1, 1].

    Args:
        masses: float[N, R, R], see `AttentionRecord.masses`.
        tokens: int[N, R].

    Returns:
        float64[N]; NaN where fewer than two regions have tokens.
    """
    own, other = _own_and_other(masses)
    return _mean(own - other, _compared(tokens))


def corrected_gaps(masses: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Mean over regions of (own - p) / (1 - p), p being the region's share of all tokens: corrected for chance.

    0 for uniform attention and 1 for full separation, whatever the regions' sizes; at least
    -max(p / (1 - p)). Arguments and NaN as in `gaps`.
    """
    own, _ = _own_and_other(masses)
    compared = _compared(tokens)
    share = np.where(compared, _shares(tokens), 0)
    return _mean((own - share) / (1 - share), compared)


def kept_gaps(record: AttentionRecord, targets: Sequence[int]) -> np.ndarray:
    """Mean over the people who stay of (own - p) / (1 - p), each in the pathway that makes them.

    That is the pathway of their own, or that of the whole picture. A pathway that makes something else in a person's
    place says nothing of them.

    Returns:
        float64[N]; NaN where the entry's pathway makes nobody who stays, or no other region has tokens.
    """
    own, _ = _own_and_other(record.masses)
    included, share = _made_and_kept(record, targets), _shares(record.tokens)
    return _mean((own - share) / np.where(included, 1 - share, 1), included)


def kept_log_odds(record: AttentionRecord, targets: Sequence[int]) -> np.ndarray:
    """Mean over the people who stay of log(own / (1 - own)) - log(p / (1 - p)), in nats; people as in `kept_gaps`.

    0 for uniform attention. A penalty of lambda on the logits from a person to all others adds lambda, whatever the
    regions' sizes, where the attention was alike for all of the person's queries and heads.

    Returns:
        float64[N]; NaN as in `kept_gaps`.
    """
    own, _ = _own_and_other(record.masses)
    included, share = _made_and_kept(record, targets), _shares(record.tokens)
    return _mean(
        _log_odds(np.where(included, own, 0.5)) - _log_odds(np.where(included, share, 0.5)), included
    )


def _made_and_kept(record: AttentionRecord, targets: Sequence[int]) -> np.ndarray:
    """bool[N, R]: people who stay, in entries of a pathway that makes them and of two regions or more."""
    included = _compared(record.tokens)
    included[:, 0] = False
    for person in range(included.shape[1] - 1):
        makes = np.isin(record.pathways, ["picture", f"person {person}"])
        included[:, person + 1] &= makes & (person not in targets)
    return included


def _log_odds(shares: np.ndarray) -> np.ndarray:
    bounded = np.clip(shares, SUREST, 1 - SUREST)
    return np.log(bounded / (1 - bounded))


def leaks(masses: np.ndarray, tokens: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """The share of the attention mass of erased people's queries that lands on people who stay, in [0, 1].

    Args:
        masses: float[N, K + 1, K + 1].
        tokens: int[N, K + 1].
        targets: people who are erased, 0 to K - 1 (region 0 is the background, region k + 1 person k).

    Returns:
        float64[N]; NaN where nobody who is erased, or nobody who stays, has tokens.
    """
    erased = np.zeros(tokens.shape[1], dtype=bool)
    erased[[person + 1 for person in targets]] = True
    kept = ~erased
    kept[0] = False
    queries = np.where(erased, tokens, 0).astype(np.float64)
    lands = np.where(queries > 0, masses[:, :, kept].sum(axis=2, dtype=np.float64), 0)
    defined = (queries.sum(axis=1) > 0) & (tokens[:, kept].sum(axis=1) > 0)
    total = np.where(defined, queries.sum(axis=1), 1)
    return np.where(defined, (queries * lands).sum(axis=1) / total, np.nan)


def completion_kappas(painted: Painted) -> np.ndarray:
    """(o - p) / (1 - p) of each layer: o is the share of attention, from the tokens of the erase mask, that goes to
    what the answer has in their place; p that content's share of the known input; both mean over tokens and pathways.

    0 for attention that is uniform over all that is known, 1 where all of it goes to the right content. A pathway
    that is shown one content alone has 1 by construction, where the content is right.

    Returns:
        float64[L]; NaN where a layer has no such token, or all that is known is the right content.
    """
    known = painted.known / np.maximum(painted.known.sum(axis=1, keepdims=True), 1)
    own = np.diagonal(painted.masses, axis1=1, axis2=2)
    right, chance = _by_layer(painted, own), _by_layer(painted, known)
    return np.divide(right - chance, 1 - chance, out=np.full_like(right, np.nan), where=chance < 1)


def foreign_shares(painted: Painted) -> np.ndarray:
    """The share of attention, from the tokens of the erase mask, that goes to people other than whom the answer has in
    their place; mean over tokens and pathways.

    Returns:
        float64[L], a layer each; NaN where it has no such token.
    """
    own = np.diagonal(painted.masses, axis1=1, axis2=2).copy()
    own[:, 0] = 0  # the background is nobody
    return _by_layer(painted, painted.masses[:, :, 1:].sum(axis=2) - own)


def _by_layer(painted: Painted, values: np.ndarray) -> np.ndarray:
    """float64[L]: mean of float[M, K + 1], a number for each content, over the tokens of each layer."""
    counts = painted.tokens.astype(np.float64)
    sums = np.where(counts > 0, counts * np.nan_to_num(values), 0).sum(axis=1)
    layers, of = np.unique(np.array(painted.layers), return_inverse=True)
    total = np.bincount(of, counts.sum(axis=1), len(layers))
    return np.divide(
        np.bincount(of, sums, len(layers)), total, out=np.full(len(layers), np.nan), where=total > 0
    )


def _own_and_other(masses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64[N, R] twice: the attention of each region to itself, and to all others."""
    own = np.diagonal(masses, axis1=1, axis2=2).astype(np.float64)
    return own, masses.sum(axis=2, dtype=np.float64) - own


def _shares(tokens: np.ndarray) -> np.ndarray:
    """float64[N, R]: each region's share of the labelled tokens."""
    return tokens / np.maximum(tokens.sum(axis=1, keepdims=True), 1)


def _compared(tokens: np.ndarray) -> np.ndarray:
    """bool[N, R]: regions with tokens, in entries that have at least two of them."""
    present = tokens > 0
    return present & (present.sum(axis=1, keepdims=True) > 1)


def _mean(values: np.ndarray, included: np.ndarray) -> np.ndarray:
    """float64[N]: mean over the included of float64[N, R]; NaN where there are none."""
    count = included.sum(axis=1)
    total = np.where(included, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _over_entries(values: np.ndarray) -> float:
    """Mean over layers, timesteps and pathways, where defined; NaN if nowhere."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


class Cag(AttentionMetric):
    """The plain gap, which depends on the regions' sizes."""

    info = MetricInfo(
        name="cag",
        id="cag@1",
        definition="Mean over regions (background, each person) of the share of their self-attention that stays "
        "inside minus the share that goes to other regions, averaged over layers, timesteps and pathways; "
        "-1 to 1. One region only: undefined. Our definition, not a paper's.",
        higher_is_better=True,
        unit="",
        regions=("attention",),
        note=OURS,
        unasked="left out",
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """-1 to 1."""
        return _over_entries(gaps(record.masses, record.tokens))


class CagKappa(AttentionMetric):
    """The gap corrected for chance."""

    info = MetricInfo(
        name="cag-kappa",
        id="cag-kappa@1",
        definition="Mean over regions of (own share - p) / (1 - p), where p is the region's share of the tokens: "
        "0 for uniform attention, 1 for full separation, whatever the sizes; averaged over layers, "
        "timesteps and pathways. One region only: undefined. Our definition, not a paper's.",
        higher_is_better=True,
        unit="",
        regions=("attention",),
        note=OURS,
        unasked="left out",
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """Up to 1; 0 is chance."""
        return _over_entries(corrected_gaps(record.masses, record.tokens))


class KeptKappa(AttentionMetric):
    """The corrected gap of those who stay, where they are made: what keeping people apart is for."""

    info = MetricInfo(
        name="kept-kappa",
        id="kept-kappa@1",
        definition="Mean over the people who stay of (own share - p) / (1 - p), where p is the person's share of the "
        "tokens, each in the pathway that makes them (their own, or the whole picture's); averaged over layers and "
        "timesteps. Nobody who stays is made: undefined. Our definition, not a paper's.",
        higher_is_better=True,
        unit="",
        regions=("attention",),
        note=OURS,
        unasked="left out",
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """Up to 1; 0 is chance."""
        return _over_entries(kept_gaps(record, targets))


class KeptLogOdds(AttentionMetric):
    """How far those who stay are kept apart from all else, where they are made: the number that tables show."""

    info = MetricInfo(
        name="kept-logodds",
        id="kept-logodds@1",
        definition="Mean over the people who stay of log(own share / (1 - own share)) - log(p / (1 - p)), where p is "
        "the person's share of the tokens, each in the pathway that makes them (their own, or the whole picture's); in "
        "nats, 0 is chance; averaged over layers and timesteps. Nobody who stays is made: undefined. Our "
        "definition, not a paper's.",
        higher_is_better=True,
        unit="",
        regions=("attention",),
        note=OURS,
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """In nats; 0 is chance."""
        return _over_entries(kept_log_odds(record, targets))


class CompletionKappa(AttentionMetric):
    """Whether what is painted is painted from the right thing."""

    info = MetricInfo(
        name="comp-kappa",
        id="comp-kappa@1",
        definition="For each token of the erase mask, in the pathway that paints it in the returned picture: the share "
        "o of its attention, over the tokens shown to that pathway, that lands on what the answer has there (the "
        "background, or a person), against that content's share p of the known input, (o - p) / (1 - p) pooled over "
        "tokens and timesteps, mean over layers; 0 is uniform attention, at most 1. A pathway that is shown one "
        "content alone has 1 nearly by construction. Our definition, not a paper's.",
        higher_is_better=True,
        unit="",
        regions=("attention",),
        note=OURS,
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """Up to 1; 0 is chance; NaN for a record without a painting."""
        return float("nan") if record.painted is None else _over_entries(completion_kappas(record.painted))


class Foreign(AttentionMetric):
    """How much of what is painted is drawn from people who do not belong there."""

    info = MetricInfo(
        name="foreign",
        id="foreign@1",
        definition="Share of the attention of the erase mask's tokens, each in the pathway that paints it, over the "
        "tokens shown to that pathway, that lands on people other than the one whom the answer has there; pooled over "
        "tokens and timesteps, mean over layers; 0 to 1. Our definition, not a paper's.",
        higher_is_better=False,
        unit="",
        regions=("attention",),
        note=OURS,
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """0 to 1; NaN for a record without a painting."""
        return float("nan") if record.painted is None else _over_entries(foreign_shares(record.painted))


class Leak(AttentionMetric):
    """How much of those who are erased is drawn from those who stay."""

    info = MetricInfo(
        name="leak",
        id="leak@1",
        definition="Share of the self-attention of erased people's tokens that lands on people who stay, averaged "
        "over layers, timesteps and pathways; 0 to 1. Nobody stays: undefined. Our definition, not a paper's.",
        higher_is_better=False,
        unit="",
        regions=("attention",),
        note=OURS,
        unasked="left out",
    )

    def score(self, record: AttentionRecord, targets: Sequence[int]) -> float:
        """0 to 1."""
        return _over_entries(leaks(record.masses, record.tokens, targets))
