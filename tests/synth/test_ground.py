"""Ground: told by names where there are names, guessed seldom and rightly where there are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.ground import (
    FURTHEST,
    LEAST,
    Refusal,
    estimated_ground,
    ground_of,
    is_ground,
    panoptic_ground,
)
from synth.material import Known, Segment

HEIGHT, WIDTH = 240, 320


@pytest.mark.parametrize(
    "name",
    [
        *(
            "floor-wood",
            "floor-other-merged",
            "pavement-merged",
            "road",
            "grass-merged",
            "sand",
            "snow",
            "gravel",
        ),
        *("dirt-merged", "platform", "playingfield", "rug-merged", "ground-other", "carpet"),  # COCO
        *("road, route", "sidewalk, pavement", "earth, ground", "dirt track", "field", "floor"),  # ADE20K
        *("terrain", "Road", "playing_field"),
    ],
)
def test_people_stand_on_these(name: str) -> None:
    assert is_ground(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "water-other",
            "sea",
            "river",
            "table-merged",
            "wall-stone",
            "wall-other-merged",
            "sky-other-merged",
        ),
        *(
            "food-other-merged",
            "counter",
            "ceiling-merged",
            "building-other-merged",
            "roof",
            "railroad",
            "shelf",
        ),
        *(
            "rock-merged",
            "tree-merged",
            "swimming pool",
            "playground equipment",
            "",
            "floorlamp",
            "wall, ground",
        ),
        *("stairs", "mountain-merged", "fence-merged", "bed", "person"),
    ],
)
def test_and_not_on_these(name: str) -> None:
    assert not is_ground(name)


def segment(number: int, name: str, window: tuple[slice, slice], thing: bool = False) -> Segment:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[window] = True
    return Segment(number, name, thing, False, mask)


def test_panoptic_ground_is_its_segments_together() -> None:
    road, grass = segment(1, "road", np.s_[150:, :200]), segment(2, "grass-merged", np.s_[150:, 200:])
    others = [segment(3, "sea", np.s_[100:150]), segment(4, "rug-merged", np.s_[:50], thing=True)]
    ground = panoptic_ground([road, *others, grass], (HEIGHT, WIDTH))
    assert ground.known is Known.PANOPTIC
    assert ground.refusal is None
    assert ground.mask is not None
    assert np.array_equal(ground.mask, road.mask | grass.mask)
    assert ground.upper_edge == 150
    assert panoptic_ground([road], (HEIGHT, WIDTH), Known.ANNOTATOR).known is Known.ANNOTATOR


def test_too_little_ground_is_refused_by_reason() -> None:
    none = panoptic_ground([segment(1, "sea", np.s_[:])], (HEIGHT, WIDTH))
    assert none.refusal is Refusal.NONE
    assert none.upper_edge is None
    little = np.zeros((100, 100), dtype=bool)
    little[-1, : round(LEAST * 10000) - 1] = True
    little[-2, : max(round(LEAST * 10000) - 101, 0)] = True
    assert ground_of(Known.EXACT, little).refusal is Refusal.LITTLE
    assert ground_of(Known.EXACT, np.ones((10, 10), dtype=bool)).refusal is None
    with pytest.raises(ValueError, match="unknown"):
        ground_of(Known.UNKNOWN, little)


def field(seed: int = 0, horizon: float = 0.55, colour: tuple[int, int, int] = (105, 130, 60)) -> np.ndarray:
    """uint8[HEIGHT, WIDTH, 3]: rough ground below a calm sky."""
    rng = np.random.default_rng(seed)
    image = np.empty((HEIGHT, WIDTH, 3))
    image[:] = (150, 190, 235)
    row = round(HEIGHT * horizon)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), sigmaX=2.5, sigmaY=1.5)
    image[row:] = np.array(colour) + (rough / rough.std() * 14)[row:, :, None]
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def truth(horizon: float) -> np.ndarray:
    return np.arange(HEIGHT)[:, None] + np.zeros(WIDTH) >= round(HEIGHT * horizon)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), horizon=st.floats(0.4, 0.75))
def test_a_meadow_is_ground_up_to_its_end(seed: int, horizon: float) -> None:
    ground = estimated_ground(field(seed, horizon))
    assert ground.known is Known.ESTIMATE
    assert ground.refusal is None
    assert ground.mask is not None
    near = truth(max(horizon, FURTHEST))
    assert not (ground.mask & ~near).any()
    assert np.count_nonzero(ground.mask) > 0.8 * np.count_nonzero(near)
    assert ground.upper_edge == pytest.approx(horizon * HEIGHT, abs=0.04 * HEIGHT)


@pytest.mark.parametrize(
    "image",
    [
        field(colour=(60, 90, 130)),  # water
        field(colour=(130, 130, 132)),  # concrete, or a lake in grey weather
        field(colour=(190, 60, 40)),  # bricks, fire
        field(colour=(14, 16, 10)),  # night
        field(horizon=0.1),  # a slope, a hedge, a meal
        np.ascontiguousarray(field()[::-1]),
        np.ascontiguousarray(field().transpose(1, 0, 2)),
        np.full((HEIGHT, WIDTH, 3), (105, 130, 60), np.uint8),
        np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    ],
    ids=["water", "grey", "red", "dark", "high", "upside-down", "sideways", "flat", "noise", "black"],
)
def test_what_may_be_something_else_is_unknown(image: np.ndarray) -> None:
    ground = estimated_ground(image)
    assert (ground.known, ground.mask, ground.refusal) == (Known.UNKNOWN, None, Refusal.UNSURE)


def test_what_stands_on_the_ground_is_not_ground() -> None:
    image, box = field(), np.s_[100:200, 140:180]
    image[box] = (200, 30, 30)
    ground = estimated_ground(image)
    assert ground.mask is not None
    assert not ground.mask[110:190, 145:175].any()


def test_ground_ends_where_something_lies_across() -> None:
    image = field(horizon=0.4)
    plain = estimated_ground(image)
    image[170:180] = (60, 90, 130)  # a stream
    crossed = estimated_ground(image)
    assert plain.mask is not None
    assert plain.mask[150:165].any()
    assert crossed.mask is not None
    assert not crossed.mask[:180].any()
    assert crossed.mask[186:].mean() > 0.9


def test_what_is_behind_a_pond_may_be_another_slope() -> None:
    image = field(horizon=0.4)
    plain = estimated_ground(image)
    image[170:180, :240] = (60, 90, 130)  # a pond, which leaves a way past it
    broken = estimated_ground(image)
    assert plain.end is not None
    assert broken.end is not None
    assert plain.upper_edge == broken.upper_edge == pytest.approx(0.4 * HEIGHT, abs=4)
    assert plain.end < broken.end < 170
    known = ground_of(Known.EXACT, truth(0.4))
    assert known.end == known.upper_edge


def test_nobody_stands_in_tall_grass() -> None:
    image = field(horizon=0.4)
    row, rng = 170, np.random.default_rng(0)
    assert estimated_ground(image).mask is not None
    blades = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT - row, WIDTH)), (0, 0), sigmaX=1.5, sigmaY=6)
    image[row:] = np.clip(np.array((105, 130, 60)) + (blades / blades.std() * 14)[..., None], 0, 255)
    image[160:row] = (60, 90, 130)  # behind it water, and meadow as before
    assert estimated_ground(image).known is Known.UNKNOWN


def test_bushes_are_no_ground() -> None:
    image, bush = field(horizon=0.4, colour=(190, 160, 110)), np.s_[170:215, 60:150]
    image[bush] = image[bush] * 0.6
    ground = estimated_ground(image)
    assert ground.mask is not None
    assert not ground.mask[175:210, 70:140].any()
    assert ground.mask[175:210, 170:300].all()


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99))
def test_pictures_of_any_size_get_an_answer(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ground = estimated_ground(image)
    assert ground.mask is None or ground.mask.shape == (height, width)


def test_the_same_answer_without_fast_code() -> None:
    images = [field(seed, 0.5) for seed in range(3)]
    fast = [estimated_ground(image).mask for image in images]
    cv2.setUseOptimized(False)
    try:
        slow = [estimated_ground(image).mask for image in images]
    finally:
        cv2.setUseOptimized(True)
    for one, other in zip(fast, slow, strict=True):
        assert one is not None
        assert other is not None
        assert np.array_equal(one, other)
