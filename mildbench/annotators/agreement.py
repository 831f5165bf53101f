"""Two networks on who is a person: one tells people apart, the other knows a person from a parking meter.

What finds people by their joints is sure of somebody where there are none, and vague about where they end. A semantic
network knows pixels of people better, and not whose they are. Together they say both.
"""

from __future__ import annotations

from collections.abc import Iterable

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
LEAST = 0.01
"""Share of the picture from which what only the second network sees is a person, or a large part of one."""
APART = 0.02
"""How far such a place may lie from somebody who was found and still be theirs, as a share of the longer side. On COCO
photos all that were as near were: of half-found people the second network sees the rest."""
UNPOSED = 0.5
"""The score of a person whom only the second network sees."""


def agreed(found: Found, whole: np.ndarray, animals: np.ndarray, closer: Iterable[np.ndarray]) -> Found:
    """The people of one network, corrected by where another sees people's pixels.

    Whoever is confirmed ends where the second network says; who is not keeps their outline. A score becomes the mean of
    itself and of the share that is confirmed. A piece far from the rest of a mask is somebody else if it is confirmed
    itself, and nobody if not. Large places where only the second network sees somebody belong to the person beside
    them, or are people too.

    Args:
        found: by the first.
        whole: bool[H, W], people's pixels by the second, which looked at the whole picture.
        animals: bool[H, W], animals' pixels, likewise: whoever is mostly those, and not confirmed, is nobody.
        closer: bool[H, W] for each of `found`: as `whole`, in a crop around them.

    Returns:
        The people, none empty, best first. No pixel that was one person's becomes another's.
    """
    side = max(whole.shape)
    taken = found.masks.any(axis=0)
    masks, scores = [], []
    for mask, score, close in zip(found.masks, found.scores, closer, strict=True):
        persons = whole | close
        share = _share(mask, persons)
        if share < CONFIRMED and _share(mask, animals) >= ANIMAL:
            continue
        if share >= CONFIRMED:
            size = np.count_nonzero(mask) ** 0.5
            kept, added = (round(min(reach * size, FARTHEST * side)) for reach in (KEPT, ADDED))
            more = persons & near(mask, added) & ~taken
            mask = (mask & near(persons, kept)) | more
            taken |= more
        main, *torn = _torn(mask)
        masks.append(main)
        scores.append((score + share) / 2)
        for piece in torn:
            if (alone := _share(piece, persons)) >= CONFIRMED:
                masks.append(piece)
                scores.append(alone / 2)
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(
        (whole & ~taken).view(np.uint8), connectivity=8
    )
    for label in range(1, count):
        if facts[label, cv2.CC_STAT_AREA] < LEAST * whole.size:
            continue
        around = near(pieces == label, round(APART * side))
        contacts = [np.count_nonzero(around & mask) for mask in masks]
        if any(contacts):
            masks[int(np.argmax(contacts))] |= pieces == label
        else:
            masks.append(pieces == label)
            scores.append(UNPOSED)
    best_first = np.argsort(-np.array(scores), kind="stable")
    stacked = np.array([masks[k] for k in best_first], dtype=bool).reshape(-1, *whole.shape)
    return Found(stacked, np.array(scores, np.float32)[best_first])


def _share(mask: np.ndarray, other: np.ndarray) -> float:
    """How much of a mask, not empty, lies in another."""
    return float(np.count_nonzero(mask & other) / np.count_nonzero(mask))


def _torn(mask: np.ndarray) -> list[np.ndarray]:
    """bool[H, W] each: a mask without the pieces that are far from its largest one, and these."""
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    largest = int(areas[1:].argmax()) + 1
    joined = set(np.unique(pieces[near(pieces == largest, round(TORN * areas[largest] ** 0.5))]))
    far = [
        pieces == label
        for label in range(1, count)
        if label not in joined and areas[label] >= PIECE * areas[largest]
    ]
    return [mask & ~np.any(far, axis=0), *far] if far else [mask]
