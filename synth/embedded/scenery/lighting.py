"""Light for the ray caster: sun with cast shadows, area lights, sky light and screen-space ambient occlusion.

Light is computed on a coarse grid and carried to full resolution surface by surface (never across an edge),
which
is what makes soft shadows affordable in numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.embedded.fixed_point import on_grid
from synth.embedded.scenery.raycast import FACES, NOTHING, Buffers, Solid, Sprite
from synth.embedded.scenery.textures import F32, Colour, f32, noise
from synth.exact_math import cos, dot, hypot, norm, power, product, sin


@dataclass(frozen=True)
class Portal:
    """A hole (window) in the plane `axis` ("x" or "z") = at: low and high are (other horizontal axis, y)."""

    axis: str
    at: float
    low: tuple[float, float]
    high: tuple[float, float]


@dataclass(frozen=True)
class Sun:
    """direction points to the sun (unit); portals: when given, sunlight enters only through them."""

    direction: tuple[float, float, float]
    colour: Colour
    portals: tuple[Portal, ...] = ()


@dataclass(frozen=True)
class Lamp:
    """A rectangular light: centre, half edges, and radiance as RGB. It shines to the side of `across x
    along`."""

    centre: tuple[float, float, float]
    across: tuple[float, float, float]
    along: tuple[float, float, float]
    colour: Colour


@dataclass(frozen=True)
class Light:
    """All light of a scene. sky and bounce: irradiance on surfaces that face up and down; haze: colour and
    the
    distance in metres at which it has taken over by 63 %."""

    sun: Sun | None
    lamps: tuple[Lamp, ...]
    sky: Colour
    bounce: Colour
    haze: Colour
    haze_distance: float
    occlusion_radius: float = 0.6


# Nine places in the unit square, one for each cell of a 3 x 3 pattern: a 3 x 3 blur then averages nine
# shadow rays
# per point although each point traces one.
_SUN_RADIUS = 0.009  # twice the real sun's 0.0047 rad: haze
_PATTERN = f32([(-7, -2), (-5, 5), (-3, -7), (-1, 1), (1, 8), (3, -4), (5, 4), (7, -6), (8, 0)]) / 8


@dataclass(frozen=True)
class _Grid:
    """The coarse grid: pixel numbers, and per point position, normal, surface."""

    rows: NDArray
    columns: NDArray
    surface: NDArray[np.int32]
    position: F32
    normal: F32

    def places(self) -> F32:
        """float32[h * w, 2] in -1..1: where on the light's face each point's shadow ray goes."""
        height, width = self.surface.shape
        cell = (np.arange(height) % 3)[:, None] * 3 + (np.arange(width) % 3)[None, :]
        return np.asarray(_PATTERN[cell].reshape(-1, 2), np.float32)


def irradiance(
    buffers: Buffers,
    solids: Sequence[Solid],
    sprites: Sequence[Sprite],
    light: Light,
    strides: tuple[int, int],
    lamp_shadows: bool = True,
) -> F32:
    """float32[H, W, 3]: light on the visible surfaces (undefined on the sky).

    strides: grid steps in pixels for soft light (sky, lamps) and for the sun, whose shadows have sharper
    edges.
    lamp_shadows: off for reflections, where soft shadows are not missed."""
    soft = _grid(buffers, solids, strides[0])
    coarse = _soft_light(soft, buffers, solids, light, lamp_shadows)
    if light.sun is None:
        return spread(coarse, soft.surface, buffers.surface, strides[0])
    if strides[0] == strides[1]:
        coarse += _sunlight(soft, solids, sprites, light.sun) * f32(light.sun.colour)
        return spread(coarse, soft.surface, buffers.surface, strides[0])
    sharp = _grid(buffers, solids, strides[1])
    total = spread(coarse, soft.surface, buffers.surface, strides[0])
    share = spread(_sunlight(sharp, solids, sprites, light.sun), sharp.surface, buffers.surface, strides[1])
    total += share * f32(light.sun.colour)
    return total


def _soft_light(
    grid: _Grid, buffers: Buffers, solids: Sequence[Solid], light: Light, lamp_shadows: bool
) -> F32:
    """float32[h, w, 3]: sky, bounced and lamp light on the grid."""
    here = np.flatnonzero(grid.surface.ravel() != NOTHING)
    points, normals = grid.position.reshape(-1, 3)[here], grid.normal.reshape(-1, 3)[here]
    closed = ambient_occlusion(grid, buffers, light.occlusion_radius).ravel()[here]
    up = (normals[:, 1:2] + 1) / 2
    found = (f32(light.sky) * up + f32(light.bounce) * (1 - up)) * closed[:, None]
    places = grid.places()[here]
    # Slender parts leave no visible shadow in the light of a large lamp.
    casters = [solid for solid in solids if solid.casts and solid.radius > 0.15] if lamp_shadows else []
    for lamp in light.lamps:
        found += _lamp(points, normals, lamp, casters, places) * (0.45 + 0.55 * closed)[:, None]
    result = np.zeros((grid.surface.size, 3), np.float32)
    result[here] = found
    result = result.reshape(*grid.surface.shape, 3)
    if light.lamps:
        for step in (1, 2, 1):
            result = soften(result, grid.surface, step)
    return result


def _sunlight(grid: _Grid, solids: Sequence[Solid], sprites: Sequence[Sprite], sun: Sun) -> F32:
    """float32[h, w, 1] in 0..1: sunlight on the grid, cosine and shadows included."""
    surface = grid.surface.ravel()
    here = np.flatnonzero(surface != NOTHING)
    points, normals = grid.position.reshape(-1, 3)[here], grid.normal.reshape(-1, 3)[here]
    facing = np.maximum(dot(normals, f32(sun.direction)), 0)
    # Leaves face every way: a sprite takes an even share of the sun.
    facing[surface[here] // FACES >= len(solids)] = 0.62
    lit = np.flatnonzero(facing > 0)
    start = points[lit] + 0.01 * normals[lit]
    owners = surface[here[lit]] // FACES - len(solids)
    share = np.zeros(grid.surface.size, np.float32)
    share[here[lit]] = facing[lit] * _sunlit(start, sun, solids, sprites, grid.places()[here[lit]], owners)
    return soften(share.reshape(*grid.surface.shape, 1), grid.surface, 1)


def _grid(buffers: Buffers, solids: Sequence[Solid], stride: int) -> _Grid:
    height, width = buffers.surface.shape
    rows = np.arange(stride // 2, height, stride)
    columns = np.arange(stride // 2, width, stride)
    surface = buffers.surface[np.ix_(rows, columns)]
    grid_rows, grid_columns = np.meshgrid(rows, columns, indexing="ij")
    x, y, z = buffers.points(grid_rows.ravel(), grid_columns.ravel())
    position = np.stack([x, y, z], -1).reshape(*surface.shape, 3)
    table = np.zeros(((len(solids) + 1) * FACES, 3), np.float32)
    for index, solid in enumerate(solids):
        table[index * FACES : index * FACES + len(solid.normals)] = solid.normals
    camera = buffers.camera
    # Sprites are lit as if they faced the camera and the sky.
    table[-1] = -0.5 * sin(camera.yaw), 0.8, -0.5 * cos(camera.yaw)
    lookup = np.where(surface == NOTHING, len(table) - 1, np.minimum(surface, len(table) - 1))
    normal = table[lookup]
    owner = surface // FACES
    for index, solid in enumerate(solids):
        if solid.axis is not None and index in buffers.spots:
            round_side = (owner == index) & (np.abs(normal[..., 1]) < 0.9)
            away = position[round_side][:, [0, 2]] - f32(solid.axis)
            away /= np.maximum(norm(away)[..., None], 1e-4)
            rise = normal[round_side][:, 1]
            flat = np.sqrt(1 - rise**2)
            normal[round_side] = np.stack([away[:, 0] * flat, rise, away[:, 1] * flat], -1)
    position[surface == NOTHING] = 1e4
    return _Grid(rows, columns, surface, position.astype(np.float32), normal)


def ambient_occlusion(grid: _Grid, buffers: Buffers, radius: float) -> F32:
    """float32[h, w] in 0..1 (1: open): how much of the hemisphere the neighbouring pixels leave free."""
    height, width = grid.surface.shape
    stride = int(grid.rows[1] - grid.rows[0])
    depth = buffers.depth[np.ix_(grid.rows, grid.columns)]
    reach = buffers.camera.focal / stride * radius / np.minimum(depth, 1e3)
    base_x, base_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    total = np.zeros((height, width), np.float32)
    count = 14
    for index in range(count):
        angle = index * 2.399963
        share = f32(power((index + 0.5) / count, 0.8))
        span = np.clip(reach * share, 1.0, 90.0)
        neighbour = cv2.remap(
            grid.position,
            base_x + span * f32(cos(angle)),
            base_y + span * f32(sin(angle)),
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        offset = neighbour - grid.position
        distance = norm(offset) + f32(1e-4)
        rise = dot(offset, grid.normal) / distance
        total += np.maximum(rise - 0.08, 0) * np.clip(1.6 - distance / f32(radius), 0, 1)
    closed = np.clip(1 - 2.0 * total / count, 0.12, 1).astype(np.float32)
    blurred = np.asarray(cv2.blur(closed, (5, 5)), np.float32)
    # The blur must not carry a dark corner onto another surface.
    same = cv2.blur((grid.surface == np.roll(grid.surface, 1, 0)).astype(np.float32), (5, 5))
    return np.asarray(np.where(same > 0.95, blurred, 0.5 * blurred + 0.5 * closed), np.float32)


def _blocked(points: F32, toward: F32, limit: F32 | float, solid: Solid) -> NDArray[np.bool_]:
    """bool[N]: whether the ray from each point float32[3, N] meets the solid before `limit` metres."""
    enter = np.full(points.shape[1], 1e-3, np.float32)
    leave = np.broadcast_to(f32(limit), enter.shape).copy()
    inside = np.ones(enter.shape, bool)
    for normal, offset in zip(f32(solid.normals), f32(solid.offsets), strict=True):
        gap = offset - dot(points.T, normal)
        slope = np.broadcast_to(dot(toward.T, normal), gap.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = gap / slope
        enter = np.where(slope < 0, np.maximum(enter, reach), enter)
        leave = np.where(slope > 0, np.minimum(leave, reach), leave)
        inside &= (slope != 0) | (gap > 0)
    return inside & (enter < leave)


def _sunlit(
    points: F32,
    sun: Sun,
    solids: Sequence[Solid],
    sprites: Sequence[Sprite],
    places: F32,
    owners: NDArray[np.int32],
) -> F32:
    """float32[N]: visible share of the sun. Rays are spread over a small disc, so that far shadows soften.

    owners: int32[N], the number of the sprite that each point lies on (negative: a solid)."""
    direction = f32(sun.direction)
    # Order the points across the sunbeams: a caster then concerns one contiguous run of them.
    flat = f32([direction[2], 0, -direction[0]])
    flat /= max(float(norm(flat)), 1e-3)
    side = dot(points, flat)
    order = np.argsort(side, kind="stable")
    side, ordered = side[order], np.ascontiguousarray(points[order].T)
    lifted = np.cross(direction, flat).astype(np.float32)
    toward = direction + f32(_SUN_RADIUS) * product(places[order], np.stack([flat, lifted]))
    toward = np.ascontiguousarray((toward / norm(toward)[:, None]).T)
    seen = np.ones(len(points), np.float32)
    if sun.portals:
        seen[:] = 0
        for portal in sun.portals:
            _through(portal, ordered, toward, seen)
    rise = dot(ordered.T, lifted)
    for solid in solids:
        if not solid.casts:
            continue
        across, along = product(solid.vertices, flat), product(solid.vertices, lifted)
        # Spread rays leave the exact shadow by 1 % of their length: 0.2 m is enough up to 20 m.
        first, last = np.searchsorted(side, [across.min() - 0.2, across.max() + 0.2])
        run = rise[first:last]
        near = (
            np.flatnonzero((run > along.min() - 0.2) & (run < along.max() + 0.2) & (seen[first:last] > 0))
            + first
        )
        if len(near):
            seen[near[_blocked(ordered[:, near], toward[:, near], 1e4, solid)]] = 0
    owners = owners[order]
    for number, sprite in enumerate(sprites):
        reach = 0.5 * sprite.size[0]
        first, last = np.searchsorted(side, dot(f32(sprite.foot), flat) + f32([-reach, reach]))
        if first < last:
            # The flat cut-out must not shadow itself: its shading is painted on it.
            run_of = np.flatnonzero(owners[first:last] != number) + first
            seen[run_of] *= _sprite_shadow(ordered[:, run_of], toward[:, run_of], sprite, flat)
    result = np.empty_like(seen)
    result[order] = seen
    return result


def _through(portal: Portal, points: F32, toward: F32, seen: F32) -> None:
    """Set `seen` to 1 where the ray from a point float32[3, N] passes through the portal."""
    across, other = (0, 2) if portal.axis == "x" else (2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = (f32(portal.at) - points[across]) / toward[across]
    side = points[other] + reach * toward[other]
    rise = points[1] + reach * toward[1]
    inside = (reach > 0) & (side > portal.low[0]) & (side < portal.high[0])
    seen[inside & (rise > portal.low[1]) & (rise < portal.high[1])] = 1


def _sprite_shadow(points: F32, toward: F32, sprite: Sprite, right: F32) -> F32:
    """float32[N] in 0..1: light left at points float32[3, N] by the sprite, turned to the sun (`right` is level
    and across the beams)."""
    flat = f32([-right[2], 0, right[0]])
    foot = f32(sprite.foot)
    width, height = sprite.size
    left = np.ones(points.shape[1], np.float32)
    ahead = dot(foot - points.T, flat)
    near = np.flatnonzero(ahead > 0)
    reach = ahead[near] / np.maximum(dot(toward[:, near].T, flat), 1e-3)
    hit = points[:, near] + reach * toward[:, near] - foot[:, None]
    u = dot(hit.T, right) / width + 0.5
    v = 1 - hit[1] / height
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    near, u, v = near[inside], u[inside], v[inside]
    if len(near):
        level = 1.0 if sprite.texture.levels[0].shape[0] <= 512 else 2.0
        alpha = sprite.texture.sample(u.astype(np.float32), v.astype(np.float32), level)[:, 3]
        # A crown is deeper than its cut-out: little light comes through its middle, and its shadow starts
        # softly.
        fade = np.clip(ahead[near] / (0.4 * width), 0, 1)
        left[near] = 1 - np.clip(alpha * 1.1, 0, 0.93) * fade
    return left


def _lamp(points: F32, normals: F32, lamp: Lamp, casters: Sequence[Solid], places: F32) -> F32:
    """float32[N, 3]: light from one rectangular lamp, one shadow ray per point."""
    centre, across, along = f32(lamp.centre), f32(lamp.across), f32(lamp.along)
    facing = np.cross(across, along)
    size = norm(facing)
    area = 4 * float(size)
    facing = np.asarray(facing / size, np.float32)
    middle = np.asfortranarray(centre - points)
    distance = norm(middle)
    # The unshadowed term uses the lamp's middle (smooth); only the shadow test is sampled over its area.
    toward = middle / np.maximum(distance, 1e-3)[:, None]
    cosine = np.maximum(dot(toward, normals) * 0.85 + 0.15, 0)
    emitted = np.maximum(-dot(toward, facing), 0)
    strength = cosine * emitted * f32(area) / (distance * distance + f32(area) * 0.35)
    useful = np.flatnonzero(strength * max(lamp.colour) > 0.015)
    target = centre + places[useful, :1] * across + places[useful, 1:] * along - points[useful]
    length = norm(target)
    target = np.ascontiguousarray((target / np.maximum(length, 1e-3)[:, None]).T)
    start = np.ascontiguousarray((points[useful] + 0.01 * normals[useful]).T)
    clear = np.ones(len(useful), np.float32)
    start_along = dot(start.T, target.T)
    start_square = dot(start.T, start.T)
    for solid in casters:
        # Only rays through the bounding sphere are tested; in this form the test is two sums of products.
        centre = f32(solid.centre)
        radius = f32(solid.radius)
        along = dot(target.T, centre) - start_along
        apart = start_square - 2 * dot(start.T, centre) + dot(centre, centre) - along * along
        near = np.flatnonzero(
            (apart < radius * radius + 0.002) & (along > -radius) & (along < length + radius)
        )
        near = near[clear[near] > 0]
        if len(near):
            clear[
                near[
                    _blocked(
                        start[:, near], target[:, near], np.asarray(length[near] - 0.03, np.float32), solid
                    )
                ]
            ] = 0
    strength[useful] *= clear
    return np.asarray(strength[:, None] * f32(lamp.colour), np.float32)


def spread(coarse: F32, surface: NDArray[np.int32], fine: NDArray[np.int32], stride: int) -> F32:
    """Bilinear enlargement of float32[h, w, C] that only mixes points of the pixel's own surface."""
    height, width = fine.shape
    channels = coarse.shape[2]
    total = np.zeros((height, width, channels), np.float32)
    weight = np.zeros((height, width), np.float32)
    y = (np.arange(height) - stride // 2) / stride
    x = (np.arange(width) - stride // 2) / stride
    for dy in (0, 1):
        low_y = np.floor(y).astype(int) + dy
        part_y = (1 - np.abs(y - low_y)).astype(np.float32)
        pick_y = np.clip(low_y, 0, surface.shape[0] - 1)
        for dx in (0, 1):
            low_x = np.floor(x).astype(int) + dx
            part_x = (1 - np.abs(x - low_x)).astype(np.float32)
            pick_x = np.clip(low_x, 0, surface.shape[1] - 1)
            near = surface[pick_y][:, pick_x]
            share = np.where(near == fine, f32(1), np.where(near == NOTHING, f32(1e-8), f32(1e-4)))
            share *= (part_y[:, None] + f32(1e-3)) * (part_x + f32(1e-3))[None, :]
            total += np.take(np.take(coarse, pick_y, 0), pick_x, 1) * share[..., None]
            weight += share
    total /= weight[..., None]
    return total


def soften(coarse: F32, surface: NDArray[np.int32], step: int) -> F32:
    """Blur float32[h, w, C] within each surface, over neighbours `step` points away: removes the grain of one
    shadow ray per point."""
    total = coarse.copy()
    weight = np.ones(surface.shape, np.float32)
    for dy in (-step, 0, step):
        for dx in (-step, 0, step):
            if dy or dx:
                same = (np.roll(surface, (dy, dx), (0, 1)) == surface).astype(np.float32)
                total += np.roll(coarse, (dy, dx), (0, 1)) * same[..., None]
                weight += same
    total /= weight[..., None]
    return total


def cloudy_sky(
    buffers: Buffers, low: Colour, high: Colour, cover: float, variant: int, sun: Sun | None, white: Colour
) -> F32:
    """float32[H, W, 3]: sky radiance for every pixel above the horizon, 0 below."""
    camera = buffers.camera
    ray_x, ray_y, ray_z = camera.rays()
    above = ray_y > -0.01
    rise = np.maximum(ray_y[above], 0.004)[:, None]
    length = np.sqrt(ray_x**2 + ray_z**2)[None, :]
    elevation = rise / hypot(length, rise)
    blend = power(np.clip(elevation * 1.7, 0, 1), 0.55)
    sky = f32(low) * (1 - blend)[..., None] + f32(high) * blend[..., None]
    # Clouds live on a plane: project, look up two octaves of cloudy noise, threshold softly.
    reach = 0.055 / (rise + 0.035)
    u = (ray_x[None, :] * reach + 0.13 * variant) % 1
    v = (ray_z[None, :] * reach + 0.37 * variant) % 1
    size = 512
    field = noise(size, 1.55, variant % 4)
    cloud = cv2.remap(
        np.tile(on_grid(field, 10), (2, 2)),
        (u * size).astype(np.float32),
        (v * size).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    density = np.clip((cloud - (1.2 - 2.4 * cover)) * 0.85, 0, 1)
    # Thick parts are grey below; the field itself keeps an overcast sky from turning into one flat tone.
    lit = np.clip(1.02 - 0.30 * density - 0.10 * cloud, 0.45, 1.1)[..., None] * f32(white)
    opacity = (density * np.clip(elevation * 9, 0.15, 1))[..., None]
    sky = sky * (1 - opacity) + lit * opacity
    if sun is not None:
        direction = f32(sun.direction)
        cosine = ray_x[None, :] * direction[0] + rise * direction[1] + ray_z[None, :] * direction[2]
        cosine /= hypot(length, rise)
        glow = power(np.clip(cosine, 0, 1), 24)
        halo = glow * 0.5 + power(glow, 400 / 24) * 3
        sky = sky + halo[..., None] * f32(sun.colour) * 0.35
    result = np.zeros((camera.height, camera.width, 3), np.float32)
    result[above] = sky
    return result
