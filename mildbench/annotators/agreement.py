"""Two networks on who is a person: one tells people apart, the other knows a person from a parking meter.

What finds people by their joints is sure of somebody where there are none, and vague about where they end. A semantic
network knows pixels of people better, and not whose they are. Together they say both.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mildbench.annotators.base import Found
from mildbench.regions import near

CONFIRMED = 0.2
"""Share of a person that is seen as a person's, from which the other network says where this one ends. On COCO photos
85 % of who is no person have less, and 20 % of true people, most of them small."""
KEPT, ADDED = 0.2, 0.3
"""How far from what is seen as a person's a confirmed mask may reach, and how far beyond itself it takes what is, as
a share of its size (the root of its area)."""
FARTHEST = 0.04
"""The same two, at most, as a share of the picture's longer side."""
ANIMAL = 0.5
"""Share of a person that is seen as an animal's, from which it is the animal. On COCO photos so are 11 cows, dogs and
pigeons, and one of 290 masks of people."""
TORN, PIECE = 0.5, 0.05
"""A piece of a mask farther from the largest piece than this share of that one's size, and not smaller than this share
of its area, is not the same person's. On COCO photos such are somebody else (17), nobody (25), rarely the same (3)."""
APART = 0.01
"""Share of the longer side beyond which what is seen as a person's belongs to nobody who was found."""
LEAST = 0.01
"""Share of the picture from which that is a person of its own."""
UNPOSED = 0.5
"""The score of such a one."""


def agreed(found: Found, whole: np.ndarray, animals: np.ndarray, closer: Sequence[np.ndarray]) -> Found:
    """The people of one network, corrected by where another sees people's pixels.

    A score becomes the mean of itself and of the share that is confirmed. Whoever is confirmed ends where the second
    network says; who is not keeps their outline. A piece far from the rest is somebody else if it is confirmed itself,
    and nobody if not. Large places where only the second network sees somebody are people too.

    Args:
        found: by the first.
        whole: bool[H, W], people's pixels by the second, which looked at the whole picture.
        animals: bool[H, W], animals' pixels, likewise: whoever is mostly those is nobody.
        closer: as `whole`, of each found person, in a crop around them.

    Returns:
        The people, none empty, best first. No pixel that was one person's becomes another's.
    """
    side = max(whole.shape)
    taken = found.masks.any(axis=0)
    masks, scores = [], []
    for mask, score, close in zip(found.masks, found.scores, closer, strict=True):
        persons = whole | close
        area = np.count_nonzero(mask)
        if np.count_nonzero(mask & animals) >= ANIMAL * area:
            continue
        share = np.count_nonzero(mask & persons) / area
        if share >= CONFIRMED:
            kept, added = (round(min(reach * area**0.5, FARTHEST * side)) for reach in (KEPT, ADDED))
            more = persons & near(mask, added) & ~taken
            mask = (mask & near(persons, kept)) | more
            taken |= more
        main, *torn = _torn(mask)
        masks.append(main)
        scores.append((score + share) / 2)
        for piece in torn:
            share = np.count_nonzero(piece & persons) / np.count_nonzero(piece)
            if share >= CONFIRMED:
                masks.append(piece)
                scores.append(share / 2)
    alone = whole & ~near(np.any(masks, axis=0), round(APART * side)) if masks else whole
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(alone.view(np.uint8), connectivity=8)
    for label in range(1, count):
        if facts[label, cv2.CC_STAT_AREA] >= LEAST * whole.size:
            masks.append(pieces == label)
            scores.append(UNPOSED)
    best_first = np.argsort(-np.array(scores), kind="stable")
    stacked = np.array(masks, dtype=bool).reshape(-1, *whole.shape)
    return Found(stacked[best_first], np.array(scores, np.float32)[best_first])


def _torn(mask: np.ndarray) -> list[np.ndarray]:
    """bool[H, W] each: a mask without the pieces that are far from its largest one, and these."""
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    largest = int(areas[1:].argmax()) + 1
    around = near(pieces == largest, round(TORN * areas[largest] ** 0.5))
    far = [
        piece
        for label in range(1, count)
        if areas[label] >= PIECE * areas[largest] and not ((piece := pieces == label) & around).any()
    ]
    return [mask & ~np.any(far, axis=0), *far] if far else [mask]
