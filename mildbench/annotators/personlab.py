"""From BodyPix's heads to people: poses by PersonLab's decoding, pixels to people by its long offsets.

G. Papandreou et al., "PersonLab: Person Pose Estimation and Instance Segmentation with a Bottom-Up, Part-Based,
Geometric Embedding Model", ECCV 2018, sections 3.1 (poses) and 3.2 (instances). Positions are y, x in pixels of
the network's input; cell i of a head lies at i * `stride`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

EDGES: tuple[tuple[int, int], ...] = (
    (0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15),
    (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16),
)  # fmt: skip
"""PoseNet's kinematic tree: parent and child, indices into COCO-17."""

SEED_SCORE = 0.3
"""A keypoint at least this sure starts a person."""
POSE_SCORE = 0.15
"""A person's mean keypoint score, below which it is dropped."""
SAME_JOINT = 20.0
"""Pixels within which two keypoints of one kind belong to one person."""
MAX_PEOPLE = 50
_EVERY = 4
"""Pixels between two that are assigned: a quarter of a cell."""


@dataclass(frozen=True, eq=False)
class Heads:
    """What BodyPix returns for one picture, N x N cells; scores are 0 .. 1, offsets y then x, in pixels."""

    keypoints: np.ndarray
    """float32[N, N, 17]."""
    short: np.ndarray
    """float32[N, N, 2, 17]: to the exact place of a keypoint nearby."""
    forward: np.ndarray
    """float32[N, N, 2, 16]: from a parent to its child along `EDGES`."""
    backward: np.ndarray
    """float32[N, N, 2, 16]: from a child to its parent."""
    long: np.ndarray
    """float32[N, N, 2, 17]: from anywhere on a person to that person's keypoints."""
    stride: int


@dataclass(frozen=True, eq=False)
class FoundPose:
    """One person's keypoints."""

    points: np.ndarray
    """float32[17, 2]: y, x."""
    scores: np.ndarray
    """float32[17]."""
    score: float
    """Their mean, over the keypoints that no better pose has claimed."""


def decode(heads: Heads) -> list[FoundPose]:
    """The poses, best seed first."""
    top = np.stack(
        [cv2.dilate(plane, np.ones((3, 3))) for plane in np.moveaxis(heads.keypoints, 2, 0)], axis=2
    )
    peaks = np.argwhere((heads.keypoints >= SEED_SCORE) & (heads.keypoints == top))
    order = np.argsort(-heads.keypoints[tuple(peaks.T)], kind="stable")
    poses: list[FoundPose] = []
    for row, column, joint in peaks[order]:
        place = np.array([row, column]) * heads.stride + heads.short[row, column, :, joint]
        if not _claimed(poses, joint, place):
            pose = _grow(heads, joint, place, poses)
            if pose.score >= POSE_SCORE:
                poses.append(pose)
        if len(poses) == MAX_PEOPLE:
            break
    return poses


def assign(heads: Heads, poses: list[FoundPose], size: int) -> np.ndarray:
    """int32[size / 4, size / 4]: the pose that every fourth pixel of the input belongs to if it is a person's.

    The distance to a pose is the mean over its certain keypoints of how far from them the pixel's long offsets point.
    """
    count = size // _EVERY
    long = upsampled(heads.long.reshape(*heads.long.shape[:2], -1), count, heads.stride // _EVERY)
    rows, columns = np.mgrid[0:count, 0:count].astype(np.float32) * _EVERY
    best = np.full((count, count), np.inf, np.float32)
    owner = np.zeros((count, count), np.int32)
    for index, pose in enumerate(poses):
        sure = np.flatnonzero(pose.scores >= min(SEED_SCORE, float(pose.scores.max())))
        distance = np.zeros((count, count), np.float32)
        for joint in sure:
            dy = rows + long[..., joint] - pose.points[joint, 0]
            dx = columns + long[..., 17 + joint] - pose.points[joint, 1]
            distance += np.hypot(dy, dx)
        distance /= sure.size
        closer = distance < best
        owner[closer], best[closer] = index, distance[closer]
    return owner


def upsampled(planes: np.ndarray, size: int, stride: int) -> np.ndarray:
    """float32[size, size(, C)]: bilinear between cells, cell i at pixel i * stride."""
    scale = np.array([[stride, 0, 0], [0, stride, 0]], np.float32)
    parts = [
        cv2.warpAffine(part, scale, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in np.array_split(
            planes, range(4, planes.shape[2], 4), axis=2
        )  # OpenCV warps four at a time
    ]
    return np.concatenate([part.reshape(size, size, -1) for part in parts], axis=2)


def _claimed(poses: list[FoundPose], joint: int, place: np.ndarray) -> bool:
    return any(np.hypot(*(pose.points[joint] - place)) <= SAME_JOINT for pose in poses)


def _grow(heads: Heads, seed: int, place: np.ndarray, others: list[FoundPose]) -> FoundPose:
    """Walk the tree from a seed keypoint: first up to the root, then down to every leaf."""
    points = np.zeros((17, 2), np.float32)
    known = np.zeros(17, dtype=bool)
    points[seed], known[seed] = place, True
    walk = [
        (child, parent, heads.backward, edge) for edge, (parent, child) in reversed(list(enumerate(EDGES)))
    ]
    walk += [(parent, child, heads.forward, edge) for edge, (parent, child) in enumerate(EDGES)]
    for source, target, offsets, edge in walk:
        if known[source] and not known[target]:
            guess = points[source] + offsets[(*_cell(heads, points[source]), slice(None), edge)]
            for _ in range(2):  # the short offset at the guess says where the joint is exactly
                cell = _cell(heads, guess)
                guess = np.array(cell) * heads.stride + heads.short[(*cell, slice(None), target)]
            points[target], known[target] = guess, True
    scores = np.array([heads.keypoints[(*_cell(heads, points[k]), k)] for k in range(17)], np.float32)
    own = np.array([not _claimed(others, k, points[k]) for k in range(17)])
    return FoundPose(points, scores, float((scores * own).mean()))


def _cell(heads: Heads, place: np.ndarray) -> tuple[int, int]:
    row, column = np.clip(np.rint(place / heads.stride), 0, heads.keypoints.shape[0] - 1).astype(int)
    return int(row), int(column)
