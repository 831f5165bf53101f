"""A small vectorised ray caster: convex solids and upright sprites, seen by a level pinhole camera.

World axes: x right, y up, z forward, metres, ground at y = 0. The camera never tilts (it shifts its image
plane, as an architecture photographer does), so verticals stay vertical and the horizon is one image row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from synth.embedded.scenery.textures import F32, Texture, f32
from synth.exact_math import cos, dot, exp, hypot, log2, norm, product, sin

FACES = 32  # surface number = solid index * FACES + face index
NOTHING = -1
NEAR = 0.12


@dataclass(frozen=True)
class Camera:
    """Level pinhole camera. focal, centre_x and horizon are in pixels; yaw in radians, positive to the right.

    A mirrored camera is the reflection of a camera in the ground plane: it sees what a polished floor shows.
    """

    width: int
    height: int
    focal: float
    centre_x: float
    horizon: float
    position: tuple[float, float, float]
    yaw: float
    mirrored: bool = False

    def scaled(self, factor: float) -> Camera:
        """The same view at another resolution."""
        return replace(
            self,
            width=round(self.width * factor),
            height=round(self.height * factor),
            focal=self.focal * factor,
            centre_x=self.centre_x * factor,
            horizon=self.horizon * factor,
        )

    def mirror(self) -> Camera:
        """The reflection of this camera in the ground plane, pixel-aligned with it."""
        x, y, z = self.position
        return replace(self, position=(x, -y, z), mirrored=True)

    def rays(self) -> tuple[F32, F32, F32]:
        """x and z of the ray directions per column, y per row; the direction's depth along the view is 1."""
        across = (np.arange(self.width, dtype=np.float32) + 0.5 - self.centre_x) / self.focal
        up = (self.horizon - np.arange(self.height, dtype=np.float32) - 0.5) / self.focal
        cosine, sine = f32(cos(self.yaw)), f32(sin(self.yaw))
        up = -up if self.mirrored else up
        return (
            (across * cosine + sine).astype(np.float32),
            up.astype(np.float32),
            (cosine - across * sine).astype(np.float32),
        )

    def window(self, points: NDArray) -> tuple[int, int, int, int] | None:
        """Pixel box x0, y0, x1, y1 that holds the projection of the points' hull; None when out of sight."""
        relative = points - np.array(self.position)
        cosine, sine = cos(self.yaw), sin(self.yaw)
        depth = relative[:, 0] * sine + relative[:, 2] * cosine
        if (depth < NEAR).all():
            return None
        if (depth < NEAR).any():
            return 0, 0, self.width, self.height
        x = self.centre_x + self.focal * (relative[:, 0] * cosine - relative[:, 2] * sine) / depth
        flip = -1.0 if self.mirrored else 1.0
        y = self.horizon - flip * self.focal * relative[:, 1] / depth
        x0, x1 = max(0, int(x.min()) - 1), min(self.width, int(x.max()) + 2)
        y0, y1 = max(0, int(y.min()) - 1), min(self.height, int(y.max()) + 2)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


@dataclass(frozen=True)
class Material:
    """What a surface is made of. size: metres per texture tile (u, v). gloss: mirror reflectance at normal
    incidence, used on the ground only. glow: emitted radiance as a multiple of the texture."""

    texture: Texture
    size: tuple[float, float] = (1.0, 1.0)
    gloss: float = 0.0
    glow: float = 0.0


@dataclass(frozen=True)
class Decal:
    """Another material laid over the ground. cover maps world x, z (float32[N]) to opacity 0..1
    (float32[N])."""

    cover: Callable[[F32, F32], F32]
    material: Material


@dataclass(frozen=True)
class Solid:
    """A convex solid: normals float64[M, 3], offsets float64[M] (inside: normal . p <= offset), texture axes
    float64[M, 2, 3] and origins float64[M, 2], vertices float64[K, 3]. centre and radius bound it.

    casts: throws shadows. worn: edge width in metres that catches light (0: none). axis: x, z of the
    vertical axis
    when the side faces stand for a round surface."""

    normals: NDArray
    offsets: NDArray
    axes: NDArray
    origins: NDArray
    vertices: NDArray
    materials: tuple[Material, ...]
    casts: bool = True
    worn: float = 0.012
    axis: tuple[float, float] | None = None
    decals: tuple[Decal, ...] = ()

    @cached_property
    def centre(self) -> NDArray:
        return np.asarray((self.vertices.min(0) + self.vertices.max(0)) / 2)

    @cached_property
    def radius(self) -> float:
        return float(norm(self.vertices - self.centre).max()) if len(self.vertices) else 0.0

    def moved(self, x: float, z: float, yaw: float) -> Solid:
        """A copy turned about the vertical through the origin, then shifted (for solids without `axis`)."""
        cosine, sine = cos(yaw), sin(yaw)
        turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
        shift = np.array([x, 0.0, z])
        normals, axes = product(self.normals, turn.T), product(self.axes, turn.T)
        return replace(
            self,
            normals=normals,
            offsets=self.offsets + product(normals, shift),
            axes=axes,
            origins=self.origins + product(axes, shift),
            vertices=product(self.vertices, turn.T) + shift,
        )


@dataclass(frozen=True)
class Sprite:
    """An upright cut-out that turns to the camera: foot (x, y, z), size (width, height) in metres, RGBA
    texture."""

    foot: tuple[float, float, float]
    size: tuple[float, float]
    texture: Texture
    flip: bool = False


def _frames(normals: NDArray, offsets: NDArray, vertices: NDArray) -> tuple[NDArray, NDArray]:
    """Texture axes (right and down, seen from outside) and origins (upper left corner) of each face."""
    level = hypot(normals[:, 0], normals[:, 2])
    flat = level < 0.31
    right = np.stack([-normals[:, 2], 0 * level, normals[:, 0]], -1) / np.maximum(level, 1e-9)[:, None]
    right[flat] = 1.0, 0.0, 0.0
    origins = np.zeros((len(normals), 2))
    if not len(vertices):
        return np.stack([right, np.cross(normals, right)], 1), origins
    gaps = np.abs(dot(normals[:, None], vertices) - offsets[:, None])
    on_face = gaps <= gaps.min(1, keepdims=True) + 1e-4
    for index in np.flatnonzero(flat & (on_face.sum(1) == 4)):
        # A turned table keeps its grain along its own longer side: of the three ways from one corner, the
        # diagonal is the longest and the longer side comes second.
        corners = vertices[on_face[index]]
        ways = corners[1:] - corners[0]
        along = ways[np.argsort(norm(ways), kind="stable")[1]]
        right[index] = along / max(float(norm(along)), 1e-9)
    down = np.cross(normals, right)
    down[~flat] *= -np.sign(down[~flat, 1:2])
    axes = np.stack([right, down], 1)
    reach = np.where(on_face[:, None, :], dot(axes[:, :, None], vertices), np.inf)
    return axes, np.asarray(reach.min(2))


def box(
    centre: Sequence[float],
    size: Sequence[float],
    material: Material,
    yaw: float = 0.0,
    faces: dict[str, Material] | None = None,
    casts: bool = True,
    worn: float = 0.012,
) -> Solid:
    """A box around centre. `faces` overrides the material of front (-z), back, left (-x), right, top,
    bottom."""
    names = ("right", "left", "top", "bottom", "back", "front")
    local = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    cosine, sine = cos(yaw), sin(yaw)
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    half = np.array(size, float) / 2
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    vertices = product(corners * half, turn.T) + np.array(centre, float)
    normals = product(local, turn.T)
    offsets = product(np.abs(local), half) + product(normals, np.array(centre, float))
    axes, origins = _frames(normals, offsets, vertices)
    chosen = tuple((faces or {}).get(name, material) for name in names)
    return Solid(normals, offsets, axes, origins, vertices, chosen, casts, worn)


def hull(
    points: NDArray, material: Material, axis: tuple[float, float] | None = None, casts: bool = True
) -> Solid:
    """The convex hull of float[K, 3] points."""
    shape = ConvexHull(points)
    rounded = np.unique(np.round(shape.equations, 5), axis=0)
    normals, offsets = rounded[:, :3], -rounded[:, 3]
    axes, origins = _frames(normals, offsets, points)
    return Solid(
        normals,
        offsets,
        axes,
        origins,
        points,
        (material,) * len(normals),
        casts,
        0.0 if axis else 0.012,
        axis,
    )


def column(
    x: float, z: float, bottom: float, top: float, radii: tuple[float, float], material: Material
) -> Solid:
    """An upright round column or cone frustum; radii at the bottom and at the top."""
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    ring = np.stack([cos(angle), 0 * angle, sin(angle)], -1)
    lower = ring * radii[0] + [x, bottom, z]
    upper = ring * radii[1] + [x, top, z]
    return hull(np.concatenate([lower, upper]), material, (x, z))


def ground(material: Material, decals: Sequence[Decal] = ()) -> Solid:
    """The endless plane y = 0, with decals laid over it in order."""
    up = np.array([[0.0, 1.0, 0.0]])
    axes, origins = _frames(up, np.zeros(1), np.zeros((0, 3)))
    return Solid(up, np.zeros(1), axes, origins, np.zeros((0, 3)), (material,), False, 0, None, tuple(decals))


@dataclass
class Buffers:
    """Per-pixel geometry: depth float32[H, W] along the view axis (inf: sky), surface int32[H, W]."""

    camera: Camera
    depth: F32
    surface: NDArray[np.int32]
    spots: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)

    def points(self, rows: NDArray, columns: NDArray) -> tuple[F32, F32, F32]:
        """World x, y, z (float32[N]) of the visible points at the pixels."""
        ray_x, ray_y, ray_z = self.camera.rays()
        depth = self.depth[rows, columns]
        x, y, z = (f32(value) for value in self.camera.position)
        return x + depth * ray_x[columns], y + depth * ray_y[rows], z + depth * ray_z[columns]


def trace(camera: Camera, solids: Sequence[Solid], sprites: Sequence[Sprite]) -> Buffers:
    """Nearest surface per pixel. Sprites are numbered after the solids; a mirrored camera skips the
    ground."""
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    surface = np.full((camera.height, camera.width), NOTHING, np.int32)
    buffers = Buffers(camera, depth, surface)
    ray_x, ray_y, ray_z = camera.rays()
    for index, solid in enumerate(solids):
        plane = not len(solid.vertices)
        if plane and camera.mirrored:
            continue
        spot = (0, 0, camera.width, camera.height) if plane else camera.window(solid.vertices)
        if spot is None:
            continue
        if plane:
            spot = (0, min(camera.height - 1, max(0, int(camera.horizon))), camera.width, camera.height)
        buffers.spots[index] = spot
        x0, y0, x1, y1 = spot
        columns_x, columns_z, rows_y = ray_x[x0:x1], ray_z[x0:x1], ray_y[y0:y1]
        enter: F32 | None = None
        leave: F32 | None = None
        face: NDArray | None = None
        room = solid.offsets - product(solid.normals, np.array(camera.position))
        for number, (normal, gap) in enumerate(zip(solid.normals.astype(np.float32), room, strict=True)):
            across = columns_x * normal[0] + columns_z * normal[2]
            slope = across[None, :] + (rows_y * normal[1])[:, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                reach = f32(gap) / slope
            if gap < 0:
                reach = np.where(slope < 0, reach, f32(np.inf))
                if enter is None or face is None:
                    enter, face = reach, np.full(reach.shape, number, np.int32)
                else:
                    face[reach > enter] = number
                    enter = np.maximum(enter, reach)
            else:
                reach = np.where(slope > 0, reach, f32(np.inf))
                leave = reach if leave is None else np.minimum(leave, reach)
        if enter is None or face is None:
            continue
        block = depth[y0:y1, x0:x1]
        hit = (enter < block) & (enter > NEAR)
        if leave is not None:
            hit &= enter < leave
        block[hit] = enter[hit]
        surface[y0:y1, x0:x1][hit] = index * FACES + face[hit]
    for number, sprite in enumerate(sprites):
        index = len(solids) + number
        placed = _sprite_frame(camera, sprite)
        if placed is None:
            continue
        distance, left, top, scale, spot = placed
        buffers.spots[index] = spot
        x0, y0, x1, y1 = spot
        alpha = _sprite_patch(sprite, left, top, scale, spot, camera.mirrored)[..., 3]
        block = depth[y0:y1, x0:x1]
        hit = (alpha > 0.5) & (block > distance)
        block[hit] = distance
        surface[y0:y1, x0:x1][hit] = index * FACES
    return buffers


def _sprite_frame(
    camera: Camera, sprite: Sprite
) -> tuple[float, float, float, float, tuple[int, int, int, int]] | None:
    """Depth, left and top pixel, pixels per metre and pixel box of a sprite; None when out of sight."""
    x, y, z = (a - b for a, b in zip(sprite.foot, camera.position, strict=True))
    cosine, sine = cos(camera.yaw), sin(camera.yaw)
    distance = x * sine + z * cosine
    if distance < 0.6:
        return None
    scale = camera.focal / distance
    left = camera.centre_x + scale * (x * cosine - z * sine - sprite.size[0] / 2)
    width, height = scale * sprite.size[0], scale * sprite.size[1]
    top = camera.horizon + scale * y if camera.mirrored else camera.horizon - scale * (y + sprite.size[1])
    x0, x1 = max(0, int(left)), min(camera.width, int(left + width) + 1)
    y0, y1 = max(0, int(top)), min(camera.height, int(top + height) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    return float(distance), float(left), float(top), float(scale), (x0, y0, x1, y1)


def _sprite_patch(
    sprite: Sprite, left: float, top: float, scale: float, spot: tuple[int, int, int, int], upside_down: bool
) -> F32:
    """float32[h, w, 4]: the sprite's pixels inside its box."""
    x0, y0, x1, y1 = spot
    levels = sprite.texture.levels
    texels = levels[0].shape[0] / (scale * sprite.size[1])
    level = levels[int(np.clip(log2(max(texels, 1.0)), 0, len(levels) - 1))]
    u = (np.arange(x0, x1) + 0.5 - left) / (scale * sprite.size[0])
    v = (np.arange(y0, y1) + 0.5 - top) / (scale * sprite.size[1])
    u = 1 - u if sprite.flip else u
    v = 1 - v if upside_down else v
    map_x = np.broadcast_to((u * level.shape[1] - 0.5).astype(np.float32)[None, :], (y1 - y0, x1 - x0))
    map_y = np.broadcast_to((v * level.shape[0] - 0.5).astype(np.float32)[:, None], (y1 - y0, x1 - x0))
    patch = cv2.remap(
        level,
        np.ascontiguousarray(map_x),
        np.ascontiguousarray(map_y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return np.asarray(patch, np.float32)


def paint(
    buffers: Buffers, solids: Sequence[Solid], sprites: Sequence[Sprite]
) -> tuple[F32, F32, NDArray[np.float32]]:
    """Surface colour float32[H, W, 3], emitted light float32[H, W] (a multiple of the colour) and gloss
    float32[H, W]; all linear."""
    camera = buffers.camera
    colour = np.zeros((camera.height, camera.width, 3), np.float32)
    glow = np.zeros((camera.height, camera.width), np.float32)
    gloss = np.zeros((camera.height, camera.width), np.float32)
    for index, (x0, y0, x1, y1) in buffers.spots.items():
        block = buffers.surface[y0:y1, x0:x1]
        mine = block // FACES == index
        if not mine.any():
            continue
        if index >= len(solids):
            sprite = sprites[index - len(solids)]
            placed = _sprite_frame(camera, sprite)
            assert placed is not None
            _, left, top, scale, spot = placed
            patch = _sprite_patch(sprite, left, top, scale, spot, camera.mirrored)[..., :3]
            colour[y0:y1, x0:x1][mine] = patch[mine]
            continue
        solid = solids[index]
        rows, columns = np.nonzero(mine)
        numbers = block[rows, columns] % FACES
        rows, columns = rows + y0, columns + x0
        for number in np.unique(numbers):
            chosen = numbers == number
            where = rows[chosen], columns[chosen]
            surface, lit, shine = _face(buffers, solid, int(number), *where)
            colour[where] = surface
            glow[where] = lit
            gloss[where] = shine
    return colour, glow, gloss


def _face(
    buffers: Buffers, solid: Solid, number: int, rows: NDArray, columns: NDArray
) -> tuple[F32, float, F32]:
    """Texture colour float32[N, 3], glow, and gloss float32[N] of one face at the pixels."""
    camera = buffers.camera
    material = solid.materials[number]
    x, y, z = buffers.points(rows, columns)
    depth = buffers.depth[rows, columns]
    across, down = solid.axes[number].astype(np.float32)
    origin = solid.origins[number].astype(np.float32)
    u = x * across[0] + y * across[1] + z * across[2] - origin[0]
    v = x * down[0] + y * down[1] + z * down[2] - origin[1]
    normal = solid.normals[number].astype(np.float32)
    # Footprint of a pixel: depth / focal across, longer by 1 / cosine along the slope. The level follows a
    # compromise between the two; four sub-pixels with dithered levels stand for trilinear filtering.
    x_c, y_c, z_c = (f32(value) for value in camera.position)
    facing = np.abs(normal[0] * (x - x_c) + normal[1] * (y - y_c) + normal[2] * (z - z_c))
    facing = np.maximum(facing / np.maximum(hypot(hypot(x - x_c, y - y_c), z - z_c), 1e-3), 0.02)
    # log2(depth / focal * facing ** -0.6)
    away = depth / f32(camera.focal)
    spread = f32(0.2) * log2(np.square(away * away) * away / (facing * facing * facing))
    dither = (((rows % 2) * 2 + (columns % 2) * 3) % 4 * 0.25).astype(np.float32)

    def look(chosen: Material, u: F32, v: F32, spread: F32, dither: F32) -> F32:
        texels = chosen.texture.levels[0].shape[0] / chosen.size[1]
        lod = np.maximum(spread + f32(log2(texels)), -10) + dither + f32(0.1)
        return chosen.texture.sample(u / f32(chosen.size[0]), v / f32(chosen.size[1]), lod)

    colour = look(material, u, v, spread, dither)
    gloss = np.full(len(x), material.gloss, np.float32)
    for decal in solid.decals:
        opacity = decal.cover(x, z)
        on = np.flatnonzero(opacity > 0)
        if len(on):
            share = opacity[on]
            over = look(decal.material, u[on], v[on], spread[on], dither[on])
            colour[on] += (over - colour[on]) * share[:, None]
            gloss[on] += (f32(decal.material.gloss) - gloss[on]) * share
    if solid.worn and len(solid.offsets) > 1 and material.glow == 0:
        colour *= _edges(solid, number, x, y, z)[:, None]
    return colour, material.glow, gloss


def _edges(solid: Solid, number: int, x: F32, y: F32, z: F32) -> F32:
    """float32[N] multiplier: real edges are rounded, so a thin line along them is brighter (or darker
    below)."""
    nearest = np.full(len(x), np.inf, np.float32)
    for other, (normal, offset) in enumerate(zip(solid.normals, solid.offsets, strict=True)):
        if other != number:
            a, b, c = (f32(value) for value in normal)
            nearest = np.minimum(nearest, f32(offset) - (x * a + y * b + z * c))
    line = exp(-np.square(np.maximum(nearest, 0) / f32(solid.worn)))
    return np.asarray(1 + 0.22 * line, np.float32)
