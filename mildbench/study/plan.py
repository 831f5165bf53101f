"""Which pairs a study shows: spread evenly over methods and scenes, on random sides, in random order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

from mildbench.errors import UserError


@dataclass(frozen=True)
class Drawn:
    """One sample's outputs by two methods."""

    sample: str
    a: str
    """The method shown as A."""
    b: str


@dataclass(frozen=True)
class DrawnCheck:
    """A sample whose truth is shown against its input."""

    sample: str
    right: Literal["A", "B"]
    """The side of the truth."""


def pairs(
    names: Sequence[str],
    scenes: Mapping[str, str],
    count: int,
    draw: random.Random,
    *,
    alike: Callable[[str, str, str], bool],
) -> list[Drawn]:
    """Draw pairs, in random order.

    Every two methods meet equally often, within one, and each of them is A equally often, within one. Scenes take
    turns, and in a scene its samples, as far as they still have the pairs that are due.

    Args:
        names: of the methods, two or more.
        scenes: sample -> its scene.
        count: how many.
        draw: what is random; equal states, equal pairs.
        alike: (sample, method, method) -> whether their outputs are the same picture; such a pair is never shown.

    Raises:
        UserError: there are not as many different pairs.
    """
    meetings = [(first, second) for first, second in combinations(names, 2)]
    free = {meeting: {sample for sample in scenes if not alike(sample, *meeting)} for meeting in meetings}
    met, flipped = Counter[tuple[str, str]](), {meeting: draw.random() < 0.5 for meeting in meetings}
    in_scene, in_sample = Counter[str](), Counter[str]()
    found: list[Drawn] = []
    for _ in range(count):
        open_meetings = [meeting for meeting in meetings if free[meeting]]
        if not open_meetings:
            raise UserError(
                f"--pairs {count}: these runs give only {len(found)} different pairs (pictures that are the same are "
                "not shown): ask for less"
            )
        fewest = min(met[meeting] for meeting in open_meetings)
        due = [meeting for meeting in open_meetings if met[meeting] == fewest]
        turns = sorted(scenes, key=lambda one: (in_scene[scenes[one]], in_sample[one], draw.random()))
        sample = next(one for one in turns if any(one in free[meeting] for meeting in due))
        meeting = draw.choice([meeting for meeting in due if sample in free[meeting]])
        free[meeting].remove(sample)
        met[meeting] += 1
        in_scene[scenes[sample]] += 1
        in_sample[sample] += 1
        flipped[meeting] = not flipped[meeting]
        found.append(Drawn(sample, *(reversed(meeting) if flipped[meeting] else meeting)))
    draw.shuffle(found)
    return found


def checks(
    scenes: Mapping[str, str], shares: Mapping[str, float], count: int, draw: random.Random
) -> list[DrawnCheck]:
    """Samples for attention checks, each with the side of the truth, which is A and B equally often, within one.

    Nobody who looks can be in doubt: they are drawn from the half of the samples with the largest masks, of as many
    scenes as there are.

    Args:
        scenes: sample -> its scene.
        shares: sample -> the mask's share of the picture.
        count: how many at most; there are no more than samples in that half.
        draw: what is random.
    """
    clear = sorted(scenes, key=lambda sample: (-shares[sample], sample))[: (len(scenes) + 1) // 2]
    draw.shuffle(clear)
    seen = Counter[str]()
    turns = {}
    for sample in clear:
        turns[sample] = seen[scenes[sample]]
        seen[scenes[sample]] += 1
    chosen = sorted(clear, key=turns.__getitem__)[:count]
    first = draw.random() < 0.5
    return [
        DrawnCheck(sample, "A" if first == (place % 2 == 0) else "B") for place, sample in enumerate(chosen)
    ]


def interleaved(
    shown: Sequence[Drawn], tests: Sequence[DrawnCheck], draw: random.Random
) -> list[Drawn | DrawnCheck]:
    """The order of a page: the pairs in theirs, and in each equal stretch of them one check at a random place."""
    order: list[Drawn | DrawnCheck] = []
    bounds = [round(turn * len(shown) / len(tests)) for turn in range(len(tests) + 1)]
    for test, (start, end) in zip(tests, pairwise(bounds), strict=True):
        stretch: list[Drawn | DrawnCheck] = list(shown[start:end])
        stretch.insert(draw.randint(0, len(stretch)), test)
        order += stretch
    return order
