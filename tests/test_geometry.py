"""Boxes: the bounds of a mask, compared with OpenCV's, and what must hold of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mildbench.geometry import Box

MASKS = arrays.arrays(
    np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans(), fill=st.just(False)
)


@given(MASKS)
def test_the_box_around_a_mask_is_opencvs(mask: np.ndarray) -> None:
    box = Box.around(mask)
    assert (box.left, box.top, box.width, box.height) == cv2.boundingRect(mask.view(np.uint8))
    assert Box.around(mask.astype(np.int32) * -7) == box


@given(MASKS)
def test_a_box_holds_all_of_its_mask_and_no_row_more(mask: np.ndarray) -> None:
    box = Box.around(mask)
    filled = box.filled(mask.shape)
    assert not (mask & ~filled).any()
    assert filled.sum() == box.width * box.height
    if mask.any():
        part = mask[box.place]
        assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
        assert box.side == max(part.shape)


@given(MASKS, st.integers(0, 4))
def test_grown_is_what_a_square_brush_reaches_of_the_box(mask: np.ndarray, margin: int) -> None:
    if not mask.any():
        return
    box = Box.around(mask)
    brush = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    reached = cv2.dilate(box.filled(mask.shape).view(np.uint8), brush) > 0
    np.testing.assert_array_equal(box.grown(margin, mask.shape).filled(mask.shape), reached)


@pytest.mark.parametrize("other", [Box(5, 1, 9, 2), Box(3, 3, 4, 4), Box(0, 0, 3, 9)])
def test_joined_is_around_both(other: Box) -> None:
    box, shape = Box(2, 2, 6, 7), (10, 10)
    assert box.joined(other) == Box.around(box.filled(shape) | other.filled(shape)) == other.joined(box)
