"""Deferred shading: albedo, normals and depth of the figure become lit colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.embedded.fixed_point import blur, resample, shrink
from synth.embedded.mannequin.mesh import F32, I32
from synth.embedded.mannequin.raster import Look
from synth.exact_math import cos, dot, norm, power, product, sin
from synth.gamma import to_display

_SHADOW = 150


@dataclass(frozen=True)
class StudioLight:
    """Key light towards the camera's side, a sky, a ground bounce and a rim from behind."""

    key: F32
    key_colour: F32
    sky: F32
    ground: F32
    rim: F32
    rim_colour: F32


def draw_light(rng: np.random.Generator) -> StudioLight:
    """Soft daylight or room light from above, left or right."""
    azimuth, height = rng.uniform(-65, 65), rng.uniform(28, 62)
    warm = float(rng.uniform(-0.05, 0.1))
    strength = float(rng.uniform(0.75, 1.05))
    side = -1.0 if azimuth > 0 else 1.0
    return StudioLight(
        _direction(azimuth, height),
        np.array([1 + warm, 1.0, 1 - warm], np.float32) * strength * 1.75,
        np.array([0.93, 0.99, 1.08], np.float32) * float(rng.uniform(0.5, 0.66)),
        np.array([1.05, 0.97, 0.88], np.float32) * float(rng.uniform(0.24, 0.36)),
        _direction(side * 140, 25),
        np.array([0.95, 1.0, 1.08], np.float32) * float(rng.uniform(0.25, 0.6)),
    )


def _direction(azimuth: float, height: float) -> F32:
    a, h = np.radians(azimuth), np.radians(height)
    return np.array([sin(a) * cos(h), sin(h), cos(a) * cos(h)], np.float32)


def shadow(points: F32, normals: F32, surfaces: list[F32], light: F32) -> F32:
    """Share of the key light that reaches `points` float32[n, 3], 0..1, from a blurred depth map."""
    right = np.cross(np.array([0, 1, 0], np.float32), light)
    right /= norm(right)
    basis = np.stack([right, -np.cross(light, right), light], axis=1).astype(np.float32)
    turned = [product(v, basis) for v in surfaces]
    low = np.min([v[:, :2].min(0) for v in turned], axis=0)
    high = np.max([v[:, :2].max(0) for v in turned], axis=0)
    scale = np.float32(_SHADOW / max(float((high - low).max()), 1e-3))
    width, height = (np.ceil((high - low) * scale).astype(int) + 3).tolist()
    depth = np.full(width * height, -10, np.float32)
    for verts in turned:
        screen = np.concatenate([(verts[:, :2] - low) * scale + 1, verts[:, 2:]], axis=1)
        # Triangles are about a pixel here: their vertices alone cover the map, and no window is needed.
        flat = np.rint(screen[:, 1]).astype(np.int32) * width + np.rint(screen[:, 0]).astype(np.int32)
        order = np.argsort(screen[:, 2], kind="stable")
        part = np.full_like(depth, -10)
        part[flat[order]] = screen[order, 2]
        depth = np.maximum(depth, part)
    image = cv2.morphologyEx(depth.reshape(height, width), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    at = product(points + normals * np.float32(0.016), basis)
    x, y = (at[:, 0] - low[0]) * scale + 1, (at[:, 1] - low[1]) * scale + 1
    lit = np.zeros(len(points), np.float32)
    offsets = [(dx, dy) for dx in (-1.2, 0, 1.2) for dy in (-1.2, 0, 1.2)]
    for dx, dy in offsets:
        xi = np.clip(np.rint(x + dx).astype(np.int32), 0, width - 1)
        yi = np.clip(np.rint(y + dy).astype(np.int32), 0, height - 1)
        gap = image[yi, xi] - at[:, 2]
        lit += 1 - np.clip((gap - 0.012) / 0.022, 0, 1)
    return (lit / len(offsets)).astype(np.float32)


def occlusion(depth: F32, mask: NDArray[np.bool_], scale: float) -> F32:
    """Ambient light left at each pixel, 0..1: less where it lies behind its surroundings."""
    weight = mask.astype(np.float32)
    filled = np.where(mask, depth, 0).astype(np.float32)
    total = np.zeros_like(filled)
    for radius, reach in ((0.008, 0.008), (0.022, 0.018), (0.06, 0.05)):
        sigma = radius * scale
        step = max(1, int(sigma / 3))
        w, d = (blur(shrink(image, step), sigma / step) for image in (weight, filled))
        mean = resample(np.asarray(d / np.maximum(w, 1e-3), np.float32), depth.shape[::-1], (step, step))
        total += np.clip((mean - filled) / reach, 0, 1)
    return 1 - np.clip(total * 0.3, 0, 0.72)


def bumped(normals: F32, bump: F32, depth: F32, piece: I32, scale: float) -> F32:
    """Normals float32[h, w, 3] tilted by the height map `bump` (statures) within each piece."""
    out = normals.copy()
    depth = np.where(piece >= 0, depth, -9)  # finite where nothing is, so that differences are
    for axis, sign in ((1, 1.0), (0, -1.0)):
        ahead, behind = np.roll(bump, -1, axis), np.roll(bump, 1, axis)
        same = (np.roll(piece, -1, axis) == piece) & (np.roll(piece, 1, axis) == piece)
        same &= np.abs(np.roll(depth, -1, axis) - np.roll(depth, 1, axis)) < 0.03
        slope = np.where(same, (ahead - behind) * np.float32(0.5 * scale), 0)
        out[..., 0 if axis == 1 else 1] -= np.clip(slope, -0.9, 0.9) * np.float32(sign)
    return out / np.maximum(norm(out)[..., None], 1e-6)


def light_up(look: Look, normals: F32, lit: F32, ambient: F32, light: StudioLight) -> F32:
    """Display colour float32[n, 3] in 0..1 (sRGB) of surface points with unit `normals` (z to the camera)."""
    wrap = 0.12 + 0.25 * look.skin
    raw = dot(normals, light.key)
    key = np.clip((raw + wrap) / (1 + wrap), 0, 1)
    # Shadow edges on skin turn warm: light that enters nearby leaves there, mostly red.
    bleed = look.skin * np.clip(1 - np.abs(raw) * 2.2, 0, 1) * 0.22
    key3 = np.stack([key * lit + bleed * (0.4 + 0.6 * lit), key * lit, key * lit - 0.15 * bleed], axis=1)
    up = (normals[:, 1:2] + 1) * 0.5
    around = (light.ground * (1 - up) + light.sky * up) * ambient[:, None]
    fill = (0.06 + 0.09 * np.clip(normals[:, 2:3], 0, 1)) * ambient[:, None]
    colour = look.albedo * (light.key_colour * key3 * 0.62 + around + fill)
    grazing = np.clip(1 - normals[:, 2], 0, 1)
    rim = np.clip(dot(normals, light.rim), 0, 1) * grazing**2 * ambient
    colour += (rim[:, None] * light.rim_colour) * (0.06 + 0.5 * look.albedo)
    colour += (look.sheen * grazing * grazing * grazing * ambient)[:, None] * (0.05 + 0.45 * look.albedo)
    half = light.key + np.array([0, 0, 1], np.float32)
    half = half / norm(half)
    sharp = 8 + 70 * look.gloss
    spec = power(np.clip(dot(normals, half), 0, 1), sharp) * look.gloss * lit * 0.5
    colour += spec[:, None] * light.key_colour
    tone = colour * (1 + colour * 0.1) / (1 + colour * 0.46)
    return to_display(np.clip(tone, 0, 1))
