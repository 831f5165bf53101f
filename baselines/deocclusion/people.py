"""Who is to be completed: the people who stay and whom an erased one hides, and where they may be hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baselines.deocclusion.window import Window
from baselines.people import hidden_by, touching
from mildbench.method import EraseBatch

REACH = 1.0
"""A person may be hidden this far from their visible pixels and known joints, in lengths of the longer side of
the box around these."""


@dataclass(frozen=True, eq=False)
class HiddenPerson:
    """A person who stays, and what the input says of them."""

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
    observability: np.ndarray
    """bool[H, W]: where the person could be hidden, visible pixels of those in front of them."""
    keypoints: np.ndarray | None
    """float32[17, 3]: x, y, COCO visibility."""
    parsing: np.ndarray | None
    """uint8[H, W]: the sample's visible CIHP-20 labels."""


def hidden_people(batch: EraseBatch) -> list[HiddenPerson]:
    """Everybody who stays, is seen, and may be hidden by an erased person; nobody where people are unknown."""
    if batch.instances is None or batch.targets is None:
        return []
    found = []
    for sample, (instances, targets) in enumerate(zip(batch.instances, batch.targets, strict=True)):
        near = touching(instances)
        for index, visible in enumerate(instances):
            in_front = hidden_by(near, index, through_others=True)
            seen = visible & ~batch.masks[sample]
            if index in targets or not set(in_front).intersection(targets) or not seen.any():
                continue
            keypoints = None if batch.keypoints is None else batch.keypoints[sample][index]
            crop = Window.around(_known(visible, keypoints), REACH)
            hiding: np.ndarray = np.any(instances[in_front], axis=0)
            observability = crop.inside(hiding)
            if (observability & batch.masks[sample]).any():
                parsing = None if batch.parsing is None else batch.parsing[sample]
                found.append(
                    HiddenPerson(
                        sample, index, batch.images[sample], visible, seen, observability, keypoints, parsing
                    )
                )
    return found


def _known(visible: np.ndarray, keypoints: np.ndarray | None) -> np.ndarray:
    """bool[H, W]: the visible pixels, and the joints that are known though hidden."""
    known = visible.copy()
    if keypoints is not None:
        x, y, visibility = keypoints.T
        column, row = np.rint(x).astype(int), np.rint(y).astype(int)
        inside = (row >= 0) & (row < known.shape[0]) & (column >= 0) & (column < known.shape[1])
        joints = (visibility > 0) & inside
        known[row[joints], column[joints]] = True
    return known
