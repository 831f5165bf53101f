"""Blurs, sizes and gamma of float images agree with OpenCV's and with powers, and are exact sums."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.embedded.fixed_point import blur, on_grid, resample, shrink, wide_blur
from synth.gamma import to_display, to_linear

RNG = np.random.default_rng(8)


@pytest.fixture(params=[(60, 84), (61, 83, 3)])
def image(request: pytest.FixtureRequest) -> np.ndarray:
    return RNG.uniform(0, 1, request.param).astype(np.float32)


def test_the_grid_is_the_nearest_one() -> None:
    values = RNG.uniform(-4, 4, 1000)
    found = on_grid(values, 10)
    assert found.dtype == np.float32
    assert np.abs(found - values).max() <= 2**-11
    np.testing.assert_array_equal(found * 1024, np.rint(found * 1024))
    np.testing.assert_array_equal(on_grid(found, 10), found)


@pytest.mark.parametrize("sigma", [0.45, 1.6, 3.0])
def test_a_blur_is_opencvs(image: np.ndarray, sigma: float) -> None:
    np.testing.assert_allclose(blur(image, sigma), cv2.GaussianBlur(image, (0, 0), sigma), rtol=0, atol=1e-3)


def test_a_blur_may_differ_by_axis(image: np.ndarray) -> None:
    expected = cv2.GaussianBlur(image, (0, 0), sigmaX=0.7, sigmaY=2.2)
    np.testing.assert_allclose(blur(image, 0.7, 2.2), expected, rtol=0, atol=1e-3)


def test_a_blur_keeps_a_flat_image_to_the_bit(image: np.ndarray) -> None:
    flat = np.full_like(image, 0.625)
    np.testing.assert_array_equal(blur(flat, 1.7), flat)
    np.testing.assert_array_equal(wide_blur(flat, 9.0), flat)


def test_a_tiled_blur_moves_with_its_tile(image: np.ndarray) -> None:
    moved = np.roll(image, (7, -11), (0, 1))
    np.testing.assert_array_equal(
        blur(moved, 2.2, tiled=True), np.roll(blur(image, 2.2, tiled=True), (7, -11), (0, 1))
    )


def test_a_mirrored_image_has_the_mirrored_blur(image: np.ndarray) -> None:
    # Float sums in another order would differ in the last place.
    np.testing.assert_array_equal(blur(image[::-1, ::-1].copy(), 1.6), blur(image, 1.6)[::-1, ::-1])


def test_a_wide_blur_is_nearly_a_gaussian() -> None:
    smooth = blur(RNG.uniform(0, 1, (96, 96)).astype(np.float32), 2.0)
    expected = cv2.GaussianBlur(smooth, (0, 0), 9.0)
    assert np.abs(wide_blur(smooth, 9.0) - expected)[16:-16, 16:-16].max() < 0.01


def test_shrinking_takes_means_of_blocks(image: np.ndarray) -> None:
    part = image[:60, :80]
    means = part.reshape(12, 5, 16, 5, -1).astype(np.float64).mean((1, 3)).reshape(12, 16, *image.shape[2:])
    np.testing.assert_allclose(shrink(part, 5), means, rtol=0, atol=1e-5)
    assert shrink(image, 7).shape[:2] == (9, 12)
    np.testing.assert_array_equal(shrink(image, 1), on_grid(image, 16))


def test_resampling_is_opencvs(image: np.ndarray) -> None:
    for size in ((200, 131), (70, 51)):
        expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(resample(image, size), expected, rtol=0, atol=1e-5)


def test_resampling_by_a_factor_undoes_a_shrink_of_a_slope() -> None:
    slope = np.broadcast_to(np.arange(45, dtype=np.float32) / 45, (33, 45))
    back = resample(shrink(slope, 4), (45, 33), (4, 4))
    assert back.shape == slope.shape
    np.testing.assert_allclose(back[:, 4:-4], slope[:, 4:-4], rtol=0, atol=1e-4)


def test_gamma_and_back(image: np.ndarray) -> None:
    np.testing.assert_allclose(to_linear(image), image**2.2, rtol=0, atol=2e-5)
    np.testing.assert_allclose(to_display(image), image ** (1 / 2.2), rtol=0, atol=2e-5)
    ends = np.float32([0, 1])
    np.testing.assert_array_equal(to_linear(ends), ends)
    np.testing.assert_array_equal(to_display(ends), ends)
