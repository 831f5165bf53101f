"""What keypoints say about a cut-out: is somebody whole, or were the legs hidden, cut off or folded on a chair?"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.labels import KEYPOINTS

HIPS, KNEES, ANKLES, ELBOWS, WRISTS = (11, 12), (13, 14), (15, 16), (7, 8), (9, 10)
LEGS = (*KNEES, *ANKLES)

HIDDEN = 0.06
"""A joint marked as hidden and farther than this share of the height from the person's own mask is behind
something else: joints behind the person's own body lie within 0.045 in the COCO samples, the others beyond 0.09."""

LEVELS = {"nose": 0.07, "shoulder": 0.18, "hip": 0.46, "ankle": 0.96}
"""How far below the top of the head they are, as shares of an upright person's height (after Drillis & Contini, "Body
Segment Parameters", 1966; from shoulder to hip as measured on COCO's people, who seldom stand to attention)."""
SPANS = (("shoulder", "hip"), ("hip", "ankle"), ("nose", "shoulder"))
"""Which of them tell a person's size, best first."""

EARS_AT = (3, 4)
"""The ears among the keypoints."""
EARS, HEAD = 0.16, 0.32
"""Metres from ear to ear, as annotators mark them; and from the shoulders up and the ankles down."""
TALLEST_CHILD, SMALLEST_CHILD = 1.3, 0.8
"""Metres up to which somebody counts as a child, and below which none stands. Adults come out at 1.5 to 1.8."""
STRAIGHT = 0.35
"""Columns to a row by which a standing body's parts lean, at most."""
LEAST_LEG = 1.0
"""Legs to torso of whoever stands with straight legs, at least: an adult has 1.8, a toddler 1.3."""
LEAST_THIGH = 0.8
"""Thighs to shins of whoever stands, at least: those of a rider who comes straight on look shorter."""
TOP_HEAVY = 0.24
"""From the top to the shoulders, as a share of the way from the top to the ankles, of an upright adult at most: it is
0.17 to 0.22 of those in the COCO samples, and 0.25 to 0.28 of children and of whoever bends or reaches up."""
OFF_BALANCE = 0.15
"""How far beside the feet an upper body that they carry may be, at most, as a share of the height."""
FOLDED = 0.25
"""Thighs that cover less than this share of the shins' vertical extent, on both sides, belong to a seated person."""


def feet(points: np.ndarray) -> int:
    """How many ankles are annotated (float[17, 3])? Somebody behind a table or in tall grass lacks at least one."""
    return int((points[list(ANKLES), 2] > 0).sum())


def seated(points: np.ndarray) -> bool:
    """Are both thighs horizontal over upright shins (float[17, 3])? Without the seat such a person floats."""
    legs = [(points[h], points[k], points[a]) for h, k, a in zip(HIPS, KNEES, ANKLES, strict=True)]
    known = [(h[1], k[1], a[1]) for h, k, a in legs if h[2] > 0 and k[2] > 0 and a[2] > 0]
    return len(known) == 2 and all(a > k and k - h < FOLDED * (a - k) for h, k, a in known)


def stands(points: np.ndarray, mask: np.ndarray) -> bool:
    """Does somebody stand on their own feet (float[17, 3]), and neither lean on something nor lie in the air?

    Args:
        points: in the mask's pixels.
        mask: bool[H, W], the person.
    """
    shoulders, hips = _place(points, "shoulder"), _place(points, "hip")
    ankles = points[list(ANKLES)]
    ankles = ankles[ankles[:, 2] > 0]
    if shoulders is None or hips is None or not len(ankles):
        return True  # nothing says otherwise
    across, down = hips - shoulders
    middle = (shoulders[0] + hips[0]) / 2
    beside = max(ankles[:, 0].min() - middle, middle - ankles[:, 0].max())
    return bool(abs(across) <= down and beside <= OFF_BALANCE * Box.around(mask).height)


def top_heavy(points: np.ndarray, mask: np.ndarray) -> bool:
    """Are the shoulders so low that this is a child, or somebody who bends or reaches up, and not an upright adult?

    Args:
        points: float[17, 3], in the mask's pixels.
        mask: bool[H, W], the person alone.
    """
    shoulders, ankles = _place(points, "shoulder"), _place(points, "ankle")
    if shoulders is None or ankles is None:
        return False
    top = Box.around(mask).top
    return bool(shoulders[1] - top > TOP_HEAVY * (ankles[1] - top))


def hidden_leg(points: np.ndarray, mask: np.ndarray, height: float) -> bool:
    """Is a knee or an ankle behind something that is not the person?

    Args:
        points: float[17, 3], in the mask's pixels; v=1 marks a hidden joint.
        mask: bool[H, W], the person.
        height: of the person, in pixels.
    """
    legs = points[list(LEGS)]
    hidden = legs[legs[:, 2] == 1]
    return hidden.size > 0 and bool((distance_to(mask, hidden[:, :2]) > HIDDEN * height).any())


def upright(points: np.ndarray) -> tuple[float, float] | None:
    """Row of the head's top and height in pixels of somebody upright (float[17, 3]), by the parts that show.

    None where no two parts do.
    """
    for upper, lower in SPANS:
        one, other = _place(points, upper), _place(points, lower)
        if one is not None and other is not None:
            tall = float(np.hypot(*(other - one))) / (LEVELS[lower] - LEVELS[upper])
            return float(one[1]) - LEVELS[upper] * tall, tall
    return None


def childs_metres(points: np.ndarray) -> float | None:
    """How tall a child is (float[17, 3]) who stands and faces the camera; None of everybody else.

    Heads hardly grow: from ear to ear they measure `EARS` at every age, so that the smaller the body is beside the
    head, the smaller is the child. Whoever turns aside, rides, sits or bends tells nothing: a folded body looks small.
    """
    if (points[list(EARS_AT), 2] < 2).any():
        return None
    shoulders, hips, knees, ankles = (_place(points, name) for name in ("shoulder", "hip", "knee", "ankle"))
    if shoulders is None or hips is None or knees is None or ankles is None:
        return None
    for upper, lower in pairwise((shoulders, hips, knees, ankles)):
        across, down = lower - upper
        if abs(across) > STRAIGHT * down:
            return None
    torso, thigh, shin = (lower[1] - upper[1] for upper, lower in pairwise((shoulders, hips, knees, ankles)))
    if thigh + shin < LEAST_LEG * torso or thigh < LEAST_THIGH * shin:
        return None
    across, down = (float(part) for part in points[EARS_AT[0], :2] - points[EARS_AT[1], :2])
    apart = math.sqrt(across * across + down * down)  # unlike hypot, rounded alike on every CPU
    metres = HEAD + EARS * float(ankles[1] - shoulders[1]) / max(apart, 1e-6)
    return max(metres, SMALLEST_CHILD) if metres <= TALLEST_CHILD else None


def _place(points: np.ndarray, name: str) -> np.ndarray | None:
    """float64[2]: the mean of a part's keypoints, left and right, that are known."""
    part = points[[place for place, keypoint in enumerate(KEYPOINTS) if keypoint.endswith(name)]]
    known = part[part[:, 2] > 0]
    return known[:, :2].mean(axis=0) if len(known) else None


def distance_to(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float64[N]: pixels from each point (x, y of float[N, 2]) to the nearest pixel of a bool[H, W] mask.

    0 for a point that rounds to a pixel of the mask; infinity for an empty mask.
    """
    box = Box.around(mask)
    if not box.side:
        return np.full(len(points), np.inf)
    part = mask[box.place]
    # Seen from outside only the outline matters: a few hundred pixels, where a distance map has all of the image.
    inner = cv2.erode(part.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    rows, columns = np.nonzero(part & ~inner)
    across, down = points[:, :1] - (columns + box.left), points[:, 1:] - (rows + box.top)
    away = np.sqrt((across * across + down * down).min(axis=1))
    column, row = np.rint(points - (box.left, box.top)).astype(int).T
    inside = (column >= 0) & (column < box.width) & (row >= 0) & (row < box.height)
    inside[inside] = part[row[inside], column[inside]]
    return np.where(inside, 0, away)
