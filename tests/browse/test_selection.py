"""Which samples are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from mildbench.browse.gallery import Gallery
from mildbench.browse.selection import choose
from mildbench.errors import UserError


def test_every_runs_own_worst_are_there(gallery: Gallery) -> None:
    noise, attentive, oracle = gallery.runs
    chosen = choose(gallery, sort=None, worst=6, random=0)
    assert len(chosen) == 6
    for run in (noise, attentive):
        worst = run.scores["psnr.mask.pasted"].dropna().nsmallest(3)
        assert set(worst.index) <= set(chosen)
    assert oracle.finite("psnr.mask.pasted").empty, "the truth itself is never bad"


@pytest.mark.parametrize(
    ("sort", "column"), [("lpips", "lpips.mask.pasted"), ("lpips.full.raw", "lpips.full.raw")]
)
def test_lower_is_better_is_worst_at_the_top(runs: list[Path], sort: str, column: str) -> None:
    gallery = Gallery.open(runs[1:2])
    chosen = choose(gallery, sort=sort, worst=4, random=0)
    assert set(chosen) == set(gallery.runs[0].scores[column].nlargest(4).index)


def test_random_ones_are_others_and_the_same_ones_each_time(gallery: Gallery) -> None:
    worst = choose(gallery, sort=None, worst=5, random=0)
    both = choose(gallery, sort=None, worst=5, random=7)
    assert len(both) == 12
    assert set(worst) < set(both)
    assert both == choose(gallery, sort=None, worst=5, random=7)
    order = list(gallery.facts.index)
    assert both == sorted(both, key=order.index)
    assert choose(gallery, sort=None, worst=10**6, random=10**6) == order


def test_tagged_ones_stay(gallery: Gallery) -> None:
    last = gallery.facts.index[-1]
    assert choose(gallery, sort=None, worst=0, random=0, kept={last, "gone"}) == [last]


def test_a_data_set_starts_with_the_most_hidden(data: Path) -> None:
    gallery = Gallery.open([data])
    chosen = choose(gallery, sort=None, worst=3, random=0)
    assert set(chosen) == set(gallery.facts["visible_ratio"].nsmallest(3).index)
    crowded = choose(gallery, sort="people", worst=1, random=0)
    assert gallery.facts.at[crowded[0], "people"] == gallery.facts["people"].max()


def test_mistakes_are_explained(gallery: Gallery, data: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'psnr'"):
        choose(gallery, sort="pnsr", worst=1, random=0)
    with pytest.raises(UserError, match="--worst is -1: give 0 or more"):
        choose(gallery, sort=None, worst=-1, random=0)
    with pytest.raises(UserError, match="did you mean 'difficulty'"):
        choose(Gallery.open([data]), sort="dificulty", worst=1, random=0)
