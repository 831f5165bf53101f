"""Cloth and its colours: palettes, patterns laid on the surface, folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.embedded.mannequin.body import ARM_AXIS, Body, smoothstep
from synth.embedded.mannequin.mesh import F32
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import Look, Points
from synth.exact_math import arctan2, cos, dot, exp, hypot, norm, power, sin


def linear(code: str) -> F32:
    """Linear RGB float32[3] of a hex colour such as `a0b1c2`."""
    rgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255
    return power(rgb, 2.2).astype(np.float32)


def palette(codes: str) -> list[F32]:
    """Linear colours of hex codes separated by spaces."""
    return [linear(code) for code in codes.split()]


TOPS = palette(
    "f2f0ea ffffff 20242b 2f3e55 8c2f39 c9ccd1 4c6b57 d9a441 7a8fa6 b8604a 5b4b6e "
    "93a8ac e7d8c4 38618c a8b7a0 d98c8c 1f5f5b 6e7f4f c46d3b e3b7b0 3a3a3c 51729b"
)
DENIM = palette("2b3a55 3d5375 1d2636 5c7899 8aa2bd 23272e")
TROUSERS = palette("23252a 3b3a37 b5a283 6b6f62 8d8a84 e4ddcf 4a3f35 2f3b4a 565c66 7b6a52")
SKIRTS = palette("23252a 7d2e3a c9a66b 3f5a4c 2f3e60 d8c7b8 b35c5c 8c7aa8 5f6b73")
DRESSES = palette("8e2a3c 2e4a6b 3f6b5c d8a7a0 1f2228 e8dcc8 c9683f 6a5286 d6b04c 497f8c b0456b")
COATS = palette("b58a5a 23262d 2f3a4f 6a6d70 4a4f3a 6d2f35 d3c7b3 8c8579 39424a 7a5a3c")
SHOES = palette("1d1d1f f3f3f1 5b3d28 8a8d90 2d3b55 b0332e 7d6a52 dcd3c2")


@dataclass(frozen=True)
class Fabric:
    """A cloth. `scale` is the pattern's period, `fold` the height of its creases, both in statures."""

    label: int
    base: F32
    second: F32
    pattern: str
    scale: float
    fold: float
    gloss: float
    sheen: float
    knit: bool = False


def draw_fabric(
    rng: np.random.Generator, label: int, colours: list[F32], patterns: dict[str, float], **kind: float
) -> Fabric:
    """A random cloth of the palette `colours`; `patterns` maps pattern names to odds."""
    first, second = rng.choice(len(colours), 2, replace=False)
    names = list(patterns)
    odds = np.array([patterns[n] for n in names])
    pattern = names[int(rng.choice(len(names), p=odds / odds.sum()))]
    base, other = colours[first], colours[second]
    if abs(float(base.mean() - other.mean())) < 0.08:
        other = linear("f4f1ea") if base.mean() < 0.35 else linear("22262d")
    if pattern == "camo":
        other = base * np.float32(0.45)
    shade = np.float32(rng.uniform(0.85, 1.1))
    return Fabric(
        label,
        np.clip(base * shade, 0.012, 0.86),
        other * np.float32(0.9),
        pattern,
        float(rng.uniform(0.018, 0.04)),
        kind.get("fold", 0.0026),
        kind.get("gloss", 0.08),
        kind.get("sheen", 0.25),
        bool(kind.get("knit", 0.0)),
    )


def cloth_coordinates(body: Body, points: Points) -> tuple[F32, F32]:
    """Around and along the trunk or the sleeve, in statures, so that a pattern follows the limb."""
    p = points.p
    q = p.copy()
    q[:, 0] = np.abs(q[:, 0])
    rel = q - body.shoulder
    along = dot(rel, ARM_AXIS)
    up = dot(rel, np.array([-ARM_AXIS[1], ARM_AXIS[0], 0], np.float32))
    sleeve = points.arm > 0.5
    around = np.where(sleeve, arctan2(rel[:, 2], up) * 0.03, arctan2(p[:, 0], p[:, 2] + 0.004) * 0.075)
    return around.astype(np.float32), np.where(sleeve, along, p[:, 1]).astype(np.float32)


def _soft_step(x: F32, width: float) -> F32:
    """A square wave of period 1 from sine, with edges softened by `width`."""
    return np.clip(sin(2 * np.pi * x) / width * 0.5 + 0.5, 0, 1)


def pattern_mix(fabric: Fabric, u: F32, v: F32, p: F32, noise: Noise) -> F32:
    """Share of the second colour at surface coordinates, 0..1."""
    s = np.float32(fabric.scale)
    if fabric.pattern == "stripes":
        return _soft_step(v / s, 0.5)
    if fabric.pattern == "thin stripes":
        return np.clip(sin(2 * np.pi * v / (s * 0.7)) * 4 - 2.6, 0, 1)
    if fabric.pattern == "pinstripes":
        return np.clip(sin(2 * np.pi * u / (s * 0.45)) * 4 - 2.8, 0, 1) * 0.55
    if fabric.pattern == "checks":
        return 0.5 * _soft_step(v / s, 0.6) + 0.5 * _soft_step(u / s, 0.6)
    if fabric.pattern == "tartan":
        line = np.clip(sin(2 * np.pi * v / s) * 5 - 4.2, 0, 1) + np.clip(
            sin(2 * np.pi * u / s) * 5 - 4.2, 0, 1
        )
        return np.clip(0.22 * _soft_step(v / s, 0.6) + 0.22 * _soft_step(u / s, 0.6) + 0.6 * line, 0, 1)
    if fabric.pattern == "dots":
        row = np.floor(v / (s * 0.6))
        du = u / (s * 0.6) + 0.5 * (row % 2)
        r = hypot(du - np.floor(du) - 0.5, v / (s * 0.6) - row - 0.5)
        return np.clip((0.27 - r) * 14, 0, 1)
    if fabric.pattern == "floral":
        blot = noise(p * np.float32(1.5 / s) + 7)
        return np.clip((blot - 0.63) * 12, 0, 1)
    if fabric.pattern == "camo":
        return np.clip((noise(p * np.float32(0.8 / s)) - 0.52) * 25, 0, 1)
    if fabric.pattern == "block":
        return np.clip((v - 0.7) * 300, 0, 1)
    if fabric.pattern == "graphic":
        w = (noise(p * np.float32(60)) > 0.42).astype(np.float32)
        front = (p[:, 2] > 0) & (np.abs(p[:, 0]) < 0.038) & (np.abs(v - 0.735) < 0.032)
        return w * front
    return np.zeros(len(u), np.float32)


def folds(body: Body, fabric: Fabric, points: Points, noise: Noise, *, hanging: bool) -> F32:
    """Height of the cloth's creases in statures: pulled at the joints, hanging where the cloth is free."""
    p, y = points.p, points.p[:, 1]
    along = body.arm_along(p)
    upper = float(norm(body.elbow - body.shoulder))
    arm = points.arm
    x = np.abs(p[:, 0])
    elbow = arm * (0.25 + exp(-(((along - upper) / 0.045) ** 2)))
    armpit = exp(-(((x - body.shoulder[0]) / 0.03) ** 2) - (((y - body.shoulder[1] + 0.07) / 0.05) ** 2))
    waist = exp(-(((body.height_fraction(y) - 0.25) / 0.22) ** 2)) * (1 - arm)
    knee = exp(-(((y - body.knee[1]) / 0.04) ** 2)) * (1 - arm)
    groin = exp(-(((y - body.hip[1] + 0.01) / 0.035) ** 2)) * (1 - arm) * 0.4
    shin = smoothstep(0.16, 0.06, y) * (1 - arm)
    amount = np.clip(0.18 + elbow + 0.9 * armpit + 0.6 * waist + 0.9 * knee + groin + 0.8 * shin, 0, 1.2)
    # Rings on a sleeve, slanted creases elsewhere: the noise is squeezed along the limb.
    slant = np.stack([p[:, 0] * 14, y * 34 + p[:, 0] * 16, p[:, 2] * 14], axis=1)
    ring = np.stack([along * 36, p[:, 1] * 10, p[:, 2] * 14], axis=1)
    height = noise.ridges(np.where(arm[:, None] > 0.5, ring, slant).astype(np.float32)) * amount
    if hanging:
        angle = arctan2(p[:, 0], p[:, 2])
        free = (1 - arm) * smoothstep(float(body.hip[1]) + 0.05, float(body.hip[1]) - 0.2, y)
        drape = np.stack([sin(angle) * 3.4, cos(angle) * 3.4, y * 3], axis=1).astype(np.float32)
        height = height * (1 - free) + noise(drape * 1.5) * free * 2.4
    return (height * np.float32(fabric.fold)).astype(np.float32)


def paint_cloth(
    body: Body, fabric: Fabric, points: Points, edge: F32, noise: Noise, *, hanging: bool = False
) -> Look:
    """The cloth's look; `edge` is each point's distance to the nearest hem in statures."""
    u, v = cloth_coordinates(body, points)
    p = points.p
    mix = pattern_mix(fabric, u, v, p, noise)[:, None]
    albedo = fabric.base * (1 - mix) + fabric.second * mix
    mottle = 0.92 + 0.16 * noise(p * 26)
    bump = folds(body, fabric, points, noise, hanging=hanging)
    if fabric.pattern == "denim":
        fade = noise(p * 9) * smoothstep(0.0, 0.5, points.p[:, 2] * 8 + 0.4)
        mottle = 0.78 + 0.5 * fade + 0.12 * noise(p * 140)
    if fabric.knit:
        cable = sin(u * 2 * np.pi / 0.011)
        bump = bump + np.float32(0.0007) * cable
        mottle = mottle * (0.95 + 0.05 * cable)
    # A sewn hem: a slightly raised band closed by a stitch line.
    band = smoothstep(0.011, 0.008, edge)
    stitch = exp(-(((edge - 0.010) / 0.0016) ** 2))
    bump = bump + np.float32(0.0007) * band
    shade = mottle * (1 - 0.22 * stitch) * np.where(points.back, 0.42, 1.0)
    n = len(p)
    return Look(
        (albedo * shade[:, None]).astype(np.float32),
        np.full(n, fabric.label, np.uint8),
        bump.astype(np.float32),
        np.full(n, fabric.gloss, np.float32),
        np.zeros(n, np.float32),
        np.full(n, fabric.sheen, np.float32),
    )
