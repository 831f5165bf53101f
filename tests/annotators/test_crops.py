"""Crops and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from mildbench.annotators.base import Picture, boxes_of
from mildbench.annotators.crops import Square, alone, lay_labels, squares_of
from mildbench.labels import UNLABELLED


@pytest.mark.parametrize(
    "square", [Square(3, 4, 20), Square(-7, -5, 30), Square(10, -9, 40), Square(0, 0, 16)]
)
def test_a_crop_of_its_own_size_comes_back_as_it_was(square: Square) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 256, (24, 32), dtype=np.uint8)
    crop = square.cut(labels, square.side)
    back = square.put_back(crop, 24, 32)
    rows, columns = np.mgrid[0:24, 0:32]
    inside = (columns >= square.left) & (columns < square.left + square.side)
    inside &= (rows >= square.top) & (rows < square.top + square.side)
    np.testing.assert_array_equal(back, np.where(inside, labels, 0))


@pytest.mark.parametrize("size", [16, 64, 100])
def test_points_land_where_their_pixels_do(size: int) -> None:
    image = np.zeros((80, 90), np.uint8)
    image[52:56, 30:34] = 255  # centre 31.5, 53.5
    square = Square.around(np.array([20, 40, 50, 60], np.float32), 1.3)
    crop = square.cut(image, size).astype(float)
    rows, columns = np.mgrid[0:size, 0:size]
    share = np.array([(crop * (grid + 0.5)).sum() / crop.sum() / size for grid in (columns, rows)])
    np.testing.assert_allclose(square.points(share), [31.5, 53.5], atol=0.6)


def test_the_others_turn_grey_and_the_picture_stays() -> None:
    image = np.full((10, 10, 3), 200, np.uint8)
    masks = np.zeros((2, 10, 10), dtype=bool)
    masks[0, :, :6] = masks[1, :, 4:] = True
    seen = alone(image, masks, 0)
    assert (seen[:, :6] == 200).all()
    assert (seen[:, 6:] == 128).all()
    assert (image == 200).all()


def test_unseen_pixels_of_a_known_person_are_carried() -> None:
    labels = np.zeros((8, 8), np.uint8)
    seen = np.zeros((8, 8), np.uint8)
    seen[:, :4] = 13
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6] = True
    lay_labels(labels, Square(0, 0, 8), seen, mask)
    assert (labels[2:6, :4] == 13).all()
    assert (labels[2:6, 4:] == UNLABELLED).all()
    assert not labels[~mask].any()
    lay_labels(labels := np.zeros((8, 8), np.uint8), Square(0, 0, 8), seen, None)
    np.testing.assert_array_equal(labels, seen)


def test_nobody_known_is_not_known_to_be_nobody() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    assert squares_of(Picture("", image), 1.0) == [Square(0, 0, 30)]
    nobody = np.zeros((0, 20, 30), dtype=bool)
    assert squares_of(Picture("", image, boxes_of(nobody), nobody), 1.0) == []
