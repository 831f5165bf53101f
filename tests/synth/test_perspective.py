"""Perspective: objects of known size give back the camera that saw them, and no single one leads it astray."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth import perspective
from synth.material import SeenObject
from synth.perspective import TYPICAL, UNSURE, Ends, Perspective, draw, fit, is_close_up, standing
from synth.rng import generator

HEIGHT, WIDTH = 480, 640
STANDING = sorted(name for name, typical in TYPICAL.items() if typical.stands)


def seen(camera: Perspective, category: str, row: float, left: float = 100) -> SeenObject:
    """An object of its typical size that stands in a row, three times as tall as it is wide."""
    tall = camera.pixels(TYPICAL[category].metres, row)
    return SeenObject(category, (left, row - tall, tall / 3, tall))


def scene(camera: Perspective, seed: int, count: int) -> list[SeenObject]:
    """Objects that show in full, far and near."""
    rng = np.random.default_rng(seed)
    found: list[SeenObject] = []
    while len(found) < count:
        item = seen(camera, str(rng.choice(STANDING)), float(rng.uniform(camera.horizon + 5, HEIGHT - 5)))
        found += standing([item], HEIGHT, WIDTH)
    return found


cameras = st.builds(Perspective, st.floats(80, 280), st.floats(0.8, 4.0), st.just("drawn"), st.just(0))


def some_cameras(count: int) -> list[Perspective]:
    rng = np.random.default_rng(5)
    return [Perspective(rng.uniform(80, 280), rng.uniform(0.8, 4.0), "drawn", 0) for _ in range(count)]


def apart(objects: list[SeenObject], fitted: Perspective) -> float:
    """By what share the camera is wrong about the heights of objects, in the middle one of them."""
    told = [fitted.pixels(TYPICAL[item.category].metres, sum(item.box[1::2])) for item in objects]
    return float(np.median([abs(size / item.box[3] - 1) for size, item in zip(told, objects, strict=True)]))


def test_objects_give_their_camera_back() -> None:
    """All but now and then, where few objects stand close to each other."""
    errors = []
    for seed, camera in enumerate(some_cameras(100)):
        objects = scene(camera, seed, 8 + seed % 13)
        fitted = fit(objects, HEIGHT, WIDTH)
        assert fitted is not None
        assert fitted.objects == len(objects)
        errors.append(apart(objects, fitted))
    assert np.quantile(errors, 0.98) < 0.1


def test_one_object_out_of_place_changes_little() -> None:
    errors = []
    for seed, camera in enumerate(some_cameras(100)):
        objects = scene(camera, seed, 9)
        left, top, width, tall = objects[0].box
        objects[0] = replace(objects[0], box=(left, top + tall * 0.7, width * 0.3, tall * 0.3))  # a toy
        fitted = fit(objects, HEIGHT, WIDTH)
        assert fitted is not None
        errors.append(apart(objects[1:], fitted))
    assert np.quantile(errors, 0.98) < 0.15


@settings(max_examples=25, deadline=None)
@given(cameras, st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 4))
def test_a_larger_copy_of_a_picture_has_the_same_camera(
    camera: Perspective, seed: int, count: int, factor: int
) -> None:
    objects = scene(camera, seed, count)
    larger = [replace(item, box=tuple(side * factor for side in item.box)) for item in objects]
    one, other = fit(objects, HEIGHT, WIDTH), fit(larger, HEIGHT * factor, WIDTH * factor)
    if one is None or other is None:
        assert one is other
        return
    # Few objects leave horizon and height open in turn; what they say of sizes where they stand is the same.
    rows = [item.box[1] + item.box[3] for item in objects]
    larger_sizes = [other.pixels(1.7, row * factor) / factor for row in rows]
    assert np.median([told / one.pixels(1.7, row) for told, row in zip(larger_sizes, rows, strict=True)]) == (
        pytest.approx(1, abs=0.1)
    )


def test_a_single_object_still_tells_its_own_size() -> None:
    camera = Perspective(150, 1.6, "drawn")
    fitted = fit([seen(camera, "car", 300)], HEIGHT, WIDTH)
    assert fitted is not None
    assert fitted.pixels(1.5, 300) == pytest.approx(camera.pixels(1.5, 300), rel=1e-9)


def test_the_horizon_stays_above_the_ground() -> None:
    camera = Perspective(240, 1.6, "drawn")
    objects = [seen(camera, "car", row) for row in (300, 340, 400)]
    bounded = fit(objects, HEIGHT, WIDTH, upper_edge=150)
    assert bounded is not None
    assert bounded.horizon <= 150


def test_what_tells_nothing_is_left_out() -> None:
    camera = Perspective(150, 1.6, "drawn")
    whole = seen(camera, "chair", 300)
    cut = replace(whole, box=(whole.box[0], HEIGHT - whole.box[3], *whole.box[2:]))
    at_the_side = replace(whole, box=(0.0, *whole.box[1:]))
    seated = SeenObject("person", (100, 100, 90, 120))
    on_a_table = SeenObject("bowl", (100, 200, 40, 20))
    unknown = replace(whole, category="unicorn")
    assert standing([cut, at_the_side, seated, on_a_table, unknown, whole], HEIGHT, WIDTH) == [whole]
    assert fit([cut, at_the_side, seated, on_a_table, unknown], HEIGHT, WIDTH) is None


@given(st.integers(0, 10**6))
def test_drawn_cameras_keep_their_bounds(seed: int) -> None:
    drawn = draw(generator(seed), HEIGHT, (0.2, 0.5), (1.2, 2.0))
    assert drawn == draw(generator(seed), HEIGHT, (0.2, 0.5), (1.2, 2.0))
    assert 1.2 <= drawn.camera_height <= 2.0
    assert 0.2 * HEIGHT <= drawn.horizon <= 0.5 * HEIGHT


@given(
    st.integers(0, HEIGHT),
    st.floats(1, 30),
    st.floats(1, 10),
    st.floats(200, 900),
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
)
def test_where_ground_ends_bounds_the_camera(
    edge: int, nearest: float, times: float, focal: float, shares: tuple[float, float]
) -> None:
    ends, heights, horizon = Ends(nearest, nearest * times), (1.2, 1.8), (min(shares), sum(shares))
    found = ends.middle(focal, heights, edge, HEIGHT, horizon)
    assert found.camera_height == pytest.approx(1.5)
    away = focal * found.camera_height / (edge - found.horizon)
    assert nearest * 0.999 <= away <= nearest * times * 1.001
    # The horizon is where horizons are, unless no distance has it there.
    least, most = (edge - focal * found.camera_height / end for end in (nearest, nearest * times))
    low, high = (share * HEIGHT for share in horizon)
    assert low - 0.01 <= found.horizon <= high + 0.01 or most < low + 0.01 or least > high - 0.01
    # Below the rows that are left out, no two of the cameras disagree by more than twice.
    row = edge + ends.blurred(focal, heights) + 1
    sizes = [(row - (edge - focal * 1.5 / end)) for end in (nearest, nearest * times)]
    assert max(sizes) <= UNSURE * min(sizes)


@given(cameras, st.floats(0.1, 5), st.floats(5, 700))
def test_rows_and_sizes_are_each_others_inverse(camera: Perspective, metres: float, pixels: float) -> None:
    assert camera.pixels(metres, camera.row(metres, pixels)) == pytest.approx(pixels)
    assert camera.pixels(metres, camera.horizon - 1) == 0


def test_a_meal_is_a_close_up_and_a_street_is_not() -> None:
    meal = [SeenObject("pizza", (100, 100, 300, 200)), SeenObject("fork", (50, 100, 20, 200))]
    street = [SeenObject("car", (100, 200, 120, 70)), SeenObject("traffic light", (300, 50, 20, 40))]
    assert is_close_up(meal, HEIGHT)
    assert not is_close_up(street, HEIGHT)
    assert not is_close_up(
        [SeenObject("person", (0, 0, WIDTH, HEIGHT))], HEIGHT
    )  # asks what the place is like
    assert not is_close_up([], HEIGHT)


def test_every_class_of_coco_has_a_size_and_some_stand() -> None:
    assert len(TYPICAL) == 80
    assert all(0.05 < typical.metres < 10 for typical in TYPICAL.values())
    assert {"car", "chair", "bench", "person"} <= set(STANDING)
    assert perspective.TYPICAL["stop sign"].metres == 0.75
