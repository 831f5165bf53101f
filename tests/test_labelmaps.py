"""Label maps as people have them: numbered, void, resized, smeared; and soft masks that look like some."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mildbench.errors import UserError
from mildbench.masks import decode_mask

SHAPE = (120, 160)


def saved(pixels: np.ndarray, kind: str = "PNG", colours: list[int] | None = None, **options: int) -> bytes:
    image = Image.fromarray(pixels)
    if colours is not None:
        image = Image.frombytes("P", pixels.shape[::-1], pixels.tobytes())
        image.putpalette(colours + [7] * (768 - len(colours)))
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def person(left: int) -> np.ndarray:
    return cv2.ellipse(np.zeros(SHAPE, np.uint8), (left, 60), (15, 40), 0, 0, 360, 1, -1)


TWO = person(40) + 2 * person(110)
CROWD = np.zeros(SHAPE, np.uint8)
for _k in range(25):
    CROWD[_k // 5 * 24 + 2 : _k // 5 * 24 + 20, _k % 5 * 32 + 2 : _k % 5 * 32 + 28] = _k + 1


def contoured(labels: np.ndarray) -> np.ndarray:
    """With a void line, as PASCAL VOC has, half of it on the people."""
    kernel = np.ones((5, 5), np.uint8)
    line = (cv2.dilate(labels, kernel) != labels) | (cv2.erode(labels, kernel) != labels)
    return np.where(line, 255, labels).astype(np.uint8)


@pytest.mark.parametrize(
    "plane",
    [
        CROWD,
        CROWD * 10,
        CROWD.astype(np.uint16) * 1000,
        np.where(CROWD > 0, CROWD + 200, 0).astype(np.uint8),
        np.where(CROWD > 0, CROWD.astype(np.uint16) + 24000, 0).astype(np.uint16),
        np.where(CROWD == 25, 300, CROWD.astype(np.uint16)).astype(np.uint16),
    ],
)
def test_many_labels_are_as_many_people_whatever_their_numbers(plane: np.ndarray) -> None:
    found = decode_mask(cv2.imencode(".png", plane)[1].tobytes(), "mask x")
    np.testing.assert_array_equal(found.numbers, CROWD)


@pytest.mark.parametrize("most", [3, 30, 120])
@pytest.mark.parametrize("size", [(3, 5), (2, 3), (4, 9)])
def test_small_people_are_people(most: int, size: tuple[int, int]) -> None:
    plane = np.zeros(SHAPE, np.uint8)
    for k in range(most):
        y, x = k // 12 * 11 + 1, k % 12 * 13 + 1
        plane[y : y + size[1], x : x + size[0]] = k + 1
    for colours in (None, [0, 0, 0, 128, 0, 0]):
        np.testing.assert_array_equal(decode_mask(saved(plane, colours=colours), "mask x").numbers, plane)


@pytest.mark.parametrize("labels", [TWO, CROWD, np.where(TWO > 0, 15, 0).astype(np.uint8)])
@pytest.mark.parametrize("palette", [False, True])
def test_void_is_its_neighbours(labels: np.ndarray, palette: bool) -> None:
    data = saved(contoured(labels), colours=[0, 0, 0, 128, 0, 0, 0, 128, 0] if palette else None)
    found = decode_mask(data, "mask x")
    levels = np.unique(labels)
    assert "255, which is void" in found.rule
    assert found.numbers.max() == len(levels) - 1
    wrong = found.numbers != np.searchsorted(levels, labels)
    assert not wrong[contoured(labels) < 255].any()
    assert wrong.mean() < 0.01


def test_a_place_that_nobody_labelled_is_nothing() -> None:
    plane = (TWO > 0).astype(np.uint8)
    plane[:, -20:] = 255
    np.testing.assert_array_equal(decode_mask(saved(plane), "mask x").marked, plane == 1)


@pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
@pytest.mark.parametrize("size", [(320, 240), (100, 77), (640, 480)])
def test_a_label_map_that_was_resized_has_as_many_labels(way: int, size: tuple[int, int]) -> None:
    plane = cv2.resize(TWO * 100, size, interpolation=way)
    found = decode_mask(saved(plane), "mask x")
    np.testing.assert_array_equal(np.unique(found.numbers), [0, 1, 2])
    true = cv2.resize(TWO, size, interpolation=cv2.INTER_NEAREST)
    assert np.mean(found.numbers != true) < 0.02


def test_a_label_map_in_a_jpeg_is_refused_and_mended_where_it_became_a_png() -> None:
    data = saved(TWO * 100, "JPEG", quality=90)
    with pytest.raises(UserError, match="a label map in a file with losses"):
        decode_mask(data, "mask x")
    found = decode_mask(saved(np.asarray(Image.open(io.BytesIO(data)))), "mask x")
    assert found.numbers.max() == 2
    assert np.mean(found.numbers != TWO) < 0.03


@pytest.mark.parametrize("bands", [3, 8, 16])
def test_bands_that_lie_in_each_other_are_one_soft_mask(bands: int) -> None:
    soft = cv2.GaussianBlur(TWO.clip(0, 1) * 255, (31, 31), 8)
    banded = (np.rint(soft / 255 * (bands - 1)) / (bands - 1) * 255).astype(np.uint8)
    for size in (SHAPE[::-1], (960, 720)):
        plane = cv2.resize(banded, size, interpolation=cv2.INTER_NEAREST)
        found = decode_mask(saved(plane), "mask x")
        np.testing.assert_array_equal(found.marked, plane > plane.max() / 2)
        assert found.numbers.max() == 1


def test_noise_in_the_black_is_no_label() -> None:
    rng = np.random.default_rng(0)
    noisy = np.where(TWO > 0, 255, rng.integers(0, 2, SHAPE)).astype(np.uint8)
    specked = np.where(TWO > 0, 255, 0).astype(np.uint8)
    specked[5:8, 5:8] = 1
    for plane in (noisy, specked):
        found = decode_mask(saved(plane), "mask x")
        np.testing.assert_array_equal(found.marked, TWO > 0)
        assert found.numbers.max() == 1


def test_black_is_nothing_wherever_it_stands_in_a_palette() -> None:
    """A GIF, or a picture that was made to few colours, has them in any order."""
    red_first, black = [255, 0, 0, 0, 0, 0, 0, 255, 0], 1
    for labels in (TWO.clip(0, 1), TWO):
        index = np.where(labels == 0, black, np.where(labels == 1, 0, 2)).astype(np.uint8)
        found = decode_mask(saved(index, colours=red_first), "mask x")
        np.testing.assert_array_equal(found.marked, labels > 0)
        assert found.numbers.max() == labels.max()
