"""Two networks on who is a person: what each of them decides."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mildbench.annotators.agreement import CONFIRMED, UNPOSED, agreed
from mildbench.annotators.base import Found
from mildbench.geometry import Box

SHAPE = (100, 120)


def found(*boxes: Box) -> Found:
    masks = np.array([box.filled(SHAPE) for box in boxes], bool).reshape(-1, *SHAPE)
    return Found(masks, np.linspace(0.9, 0.5, len(boxes), dtype=np.float32))


def seen(*boxes: Box) -> np.ndarray:
    return np.any([np.zeros(SHAPE, bool), *(box.filled(SHAPE) for box in boxes)], axis=0)


def test_a_confirmed_person_ends_where_people_do() -> None:
    person, theirs = Box(20, 10, 60, 90), Box(20, 10, 41, 90)
    (mask,) = agreed(found(person), seen(theirs), seen(), [seen()]).masks
    np.testing.assert_array_equal(mask, Box(20, 10, 46, 90).filled(SHAPE))  # 4.8, of 120, beyond: rounds to 5


def test_and_takes_what_is_seen_of_them_nearby() -> None:
    person, more = Box(20, 10, 40, 90), Box(40, 10, 43, 90)
    (mask,) = agreed(found(person), seen(person), seen(), [seen(more)]).masks
    np.testing.assert_array_equal(mask, person.filled(SHAPE) | more.filled(SHAPE))


def test_who_is_not_confirmed_keeps_their_outline_and_half_their_score() -> None:
    person = Box(20, 10, 40, 90)
    (mask,), (score,) = (result := agreed(found(person), seen(), seen(), [seen()])).masks, result.scores
    np.testing.assert_array_equal(mask, person.filled(SHAPE))
    np.testing.assert_allclose(score, 0.45)


def test_the_surer_come_first() -> None:
    fence, person = Box(60, 10, 80, 90), Box(10, 10, 30, 90)
    result = agreed(found(fence, person), seen(person), seen(), [seen(), seen()])
    np.testing.assert_array_equal(result.masks[0], person.filled(SHAPE))
    assert list(result.scores) == sorted(result.scores, reverse=True)


def test_large_places_where_only_the_second_sees_people_are_people() -> None:
    person, missed, speck = Box(5, 5, 25, 95), Box(60, 20, 90, 90), Box(100, 5, 103, 8)
    result = agreed(found(person), seen(person, missed, speck), seen(), [seen()])
    assert len(result.masks) == 2
    np.testing.assert_array_equal(result.masks[1], missed.filled(SHAPE))
    assert result.scores[1] == np.float32(UNPOSED)
    nobody = Found(np.zeros((0, *SHAPE), bool), np.zeros(0, np.float32))
    (mask,) = agreed(nobody, seen(missed), seen(), []).masks
    np.testing.assert_array_equal(mask, missed.filled(SHAPE))
    assert agreed(nobody, seen(), seen(), []).masks.shape == (0, *SHAPE)


def test_who_mostly_is_an_animal_is_one() -> None:
    rider, horse = Box(20, 10, 40, 50), Box(10, 40, 90, 90)
    (mask,) = agreed(found(rider, horse), seen(rider), seen(horse), [seen(), seen()]).masks
    np.testing.assert_array_equal(mask, rider.filled(SHAPE))


def test_a_piece_far_away_is_somebody_else() -> None:
    person, hand, other = Box(5, 5, 25, 65), Box(30, 30, 36, 40), Box(60, 30, 80, 60)
    both = found(person)
    both.masks[0] |= hand.filled(SHAPE) | other.filled(SHAPE)
    first, second = agreed(both, seen(person, hand, other), seen(), [seen()]).masks
    np.testing.assert_array_equal(second, other.filled(SHAPE))
    assert not (first & second).any()
    np.testing.assert_array_equal(first | second, both.masks[0])
    (alone,) = agreed(both, seen(person, hand), seen(), [seen()]).masks
    np.testing.assert_array_equal(alone, person.filled(SHAPE) | hand.filled(SHAPE))


def test_a_rider_found_with_the_horse_stays() -> None:
    rider, horse = Box(20, 10, 40, 50), Box(10, 50, 90, 90)
    both = found(rider)
    both.masks[0] |= horse.filled(SHAPE)
    (mask,) = agreed(both, seen(rider), seen(horse), [seen(rider)]).masks
    assert mask[rider.place].all()
    assert not mask[60:].any()


def test_the_rest_of_a_half_found_person_is_theirs() -> None:
    torso, whole = Box(40, 5, 60, 30), Box(40, 5, 60, 95)
    (mask,) = agreed(found(torso), seen(whole), seen(), [seen()]).masks
    np.testing.assert_array_equal(mask, whole.filled(SHAPE))


boxes = st.builds(
    lambda left, top, width, height: Box(left, top, left + width, top + height),
    st.integers(0, 90), st.integers(0, 70), st.integers(5, 30), st.integers(5, 30),
)  # fmt: skip


@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=3), st.data())
def test_nobody_gets_what_another_was_found_to_be(
    people: list[Box], second: list[Box], data: st.DataObject
) -> None:
    before = found(*people)
    closer = [seen(*data.draw(st.lists(boxes, max_size=2))) for _ in people]
    result = agreed(before, whole := seen(*second), seen(), closer)
    assert result.masks.any(axis=(1, 2)).all()
    assert ((result.scores >= 0) & (result.scores <= 1)).all()
    for mask, close in zip(before.masks, closer, strict=True):
        if (mask & (whole | close)).sum() < CONFIRMED * mask.sum():
            assert any(not (mask & ~after).any() for after in result.masks)
    of_one = before.masks & (before.masks.sum(axis=0) == 1)
    for mask in result.masks:
        assert sum((mask & own).any() for own in of_one) <= 1
    new = result.masks & ~before.masks.any(axis=0)
    assert new.sum(axis=0).max(initial=0) <= 1
    assert not (new & ~np.any([whole, *closer], axis=0)).any()
