"""Which pairs are drawn."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mildbench.errors import UserError
from mildbench.study import plan

METHODS = ["a", "b", "c", "d", "e"]


def different(sample: str, first: str, second: str) -> bool:
    return False


def layout(scenes: int, tasks: int) -> dict[str, str]:
    """Sample -> scene."""
    return {f"{scene}-{task}": str(scene) for scene in range(scenes) for task in range(tasks)}


@given(
    seed=st.integers(0, 1000),
    methods=st.integers(2, 5),
    scenes=st.integers(2, 9),
    tasks=st.integers(1, 3),
    share=st.floats(0.05, 0.5),
)
def test_methods_and_sides_are_balanced(
    seed: int, methods: int, scenes: int, tasks: int, share: float
) -> None:
    names = METHODS[:methods]
    samples = layout(scenes, tasks)
    count = max(1, int(share * len(samples) * len(list(combinations(names, 2)))))
    drawn = plan.pairs(names, samples, count, random.Random(seed), alike=different)
    assert len(drawn) == count
    assert len({(item.sample, frozenset((item.a, item.b))) for item in drawn}) == count
    met = Counter(frozenset((item.a, item.b)) for item in drawn)
    assert max(met.values()) - min(met[frozenset(two)] for two in combinations(names, 2)) <= 1
    for first, second in combinations(names, 2):
        sides = Counter(item.a for item in drawn if {item.a, item.b} == {first, second})
        assert abs(sides[first] - sides[second]) <= 1


@given(
    seed=st.integers(0, 1000), scenes=st.integers(10, 20), tasks=st.integers(1, 3), count=st.integers(1, 60)
)
def test_scenes_and_their_samples_take_turns(seed: int, scenes: int, tasks: int, count: int) -> None:
    samples = layout(scenes, tasks)
    drawn = plan.pairs(METHODS, samples, count, random.Random(seed), alike=different)
    spare = 0 if count <= scenes else 1  # then some scene may lack the pair that is due
    used = Counter(samples[item.sample] for item in drawn)
    assert max(used.values()) - min(used[scene] for scene in set(samples.values())) <= 1 + spare
    for scene in used:
        turns = Counter(item.sample for item in drawn if samples[item.sample] == scene)
        assert max(turns.values()) - min(turns[f"{scene}-{task}"] for task in range(tasks)) <= 1 + spare


def test_seeds_decide_and_only_seeds() -> None:
    def draw(seed: int) -> list[plan.Drawn]:
        return plan.pairs(METHODS, layout(6, 2), 30, random.Random(seed), alike=different)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_equal_pictures_are_never_shown_and_there_may_be_too_few_others() -> None:
    def same(sample: str, first: str, second: str) -> bool:
        return {first, second} == {"a", "b"} or sample == "0-0"

    drawn = plan.pairs(METHODS[:3], layout(3, 1), 4, random.Random(0), alike=same)
    assert {frozenset((item.a, item.b)) for item in drawn} == {frozenset("ac"), frozenset("bc")}
    assert "0-0" not in {item.sample for item in drawn}
    with pytest.raises(UserError, match="--pairs 5: these runs give only 4 different pairs"):
        plan.pairs(METHODS[:3], layout(3, 1), 5, random.Random(0), alike=same)


@given(seed=st.integers(0, 1000), count=st.integers(1, 12))
def test_checks_are_plain_spread_and_balanced(seed: int, count: int) -> None:
    samples = layout(6, 3)
    shares = {name: place / 100 for place, name in enumerate(samples)}
    drawn = plan.checks(samples, shares, count, random.Random(seed))
    assert len(drawn) == min(count, 9)
    assert len({item.sample for item in drawn}) == len(drawn)
    assert min(shares[item.sample] for item in drawn) >= sorted(shares.values())[9]
    used = Counter(samples[item.sample] for item in drawn)
    assert max(used.values()) == -(-len(drawn) // 3)  # the larger half is of three scenes
    sides = Counter(item.right for item in drawn)
    assert abs(sides["A"] - sides["B"]) <= 1


@given(seed=st.integers(0, 1000), pairs=st.integers(1, 40), checks=st.integers(1, 6))
def test_checks_come_all_along(seed: int, pairs: int, checks: int) -> None:
    shown = [plan.Drawn(str(place), "a", "b") for place in range(pairs)]
    tests = [plan.DrawnCheck(f"check {place}", "A") for place in range(checks)]
    order = plan.interleaved(shown, tests, random.Random(seed))
    assert [item for item in order if isinstance(item, plan.Drawn)] == shown
    places = [place for place, item in enumerate(order) if isinstance(item, plan.DrawnCheck)]
    assert len(places) == checks
    for turn, place in enumerate(places):
        assert turn * pairs / checks - 1 <= place - turn <= (turn + 1) * pairs / checks + 1
