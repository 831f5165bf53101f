"""What methods are shown of what is to be erased: nested masks, the same for everybody, whoever reads them and when."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import random_scene

from mildbench.errors import UserError
from mildbench.marking import BOX, FOOTPRINT, MARKINGS, PERSON, SCRIBBLE, marked
from mildbench.scene import Layer, Person, Provenance, Scene, Triplet

seeds = st.integers(0, 2**32 - 1)


def erased(seed: int, count: int, everybody: bool) -> Triplet:
    scene = random_scene(seed, count, size=40)
    return scene.erase(range(1, count + 1) if everybody else [1 + seed % count])


@given(seeds, st.integers(1, 4), st.booleans())
def test_masks_are_nested(seed: int, count: int, everybody: bool) -> None:
    triplet = erased(seed, count, everybody)
    shown = {name: marked(triplet, name).mask_shown for name in MARKINGS}
    for inner, outer in ((PERSON, FOOTPRINT), (SCRIBBLE, PERSON), (PERSON, BOX)):
        assert not (shown[inner] & ~shown[outer]).any(), f"{inner} is not inside {outer}"
    assert shown[SCRIBBLE].any() == shown[PERSON].any() == shown[BOX].any()
    assert np.array_equal(shown[FOOTPRINT], triplet.mask)


@given(seeds, st.integers(1, 4), st.booleans())
def test_what_is_seen_and_changes_is_the_person(seed: int, count: int, everybody: bool) -> None:
    triplet = erased(seed, count, everybody)
    found = marked(triplet, PERSON)
    assert triplet.people is not None
    seen = triplet.people.visible[list(triplet.targets)].any(axis=0)
    assert np.array_equal(found.mask_shown, seen & triplet.mask)
    assert not (triplet.image != triplet.truth)[seen & ~triplet.mask].any()
    assert np.array_equal(found.mask_shown | found.effect, triplet.mask)
    assert not (found.mask_shown & found.effect).any()


@given(seeds, st.integers(1, 4), st.sampled_from(sorted(MARKINGS)))
def test_what_must_change_and_the_answer_stay(seed: int, count: int, mask: str) -> None:
    triplet = erased(seed, count, everybody=True)
    found = marked(triplet, mask)
    for name in ("image", "mask", "truth", "people", "targets"):
        assert getattr(found, name) is getattr(triplet, name)


@given(seeds, st.integers(2, 4))
def test_a_box_is_the_least_rectangle_around_each_person(seed: int, count: int) -> None:
    triplet = erased(seed, count, everybody=True)
    assert triplet.people is not None
    expected = np.zeros_like(triplet.mask)
    for visible in triplet.people.visible:
        rows, columns = np.nonzero(visible & triplet.mask)
        if rows.size:
            expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    assert np.array_equal(marked(triplet, BOX).shown, expected)


def test_a_scribble_belongs_to_the_sample() -> None:
    triplet = tall("s0")
    again, other = (marked(tall(name), SCRIBBLE).mask_shown for name in ("s0", "s1"))
    assert np.array_equal(marked(triplet, SCRIBBLE).mask_shown, again)
    assert not np.array_equal(again, other)


def test_a_scribble_runs_from_head_to_feet_and_leaves_most_of_the_person_bare() -> None:
    for name in map(str, range(20)):
        triplet = tall(name)
        person = marked(triplet, PERSON).mask_shown
        strokes = marked(triplet, SCRIBBLE).mask_shown
        rows = np.flatnonzero(strokes.any(axis=1))
        whole = np.flatnonzero(person.any(axis=1))
        assert 0.02 < strokes.sum() / person.sum() < 0.5
        assert np.ptp(rows) > 0.6 * np.ptp(whole)
        assert len(rows) == np.ptp(rows) + 1, "a stroke has no gaps"


def test_scribbles_are_drawn_exactly() -> None:
    """Of integers alone: the same on every machine, with every version of numpy and OpenCV."""
    drawn = b"".join(np.packbits(marked(tall(name), SCRIBBLE).mask_shown).tobytes() for name in "abcd")
    assert hashlib.sha256(drawn).hexdigest() == DRAWN


DRAWN = "a97ad52abb1ae9332fb6381b5a925a56f74399162e1ff70790cba8b8ac39818d"


@pytest.mark.parametrize("mask", ["persons", "", "sam-like"])
def test_an_unknown_mask_is_one_line(mask: str) -> None:
    with pytest.raises(UserError, match="unknown mask"):
        marked(tall("s0"), mask)


def tall(name: str) -> Triplet:
    """One upright person, an ellipse with a shadow beside it."""
    y, x = np.mgrid[:160, :60]
    body = ((x - 30) ** 2 * 25 + (y - 80) ** 2 * 4 <= 150**2).astype(np.uint8)
    rgba = np.dstack([np.full((160, 60, 3), 90, np.uint8), body * np.uint8(255)])
    person = Person(1, np.zeros((17, 3), np.float32), body, Provenance("test", name, "0" * 64, "CC0-1.0"))
    shadow = np.roll(body, 20, axis=1) * np.uint8(80)
    background = np.full((200, 120, 3), 200, np.uint8)
    triplet = Scene(name, background, (Layer(rgba, (20, 20), person, shadow),)).erase([1])
    return replace(triplet, id=name)
