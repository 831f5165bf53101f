"""Label conventions used everywhere: COCO-17 keypoints and CIHP-20 parsing classes."""

from __future__ import annotations

KEYPOINTS: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""COCO-17, in COCO's order; left and right are the person's own."""

SKELETON: tuple[tuple[int, int], ...] = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
"""COCO's limbs as pairs of indices into `KEYPOINTS` (COCO's own file counts from 1)."""

KEYPOINT_FLIP: tuple[int, ...] = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Index permutation that swaps left and right, for a mirrored person."""

PARSING: tuple[str, ...] = (
    "background",
    "hat",
    "hair",
    "glove",
    "sunglasses",
    "upper-clothes",
    "dress",
    "coat",
    "socks",
    "pants",
    "torso-skin",
    "scarf",
    "skirt",
    "face",
    "left-arm",
    "right-arm",
    "left-leg",
    "right-leg",
    "left-shoe",
    "right-shoe",
)
"""CIHP-20 (Crowd Instance-level Human Parsing), index = label; left and right are the person's own."""

UNLABELLED = 255
"""A pixel that belongs to the layer but has no parsing class: a source without parsing, a carried object."""

PARSING_FLIP: dict[int, int] = {14: 15, 15: 14, 16: 17, 17: 16, 18: 19, 19: 18}
"""Parsing labels that swap when a person is mirrored."""
