"""What the erase mask was painted from, by what the answer has there: methods are not shown it, so it is done here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mildbench.method import AttentionRecord, Painted, Painting

PURE = 0.9
"""A token's place shows what covers this share of it, or nothing in particular: as records have it of the input."""


def kept(record: AttentionRecord, contents: np.ndarray | None) -> AttentionRecord:
    """The record with `painted` in place of `painting`.

    `contents` is int16[H, W] of the answer, as `mildbench.regions.contents` gives it; None where people are unknown.
    """
    if record.painting is None or contents is None:
        return replace(record, painting=None)
    return replace(record, painting=None, painted=pooled(record.painting, contents))


def pooled(painting: Painting, contents: np.ndarray) -> Painted:
    """The painting's tokens pooled by content; those that are shown nothing, or whose place is mixed, are left out."""
    count, regions = painting.known.shape
    masses = np.full((count, regions, regions), np.nan, np.float32)
    tokens = np.zeros((count, regions), np.int32)
    places: dict[tuple[float, ...], int] = {}
    for entry, (boxes, seen) in enumerate(zip(painting.boxes, painting.masses, strict=True)):
        keys = [tuple(box) for box in boxes.tolist()]
        of = np.array([places.setdefault(key, _content(key, contents)) for key in keys], dtype=np.intp)
        total = seen.sum(axis=1, dtype=np.float64)
        for content in range(regions):
            mine = (of == content) & (total > 0)
            tokens[entry, content] = np.count_nonzero(mine)
            if mine.any():
                masses[entry, content] = (seen[mine] / total[mine, None]).mean(axis=0)
    return Painted(painting.layers, painting.pathways, masses, tokens, painting.known)


def _content(box: tuple[float, ...], contents: np.ndarray) -> int:
    """The content of a token's place, -1 for none."""
    height, width = contents.shape
    left, top, right, bottom = (round(side) for side in box)
    if right > width or bottom > height:  # what was added to fill up a canvas
        return -1
    inside = contents[top : max(bottom, top + 1), left : max(right, left + 1)]
    shares = np.bincount(inside.ravel()) / max(inside.size, 1)
    return int(shares.argmax()) if len(shares) and shares.max() >= PURE else -1
