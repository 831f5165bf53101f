"""The cache: what it holds is bounded by bytes, and what goes first is what is worth least per byte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mildbench.scene import Provenance
from synth import catalogue, figures, views
from synth.cache import Cache, size_of
from synth.catalogue import PeopleCatalogue
from synth.material import Known
from synth.perspective import Perspective
from synth.plan import Plan
from synth.planner import Planner
from synth.recipe import Recipe
from synth.render import render
from synth.views import Backdrop, View

NOWHERE = Provenance("test", "none", "", "none")


class Watch:
    """A cache whose values take as long to make as it is told."""

    def __init__(self, budget: int) -> None:
        self._now = 0.0
        self.cache = Cache(budget, lambda: self._now)
        self.made: list[str] = []

    def get(self, key: str, seconds: float = 1.0, size: int = 1) -> None:
        def make() -> bytes:
            self._now += seconds
            self.made.append(key)
            return bytes(size)

        assert len(self.cache.get(key, make)) == size

    def kept(self, keys: str) -> str:
        return "".join(key for key in keys if key in self.cache)


class PlainGreedyDual:
    """GreedyDual-Size as the paper has it, by linear search; ties go to the least recently used."""

    def __init__(self, budget: int) -> None:
        self.budget, self.level, self.uses = budget, 0.0, 0
        self.items: dict[str, tuple[float, int, int]] = {}

    def get(self, key: str, seconds: float, size: int) -> None:
        while key not in self.items and self.items and self.held() + size > self.budget:
            least = min(self.items, key=lambda other: self.items[other][:2])
            self.level = self.items.pop(least)[0]
        self.uses += 1
        self.items[key] = (self.level + seconds / size, self.uses, size)

    def held(self) -> int:
        return sum(size for _, _, size in self.items.values())


@pytest.mark.parametrize("seed", range(4))
def test_it_is_greedy_dual_size_and_keeps_to_its_budget(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = [chr(65 + number) for number in range(40)]
    facts = {key: (float(rng.choice([1 / 64, 1 / 8, 1])), int(rng.integers(1, 30))) for key in keys}
    watch, plain = Watch(120), PlainGreedyDual(120)
    for key in rng.choice(keys, 2000):
        watch.get(key, *facts[key])
        plain.get(key, *facts[key])
        assert {other for other in keys if other in watch.cache} == set(plain.items)
        assert watch.cache.held == plain.held() <= 120


def test_among_equals_the_least_recently_used_goes() -> None:
    watch = Watch(3)
    for key in "abcad":
        watch.get(key)
    assert watch.kept("abcd") == "acd"
    watch.get("c")
    watch.get("e")
    assert watch.kept("abcde") == "cde"


def test_what_took_long_outlives_what_did_not_but_not_for_ever() -> None:
    watch = Watch(4)
    watch.get("a", seconds=10)
    lifetimes = []
    for number in range(100):
        watch.get(chr(1000 + number))
        lifetimes.append("a" in watch.cache)
    assert lifetimes == sorted(lifetimes, reverse=True)
    assert 20 <= sum(lifetimes) < 50, "ten seconds are worth ten turns of three places"


def test_small_things_are_kept_rather_than_large_ones() -> None:
    watch = Watch(10)
    watch.get("L", size=8)
    for key in "abc":
        watch.get(key)
    assert watch.kept("Labc") == "abc"


def test_the_last_value_is_kept_even_if_it_is_too_large() -> None:
    watch = Watch(5)
    for key in "aLL":
        watch.get(key, size=50 if key == "L" else 1)
    assert watch.made == ["a", "L"]
    watch.get("b")
    assert watch.kept("aLb") == "b"


def test_what_fails_is_tried_again() -> None:
    def fail() -> bytes:
        raise ValueError

    cache = Cache(5)
    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011 - it is ours
            cache.get("a", fail)
    assert cache.get("a", lambda: b"x") == b"x"


def test_sizes_are_those_of_arrays_and_files() -> None:
    @dataclass
    class Pair:
        name: str
        plane: np.ndarray
        file: bytes | None

    assert size_of(Pair("long enough", np.zeros((3, 5), np.float32), b"four")) == 64
    assert size_of(Pair("", np.zeros(7, bool), None)) == 7


def test_a_view_counts_the_file_that_it_is_going_to_hold() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    backdrop = Backdrop(noise, None, NOWHERE)
    perspective = Perspective(20.0, 1.6, "exact")
    ground = np.ones((64, 64), bool)
    view = View(noise, b"jpeg", NOWHERE, perspective, 58.0, Known.EXACT, ground, True, None, (), None)
    assert size_of(backdrop) >= len(backdrop.file) + noise.nbytes - 1000
    assert size_of(view) == noise.nbytes + len(b"jpeg") + 64 * 64


@pytest.mark.slow
def test_scenes_are_the_same_whatever_is_kept(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def scenes() -> tuple[list[Plan], list[bytes]]:
        planner = Planner(PeopleCatalogue(recipe, 0))
        plans = [planner.plan(index)[0] for index in range(recipe.count)]
        return plans, [render(plan, planner.catalogue)[1].tobytes() for plan in plans]

    found = scenes()
    monkeypatch.setattr(catalogue, "SOURCE_CACHE", 1)
    monkeypatch.setattr(views, "VIEW_CACHE", 1)
    monkeypatch.setattr(figures, "FIGURE_CACHE", 1)
    assert scenes() == found
