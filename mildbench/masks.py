"""Masks: what a file marks, however it was stored. The one door by which masks come in.

A mask is a soft or hard plane of grey, or it numbers what it marks (`mildbench.labelmaps`). Which of the two is seen
from the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mildbench import decoding, labelmaps
from mildbench.errors import UserError
from mildbench.images import read_file

_NOISE = 16
"""What is darker in a lossy file is its black."""
_HUE_TOLERANCE = 40
"""Levels of 255 by which a colour may be off the line from black to the mask's brightest colour."""
_INDEXES = "palette index: "
MOST, LEAST = 0.9, 0.0001
"""Shares of the picture above and below which a mask is worth a word."""
_AROUND = 0.95
"""Share of the picture's border above which it is, too: what stays is in the middle, as in an inverted mask."""


@dataclass(frozen=True, eq=False)
class Mask:
    """What a mask file marks, turned as EXIF says."""

    marked: np.ndarray
    """bool[H, W]."""
    numbers: np.ndarray
    """uint8[H, W]: 1 .. K where the file tells K things apart, 1 where it does not, 0 where nothing is marked."""
    rule: str
    """How the file was understood, to be told and recorded."""
    stored_size: tuple[int, int]
    """Width and height before turning."""


def oddity(marked: np.ndarray) -> str | None:
    """What is odd about what bool[H, W] marks of the picture, if anything."""
    share = float(marked.mean())
    if share > MOST:
        return f"mark over {MOST:.0%} of the picture"
    if marks_around(marked):
        return "mark all around the picture's border"
    return f"mark under {LEAST:.2%} of the picture" if share < LEAST else None


def marks_around(marked: np.ndarray) -> bool:
    """Whether bool[H, W] marks the picture's border, and something else stays."""
    border = np.concatenate((marked[0], marked[-1], marked[:, 0], marked[:, -1]))
    return bool(border.mean() > _AROUND and not marked.all())


def read_mask(path: Path, what: str = "mask") -> Mask:
    """Read a mask; raises `UserError` for a file that cannot be one."""
    return decode_mask(read_file(path, what), f"{what} {path}")


def decode_mask(data: bytes, what: str) -> Mask:
    """`read_mask` of a file's bytes; `what` names it in errors."""
    with decoding.within_memory(what):
        opened = decoding.open_picture(data, what)
        plane, origin = _plane(opened)
        if opened.lossy and not origin:
            labelmaps.refuse_smeared(plane, what)
        marked, numbers, rule = _understand(plane, opened.lossy, indexes=origin == _INDEXES)
        return Mask(marked, numbers, f"{origin}{rule}", opened.stored_size)


def numbered(values: np.ndarray) -> np.ndarray:
    """uint8[H, W]: a number for each person, 0 for nobody, of a mask's values, uint8[H, W].

    They are understood as those of a PNG file are: white, soft white, or labels.
    """
    return _understand(values, lossy=False, indexes=False)[1]


def separate(numbers: np.ndarray) -> np.ndarray:
    """bool[K, H, W]: what a map [H, W] of whole numbers tells apart, by number; 0 and less is nothing."""
    masks = np.array([numbers == value for value in np.unique(numbers[numbers > 0])], dtype=bool)
    return masks.reshape(-1, *numbers.shape)


def misfit(mask: Mask, what: str, shape: tuple[int, ...], of: str) -> str | None:
    """Why a mask does not fit a picture of `shape` (height and width first); None when it does.

    What has the right size only before it is turned gets both sizes told: one of the two files was turned without the
    other.
    """
    height, width = mask.marked.shape
    if (height, width) == shape[:2]:
        return None
    found = f"{width}x{height}"
    if mask.stored_size == (shape[1], shape[0]):
        found = f"{found} as its EXIF orientation turns it (stored {shape[1]}x{shape[0]})"
    return f"{what} is {found}, {of} {shape[1]}x{shape[0]}"


def _plane(opened: decoding.Opened) -> tuple[np.ndarray, str]:
    """uint8 or uint16[H, W], larger is more marked (or labels), and where it was found."""
    values, alpha = decoding.samples(opened)
    colours = decoding.palette(opened)
    if colours is not None:
        used = np.unique(values)
        colours = np.pad(colours, ((0, max(0, 256 - len(colours))), (0, 0)))
        if alpha is not None and len(np.unique(colours[np.unique(values[alpha > 0])], axis=0)) <= 1:
            return alpha, "alpha channel: "
        grey = (colours[used] == colours[used, :1]).all()
        if grey and len(np.unique(colours[used, 0])) == len(
            used
        ):  # a grey picture that was stored with a palette
            return colours[values, 0], ""
        black = [index for index in used if not colours[index].any()]
        if len(black) == 1 and black[0] > 0:  # what writes a palette by itself orders its colours in any way
            values = np.where(values == black[0], 0, np.where(values == 0, black[0], values)).astype(
                values.dtype
            )
        return values, _INDEXES
    if alpha is not None and alpha.min() < 255:
        seen = values[alpha > 0]
        if not seen.size or (seen == seen[0]).all():
            return alpha, "alpha channel: "
        if (alpha == (values if values.ndim == 2 else values.max(axis=2))).all():
            return alpha, "alpha channel: "  # premultiplied, or the mask in every channel
        # As on a black ground: hidden colours mark nothing.
        weight = alpha.astype(np.float32) / 255
        values = np.rint(values * (weight if values.ndim == 2 else weight[..., None])).astype(values.dtype)
    if values.ndim == 3:
        return _one_colour(
            values, opened, transparent=alpha is not None and alpha.min() < 255
        ), "one colour: "
    return values, ""


def _one_colour(values: np.ndarray, opened: decoding.Opened, *, transparent: bool) -> np.ndarray:
    """[H, W]: the brightest channel, of a picture in black and one colour; raises `UserError` for another."""
    top = values.max(axis=2)
    peak = int(top.max())
    tone = values[top == peak][0].astype(np.float32) / peak
    bright = top > (peak // 4 if opened.lossy else peak // 16)
    if opened.lossy:  # colours are smeared over edges there
        bright = cv2.erode(bright.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    off = np.abs(values[bright].astype(np.float32) - top[bright, None] * tone)
    if (off > _HUE_TOLERANCE * peak / 255).any():
        meant = "its alpha channel alone" if transparent else "a grey mask, or a label map with a palette"
        raise UserError(
            f"{opened.what} is a picture in several colours, which say nothing about what they mark: give {meant}"
        )
    return top


def _understand(plane: np.ndarray, lossy: bool, *, indexes: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """bool[H, W] marked, uint8[H, W] numbers and the rule."""
    least, most = int(plane.min()), int(plane.max())
    if most == 0 or (lossy and most < _NOISE):
        nothing = np.zeros(plane.shape, dtype=bool)
        return nothing, nothing.astype(np.uint8), "empty"
    levels = np.unique(plane)
    if not lossy and least == 0 and len(levels) > 2:
        found = labelmaps.numbered(plane, indexes=indexes)
        if found is not None:
            numbers, rule = found
            return numbers > 0, numbers, rule
    marked = plane > (least + most) / 2 if least < most else np.ones(plane.shape, dtype=bool)
    rule = (
        f"above half of the range 0 to {most}" if most in (255, 65535) else f"above half of {least} to {most}"
    )
    if len(levels) <= 2:
        rule = "all but the darker value"
    return marked, marked.astype(np.uint8), rule
