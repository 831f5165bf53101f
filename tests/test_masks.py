"""Masks: what is marked, however the file says it, or one clear line."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mildbench.errors import UserError
from mildbench.masks import decode_mask, misfit, oddity

SHAPE = (60, 80)


def blob() -> np.ndarray:
    """bool: an ellipse in the lower left and a bar, so that no turn maps it onto itself."""
    drawn = cv2.ellipse(np.zeros(SHAPE, np.uint8), (22, 36), (12, 16), 0, 0, 360, 1, -1)
    drawn[4:9, 60:76] = 1
    return drawn > 0


def saved(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def palette(index: np.ndarray, colours: list[int], kind: str = "PNG", **options: Any) -> bytes:
    image = Image.frombytes("P", index.shape[::-1], index.astype(np.uint8).tobytes())
    image.putpalette(colours + [0] * (768 - len(colours)))
    return saved(image, kind, **options)


def colour(mask: np.ndarray, value: tuple[int, ...]) -> np.ndarray:
    return (mask[..., None] * np.array(value)).astype(np.uint8)


def with_alpha(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack((colours, alpha.astype(np.uint8)))


WHITE = np.full((*SHAPE, 3), 255, np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)

EXACT: dict[str, Callable[[np.ndarray], bytes]] = {
    "0 and 1": lambda m: saved(m.astype(np.uint8)),
    "0 and 255": lambda m: saved(m.astype(np.uint8) * 255),
    "0 and 90": lambda m: saved(m.astype(np.uint8) * 90),
    "1 and 2": lambda m: saved(m.astype(np.uint8) + 1),
    "one bit": lambda m: saved(Image.fromarray(m)),
    "one bit BMP": lambda m: saved(Image.fromarray(m), "BMP"),
    "one bit TIFF": lambda m: saved(Image.fromarray(m), "TIFF", compression="group4"),
    "16 bits, 0 and 1": lambda m: cv2.imencode(".png", m.astype(np.uint16))[1].tobytes(),
    "16 bits, 0 and 65535": lambda m: cv2.imencode(".png", m.astype(np.uint16) * 65535)[1].tobytes(),
    "16 bits TIFF": lambda m: saved(Image.fromarray(m.astype(np.uint16) * 300), "TIFF"),
    "grey as colours": lambda m: saved(colour(m, (255, 255, 255))),
    "red": lambda m: saved(colour(m, (255, 0, 0))),
    "dark red": lambda m: saved(colour(m, (128, 0, 0))),
    "opaque RGBA": lambda m: saved(with_alpha(colour(m, (255, 255, 255)), np.full(SHAPE, 255))),
    "alpha of white": lambda m: saved(with_alpha(WHITE, m * 255)),
    "alpha of black": lambda m: saved(with_alpha(WHITE * 0, m * 255)),
    "alpha over hidden colours": lambda m: saved(with_alpha(np.where(m[..., None], WHITE, NOISE), m * 255)),
    "alpha of white, WebP": lambda m: saved(with_alpha(WHITE, m * 255), "WEBP", lossless=True, exact=True),
    "grey and alpha": lambda m: saved(Image.fromarray(with_alpha(WHITE, m * 255)).convert("LA")),
    "palette, index 1 dark": lambda m: palette(m, [0, 0, 0, 64, 0, 0]),
    "palette of black alone": lambda m: palette(m, [0, 0, 0, 0, 0, 0]),
    "palette, white first": lambda m: palette(~m, [255, 255, 255, 0, 0, 0]),
    "palette, GIF": lambda m: palette(m, [0, 0, 0, 255, 255, 255], "GIF"),
    "palette, transparent ground": lambda m: palette(m, [9, 9, 9, 200, 30, 30], transparency=0),
    "CMYK": lambda m: saved(Image.fromarray(colour(m, (255, 255, 255))).convert("CMYK"), "TIFF"),
}


@pytest.mark.parametrize("how", EXACT)
def test_every_way_to_store_a_mask_marks_the_same(how: str) -> None:
    found = decode_mask(EXACT[how](blob()), "mask x")
    assert np.array_equal(found.marked, blob()), found.rule
    assert np.array_equal(found.numbers > 0, blob())
    assert set(np.unique(found.numbers)) == {0, 1}


@pytest.mark.parametrize("peak", [255, 180, 100, 40])
@pytest.mark.parametrize("sigma", [0.7, 2.0, 4.0])
def test_a_soft_mask_is_one_thing_cut_at_half_of_its_range(peak: int, sigma: float) -> None:
    soft = cv2.GaussianBlur(blob().astype(np.float32), (0, 0), sigma)
    soft = np.rint(soft / soft.max() * peak).astype(np.uint8)
    found = decode_mask(saved(soft), "mask x")
    assert np.array_equal(found.marked, soft > peak / 2)
    assert found.numbers.max() == 1
    wide = decode_mask(saved(cv2.resize(soft, (1280, 960), interpolation=cv2.INTER_CUBIC)), "mask x")
    assert wide.numbers.max() == 1, wide.rule


def test_a_soft_mask_in_every_channel_or_premultiplied_is_weighed_once() -> None:
    soft = cv2.GaussianBlur(blob().astype(np.uint8) * 255, (0, 0), 2)
    red = np.dstack((soft, soft // 2, soft * 0))
    for colours in (np.dstack([soft] * 3), red):
        found = decode_mask(saved(with_alpha(colours, soft)), "mask x")
        assert np.array_equal(found.marked, soft > 127), found.rule


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("peak", [255, 120])
def test_losses_change_no_more_than_the_edge(kind: str, peak: int) -> None:
    for pixels in (blob().astype(np.uint8) * peak, colour(blob(), (peak, 0, 0))):
        found = decode_mask(saved(pixels, kind, quality=60), "mask x")
        core = cv2.erode(blob().astype(np.uint8), np.ones((5, 5))) > 0
        around = cv2.dilate(blob().astype(np.uint8), np.ones((5, 5))) > 0
        assert found.marked[core].all()
        assert not found.marked[~around].any()
        assert found.numbers.max() == 1
    # A mask that went through a JPEG before it became a PNG.
    noisy = np.asarray(Image.open(io.BytesIO(saved(blob().astype(np.uint8) * 255, "JPEG", quality=50))))
    again = decode_mask(saved(noisy), "mask x")
    assert np.array_equal(again.marked, noisy > noisy.max() / 2)
    assert not decode_mask(saved(np.full(SHAPE, 3, np.uint8), kind), "mask x").marked.any()


@pytest.mark.parametrize("labels", [(1, 2, 3), (64, 128, 192), (1, 20, 7), (10, 200, 255), (1, 1000, 40)])
def test_a_label_map_marks_every_label_and_tells_them_apart(labels: tuple[int, ...]) -> None:
    plane = np.zeros(SHAPE, np.uint16)
    for label, (left, top, side) in zip(labels, ((5, 5, 20), (30, 20, 30), (24, 10, 9)), strict=True):
        plane[top : top + side, left : left + side] = label
    data = saved(plane.astype(np.uint8)) if max(labels) < 256 else cv2.imencode(".png", plane)[1].tobytes()
    found = decode_mask(data, "mask x")
    assert np.array_equal(found.marked, plane > 0)
    assert found.numbers.max() == 3
    for label in labels:
        assert len(np.unique(found.numbers[plane == label])) == 1


def test_a_palette_map_is_read_by_index_whatever_its_colours() -> None:
    index = np.zeros(SHAPE, np.uint8)
    for number, left in enumerate((2, 20, 38, 56), start=1):
        index[10:50, left : left + 15] = number
    voc = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
    dark = [0, 0, 0, 64, 0, 0, 0, 64, 0, 64, 64, 0, 0, 0, 64]
    light = [240, 240, 240, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
    for colours in (voc, dark, light):
        found = decode_mask(palette(index, colours), "mask x")
        assert np.array_equal(found.numbers, index)
        assert "index" in found.rule
    # A grey mask stored with a palette, in any order of its greys.
    soft = cv2.GaussianBlur(blob().astype(np.uint8) * 255, (0, 0), 1.5)
    levels, order = np.unique(soft), np.random.default_rng(1).permutation(len(np.unique(soft)))
    shuffled = order[np.searchsorted(levels, soft)]
    greys = np.repeat(levels[np.argsort(order)], 3).tolist()
    assert np.array_equal(decode_mask(palette(shuffled, greys), "mask x").marked, soft > 127.5)


@pytest.mark.parametrize(
    "pixels",
    [
        np.where(blob()[..., None], np.uint8([128, 0, 0]), np.uint8([0, 64, 0])),
        np.dstack((colour(blob(), (255, 0, 0))[..., :1], colour(~blob(), (0, 255, 0))[..., 1:])),
        NOISE,
        with_alpha(NOISE, blob() * 255),
    ],
)
def test_several_colours_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(UserError, match="mask x is a picture in several colours") as error:
        decode_mask(saved(pixels), "mask x")
    assert "\n" not in str(error.value)
    assert ("alpha channel" in str(error.value)) is (pixels.shape[2] == 4)


def test_nothing_marked_is_empty() -> None:
    for data in (saved(np.zeros(SHAPE, np.uint8)), saved(with_alpha(WHITE, np.zeros(SHAPE)))):
        assert not decode_mask(data, "x").marked.any()
        assert decode_mask(data, "x").rule.endswith("empty")


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_masks_are_turned_and_a_size_that_fits_only_unturned_is_told(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_mask(saved(blob(), exif=exif), "mask x")
    assert np.array_equal(found.marked, np.rot90(blob(), {3: 2, 6: 3, 8: 1}[orientation]))
    reason = misfit(found, "mask x", SHAPE, "its input")
    if orientation == 3:
        assert reason is None
    else:
        assert reason == "mask x is 60x80 as its EXIF orientation turns it (stored 80x60), its input 80x60"
    assert misfit(found, "mask x", (7, 9, 3), "its input") is not None


def test_odd_shares_are_remarked_on() -> None:
    mask = np.zeros((200, 200), bool)
    mask[0, :3] = True
    assert oddity(mask) == "mark under 0.01% of the picture"
    assert oddity(~mask) == "mark over 90% of the picture"
    mask[:50] = True
    assert oddity(mask) is None
    person = np.ones((200, 200), bool)
    person[20:180, 40:160] = False
    assert oddity(person) == "mark all around the picture's border"
    person[:, :100] = False
    assert oddity(person) is None
