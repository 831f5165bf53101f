"""What several methods derive from the people in a picture: who is hidden by whom and where, and joints as heatmaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mildbench.geometry import Box
from mildbench.method import EraseBatch
from mildbench.regions import near, ring_width

REACH = 1.0
"""A person may be hidden this far from their visible pixels and known joints, to each side: in longer sides of the
box around these. On scenes whose layers are known it misses none of what is hidden, with or without a pose; half of
it misses a thousandth without one."""


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


def hidden_by(near: np.ndarray, person: int) -> list[int]:
    """Who may hide a person, back to front: those in front who touch them, or touch one of these and are in front of
    that one: what lies between the person and them may be hidden as well.

    Only the order of people who touch matters, as it should: that of others is arbitrary.

    Args:
        near: bool[K, K], who touches whom; people are listed back to front.
        person: the person's place.
    """
    hiding: list[int] = []
    for other in range(person + 1, len(near)):
        if near[other, [person, *hiding]].any():
            hiding.append(other)
    return hiding


@dataclass(frozen=True, eq=False)
class HiddenPerson:
    """A person who stays and is to be completed, and what the input says of them."""

    sample: int
    """Place in the batch."""
    index: int
    """Place among the sample's people."""
    image: np.ndarray
    """uint8[H, W, 3], the input."""
    visible: np.ndarray
    """bool[H, W]."""
    seen: np.ndarray
    """bool[H, W]: what of `visible` is outside the erase mask. Inside it the input's colours are what is to be
    erased: soft edges and shadows of those who go."""
    in_front: np.ndarray
    """bool[H, W]: visible pixels of all who may hide the person."""
    observability: np.ndarray
    """bool[H, W]: where the person could be hidden, what of `in_front` is within `REACH`."""
    keypoints: np.ndarray | None
    """float32[17, 3]: x, y, COCO visibility."""
    parsing: np.ndarray | None
    """uint8[H, W]: the sample's visible CIHP-20 labels."""


def hidden_people(batch: EraseBatch) -> list[HiddenPerson]:
    """Everybody who is to be completed, sample by sample, back to front; nobody where people are unknown.

    One rule for every method that completes people. They stay, and are seen outside the erase mask. And somebody who
    is erased may hide them (see `hidden_by`) where they could be hidden; or the mask of somebody in front lies on
    what is seen of them, as that of a shadow does.
    """
    if batch.instances is None or batch.targets is None:
        return []
    found = []
    for sample, (instances, targets) in enumerate(zip(batch.instances, batch.targets, strict=True)):
        mask, touch = batch.masks[sample], touching(instances)
        for index, visible in enumerate(instances):
            seen = visible & ~mask
            if index in targets or not seen.any():
                continue
            hiding = hidden_by(touch, index)
            keypoints = None if batch.keypoints is None else batch.keypoints[sample][index]
            in_front: np.ndarray = np.any(instances[hiding], axis=0)
            observability = in_front & _reach(visible, keypoints)
            uncovered = set(hiding).intersection(targets) and (observability & mask).any()
            if uncovered or (max(targets, default=-1) > index and (visible & mask).any()):
                found.append(
                    HiddenPerson(
                        sample,
                        index,
                        batch.images[sample],
                        visible,
                        seen,
                        in_front,
                        observability,
                        keypoints,
                        None if batch.parsing is None else batch.parsing[sample],
                    )
                )
    return found


def _reach(visible: np.ndarray, keypoints: np.ndarray | None) -> np.ndarray:
    """bool[H, W]: where parts of a person may be of whom this is visible, who has these float32[17, 3] joints."""
    box = Box.around(visible)
    if keypoints is not None and (known := keypoints[keypoints[:, 2] > 0, :2]).size:
        # Joints beyond the picture count as at its edge.
        last = np.array(visible.shape[::-1]) - 1
        places = np.clip(np.rint(known), 0, last).astype(int)
        box = box.joined(Box(*places.min(axis=0).tolist(), *(places.max(axis=0) + 1).tolist()))
    return box.grown(round(REACH * box.side), visible.shape).filled(visible.shape)


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
