"""Who is in a photo: parts joined, nobody counted twice, and whoever is none left out."""

from __future__ import annotations

import numpy as np
import pytest

from mildbench.annotators import census
from mildbench.annotators.base import Found
from mildbench.annotators.census import Census
from mildbench.annotators.grouping import put_together
from mildbench.errors import UserError
from mildbench.fringe import with_fringe
from mildbench.geometry import Box
from mildbench.photo import BoxedMask

SHAPE = (300, 400)


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def pose(mask: np.ndarray, joints: int) -> np.ndarray:
    """So many sure joints in the middle of the mask; the others are sure as well, and somewhere else."""
    rows, columns = np.nonzero(mask)
    points = np.full((17, 3), (-50, -50, 0.9), np.float32)
    points[:joints, :2] = columns.mean(), rows.mean()
    return points


def together(*people: tuple[np.ndarray, float, int], posed: bool = True) -> Found:
    masks = np.array([mask for mask, _, _ in people], bool).reshape(-1, *SHAPE)
    poses = np.array([pose(mask, joints) for mask, _, joints in people], np.float32).reshape(-1, 17, 3)
    scores = np.array([score for _, score, _ in people], np.float32)
    return put_together(Found(masks, scores), poses if posed else None)[0]


BODY, OTHER = box(50, 250, 100, 160), box(50, 250, 300, 360)


def test_real_people_stay_as_they_are_best_first() -> None:
    found = together((BODY, 0.5, 9), (OTHER, 0.8, 2))
    np.testing.assert_array_equal(found.masks, [OTHER, BODY])
    np.testing.assert_allclose(found.scores, [0.8, 0.5])
    assert together().masks.shape == (0, *SHAPE)


def test_the_same_person_twice_is_one() -> None:
    half = box(50, 140, 95, 160)
    for posed in (True, False):
        found = together((half, 0.9, 5), (BODY, 0.5, 9), posed=posed)
        np.testing.assert_array_equal(found.masks, [half | BODY])
        np.testing.assert_allclose(found.scores, [0.9])


def test_a_limb_belongs_to_whom_it_touches_most() -> None:
    arm = box(80, 110, 161, 190)
    neighbour = box(105, 250, 190, 250)
    found = together((BODY, 0.9, 9), (neighbour, 0.8, 9), (arm, 0.4, 0))
    np.testing.assert_array_equal(found.masks, [BODY | arm, neighbour])


def test_what_shows_no_joints_and_touches_nobody_is_nobody() -> None:
    pigeon = box(10, 25, 10, 25)
    assert len(together((BODY, 0.9, 9), (pigeon, 0.9, 1)).masks) == 1
    assert len(together((BODY, 0.9, 9), (pigeon, 0.9, 2)).masks) == 2
    assert len(together((BODY, 0.9, 9), (pigeon, 0.9, 0), posed=False).masks) == 2, "nobody looked"


def test_large_things_without_joints_may_be_people() -> None:
    turned_away = box(60, 200, 200, 230)
    close_up = box(0, 300, 170, 300)
    assert len(together((BODY, 0.9, 9), (turned_away, 0.5, 0)).masks) == 2
    assert len(together((BODY, 0.9, 9), (turned_away, 0.2, 0)).masks) == 1
    assert len(together((close_up, 0.2, 0)).masks) == 1


def test_two_people_of_one_size_are_never_one_for_touching() -> None:
    beside = box(50, 250, 161, 220)
    assert len(together((BODY, 0.9, 9), (beside, 0.9, 0)).masks) == 2


def test_doubtful_people_are_somebody_beside_a_surer_one_alone() -> None:
    """Neither sure, nor well posed, nor large: a chair where nobody is, somebody's back in a crowd."""
    chair = box(150, 250, 300, 340)
    weak = (chair, 0.3, 3)
    masks, scores, poses = (
        np.array([chair]),
        np.array([0.3], np.float32),
        np.array([pose(chair, 3)], np.float32),
    )
    alone, doubtful = put_together(Found(masks, scores), poses)
    assert (len(alone.masks), doubtful) == (0, 1)
    assert len(together(weak, (BODY, 0.9, 9)).masks) == 2
    assert len(together((chair, 0.6, 3)).masks) == 1, "its score is sure"
    assert len(together((chair, 0.3, 9)).masks) == 1, "its pose is sure"
    assert len(together((box(0, 300, 170, 300), 0.3, 3)).masks) == 1, "a close-up"
    assert len(together(weak, posed=False).masks) == 1, "nobody looked"


def test_what_goes_on_in_a_persons_colours_beside_their_mask_is_theirs() -> None:
    photo = np.full((*SHAPE, 3), (90, 140, 200), np.uint8)
    person = box(40, 260, 150, 250)
    photo[person] = 200, 60, 40
    photo[262:300] = 60, 120, 60  # ground below: not theirs
    found = box(55, 260, 155, 250)  # lacks the hair and an arm's rim
    grown = with_fringe(photo, BoxedMask.of(found)).within(Box(0, 0, 400, 300))
    assert (grown & person).sum() > 0.99 * person.sum()
    assert (grown & ~person).sum() < 0.02 * person.sum()
    plain = np.full_like(photo, 128)
    same = with_fringe(plain, BoxedMask.of(found)).within(Box(0, 0, 400, 300))
    assert same[found].all(), "nothing is taken away"
    everything = np.ones(SHAPE, bool)
    assert with_fringe(photo, BoxedMask.of(everything)).part.all()


def test_specks_are_left_out() -> None:
    spotted = BODY | box(5, 8, 5, 8)
    np.testing.assert_array_equal(together((spotted, 0.9, 9)).masks, [BODY])


@pytest.mark.parametrize("limit", [2048, 100])
def test_a_large_photo_is_looked_at_smaller_and_masks_lie_in_the_photo(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "LARGEST", limit)
    photo = np.zeros((160, 200, 3), np.uint8)
    people, labels, _ = Census.create("fake", "fake", "fake", "cpu").people("p", photo)
    scale = min(limit / 200, 1)
    assert labels is not None
    assert labels.shape == photo.shape[:2]
    expected = [(10, 10, 20, 40), (30, 20, 50, 60)]  # as the fake finds them, in the pixels that it sees
    for person, corners in zip(people, expected, strict=True):
        window = person.cut.window
        np.testing.assert_allclose(
            (window.left, window.top, window.right, window.bottom), np.array(corners) / scale, atol=1
        )
        assert person.keypoints is not None
        middle = ((window.left + window.right) / 2, (window.top + window.bottom) / 2)
        np.testing.assert_allclose(person.keypoints[0, :2], middle, atol=2)


def test_known_masks_are_kept_as_they_are() -> None:
    masks = np.stack([OTHER, BODY])
    photo = np.zeros((*SHAPE, 3), np.uint8)
    people, labels, _ = Census.create(None, None, None, "cpu").people("p", photo, masks)
    assert labels is None
    assert [person.cut.window.left for person in people] == [100, 300], "from the left"
    assert [person.cut.part.all() for person in people] == [True, True]


def test_belongings_and_shadows_go_with_their_person_when_asked() -> None:
    photo = np.full((160, 200, 3), 180, np.uint8)
    photo[56:60, 50:90] = 60  # a shadow at the feet of the second
    plain, *_ = Census.create("fake", None, None, "cpu").people("p", photo)
    assert [person.attached for person in plain] == [None, None]
    census = Census.create("fake", None, None, "cpu", belongings=True, shadows=True)
    first, second = census.people("p", photo)[0]
    assert first.attached is not None, "the backpack that the fake finds at their side"
    assert (first.attached.window.left, first.attached.window.right) == (20, 26)
    assert second.attached is not None
    assert second.attached.window.right >= 85
    with pytest.raises(
        UserError, match="--with-belongings: detectron2 knows no objects: use --people torchvision"
    ):
        Census.create("detectron2", None, None, "cpu", belongings=True)
    with pytest.raises(UserError, match="--with-belongings: a mask knows no objects"):
        Census.create(None, None, None, "cpu", belongings=True)
