"""What an annotator found, put together where one person is several, and thinned of who is none.

Models find people one by one. On photos with many they also find an arm that belongs to somebody else, the upper half
of somebody beside the whole, and people in fences. What is numbered and erased must be people.
"""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.annotators.base import Found
from mildbench.annotators.overlay import SURE
from mildbench.regions import near

OWN_JOINTS = 2
"""Sure joints inside the own mask from which something is a person. On COCO photos real people have 7 in the middle,
parts of them, and what is no person, none."""
CLOSE_UP = 0.04
"""Share of the picture from which something is a person without them: close-ups show few joints."""
PART = 0.5
"""A mask without joints is a part of somebody whom it touches if it is at most this share of their size."""
SURE_PERSON, LARGE = 0.4, 0.003
"""Score, and share of the picture, from which something without joints that is nobody's part is a person."""
DOUBTED_SCORE, DOUBTED_POSE, DOUBTED_SIZE = 0.45, 0.25, 0.08
"""Something below all three (score; mean score of the pose's joints, those outside the mask as 0; share of the picture)
is somebody only beside a surer person. On COCO photos, and on 77 of places, this refuses 8 of 12 false people where
nobody is, and none of 201 true ones."""
SPECK = 0.05
"""A piece of a mask smaller than this share of its largest piece is noise."""
SAME = 0.6
"""Share of a mask inside another from which the two are one person."""
TOUCH = 0.008
"""How far apart two masks may lie and still touch, as a share of the picture's longer side."""


def put_together(found: Found, poses: np.ndarray | None) -> tuple[Found, int]:
    """The people among what was found, best first, and how many were too doubtful to be any.

    A mask that mostly lies in another is the same person. One that shows no joints of its own is a part of a larger
    person whom it touches; where it touches none, it is somebody if it is large and sure, else nobody. Where all
    are doubtful, nobody is there: a photo without people shows one or two such, and in a crowd most of them are real.

    Args:
        found: as an annotator gave it.
        poses: float32[N, 17, 3] of what was found: x, y in pixels and score; None where nobody looked.
    """
    masks = [_without_specks(mask) for mask in found.masks]
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    largest_first = sorted(range(len(masks)), key=lambda k: -areas[k])
    bodies = [k for k in largest_first if poses is None or _is_body(masks[k], poses[k])]
    groups = _joined([masks[k] for k in bodies], [[k] for k in bodies])
    owners = [masks[group[0]] for group in groups]
    reach = max(1, round(TOUCH * max(found.masks.shape[1:])))
    for k in largest_first:
        if k in bodies:
            continue
        around = near(masks[k], reach)
        contacts = [
            np.count_nonzero(around & owner) * (areas[k] <= PART * np.count_nonzero(owner))
            for owner in owners
        ]
        if any(contacts):
            groups[int(np.argmax(contacts))].append(k)
        elif found.scores[k] >= SURE_PERSON and areas[k] >= LARGE * masks[k].size:
            groups.append([k])
    groups = _joined([np.any([masks[k] for k in group], axis=0) for group in groups], groups)
    doubted = 0
    if poses is not None and all(_is_doubtful(masks, found.scores, poses, group) for group in groups):
        groups, doubted = [], len(groups)
    groups.sort(key=lambda group: -max(found.scores[group]))
    whole = [np.any([masks[k] for k in group], axis=0) for group in groups]
    scores = np.array([max(found.scores[group]) for group in groups], np.float32)
    return Found(np.array(whole, dtype=bool).reshape(-1, *found.masks.shape[1:]), scores), doubted


def _joined(masks: list[np.ndarray], groups: list[list[int]]) -> list[list[int]]:
    """The groups, those joined whose masks mostly lie inside a larger one's."""
    joined: list[int] = []
    found = [list(group) for group in groups]
    for place in sorted(range(len(masks)), key=lambda k: -int(np.count_nonzero(masks[k]))):
        inside = [np.count_nonzero(masks[place] & masks[other]) for other in joined]
        if max(inside, default=0) >= SAME * np.count_nonzero(masks[place]):
            found[joined[int(np.argmax(inside))]] += found[place]
        else:
            joined.append(place)
    return [found[place] for place in joined]


def _is_body(mask: np.ndarray, pose: np.ndarray) -> bool:
    """Does a mask, bool[H, W], hold joints of its own pose, float32[17, 3], or nearly fill the picture?"""
    if mask.mean() >= CLOSE_UP:
        return True
    return bool(np.count_nonzero(_own(mask, pose) & (pose[:, 2] >= SURE)) >= OWN_JOINTS)


def _is_doubtful(masks: list[np.ndarray], scores: np.ndarray, poses: np.ndarray, group: list[int]) -> bool:
    """Whether neither the score, nor any pose, nor the size says that a group of masks is a person."""
    whole = np.any([masks[k] for k in group], axis=0)
    posed = max(float((poses[k, :, 2] * _own(whole, poses[k])).mean()) for k in group)
    return bool(max(scores[group]) < DOUBTED_SCORE and posed < DOUBTED_POSE and whole.mean() < DOUBTED_SIZE)


def _own(mask: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """bool[17]: which joints of a pose, float32[17, 3], lie inside a mask, bool[H, W]."""
    columns, rows = np.rint(pose[:, :2]).astype(int).T
    height, width = mask.shape
    own = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    own[own] = mask[rows[own], columns[own]]
    return own


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """bool[H, W]: a mask, not empty, without its smallest pieces."""
    _, pieces, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    kept: np.ndarray = (areas >= SPECK * areas.max())[pieces]
    return kept & mask
