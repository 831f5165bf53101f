"""Hands that hold: where a fist closes, and arms for the ways of carrying."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from synth.embedded.mannequin.body import BONE, Body
from synth.embedded.mannequin.limbs import hand_size
from synth.embedded.mannequin.mesh import F32
from synth.embedded.mannequin.pose import Arm, Pose, transforms
from synth.exact_math import norm, product


@dataclass(frozen=True)
class Hand:
    """A posed hand, in statures and the person's own frame (+x left, +y up, +z forward).

    fist: the axis of a closed fist passes here; palm: middle of the palm's surface; thumb, fingers, facing:
    unit directions of the thumb's side, the fingers and the palm. sign: +1 left, -1 right.
    """

    wrist: F32
    fist: F32
    palm: F32
    thumb: F32
    fingers: F32
    facing: F32
    size: float
    sign: int


def hand_of(body: Body, bones: F32, sign: int) -> Hand:
    """The hand of the given side under the bone transforms float32[19, 3, 4]."""
    bone = bones[BONE["hand_l" if sign > 0 else "hand_r"]]
    size = hand_size(body)
    wrist = body.wrist * np.array([sign, 1, 1], np.float32)

    def at(x: float, y: float, z: float) -> F32:
        local = np.array([x * sign, y, z], np.float32) * np.float32(size)
        return (product(bone[:, :3], wrist + local) + bone[:, 3]).astype(np.float32)

    return Hand(
        at(0, 0, 0),
        at(0, -0.5, 0.19),
        at(0, -0.36, 0.11),
        bone[:, 0] * np.float32(sign),
        -bone[:, 1],
        bone[:, 2],
        size,
        sign,
    )


def arm_of(pose: Pose, sign: int) -> Arm:
    """The arm of the given side."""
    return pose.left_arm if sign > 0 else pose.right_arm


def with_arm(pose: Pose, sign: int, arm: Arm) -> None:
    """Give the pose another arm."""
    if sign > 0:
        pose.left_arm = arm
    else:
        pose.right_arm = arm


def stretch(body: Body, pose: Pose, sign: int, palm: ArrayLike) -> None:
    """Move an arm so that the middle of its palm comes to a point of the person's frame, if it can reach."""
    target = np.asarray(palm, np.float32)
    length = float(norm(body.wrist - body.elbow) + norm(body.elbow - body.shoulder))
    # The wrist steers the palm indirectly: each step removes what is left of the miss.
    for _ in range(4):
        bones = transforms(body, pose)
        miss = target - hand_of(body, bones, sign).palm
        step = product(bones[BONE["chest"]][:, :3].T, miss) / length
        arm = arm_of(pose, sign)
        x, y, z = arm.wrist
        wrist = (x + sign * float(step[0]), y + float(step[1]), z + float(step[2]))
        with_arm(pose, sign, replace(arm, wrist=wrist))


# How each way of carrying holds the arm. x outward, z forward, in arm lengths (see `Arm`).
HANG = Arm((0.2, -0.965, 0.05), (0.4, 0.0, -1.0), (-1.0, 0.0, -0.1), 1.0)
TOW = Arm((0.36, -0.83, 0.08), (0.5, 0.0, -1.0), (-1.0, 0.0, 0.0), 1.0)
DRAG = Arm((0.24, -0.86, -0.34), (0.4, 0.0, -1.0), (-0.15, 0.0, -1.0), 1.0)
CROOK = Arm((-0.1, -0.42, 0.5), (0.5, -0.6, -0.7), (-0.5, 0.5, -0.4), 0.7, (-0.3, 0.3, 1.0))
TUCK = Arm((0.16, -0.66, 0.4), (0.8, 0.0, -0.8), (-1.0, 0.0, 0.0), 0.6)
ALOFT = Arm((0.3, -0.42, 0.42), (0.45, -1.0, -0.2), (-1.0, 0.0, 0.0), 1.0, (-0.15, 0.1, 1.0))
CANE = Arm((0.26, -0.86, 0.26), (0.4, 0.0, -1.0), (-0.6, -0.8, 0.0), 1.0, (-0.1, -0.55, 0.8))
UNDER = Arm((0.28, -0.93, 0.06), (0.6, 0.0, -0.9), (-1.0, 0.1, 0.0), 0.85)
EMBRACE = Arm((0.12, -0.62, 0.56), (0.6, 0.0, -1.0), (-1.0, 0.25, 0.0), 0.2, (-0.1, 0.1, 1.0))
SCREEN = Arm((-0.08, -0.34, 0.6), (0.3, -1.0, -0.2), (-0.3, 0.25, -1.0), 0.42, (-0.35, 0.85, 0.3))
EAR = Arm((0.12, 0.1, 0.25), (0.8, -1.0, 0.3), (-1.0, 0.0, -0.1), 0.45, (0.0, 1.0, -0.35))
