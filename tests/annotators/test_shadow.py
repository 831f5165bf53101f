"""Shadows by brightness: found beside the feet, never mistaken for dark ground, things or other people."""

from __future__ import annotations

import numpy as np
import pytest

from mildbench.geometry import Box
from mildbench.photo import BoxedMask
from mildbench.shadow import shadow_of

SHAPE = (300, 400)


def scene(
    darkness: float = 0.5, tint: tuple[int, int, int] = (0, 0, 0)
) -> tuple[np.ndarray, BoxedMask, np.ndarray]:
    """Grainy ground, somebody in blue, and a dark bar that begins at their feet."""
    rng = np.random.default_rng(0)
    photo = np.full((*SHAPE, 3), (170, 165, 150), np.float64) + rng.normal(0, 6, (*SHAPE, 3))
    cast = np.zeros(SHAPE, dtype=bool)
    cast[190:204, 120:230] = True
    photo[cast] = photo[cast] * darkness + tint
    person = np.zeros(SHAPE, dtype=bool)
    person[60:205, 90:125] = True
    photo[person] = (20, 30, 200)
    return photo.clip(0, 255).astype(np.uint8), BoxedMask.of(person), cast & ~person


@pytest.mark.parametrize("darkness", [0.3, 0.5, 0.65])
def test_a_shadow_at_the_feet_is_found(darkness: float) -> None:
    photo, person, cast = scene(darkness)
    everybody = person.within(Box(0, 0, SHAPE[1], SHAPE[0]))
    shadow = shadow_of(photo, person, everybody)
    assert shadow is not None
    found = shadow.within(Box(0, 0, SHAPE[1], SHAPE[0]))
    assert np.count_nonzero(found & cast) / np.count_nonzero(found | cast) > 0.8
    assert not (found & everybody).any()


@pytest.mark.parametrize(
    ("darkness", "tint"), [(1.0, (0, 0, 0)), (0.95, (0, 0, 0)), (0.3, (90, 0, 0)), (0.3, (0, 0, 90))]
)
def test_light_ground_and_coloured_things_are_no_shadow(darkness: float, tint: tuple[int, int, int]) -> None:
    photo, person, _ = scene(darkness, tint)
    assert shadow_of(photo, person, person.within(Box(0, 0, SHAPE[1], SHAPE[0]))) is None


def test_dark_ground_is_no_shadow() -> None:
    photo, person, _ = scene(1.0)
    photo[150:, :][photo[150:, :, 2] < 190] //= 3
    photo[:, :200] //= 2
    assert shadow_of(photo, person, person.within(Box(0, 0, SHAPE[1], SHAPE[0]))) is None


def test_what_lies_elsewhere_or_is_somebody_else_is_no_shadow() -> None:
    photo, person, cast = scene()
    everybody = person.within(Box(0, 0, SHAPE[1], SHAPE[0]))
    assert shadow_of(photo, person, everybody | cast) is None
    high = BoxedMask(Box(90, 10, 125, 155), person.part)
    assert shadow_of(photo, high, everybody) is None
