"""Clean backgrounds without a single file: `render_scenery(seed, width, height)`.

A kind of place is drawn by seed, described as a `World` (interiors, townscapes, landscapes), ray-cast, lit,
and then put through a camera: exposure, bloom, tone curve, vignette, a trace of blur and grain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.embedded.fixed_point import blur, resample, shrink, wide_blur
from synth.embedded.scenery import interiors, landscapes, townscapes
from synth.embedded.scenery.lighting import cloudy_sky, irradiance
from synth.embedded.scenery.raycast import FACES, NOTHING, Buffers, Camera, paint, trace
from synth.embedded.scenery.textures import F32, f32
from synth.embedded.scenery.world import World
from synth.exact_math import arctan2, cos, dot, exp, hypot, log, norm, power, sin
from synth.gamma import to_display

KINDS: dict[str, Callable[[np.random.Generator], World]] = {
    "street": townscapes.street,
    "living-room": interiors.living_room,
    "park": landscapes.park,
    "office": interiors.office,
    "plaza": townscapes.plaza,
    "gallery": interiors.gallery,
    "beach": landscapes.beach,
    "corridor": interiors.corridor,
    "library": interiors.library,
}
OVERSAMPLE = 2


@dataclass(frozen=True)
class Scenery:
    """A rendered place without people.

    image: uint8[H, W, 3] RGB. horizon: the camera's horizon as a fraction of the image height from the top.
    camera_height: metres above the ground; a person of s metres whose feet are at row y is
    (y - horizon * H) * s / camera_height pixels tall. focal: focal length as a multiple of the longer side.
    ground: bool[H, W], where feet may stand. sheen: uint8[H, W], the share of the light that the ground mirrors towards
    the camera, in 255ths; None where no ground is glossy. kind: a key of KINDS. open_air: whether there is a sky.
    shadow: of whoever stands in the open, None where the sun casts none: the direction in which it falls, in turns
    from away from the camera to the right; its length in heights; its opacity on the display, 0..1.
    """

    image: NDArray[np.uint8]
    horizon: float
    camera_height: float
    focal: float
    ground: NDArray[np.bool_]
    sheen: NDArray[np.uint8] | None
    kind: str
    open_air: bool
    shadow: tuple[float, float, float] | None


def render_scenery(seed: int, width: int, height: int) -> Scenery:
    """The place that belongs to `seed`, at the given size in pixels; the same arguments give the same
    bytes."""
    rng = np.random.Generator(np.random.Philox(seed))
    kind = list(KINDS)[int(rng.integers(len(KINDS)))]
    world = KINDS[kind](rng)
    view = world.view
    full = Camera(
        width * OVERSAMPLE,
        height * OVERSAMPLE,
        view.focal * max(width, height) * OVERSAMPLE,
        width * OVERSAMPLE / 2,
        view.horizon * height * OVERSAMPLE,
        view.eye,
        view.yaw,
    )
    buffers = trace(full, world.solids, world.sprites)
    radiance, gloss = _radiance(buffers, world, (2, 2) if world.sky else (4, 2))
    sheen = None
    if gloss.max() > 0:
        fresnel = _fresnel(gloss, buffers)
        _reflect(radiance, fresnel, buffers, world)
        sheen = _ground_sheen(fresnel, buffers)
    _haze(radiance, buffers, world)
    image = _develop(radiance, width, height, rng)
    ground = _standable(buffers, world, width, height)
    return Scenery(
        image,
        view.horizon,
        view.eye[1],
        view.focal,
        ground,
        sheen,
        world.kind,
        world.sky is not None,
        _shadow(world),
    )


def _shadow(world: World) -> tuple[float, float, float] | None:
    """`Scenery.shadow`; indoors the sun comes through windows alone, and falls on few people."""
    sun = world.light.sun
    if sun is None or sun.portals:
        return None
    x, rise, z = sun.direction
    cosine, sine = float(cos(world.view.yaw)), float(sin(world.view.yaw))
    right, ahead = x * cosine - z * sine, x * sine + z * cosine  # to the sun
    direct = sum(sun.colour) * rise
    kept = 1 - direct / (direct + sum(world.light.sky))  # of the light, in the shade
    opacity = 1 - float(to_display(f32([kept]))[0])
    turns = float(arctan2(-right, -ahead)) / (2 * np.pi)
    return round(turns, 4), round(float(hypot(right, ahead)) / rise, 4), round(opacity, 3)


def _radiance(buffers: Buffers, world: World, strides: tuple[int, int]) -> tuple[F32, F32]:
    """Light towards the camera, float32[H, W, 3], without reflections and haze, and the gloss float32[H,
    W]."""
    colour, glow, gloss = paint(buffers, world.solids, world.sprites)
    light = irradiance(
        buffers, world.solids, world.sprites, world.light, strides, not buffers.camera.mirrored
    )
    light += glow[..., None]
    colour *= light
    if world.sky is not None:
        above = buffers.surface == NOTHING
        sky = cloudy_sky(
            buffers,
            world.sky.low,
            world.sky.high,
            world.sky.cover,
            world.sky.variant,
            world.light.sun,
            world.sky.cloud,
        )
        colour = np.where(above[..., None], sky, colour)
    return colour, gloss


def _fresnel(gloss: F32, buffers: Buffers) -> F32:
    """float32[H, W]: the share of the light that level surfaces of some gloss mirror, after Schlick."""
    _, up, _ = buffers.camera.rays()
    cosine = np.abs(up) / np.sqrt(1 + up**2)
    fresnel = gloss + (0.75 * np.sqrt(gloss)) * power(1 - cosine, 5)[:, None]
    fresnel *= gloss > 0
    return fresnel


def _ground_sheen(fresnel: F32, buffers: Buffers) -> NDArray[np.uint8] | None:
    """`Scenery.sheen`."""
    seen = (buffers.surface // FACES == 0) & (buffers.surface != NOTHING)
    middle = np.s_[OVERSAMPLE // 2 :: OVERSAMPLE, OVERSAMPLE // 2 :: OVERSAMPLE]
    share = np.where(seen[middle], np.minimum(fresnel[middle], f32(1)), f32(0)).astype(np.float64)
    sheen = np.floor(share * 255 + 0.5).astype(np.uint8)
    return sheen if sheen.any() else None


def _reflect(radiance: F32, fresnel: F32, buffers: Buffers, world: World) -> None:
    """Add the mirrored scene to glossy ground; the mirror image is coarse and blurred upright, as on a floor that is
    polished but not flat."""
    factor = 4
    coarse = buffers.camera.scaled(1 / factor).mirror()
    seen = trace(coarse, world.solids, world.sprites)
    mirror, _ = _radiance(seen, world, (2, 2))
    height, width = fresnel.shape
    mirror = resample(np.minimum(blur(np.minimum(mirror, 16.0), 0.7, 2.2), 4.0), (width, height))
    radiance += (mirror - radiance * 0.6) * fresnel[..., None]


def _haze(radiance: F32, buffers: Buffers, world: World) -> None:
    """Fade distant surfaces towards the colour of the air."""
    if world.sky is None:
        return
    solid = buffers.surface != NOTHING
    share = 1 - exp(-np.where(solid, buffers.depth, 0) / f32(world.light.haze_distance))
    radiance += (f32(world.light.haze) - radiance) * (0.9 * share)[..., None]


def _develop(radiance: F32, width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """From linear light to a photo: uint8[height, width, 3]."""
    # Clip before averaging, or one sparkling sub-pixel leaves a jagged edge.
    linear = shrink(np.minimum(radiance, 6.0), OVERSAMPLE)
    luminance = dot(linear, f32([0.21, 0.72, 0.07]))
    key = float(exp(np.mean(log(luminance + 0.02))))
    linear *= f32(power(np.clip(0.30 / key, 0.4, 3.5), 0.85))
    size = max(width, height)
    bright = np.maximum(linear - 1.0, 0)
    linear += 0.18 * wide_blur(bright, size / 90) + 0.08 * wide_blur(bright, size / 25)
    tint = f32([1, 1, 1]) + rng.normal(0, 0.02, 3).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / ((width / 2) ** 2 + (height / 2) ** 2)
    linear *= (1 - rng.uniform(0.16, 0.34) * away).astype(np.float32)[..., None] * tint
    # Filmic curve (Narkowicz's fit of ACES), then display gamma.
    linear = np.maximum(linear, 0) * f32(0.85)
    curve = linear * (2.51 * linear + 0.03) / (linear * (2.43 * linear + 0.59) + 0.14)
    display = blur(to_display(np.clip(curve, 0, 1).astype(np.float32)), 0.45)
    grain = rng.standard_normal((height, width, 1), np.float32) + 0.35 * rng.standard_normal(
        (height, width, 3), np.float32
    )
    display += rng.uniform(0.006, 0.013) * grain
    return np.asarray(np.clip(display * 255 + 0.5, 0, 255), np.uint8)


def _standable(buffers: Buffers, world: World, width: int, height: int) -> NDArray[np.bool_]:
    """bool[height, width]: visible ground in reach, free of furniture footprints."""
    rows = np.arange(height) * OVERSAMPLE + OVERSAMPLE // 2
    columns = np.arange(width) * OVERSAMPLE + OVERSAMPLE // 2
    seen = (buffers.surface[np.ix_(rows, columns)] // FACES == 0) & (
        buffers.depth[np.ix_(rows, columns)] < world.far
    )
    seen &= buffers.surface[np.ix_(rows, columns)] != NOTHING
    y, x = np.nonzero(seen)
    world_x, _, world_z = buffers.points(rows[y], columns[x])
    free = world.stand(world_x, world_z)
    for footprint in world.obstacles:
        outline = cv2.convexHull(footprint.astype(np.float32))[:, 0]
        low, high = outline.min(0) - 0.12, outline.max(0) + 0.12
        near = np.flatnonzero(
            (world_x > low[0]) & (world_x < high[0]) & (world_z > low[1]) & (world_z < high[1])
        )
        if not len(near):
            continue
        inside = np.ones(len(near), bool)
        middle = outline.mean(0)
        for start, stop in zip(outline, np.roll(outline, -1, 0), strict=True):
            normal = np.array([stop[1] - start[1], start[0] - stop[0]])
            length = norm(normal)
            if length < 1e-6:
                continue
            normal = normal / length
            normal = normal if dot(normal, start - middle) > 0 else -normal
            inside &= (world_x[near] - start[0]) * normal[0] + (world_z[near] - start[1]) * normal[1] < 0.12
        free[near[inside]] = False
    result = np.zeros((height, width), bool)
    result[y[free], x[free]] = True
    return result
