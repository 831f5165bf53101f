"""Panoptic segmentations as pictures, as COCO stores them, and what they say of the surroundings of a hole."""

from __future__ import annotations

from typing import Any

import numpy as np

from mildbench.annotators.base import Segments
from mildbench.geometry import Box
from mildbench.images import encode_png
from mildbench.regions import near

_RING = 0.1
"""Width of the ring around a hole, as a share of the longer side of the hole's box."""


def encode_ids(labels: np.ndarray) -> bytes:
    """int32[H, W] labels of `Segments` as a PNG of segment ids, label + 1: R + 256 G + 65536 B, 0 for none."""
    ids = labels + 1
    return encode_png(np.dstack([ids & 255, ids >> 8 & 255, ids >> 16]).astype(np.uint8))


def segment_ids(drawn: np.ndarray) -> np.ndarray:
    """int32[H, W]: the segment ids in uint8[H, W, 3]."""
    return drawn.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)


def segments_info(segments: Segments) -> list[dict[str, Any]]:
    """The segments that have pixels, as COCO describes them, but for their category: `label` instead.

    `bbox` is left, top, width and height in pixels.
    """
    found = []
    for label in np.unique(segments.labels[segments.labels >= 0]).tolist():
        mask = segments.labels == label
        box = Box.around(mask)
        bounds = [box.left, box.top, box.width, box.height]
        area = int(np.count_nonzero(mask))
        found.append({"id": label + 1, "label": label, "area": area, "bbox": bounds, "iscrowd": 0})
    return found


def background_tag(segments: Segments, hole: np.ndarray) -> str | None:
    """The category of stuff that covers most of the ring around a hole, bool[H, W]; None where no stuff does.

    What the hole itself covers says nothing: that is what is to be erased. Of equal ones the first in the
    alphabet.
    """
    if not hole.any():
        return None
    reach = max(1, round(_RING * Box.around(hole).side))
    around = segments.labels[near(hole, reach) & ~hole]
    pixels: dict[str, int] = {}
    for label, count in enumerate(np.bincount(around[around >= 0], minlength=len(segments.names)).tolist()):
        if count and not segments.things[label]:
            name = segments.names[label]
            pixels[name] = pixels.get(name, 0) + count
    return min(pixels, key=lambda name: (-pixels[name], name), default=None)
