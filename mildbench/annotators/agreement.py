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
APART = 0.01
"""Share of the longer side beyond which what is seen as a person's belongs to nobody who was found."""
LEAST = 0.01
"""Share of the picture from which that is a person of its own."""
UNPOSED = 0.5
"""The score of such a one."""


def agreed(found: Found, whole: np.ndarray, closer: Sequence[np.ndarray]) -> Found:
    """The people of one network, corrected by where another sees people's pixels.

    A score becomes the mean of itself and of the share that is confirmed. Whoever is confirmed ends where the second
    network says; who is not keeps their outline. Large places where only it sees somebody are people too.

    Args:
        found: by the first.
        whole: bool[H, W], people's pixels by the second, which looked at the whole picture.
        closer: the same of each found person, in a crop around them.

    Returns:
        The people, none empty, best first. No pixel that was one person's becomes another's.
    """
    side = max(whole.shape)
    taken = found.masks.any(axis=0)
    masks, scores = [], []
    for mask, score, close in zip(found.masks, found.scores, closer, strict=True):
        persons = whole | close
        area = np.count_nonzero(mask)
        share = np.count_nonzero(mask & persons) / area
        scores.append((score + share) / 2)
        if share >= CONFIRMED:
            kept, added = (round(min(reach * area**0.5, FARTHEST * side)) for reach in (KEPT, ADDED))
            more = persons & near(mask, added) & ~taken
            mask = (mask & near(persons, kept)) | more
            taken |= more
        masks.append(mask)
    alone = whole & ~near(np.any(masks, axis=0), round(APART * side)) if masks else whole
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(alone.view(np.uint8), connectivity=8)
    for piece in range(1, count):
        if facts[piece, cv2.CC_STAT_AREA] >= LEAST * whole.size:
            masks.append(pieces == piece)
            scores.append(UNPOSED)
    best_first = np.argsort(-np.array(scores), kind="stable")
    stacked = np.array(masks, dtype=bool).reshape(-1, *whole.shape)
    return Found(stacked[best_first], np.array(scores, np.float32)[best_first])
