"""A body: its proportions, its rest skeleton, the lofts of its flesh and how skin follows the bones.

The rest pose stands at x = 0 facing +z with y up and the arms held 42 degrees away from the body; +x is the
person's own left. Lengths are in statures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.embedded.mannequin.mesh import F32, Loft, Part, blob, loft
from synth.exact_math import cos, dot, norm, sin

BONES = (
    "pelvis", "spine", "chest", "neck", "head", "clavicle_l", "upper_l", "fore_l", "hand_l",
    "clavicle_r", "upper_r", "fore_r", "hand_r", "thigh_l", "shin_l", "foot_l", "thigh_r", "shin_r", "foot_r",
)  # fmt: skip
BONE = {name: i for i, name in enumerate(BONES)}

ARM_AXIS = np.array([sin(np.radians(42)), -cos(np.radians(42)), 0.0], np.float32)
"""Direction of the left arm at rest."""

JOINT = 0.008
"""Blend of two lofts that meet end to end; a wider one would swell the knee and the elbow."""


def mirror(p: F32) -> F32:
    """The point or direction on the other side of the body."""
    return p * np.array([-1, 1, 1], np.float32)


def smoothstep(low: float, high: float, x: NDArray[np.floating[Any]]) -> F32:
    """0 at `low`, 1 at `high`, smooth between; `low` may be the larger."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


@dataclass(frozen=True)
class Body:
    """Proportions of one person, with the rest joints they imply; `top` is the height of the shoulders."""

    kind: str
    feminine: float
    heavy: float
    head_height: float
    top: float
    shoulder: F32
    elbow: F32
    wrist: F32
    hip: F32
    knee: F32
    ankle: F32
    torso: Loft
    neck: Loft
    upper: Loft
    fore: Loft
    thigh: Loft
    shin: Loft
    extras: tuple[tuple[Loft, float], ...]

    @property
    def chin_y(self) -> float:
        """Height of the chin."""
        return 1 - self.head_height

    @property
    def joints(self) -> F32:
        """Rest position of every bone's joint, float32[19, 3], in the order of `BONES`."""
        hip_y, top = float(self.hip[1]), self.top
        mid = [hip_y + f * (top - hip_y) for f in (0.1, 0.3, 0.58)]
        arm = [np.array([0.02, top - 0.005, -0.01], np.float32), self.shoulder, self.elbow, self.wrist]
        leg = [self.hip, self.knee, self.ankle]
        rows = [np.array([0, y, -0.004], np.float32) for y in mid]
        rows.append(np.array([0, top + 0.02, -0.012], np.float32))
        rows.append(np.array([0, self.chin_y + 0.01, -0.002], np.float32))
        rows += arm + [mirror(v) for v in arm] + leg + [mirror(v) for v in leg]
        return np.stack(rows).astype(np.float32)

    def height_fraction(self, y: F32) -> F32:
        """0 at the hip joint, 1 at the top of the shoulders."""
        return ((y - self.hip[1]) / (self.top - float(self.hip[1]))).astype(np.float32)

    def arm_along(self, p: F32) -> F32:
        """Distance along the straight rest arm from the shoulder, for either side."""
        q = np.abs(p[:, :1]) * np.array([1, 0, 0], np.float32) + p * np.array([0, 1, 1], np.float32)
        return dot(q - self.shoulder, ARM_AXIS).astype(np.float32)

    def armness(self, p: F32) -> F32:
        """0 on the trunk and legs .. 1 on an arm."""
        q = p.copy()
        q[:, 0] = np.abs(q[:, 0])
        arm = np.minimum(self.upper.distance(q), self.fore.distance(q))
        rest = np.minimum(self.torso.distance(q), np.minimum(self.thigh.distance(q), self.shin.distance(q)))
        gap = rest - arm
        return smoothstep(-0.012, 0.016, gap) * smoothstep(-0.05, 0.0, self.arm_along(p))

    def weights(self, p: F32, *, loose: float = 0.0) -> F32:
        """Skinning weights float32[n, 19] of rest points; `loose` cloth hangs from both thighs at once."""
        n = len(p)
        w = np.zeros((n, len(BONES)), np.float32)
        arm = self.armness(p)
        f = self.height_fraction(p[:, 1])
        spine, chest = smoothstep(0.1, 0.42, f), smoothstep(0.42, 0.72, f)
        neck, head = smoothstep(0.98, 1.14, f), smoothstep(0.0, 0.02, p[:, 1] - self.chin_y)
        span = self.top - float(self.hip[1])
        leg = smoothstep(0.055, -0.06, p[:, 1] - self.hip[1]) * (1 - arm)
        if loose:
            # A hanging hem follows the thighs less than trousers do, else it would tear between them.
            leg *= 1 - 0.25 * loose
        trunk = (1 - arm) * (1 - leg)
        clavicle = trunk * smoothstep(0.03, 0.1, np.abs(p[:, 0])) * smoothstep(0.7, 1.0, f) * (1 - neck)
        w[:, BONE["pelvis"]] = trunk * (1 - spine)
        w[:, BONE["spine"]] = trunk * spine * (1 - chest)
        w[:, BONE["chest"]] = trunk * chest * (1 - neck) - clavicle
        w[:, BONE["neck"]] = trunk * neck * (1 - head)
        w[:, BONE["head"]] = trunk * neck * head
        along = self.arm_along(p)
        upper = smoothstep(-0.035, 0.045, along)
        upper_len = float(norm(self.elbow - self.shoulder))
        fore = smoothstep(-0.03, 0.03, along - upper_len)
        shin = smoothstep(0.035, -0.035, p[:, 1] - self.knee[1])
        foot = smoothstep(0.012, -0.012, p[:, 1] - self.ankle[1])
        if loose:
            shin = shin * (1 - 0.5 * loose)
            foot = foot * 0
        width = 0.008 + 0.14 * loose * span / 0.29
        left_leg = smoothstep(-width, width, p[:, 0])
        for side, leg_side, arm_side in (
            ("_l", left_leg, (p[:, 0] > 0).astype(np.float32)),
            ("_r", 1 - left_leg, (p[:, 0] <= 0).astype(np.float32)),
        ):
            w[:, BONE["clavicle" + side]] = (clavicle + arm * (1 - upper)) * arm_side
            w[:, BONE["upper" + side]] = arm * upper * (1 - fore) * arm_side
            w[:, BONE["fore" + side]] = arm * upper * fore * arm_side
            w[:, BONE["thigh" + side]] = leg * leg_side * (1 - shin)
            w[:, BONE["shin" + side]] = leg * leg_side * shin * (1 - foot)
            w[:, BONE["foot" + side]] = leg * leg_side * shin * foot
        return (w / w.sum(1, keepdims=True)).astype(np.float32)

    def parts(self) -> list[Part]:
        """The flesh without head, hands and feet."""
        items = [Part(self.torso), Part(self.neck, 0.02)]
        items += [Part(shape, blend) for shape, blend in self.extras]
        items += limb_parts([self.upper], 0.03) + limb_parts([self.fore], JOINT)
        return items + leg_parts([self.thigh], 0.03) + leg_parts([self.shin], JOINT)


def mirrored(shape: Loft) -> Loft:
    """The same loft on the other side."""
    return Loft(
        mirror(shape.a),
        mirror(shape.b),
        shape.side,
        shape.front,
        shape.shift,
        mirror(shape.forward),
        shape.cap,
    )


def limb_parts(shapes: list[Loft], blend: float) -> list[Part]:
    """Lofts of the left arm and their mirror images, blended."""
    return [Part(s, blend) for shape in shapes for s in (shape, mirrored(shape))]


def leg_parts(shapes: list[Loft], blend: float) -> list[Part]:
    """Lofts of the left leg and their mirror images; each stays on its side so that thighs do not fuse."""
    return [Part(s, blend, half=h) for shape in shapes for s, h in ((shape, 1), (mirrored(shape), -1))]


def draw_body(rng: np.random.Generator) -> Body:
    """A random body: about one in seven is a child, one in eight is elderly."""
    u = rng.random()
    kind = "child" if u < 0.14 else "elder" if u < 0.26 else "adult"
    feminine = float(np.clip(rng.choice([0.0, 1.0]) + rng.normal(0, 0.12), 0, 1))
    heavy = float(np.clip(rng.normal(0.1, 0.55), -1, 1.6))
    if kind == "child":
        young = float(rng.uniform(0.25, 1.0))
        feminine, heavy = feminine * 0.25, float(np.clip(heavy, -0.5, 0.7))
        head_height = 0.136 + 0.042 * young
        hip_y = 0.515 - 0.05 * young
        shoulder_x = 0.098 - 0.006 * young
    else:
        head_height = float(rng.uniform(0.126, 0.136))
        hip_y = float(rng.uniform(0.505, 0.53))
        shoulder_x = 0.104 - 0.013 * feminine + float(rng.normal(0, 0.003))
    chin = 1 - head_height
    top = chin - 0.052 + (0.012 if kind == "child" else 0)
    reach = (top / 0.815) * float(rng.uniform(0.97, 1.02))
    shoulder = np.array([shoulder_x, top - 0.015, -0.01], np.float32)
    elbow = shoulder + ARM_AXIS * np.float32(0.168 * reach)
    wrist = elbow + ARM_AXIS * np.float32(0.142 * reach)
    hip = np.array([0.05 + 0.004 * feminine, hip_y, -0.002], np.float32)
    knee = np.array([0.066, hip_y * 0.545, 0.004], np.float32)
    ankle = np.array([0.076, 0.042, -0.01], np.float32)

    fat, thin = max(heavy, 0.0), max(-heavy, 0.0)
    bulk = 1 + 0.16 * fat - 0.1 * thin
    limb = (1 + 0.17 * fat - 0.12 * thin) * (1 - 0.1 * feminine)
    f = feminine
    width = (
        np.array(
            [
                0.05,
                0.085 + 0.007 * f,
                0.086 + 0.006 * f,
                0.08 - 0.012 * f,
                0.083 - 0.012 * f,
                0.094 - 0.01 * f,
                0.099 - 0.012 * f,
                0.097 - 0.01 * f,
                0.072 - 0.006 * f,
                0.034,
            ]
        )
        * bulk
    )
    width[2:5] += 0.012 * fat
    depth = (
        np.array(
            [
                0.045,
                0.06,
                0.06,
                0.054 - 0.006 * f,
                0.057 - 0.006 * f,
                0.063 - 0.006 * f,
                0.06 - 0.006 * f,
                0.046,
                0.034,
                0.026,
            ]
        )
        * bulk
    )
    depth[1:5] += 0.016 * fat
    shift = np.array([-0.008, -0.01, -0.004, 0.003, 0.004, 0.004, 0.0, -0.006, -0.01, -0.01])
    shift[2:5] += 0.012 * fat
    if kind == "elder":
        shift[5:] += np.array([-0.006, -0.006, -0.002, 0.003, 0.006])
    at = np.array([-0.19, -0.017, 0.12, 0.29, 0.466, 0.67, 0.845, 0.966, 1.06, 1.13])
    span = top - hip_y
    low, high = hip_y + at[0] * span, hip_y + at[-1] * span
    torso = loft(
        (0, low, 0), (0, high, 0), width, depth, knots=(at - at[0]) / (at[-1] - at[0]), shift=shift, cap=0.01
    )
    thick = 0.029 - 0.006 * f + 0.004 * fat
    neck = loft((0, top - 0.01, -0.014), (0, chin + 0.03, 0.0), [thick * 1.15, thick, thick], cap=0.02)
    upper = loft(
        shoulder,
        elbow,
        np.array([0.0235, 0.0285, 0.0275, 0.026, 0.0235]) * limb,
        np.array([0.028, 0.031, 0.0295, 0.027, 0.0235]) * limb,
        cap=0.022 * limb,
    )
    fore = loft(
        elbow,
        wrist,
        np.array([0.0235, 0.0265, 0.0245, 0.019, 0.0155]) * limb,
        np.array([0.0235, 0.025, 0.0225, 0.0175, 0.0135]) * limb,
        cap=0.014,
    )
    wide = limb * (1 + 0.06 * f)
    thigh = loft(
        hip,
        knee,
        np.array([0.054, 0.053, 0.046, 0.039, 0.035]) * wide,
        np.array([0.06, 0.061, 0.053, 0.044, 0.037]) * wide,
        shift=[-0.004, 0.0, 0.004, 0.004, 0.0],
        cap=0.03,
    )
    shin = loft(
        knee,
        ankle,
        np.array([0.035, 0.037, 0.036, 0.0265, 0.0205, 0.019]) * limb,
        np.array([0.037, 0.038, 0.037, 0.028, 0.0225, 0.0215]) * limb,
        shift=[0.0, -0.007, -0.01, -0.006, -0.002, 0.0],
        cap=0.02,
    )
    extras = [
        (blob((s * 0.04, hip_y - 0.012, -0.042 - 0.006 * fat), np.array([0.045, 0.05, 0.04]) * bulk), 0.03)
        for s in (-1, 1)
    ]
    if f > 0.4:
        r = 0.033 + 0.007 * fat
        at_y = hip_y + 0.69 * span
        extras += [
            (blob((s * 0.041, at_y, 0.04 + 0.01 * fat), (r * 1.05, r, r * 1.1)), 0.025) for s in (-1, 1)
        ]
    if fat > 0.35:
        extras.append(
            (
                blob(
                    (0, hip_y + 0.27 * span, 0.04 + 0.015 * fat),
                    (0.062 + 0.02 * fat, 0.062 + 0.01 * fat, 0.045 + 0.02 * fat),
                ),
                0.04,
            )
        )
    return Body(
        kind,
        feminine,
        heavy,
        head_height,
        top,
        shoulder,
        elbow,
        wrist,
        hip,
        knee,
        ankle,
        torso,
        neck,
        upper,
        fore,
        thigh,
        shin,
        tuple(extras),
    )
