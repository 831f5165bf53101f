"""Exact operations against plain references, and wherever in memory their pixels lie.

That they give the same bits on other CPUs is shown in `tests/portability`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth import exact

SIDES = st.integers(1, 70)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint8[h, w, c]: smooth in places, noisy in others, with black and white."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 6), max(2, width // 6), channels), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height)).reshape(height, width, channels)
    noisy = rng.integers(0, 256, smooth.shape, dtype=np.uint8)
    return np.where(rng.random((height, width, 1)) < 0.2, noisy, smooth)


def mask(height: int, width: int, seed: int = 0) -> np.ndarray:
    """bool[h, w]: some scattered pixels, at least one."""
    found = np.random.default_rng(seed).random((height, width)) < 0.02
    found[height // 2, width // 3] = True
    return found


@settings(max_examples=60, deadline=None)
@given(old=st.tuples(SIDES, SIDES), share=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)))
def test_shrinking_averages_areas(old: tuple[int, int], share: tuple[float, float]) -> None:
    before = picture(*old)
    height, width = (max(1, round(n * s)) for n, s in zip(old, share, strict=True))
    after = exact.resize(before, (width, height))
    rows, columns = (overlaps(n, m) for n, m in zip(old, (height, width), strict=True))
    mean = np.einsum("ih,jw,hwc->ijc", rows, columns, before.astype(float))
    assert after.shape == (height, width, 3)
    assert np.abs(after - mean).max() <= 0.75


def overlaps(old: int, new: int) -> np.ndarray:
    """float64[new, old]: the share of each new pixel that each old one makes up."""
    starts, borders = np.arange(new)[:, None] * old / new, np.arange(old)
    common = np.minimum(starts + old / new, borders + 1) - np.maximum(starts, borders)
    return np.clip(common, 0, None) * new / old


@settings(max_examples=60, deadline=None)
@given(
    old=st.tuples(st.integers(4, 50), st.integers(4, 50)),
    by=st.tuples(st.floats(1, 4), st.floats(1, 4)),
    channels=st.sampled_from((1, 3, 4)),
)
def test_growing_is_bicubic(old: tuple[int, int], by: tuple[float, float], channels: int) -> None:
    before = picture(*old, channels)
    height, width = (round(n * s) for n, s in zip(old, by, strict=True))
    reference = cv2.resize(before, (width, height), interpolation=cv2.INTER_CUBIC)
    after = exact.resize(before, (width, height))
    assert np.abs(after.astype(int) - reference.reshape(after.shape)).max() <= 1


def test_a_plane_is_resized_like_its_channel() -> None:
    before = picture(40, 31)
    for size in ((20, 13), (80, 99), (31, 40), (15, 90)):
        whole = exact.resize(before, size)
        assert np.array_equal(whole[..., 1], exact.resize(before[..., 1], size))
    assert np.array_equal(exact.resize(before, (31, 40)), before)


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_a_flat_picture_stays_flat(level: int) -> None:
    flat = np.full((37, 53), level, np.uint8)
    for size in ((5, 7), (53, 37), (64, 90), (9, 80)):
        assert (exact.resize(flat, size) == level).all()
    assert (exact.gaussian(flat, 2.2) == level).all()


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.6, 4.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gaussian(sigma: float, dtype: type) -> None:
    before = picture(60, 50, 1)[..., 0].astype(dtype)
    if dtype is np.uint16:
        before = before * np.uint16(257)
    reference = ndimage.gaussian_filter(before.astype(float), sigma, mode="mirror", truncate=3)
    error = np.abs(exact.gaussian(before, sigma) - reference) / np.iinfo(dtype).max
    assert error.max() <= (1.5 / 255 if sigma < 2 else 2.5 / 255)


def test_floats_are_not_blurred() -> None:
    with pytest.raises(ValueError, match="float32"):
        exact.gaussian(np.zeros((4, 4), np.float32), 1.0)


@pytest.mark.parametrize("radius", [1, 2, 7])
def test_boxes(radius: int) -> None:
    values = picture(40, 60).astype(np.float32) / 255
    reference = ndimage.uniform_filter(values.astype(float), (2 * radius + 1,) * 2 + (1,), mode="mirror")
    assert np.abs(exact.box_mean(values, radius) - reference).max() < 1e-6
    whole = picture(40, 60, 1)[..., 0].astype(np.int16) - 90
    counted = (
        ndimage.uniform_filter(whole.astype(float), 2 * radius + 1, mode="mirror") * (2 * radius + 1) ** 2
    )
    assert np.array_equal(exact.box_sum(whole, radius), np.rint(counted))


def test_steepness_is_that_of_sobels_gradient() -> None:
    grey = picture(50, 40, 1)[..., 0]
    dx, dy = (ndimage.sobel(grey.astype(int), axis, mode="mirror") for axis in (1, 0))
    assert np.array_equal(exact.steepness(grey), dx**2 + dy**2)


@pytest.mark.parametrize("seed", range(3))
def test_distances_and_nearest_values(seed: int) -> None:
    known = mask(80, 110, seed)
    true = ndimage.distance_transform_edt(~known)
    assert np.abs(exact.distance(known) - true).max() <= 0.025 * true.max()
    rows, columns = np.indices(known.shape).astype(np.uint8)
    assert np.array_equal(exact.distance(known) == 0, known)
    spread = exact.spread(np.dstack([rows, columns]), known).astype(int)
    assert known[spread[..., 0], spread[..., 1]].all()
    away = np.hypot(spread[..., 0] - rows.astype(int), spread[..., 1] - columns.astype(int))
    assert (away <= 1.05 * true + 1e-6).all()


def test_rounding_does_not_fall_on_halves() -> None:
    values = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])
    assert exact.rounded(values).tolist() == [-1, 0, 1, 2, 3]
    for near in (np.nextafter(values, -9), np.nextafter(values, 9)):
        assert np.array_equal(exact.rounded(near), exact.rounded(values))
    others = np.random.default_rng(0).uniform(-300, 300, 1000)
    assert np.array_equal(exact.rounded(others), np.rint(others))


OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "shrink": lambda image, known: exact.resize(image, (31, 44)),
    "grow": lambda image, known: exact.resize(image, (131, 144)),
    "gaussian": lambda image, known: exact.gaussian(image, 1.3),
    "box_mean": lambda image, known: exact.box_mean(image.astype(np.float32) / 255, 3),
    "box_sum": lambda image, known: exact.box_sum(image[..., 0].astype(np.int16), 4),
    "steepness": lambda image, known: exact.steepness(image[..., 0]),
    "distance": lambda image, known: exact.distance(known),
    "spread": exact.spread,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_memory_does_not_matter(name: str) -> None:
    """At odd addresses, among other allocations, and as a view of something larger."""
    image, known = picture(97, 71), mask(97, 71)
    found = {OPERATIONS[name](image, known).tobytes()}
    for offset in (1, 4, 7, 16, 20, 33, 48):
        memory = np.empty(image.nbytes + 128, np.uint8)
        moved = memory[offset : offset + image.nbytes].reshape(image.shape)
        moved[...] = image
        found.add(OPERATIONS[name](moved, known).tobytes())
    wide = np.pad(image, ((3, 2), (5, 6), (0, 0)), mode="wrap")
    found.add(OPERATIONS[name](wide[3:-2, 5:-6], np.pad(known, 1)[1:-1, 1:-1]).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_threads_do_not_matter(name: str) -> None:
    image, known = picture(397, 371), mask(397, 371)
    before = cv2.getNumThreads()
    try:
        found = set()
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.add(OPERATIONS[name](image, known).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert len(found) == 1
