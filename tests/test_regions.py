"""Regions: exact sets, clipped by the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mildbench.regions import near, paste, regions, ring_width


def disc(height: int, width: int, x: int, y: int, radius: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask > 0


def brute_force_ring(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels with a pixel of the other side within `reach`."""
    rows, columns = np.indices(mask.shape)
    ring = np.zeros_like(mask)
    for row, column in np.ndindex(mask.shape):
        near = (rows - row) ** 2 + (columns - column) ** 2 <= reach**2
        ring[row, column] = (mask[near] != mask[row, column]).any()
    return ring


@pytest.mark.parametrize(("x", "y"), [(20, 16), (0, 0), (38, 31), (-2, 10)])
def test_ring_is_the_band_on_both_sides_of_the_edge(x: int, y: int) -> None:
    mask = disc(32, 40, x, y, 9)
    assert ring_width(32, 40) == 2
    np.testing.assert_array_equal(regions(mask, None)["ring"], brute_force_ring(mask, 2))


def test_ring_scales_with_the_picture() -> None:
    assert ring_width(512, 768) == 8
    assert ring_width(1024, 2048) == 16


@pytest.mark.parametrize("filled", [False, True])
def test_a_mask_without_an_edge_has_no_ring(filled: bool) -> None:
    found = regions(np.full((20, 30), filled), None)
    assert not found["ring"].any()
    np.testing.assert_array_equal(found["outside"], ~found["mask"])


def test_mask_and_outside_divide_the_picture() -> None:
    mask = disc(32, 40, 11, 12, 7)
    found = regions(mask, mask & False)
    assert list(found) == ["full", "mask", "outside", "ring", "overlap"]
    assert found["full"].all()
    assert (found["mask"] ^ found["outside"]).all()
    assert all(region.dtype == np.bool_ and region.shape == (32, 40) for region in found.values())
    assert "overlap" not in regions(mask, None)


@pytest.mark.parametrize("distance", [0, 1, 2.5, 6, 90])
def test_near_is_what_the_whole_picture_says(distance: float) -> None:
    for x, y, radius in ((20, 16, 5), (0, 31, 3), (39, 0, 0), (20, 16, 60)):
        mask = disc(32, 40, x, y, radius)
        mask[y, x] ^= True  # a hole, or nothing at all
        rows, columns = np.nonzero(mask)
        there = np.indices(mask.shape)[..., None]
        away = np.hypot(there[0] - rows, there[1] - columns).min(axis=-1, initial=np.inf)
        np.testing.assert_array_equal(near(mask, distance), away <= distance)


def test_bad_masks_are_refused() -> None:
    mask = np.zeros((8, 9), dtype=bool)
    with pytest.raises(ValueError, match="mask is uint8"):
        regions(mask.astype(np.uint8), None)
    with pytest.raises(ValueError, match="overlap"):
        regions(mask, mask.T)


def test_paste_keeps_the_output_only_near_the_mask() -> None:
    mask = disc(32, 40, 20, 16, 5)
    image, output = np.zeros((32, 40, 3), np.uint8), np.full((32, 40, 3), 9, np.uint8)
    for dilation in (0, 3):
        taken = paste(output, image, mask, dilation)[..., 0] == 9
        kernel = np.array(
            [[x * x + y * y <= dilation**2 for x in range(-3, 4)] for y in range(-3, 4)], dtype=np.uint8
        )
        np.testing.assert_array_equal(taken, cv2.dilate(mask.astype(np.uint8), kernel) > 0)
    assert not paste(output, image, np.zeros_like(mask), 3).any()
