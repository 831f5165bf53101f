"""What several methods derive from the people in a picture: who touches and hides whom, and joints as heatmaps."""

from __future__ import annotations

import numpy as np

from mildbench.regions import near, ring_width


def touching(visible: np.ndarray) -> np.ndarray:
    """bool[K, K], symmetric: who comes within `mildbench.regions.ring_width` of whom, or of themselves.

    People who do not touch have no depth order that could matter: none is derived from their place in a list.

    Args:
        visible: bool[K, H, W].
    """
    count, height, width = visible.shape
    reach = ring_width(height, width)
    found = np.zeros((count, count), dtype=bool)
    for one in range(count):
        found[one] = (visible & near(visible[one], reach)).any(axis=(1, 2))
    return found


def hidden_by(near: np.ndarray, person: int, *, through_others: bool) -> list[int]:
    """Who may hide a person, back to front: those in front who touch them.

    Only the order of people who touch matters, as it should: that of others is arbitrary.

    Args:
        near: bool[K, K], who touches whom; people are listed back to front.
        person: the person's place.
        through_others: with those, too, who touch one of these and are in front of that one: what lies between the
            person and them may be hidden as well. De-occlusion looks so far; MILD does not, whose pathways are told of
            neighbours only.
    """
    hiding: list[int] = []
    for other in range(person + 1, len(near)):
        touched = [person, *hiding] if through_others else [person]
        if near[other, touched].any():
            hiding.append(other)
    return hiding


def joint_heatmaps(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """float32[J, h, w]: a Gaussian of height 1 at each joint, seen or hidden; nothing at an unknown one.

    Args:
        points: float32[J, 3] of x, y in pixels of the map (centres at integers) and COCO visibility.
        size: height and width of the maps.
        sigma: standard deviation in pixels.
    """
    height, width = size
    x, y, visibility = points.T[:, :, None].astype(np.float32)
    across = np.exp(-(((np.arange(width, dtype=np.float32) - x) / np.float32(sigma)) ** 2) / 2)
    down = np.exp(-(((np.arange(height, dtype=np.float32) - y) / np.float32(sigma)) ** 2) / 2)
    return down[:, :, None] * across[:, None, :] * (visibility > 0)[:, :, None]
