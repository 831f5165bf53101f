"""A scene's truth as COCO annotations, extended by what COCO has no word for.

Standard fields mean what COCO says: `segmentation` (compressed RLE), `area` and `bbox` describe what is
*visible* of a person; keypoint visibility is 0 (unknown or outside the frame), 1 (hidden), 2 (seen).
Extensions: `amodal_segmentation`, `amodal_area`, `amodal_bbox` (the whole person inside the frame), `z`
(0 = rearmost), `visible_ratio`, `name` (`person` or the object's), `person_id` (the value in the instance map);
on an image, `occlusion`, a list of [front annotation, rear annotation, share of the rear person's amodal mask
that the front one covers].
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mildbench.labels import KEYPOINTS, SKELETON
from mildbench.scene import People

IDS_PER_IMAGE = 256
"""Annotation id = image id * 256 + person id: person ids are below 256."""

PERSON: dict[str, Any] = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(KEYPOINTS),
    "skeleton": [[a + 1, b + 1] for a, b in SKELETON],
}

OBJECT: dict[str, Any] = {"id": 2, "name": "object", "supercategory": "object"}
"""A moved object (OLRD); its annotation's `name` says what it is."""


def image_record(
    image_id: int, file_name: str, people: People, shares: np.ndarray, **extra: Any
) -> dict[str, Any]:
    """The entry for COCO's `images`; `shares` is `people.occlusion()`."""
    height, width = people.parsing.shape
    edges = [
        [_annotation_id(image_id, people.ids[front]), _annotation_id(image_id, people.ids[rear]), share]
        for front, rear in zip(*np.nonzero(shares), strict=True)
        for share in [round(float(shares[front, rear]), 6)]
    ]
    return {
        "id": image_id,
        "file_name": file_name,
        "height": height,
        "width": width,
        "occlusion": edges,
        **extra,
    }


def person_annotations(image_id: int, people: People) -> list[dict[str, Any]]:
    """The entries for COCO's `annotations`, back to front; a person of whom nothing is visible has area 0."""
    ratios = people.visible_ratio()
    return [
        {
            "id": _annotation_id(image_id, person),
            "image_id": image_id,
            "category_id": PERSON["id"] if people.categories[k] == "person" else OBJECT["id"],
            "name": people.categories[k],
            "iscrowd": 0,
            **_mask_fields(people.visible[k]),
            **{f"amodal_{name}": value for name, value in _mask_fields(people.amodal[k]).items()},
            "keypoints": [round(float(value), 2) for value in people.keypoints[k].ravel()],
            "num_keypoints": int((people.keypoints[k, :, 2] > 0).sum()),
            "person_id": person,
            "z": k,
            "visible_ratio": round(float(ratios[k]), 6),
        }
        for k, person in enumerate(people.ids)
    ]


def _annotation_id(image_id: int, person: int) -> int:
    return image_id * IDS_PER_IMAGE + person


def _mask_fields(mask: np.ndarray) -> dict[str, Any]:
    # Column-major, as COCO counts; OpenCV transposes several times faster than NumPy copies.
    rle = coco_mask.encode(cv2.transpose(mask.view(np.uint8)).T)
    return {
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(coco_mask.area(rle)),
        "bbox": [float(value) for value in coco_mask.toBbox(rle)],
    }
