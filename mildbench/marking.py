"""What mask a method is shown of what is to be erased.

What must change is the same whatever is shown: everything that erasing these people changes, soft edges and shadows
included (`Triplet.mask`, the region `mask` of the scores). A user or a segmenter marks less, or more: the choice is
between the names in `MARKINGS`. All of them are exact integer functions of the sample, so that everybody shows the
same mask.

With `person`, what goes with the people and is not marked (their shadows, and the soft edges around them) is the
region `effect`. The pasted variant keeps the input outside the mask that was *shown*: by construction it leaves
shadows where they are, unless the mask is grown. How well a method removes them is told by the raw output.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import cv2
import numpy as np

from mildbench.errors import UserError, did_you_mean
from mildbench.geometry import Box
from mildbench.scene import Triplet

FOOTPRINT, PERSON, BOX, SCRIBBLE = "footprint", "person", "box", "scribble"
MARKINGS = {
    FOOTPRINT: "every pixel that erasing changes: soft edges and shadows too",
    PERSON: "what is seen of the erased people, without their shadows and soft edges; shadows must go all the same",
    BOX: "for each erased person the bounding box of what is seen of them",
    SCRIBBLE: "strokes of a brush over each erased person, the same whenever the sample is read",
}
"""Name -> what is marked."""

_STROKES, _BENDS = 2, 5
"""Strokes a person, and the points of each, from head to feet."""
_BRUSH = 14
"""The brush's radius is this part of the side of a square as large as the person."""


def check(mask: str) -> None:
    """Raise `UserError`, with a suggestion, for what is not in `MARKINGS`."""
    if mask not in MARKINGS:
        raise UserError(f"unknown mask {mask!r}: {did_you_mean(mask, MARKINGS)}")


def marked(triplet: Triplet, mask: str) -> Triplet:
    """The triplet with what a method is shown of it: `shown`, and for `person` the region `effect`.

    Args:
        triplet: of known people, with its final id.
        mask: one of `MARKINGS`. `footprint` changes nothing.
    """
    check(mask)
    if mask == FOOTPRINT:
        return triplet
    people = triplet.people
    assert people is not None
    # Where an erased person is seen but nothing changes, one who stays lies on top, opaque.
    seen = [people.visible[k] & triplet.mask for k in triplet.targets]
    if mask == BOX:
        parts = [Box.around(one).filled(one.shape) for one in seen]
    elif mask == SCRIBBLE:
        parts = [
            _scribble(one, f"{triplet.id}\0{people.ids[k]}")
            for k, one in zip(triplet.targets, seen, strict=True)
        ]
    else:
        parts = seen
    shown = np.any(parts, axis=0) if parts else np.zeros_like(triplet.mask)
    return replace(triplet, shown=shown, effect=triplet.mask & ~shown if mask == PERSON else triplet.effect)


def _scribble(seen: np.ndarray, name: str) -> np.ndarray:
    """bool[H, W]: strokes from top to bottom of bool[H, W] `seen`, inside it; `name` decides where they bend."""
    rows, columns = np.nonzero(seen)  # from the top down
    area = len(rows)
    strokes = np.zeros(seen.shape, dtype=np.uint8)
    if area:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        # Raw bits: the distributions of a Generator may change with the version of numpy.
        draws = np.random.Philox(key=seed).random_raw(_STROKES * _BENDS).tolist()
        for start in range(0, len(draws), _BENDS):
            bends = draws[start : start + _BENDS]
            # A pixel of each of equal shares of the person.
            at = [(share * area + bend % area) // _BENDS for share, bend in enumerate(bends)]
            points = np.stack([columns[at], rows[at]], axis=1).astype(np.int32)
            cv2.polylines(strokes, [points], isClosed=False, color=1, thickness=1, lineType=cv2.LINE_8)
        reach = np.arange(-(radius := max(1, math.isqrt(area) // _BRUSH)), radius + 1)
        disc = reach[:, None] ** 2 + reach**2 <= radius**2
        cv2.dilate(strokes, disc.astype(np.uint8), dst=strokes)
    inside: np.ndarray = (strokes > 0) & seen
    return inside
