"""Poses: a library of stances and the inverse kinematics that turns one into bone transforms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from synth.embedded.mannequin.body import ARM_AXIS, BONE, BONES, Body, mirror
from synth.embedded.mannequin.mesh import F32
from synth.exact_math import cos, dot, norm, product, sin

Vec = tuple[float, float, float]


@dataclass
class Arm:
    """`wrist`: from the shoulder, in arm lengths; `elbow`, `palm`: directions. x is outward, z forward."""

    wrist: Vec = (0.1, -0.97, 0.06)
    elbow: Vec = (0.35, 0.0, -1.0)
    palm: Vec = (-1.0, 0.0, -0.35)
    curl: float = 0.4
    fingers: Vec | None = None


@dataclass
class Leg:
    """Place of the ankle in statures: x outward, z forward, `lift` above its height when standing flat."""

    x: float = 0.055
    z: float = 0.0
    lift: float = 0.0
    toe_out: float = 10.0
    pitch: float = 0.0
    knee_out: float = 0.12


@dataclass
class Pose:
    """A stance. Angles are degrees (pitch forward, yaw to the person's left, roll to their right)."""

    name: str
    left_arm: Arm = field(default_factory=Arm)
    right_arm: Arm = field(default_factory=Arm)
    left_leg: Leg = field(default_factory=Leg)
    right_leg: Leg = field(default_factory=Leg)
    pelvis: Vec = (0.0, 0.0, 0.0)
    torso: Vec = (0.0, 0.0, 0.0)
    head: Vec = (0.0, 0.0, 0.0)
    seat: float | None = None
    seat_z: float = 0.0


_ON_HIP = Arm((0.14, -0.66, 0.1), (1.0, 0.0, -0.55), (-0.6, 0.3, -0.6), 0.5, (-0.65, -0.55, 0.5))
_PHONE = Arm((-0.1, -0.3, 0.62), (0.25, -1.0, -0.2), (-0.4, 0.3, -1.0), 0.75, (-0.35, 0.85, 0.3))
_WAVE = Arm((0.5, 0.42, 0.25), (0.8, -1.0, 0.0), (0.0, 0.1, 1.0), 0.08, (0.1, 1.0, 0.05))
_POCKET = Arm((0.17, -0.83, 0.1), (0.7, 0.0, -1.0), (-1.0, 0.0, 0.1), 0.7, (-0.35, -1.0, 0.15))


def draw_pose(rng: np.random.Generator) -> Pose:
    """A random stance, left and right swapped half the time."""
    names = list(_STANCES)
    odds = np.array([_STANCES[n][1] for n in names])
    name = names[int(rng.choice(len(names), p=odds / odds.sum()))]
    pose = _STANCES[name][0](rng)
    pose.name = name
    swing = rng.normal(0, 1, 9)
    pose.torso = _shake(pose.torso, swing[:3], (2.0, 3.0, 1.0))
    pose.head = _shake(pose.head, swing[3:6], (4.0, 14.0, 3.0))
    for arm, s in ((pose.left_arm, swing[6]), (pose.right_arm, swing[7])):
        arm.wrist = (arm.wrist[0] + 0.012 * abs(s), arm.wrist[1], arm.wrist[2] + 0.025 * s)
    if rng.random() < 0.5:
        pose.left_arm, pose.right_arm = pose.right_arm, pose.left_arm
        pose.left_leg, pose.right_leg = pose.right_leg, pose.left_leg
        pose.pelvis, pose.torso, pose.head = (
            (v[0], -v[1], -v[2]) for v in (pose.pelvis, pose.torso, pose.head)
        )
    return pose


def _shake(v: Vec, noise: np.ndarray, size: Vec) -> Vec:
    return (v[0] + noise[0] * size[0], v[1] + noise[1] * size[1], v[2] + noise[2] * size[2])


def _contrapposto(rng: np.random.Generator, name: str = "") -> Pose:
    """The weight on the right leg: the pelvis drops to the left, the shoulders answer."""
    t = float(rng.uniform(2, 6))
    return Pose(
        name,
        right_leg=Leg(x=0.03, z=0.0, toe_out=8),
        left_leg=Leg(
            x=0.085, z=float(rng.uniform(0.0, 0.06)), toe_out=float(rng.uniform(15, 32)), knee_out=0.4
        ),
        pelvis=(0, float(rng.uniform(-6, 6)), -t * 0.7),
        torso=(-1, 0, t * 1.2),
        head=(2, 0, -t * 0.5),
    )


def _stand(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    if rng.random() < 0.3:
        pose.left_arm = _copy(_POCKET)
    if rng.random() < 0.25:
        pose.right_arm = _copy(_POCKET)
    return pose


def _copy(arm: Arm) -> Arm:
    return Arm(arm.wrist, arm.elbow, arm.palm, arm.curl, arm.fingers)


def _hip(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.right_arm = _copy(_ON_HIP)
    if rng.random() < 0.3:
        pose.left_arm = _copy(_ON_HIP)
    return pose


def _crossed(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.left_arm = Arm((-0.46, -0.44, 0.5), (1, -0.8, 0.05), (0, 0, -1), 0.35, (-1.0, 0.25, 0.1))
    pose.right_arm = Arm((-0.46, -0.53, 0.42), (1, -0.8, 0.05), (0, 0, -1), 0.35, (-1.0, 0.2, -0.15))
    return pose


def _phone(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.right_arm = _copy(_PHONE)
    if rng.random() < 0.4:
        pose.left_arm = _copy(_PHONE)
    pose.head = (20, -6, 0)
    return pose


def _call(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.right_arm = Arm((0.07, 0.24, 0.22), (0.8, -1.0, 0.3), (-1, 0, 0), 0.7, (-0.35, 1.0, -0.1))
    pose.head = (4, 5, 8)
    return pose


def _wave(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.right_arm = _copy(_WAVE)
    return pose


def _point(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.right_arm = Arm((0.55, -0.05, 0.76), (0.2, -1, 0), (-0.4, -1, 0), 0.3)
    pose.head = (0, -18, 0)
    return pose


def _walk(rng: np.random.Generator) -> Pose:
    s = float(rng.uniform(0.1, 0.16))
    swing = 2.6 * s
    return Pose(
        "",
        left_leg=Leg(x=0.035, z=s, toe_out=5, pitch=-14),
        right_leg=Leg(x=0.035, z=-s * 1.15, lift=0.035, toe_out=5, pitch=32),
        left_arm=Arm((0.12, -0.93, -swing * 0.8), (0.3, 0, -1), (-1, 0, -0.2), 0.45),
        right_arm=Arm((0.07, -0.88, swing), (0.3, 0, -1), (-1, 0, -0.2), 0.45),
        pelvis=(2, -7, 0),
        torso=(2, 12, 0),
        head=(0, -5, 0),
    )


def _run(rng: np.random.Generator) -> Pose:
    s = float(rng.uniform(0.9, 1.1))
    return Pose(
        "",
        left_leg=Leg(x=0.03, z=0.15 * s, lift=0.12, toe_out=2, pitch=-5),
        right_leg=Leg(x=0.03, z=-0.27 * s, lift=0.15, toe_out=2, pitch=62),
        left_arm=Arm((0.14, -0.62, -0.3), (0.5, 0, -1), (-1, 0, 0), 0.9, (-0.2, -0.2, 1.0)),
        right_arm=Arm((-0.1, -0.28, 0.6), (0.5, -0.8, -0.6), (-1, 0, 0), 0.9, (-0.3, 0.8, 0.5)),
        pelvis=(8, -8, 0),
        torso=(9, 14, 0),
        head=(-10, -4, 0),
    )


def _crouch(rng: np.random.Generator) -> Pose:
    arm = Arm((-0.12, -0.45, 0.66), (0.9, -0.4, 0), (-0.6, -0.6, 0), 0.5, (-0.6, -0.5, 0.6))
    return Pose(
        "",
        left_leg=Leg(x=0.07, z=0.06, toe_out=12, knee_out=0.25),
        right_leg=Leg(x=0.06, z=-0.1, lift=0.045, toe_out=8, pitch=38, knee_out=0.25),
        left_arm=arm,
        right_arm=_copy(arm),
        pelvis=(14, 0, 0),
        torso=(16, 0, 0),
        head=(-14, 0, 0),
        seat=0.21,
        seat_z=-0.1,
    )


def _sit(rng: np.random.Generator) -> Pose:
    z = float(rng.uniform(0.24, 0.3))
    arm = Arm((-0.16, -0.42, 0.72), (0.9, -0.5, 0), (-0.5, -0.8, 0), 0.4, (-0.8, -0.3, 0.5))
    behind = Arm((0.25, -0.78, -0.5), (0.2, 0, -1), (0, -1, -0.2), 0.1, (0.3, -0.1, -1.0))
    leaning = rng.random() < 0.5
    return Pose(
        "",
        left_leg=Leg(x=0.06, z=z, toe_out=10, knee_out=0.2),
        right_leg=Leg(x=0.06, z=z + 0.09, toe_out=14, knee_out=0.2),
        left_arm=arm,
        right_arm=behind if leaning else _copy(arm),
        pelvis=(-12, 0, 0),
        torso=(10, 0, 0),
        head=(2, 0, 0),
        seat=0.085,
        seat_z=-0.02,
    )


def _bend(rng: np.random.Generator) -> Pose:
    arm = Arm((-0.05, -0.83, 0.36), (0.6, 0.2, -0.6), (-1, 0, 0), 0.45)
    return Pose(
        "",
        left_leg=Leg(x=0.06, z=0.07),
        right_leg=Leg(x=0.06, z=-0.06),
        left_arm=arm,
        right_arm=Arm((0.1, -0.9, 0.2)),
        pelvis=(24, 0, 0),
        torso=(28, 8, 0),
        head=(-22, 0, 0),
    )


def _behind(rng: np.random.Generator) -> Pose:
    pose = _contrapposto(rng)
    pose.left_arm = Arm((-0.12, -0.86, -0.3), (1, 0, -0.3), (0, 0, 1), 0.4, (-0.7, -0.7, 0))
    pose.right_arm = Arm((-0.12, -0.83, -0.34), (1, 0, -0.3), (0, 0, 1), 0.4, (-0.7, -0.7, 0))
    return pose


_STANCES = {
    "stand": (_stand, 5.0),
    "hip": (_hip, 2.0),
    "crossed": (_crossed, 1.2),
    "phone": (_phone, 1.6),
    "call": (_call, 0.9),
    "wave": (_wave, 1.4),
    "point": (_point, 0.8),
    "walk": (_walk, 5.0),
    "run": (_run, 1.3),
    "crouch": (_crouch, 0.8),
    "sit": (_sit, 0.8),
    "bend": (_bend, 0.7),
    "behind": (_behind, 0.9),
}

UPRIGHT = frozenset({"stand", "hip", "crossed", "phone", "call", "wave", "point", "walk", "behind"})
"""Stances in which the person stands at full stature."""


def rotation(pitch: float, yaw: float, roll: float) -> F32:
    """Rotation from angles in degrees: roll, then pitch, then yaw."""
    (cx, cy, cz), (sx, sy, sz) = (
        cos(np.radians([pitch, yaw, roll])),
        sin(np.radians([pitch, yaw, roll])),
    )
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return product(product(ry, rx), rz).astype(np.float32)


def _unit(v: F32) -> F32:
    return (v / max(float(norm(v)), 1e-9)).astype(np.float32)


def _turn(a: F32, b: F32) -> F32:
    """The smallest rotation that takes direction `a` to direction `b`."""
    v, c = np.cross(a, b), float(dot(a, b))
    if c < -0.999:
        v, c = np.cross(a, _unit(b + np.array([0.02, 0.02, 0.05], np.float32))), -0.998
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return (np.eye(3) + k + product(k, k) / (1 + c)).astype(np.float32)


def _two_bones(start: F32, end: F32, first: float, second: float, pole: F32) -> tuple[F32, F32, F32]:
    """Middle joint, reachable end, and the axis the middle joint bends about."""
    axis = end - start
    dist = float(np.clip(norm(axis), abs(first - second) * 1.05, (first + second) * 0.998))
    along = _unit(axis)
    out = _unit(pole - along * float(dot(pole, along)))
    x = (first * first - second * second + dist * dist) / (2 * dist)
    y = float(np.sqrt(max(first * first - x * x, 0)))
    return start + along * x + out * y, start + along * dist, _unit(np.cross(out, along))


def _frame(lateral: F32, down: F32) -> F32:
    up = -down
    side = _unit(lateral - up * float(dot(lateral, up)))
    return np.stack([side, up, np.cross(side, up)], axis=1).astype(np.float32)


def transforms(body: Body, pose: Pose) -> F32:
    """Rest-to-posed transforms float32[19, 3, 4], in statures, before the person is turned to the camera."""
    rest = body.joints
    turn = np.zeros((len(BONES), 3, 3), np.float32)
    place = np.zeros((len(BONES), 3), np.float32)

    def follow(child: str, parent: str) -> F32:
        p, c = BONE[parent], BONE[child]
        return product(turn[p], rest[c] - rest[p]) + place[p]

    def set_bone(name: str, r: F32, at: F32) -> None:
        turn[BONE[name]], place[BONE[name]] = r, at

    legs = {"_l": (pose.left_leg, 1.0), "_r": (pose.right_leg, -1.0)}
    length = [float(norm(body.hip - body.knee)), float(norm(body.knee - body.ankle))]
    pelvis = rotation(*pose.pelvis)
    # Heavier thighs stand further apart.
    spread = 1 + 0.3 * max(body.heavy, 0.0)
    ankle = {}
    tops = []
    for side, (leg, sign) in legs.items():
        # Standing on the ball of a foot raises its ankle.
        lift = float(body.ankle[1]) + leg.lift + 0.06 * sin(np.radians(max(leg.pitch, 0)))
        ankle[side] = np.array([sign * leg.x * spread + sign * 0.006, lift, leg.z], np.float32)
        hip = product(pelvis, rest[BONE["thigh" + side]] - rest[BONE["pelvis"]])
        flat = (ankle[side] - hip)[[0, 2]] - np.array([0, pose.seat_z])
        reach = sum(length) * 0.994
        tops.append(lift + np.sqrt(max(reach * reach - float(dot(flat, flat)), 0)) - float(hip[1]))
    height = min(tops) if pose.seat is None else pose.seat + 0.03
    set_bone("pelvis", pelvis, np.array([0, height, pose.seat_z], np.float32))
    half = tuple(a / 2 for a in pose.torso)
    set_bone("spine", product(pelvis, rotation(*half)), follow("spine", "pelvis"))
    chest = product(turn[BONE["spine"]], rotation(*half))
    set_bone("chest", chest, follow("chest", "spine"))
    neck = product(chest, rotation(*(a * 0.4 for a in pose.head)))
    set_bone("neck", neck, follow("neck", "chest"))
    set_bone("head", product(neck, rotation(*(a * 0.6 for a in pose.head))), follow("head", "neck"))

    upper = float(norm(body.elbow - body.shoulder))
    fore = float(norm(body.wrist - body.elbow))
    for side, arm, sign in (("_l", pose.left_arm, 1.0), ("_r", pose.right_arm, -1.0)):
        outward = np.array([sign, 1, 1], np.float32)
        raised = max(0.0, arm.wrist[1] + 0.3) * 22 - 3
        clavicle = product(chest, rotation(0, 0, sign * raised))
        set_bone("clavicle" + side, clavicle, follow("clavicle" + side, "chest"))
        shoulder = follow("upper" + side, "clavicle" + side)
        target = shoulder + product(chest, np.array(arm.wrist, np.float32) * outward) * (upper + fore)
        pole = product(chest, np.array(arm.elbow, np.float32) * outward)
        elbow, wrist, _ = _two_bones(shoulder, target, upper, fore, pole)
        axis = ARM_AXIS * outward
        r = product(_turn(product(clavicle, axis), _unit(elbow - shoulder)), clavicle)
        set_bone("upper" + side, r, shoulder)
        r = product(_turn(product(r, axis), _unit(wrist - elbow)), r)
        set_bone("fore" + side, r, elbow)
        along = _unit(wrist - elbow)
        fingers = along
        if arm.fingers is not None:
            # A wrist bends; it does not break: the hand stays near the forearm's line.
            fingers = _unit(0.55 * along + _unit(product(chest, np.array(arm.fingers, np.float32) * outward)))
        palm = product(chest, np.array(arm.palm, np.float32) * outward)
        palm = _unit(palm - fingers * float(dot(palm, fingers)))
        hand = np.stack([np.cross(-fingers, palm), -fingers, palm], axis=1).astype(np.float32)
        set_bone("hand" + side, hand, wrist)

    for side, (leg, sign) in legs.items():
        hip = follow("thigh" + side, "pelvis")
        yaw = rotation(0, pose.pelvis[1] + sign * leg.toe_out, 0)
        rise = 0.0 if pose.seat is None else 1.2
        pole = product(pelvis, np.array([sign * leg.knee_out, rise, 1.0], np.float32))
        if pose.seat is not None:
            pole = np.array([sign * leg.knee_out, rise, 1.0], np.float32)
        knee, foot, lateral = _two_bones(hip, ankle[side], length[0], length[1], pole)
        lateral = -lateral if float(lateral[0]) < 0 else lateral
        still = np.array([1, 0, 0], np.float32)
        for name, a, b, ra, rb in (
            ("thigh", hip, knee, body.hip, body.knee),
            ("shin", knee, foot, body.knee, body.ankle),
        ):
            down = _unit(rb - ra) if sign > 0 else mirror(_unit(rb - ra))
            r = product(_frame(lateral, _unit(b - a)), _frame(still, down).T)
            set_bone(name + side, r, a)
        set_bone("foot" + side, product(yaw, rotation(leg.pitch, 0, 0)), foot)
    # The transforms act on rest points, so the rest joint is subtracted first; hands and feet have their
    # meshes in the joint's own frame and use `place` through the same formula.
    out = np.empty((len(BONES), 3, 4), np.float32)
    out[:, :, :3] = turn
    out[:, :, 3] = place - dot(turn, rest[:, None])
    return out
