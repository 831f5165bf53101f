"""People, as FiftyOne's labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mildbench.geometry import Box
from mildbench.scene import People

SEEN = 2
"""COCO's visibility of a joint that nothing hides."""


def people_labels(fo: Any, people: People, targets: tuple[int, ...]) -> dict[str, Any]:
    """Fields of the composite: `visible` and `amodal` instance masks, and `pose`.

    The labels of one person share an index, their id, and an instance, so that the app links them. Joints that are
    unknown or outside the frame have no place; `visibility` says of the others whether somebody hides them (1) or
    not (2). Nobody's mask is empty: a person of whom nothing is visible has only the amodal one.
    """
    height, width = people.parsing.shape
    ratios, shares = people.visible_ratio(), people.occlusion()
    found: dict[str, list[Any]] = {"visible": [], "amodal": [], "pose": []}
    for k, person in enumerate(people.ids):
        shared = {
            "label": people.categories[k],
            "index": person,
            "instance": fo.Instance(),
            "erased": k in targets,
            "occlusion_ratio": round(1 - float(ratios[k]), 4),
            "hidden_by": [people.ids[front] for front in np.flatnonzero(shares[:, k])],
            "z": k,
        }
        for name, mask in (("visible", people.visible[k]), ("amodal", people.amodal[k])):
            if mask.any():
                found[name].append(fo.Detection(**_masked(mask), **shared))
        joints = people.keypoints[k].astype(np.float64)
        visibility = joints[:, 2].astype(int)
        if visibility.any():
            # Pixel centres lie at integers, FiftyOne's picture from 0 to 1 between pixel edges.
            places = (joints[:, :2] + 0.5) / (width, height)
            places[visibility == 0] = np.nan
            found["pose"].append(
                fo.Keypoint(
                    points=[(x, y) for x, y in places.tolist()],
                    visibility=visibility.tolist(),
                    hidden_joints=int(((visibility > 0) & (visibility < SEEN)).sum()),
                    **shared,
                )
            )
    return {
        "visible": fo.Detections(detections=found["visible"]),
        "amodal": fo.Detections(detections=found["amodal"]),
        "pose": fo.Keypoints(keypoints=found["pose"]),
    }


def _masked(mask: np.ndarray) -> dict[str, Any]:
    """Box (x, y, width, height as shares of the picture) and mask inside it, of bool[H, W] with some pixel set."""
    height, width = mask.shape
    box = Box.around(mask)
    return {
        "bounding_box": [box.left / width, box.top / height, box.width / width, box.height / height],
        "mask": mask[box.place],
    }
