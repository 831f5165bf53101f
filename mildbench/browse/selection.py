"""Which samples to look at: the worst, some at random, and those that somebody has tagged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest

import numpy as np
import pandas as pd

from mildbench.browse.gallery import Gallery
from mildbench.browse.runs import ScoredRun
from mildbench.errors import UserError, did_you_mean

PREFERRED = "psnr"
"""The metric to sort by unless another is asked for; it needs no weights, so nearly every run has it."""
HARDER = {"visible_ratio": "low", "difficulty": "high", "people": "high", "mask_share": "high"}
"""What a data set without runs can be sorted by -> at which end the hard samples are."""
_SEED = 0
"""The same samples come at random whenever the same gallery is opened."""


def choose(
    gallery: Gallery, *, sort: str | None, worst: int, random: int, kept: Collection[str] = ()
) -> list[str]:
    """Ids of the `worst` samples, of `random` others, and of `kept`, in the data set's order.

    The runs of methods that have not seen the answers take turns: the worst of the first, the worst of the second,
    ... the second worst of the first. So every run's own worst are among them, however good the others are there.

    Args:
        gallery: what there is.
        sort: a metric (`psnr`) or a score column (`psnr.full.raw`), or one of `HARDER` for a data set; None: PSNR
            if it was scored, the visible ratio in a data set.
        worst: 0 or more.
        random: 0 or more.
        kept: others to have in any case; those that do not exist are ignored.

    Raises:
        UserError: for a metric that no run has, and negative numbers.
    """
    for name, count in (("worst", worst), ("random", random)):
        if count < 0:
            raise UserError(f"--{name} is {count}: give 0 or more")
    orders = _run_orders(gallery, sort) if gallery.runs else [_hardest(gallery, sort)]
    chosen = set(_in_turns(orders, worst))
    rest = [name for name in gallery.facts.index if name not in chosen]
    drawn = np.random.default_rng(_SEED).permutation(len(rest))[:random]
    chosen.update(rest[place] for place in drawn)
    chosen.update(kept)
    return [name for name in gallery.facts.index if name in chosen]


def sort_column(run: ScoredRun, sort: str) -> str | None:
    """The score column of a run that a metric's or a column's name stands for, None where it has no such."""
    return sort if sort in run.columns else run.headline(sort)


def _run_orders(gallery: Gallery, sort: str | None) -> list[list[str]]:
    """Run by run, the ids from the worst on."""
    if sort is None:
        sort = PREFERRED if PREFERRED in gallery.metrics else next(iter(gallery.metrics), PREFERRED)
    found = [(run, column) for run in gallery.contenders if (column := sort_column(run, sort)) is not None]
    if not found:
        known = {*gallery.metrics, *(column for run in gallery.runs for column in run.columns)}
        raise UserError(f"no run here was scored by {sort!r}: {did_you_mean(sort, known)}")
    orders = []
    for run, column in found:
        metric = run.metric(column.partition(".")[0])
        assert metric is not None, "a summary describes the metrics that it has estimates of"
        orders.append(_ordered(run.finite(column), ascending=metric.higher_is_better))
    return orders


def _hardest(gallery: Gallery, sort: str | None) -> list[str]:
    known = [name for name in HARDER if gallery.facts[name].notna().any()]
    if sort is None:
        sort = known[0]
    if sort not in known:
        raise UserError(f"a data set cannot be sorted by {sort!r}: {did_you_mean(sort, known)}")
    return _ordered(gallery.facts[sort].dropna(), ascending=HARDER[sort] == "low")


def _ordered(values: pd.Series, *, ascending: bool) -> list[str]:
    return values.sort_values(ascending=ascending, kind="stable").index.tolist()


def _in_turns(orders: Sequence[Iterable[str]], count: int) -> list[str]:
    turns = (name for turn in zip_longest(*orders) for name in turn if name is not None)
    return list(dict.fromkeys(turns))[:count]
