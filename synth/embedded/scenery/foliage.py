"""Leafy cut-outs: trees, shrubs, house plants, palms, wooded hills. Each is one RGBA texture tile."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.embedded.scenery.textures import Colour, Texture, f32, make_texture, noise, shade
from synth.exact_math import cos, hypot, norm, power, sin

GREENS: tuple[Colour, ...] = ((0.33, 0.45, 0.17), (0.27, 0.42, 0.20), (0.40, 0.48, 0.18), (0.24, 0.37, 0.22))
AUTUMN: tuple[Colour, ...] = ((0.70, 0.45, 0.15), (0.62, 0.30, 0.13), (0.66, 0.55, 0.20))


def _leaves(
    canvas: NDArray, rng: np.random.Generator, centres: NDArray, size: float, tone: Colour, spread: float
) -> None:
    """Stamp pointed leaves at float[N, 2] centres in one fill."""
    angle = rng.uniform(0, 2 * np.pi, len(centres))
    length = size * rng.uniform(0.6, 1.4, len(centres))
    along = np.stack([cos(angle), sin(angle)], -1) * length[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], -1) * 0.42
    quads = np.stack([centres - along, centres + across, centres + along, centres - across], 1)
    jitter = float(np.clip(rng.normal(1, spread), 0.5, 1.5))
    colour = [255 * min(1.0, channel * jitter) for channel in tone]
    cv2.fillPoly(canvas, list(np.round(quads * 16).astype(np.int32)), [*colour, 255], cv2.LINE_8, 4)


def tree(rng: np.random.Generator, leaf: Colour, light_from: float) -> Texture:
    """A broad-leaved tree (one RGBA tile, 5 wide : 6 high): trunk, branches and shaded clumps of leaves.

    light_from: -1 lit from the left .. 1 from the right."""
    width, height = 640, 768
    canvas = np.zeros((height, width, 4), np.uint8)
    bark = (0.34, 0.28, 0.22)
    middle = width / 2
    fork = height * rng.uniform(0.56, 0.66)
    tips: list[tuple[float, float]] = []

    def grow(x: float, y: float, angle: float, length: float, thick: float, depth: int) -> None:
        stop_x, stop_y = x + length * sin(angle), y - length * cos(angle)
        for offset, light in ((0.0, 0.75), (light_from * thick * 0.22, 1.15)):
            tone = [255 * c * light for c in bark] + [255]
            ends = (
                (round((x + offset) * 16), round(y * 16)),
                (round((stop_x + offset) * 16), round(stop_y * 16)),
            )
            cv2.line(
                canvas, *ends, tone, max(1, round(thick * (1.0 if offset == 0 else 0.45))), cv2.LINE_8, 4
            )
        if depth == 0:
            tips.append((stop_x, stop_y))
            return
        for _ in range(3):
            turn = float(np.clip(angle + rng.normal(0, 0.5), -1.0, 1.0))
            grow(stop_x, stop_y, turn, length * rng.uniform(0.6, 0.85), thick * 0.62, depth - 1)

    grow(middle, height, rng.normal(0, 0.03), height - fork, 26, 0)
    for _ in range(4):
        grow(tips[0][0], tips[0][1], float(np.clip(rng.normal(0, 0.45), -0.7, 0.7)), height * 0.13, 14, 2)
    _crown(
        canvas, rng, leaf, light_from, (middle, height * 0.36), (width * 0.37, height * 0.27), (46, 82), 7.5
    )
    return make_texture(canvas.astype(np.float32) / 255)


def bush(rng: np.random.Generator, leaf: Colour, light_from: float, bloom: Colour | None = None) -> Texture:
    """A shrub (one RGBA tile, 3 wide : 2 high), lit like `tree`; bloom: the colour of its flowers, if any."""
    width, height = 384, 256
    canvas = np.zeros((height, width, 4), np.uint8)
    _crown(
        canvas,
        rng,
        leaf,
        light_from,
        (width / 2, height * 0.62),
        (width * 0.36, height * 0.34),
        (34, 56),
        6.0,
    )
    # The lowest branches reach the ground, or the shrub would float.
    foot = np.stack([rng.uniform(0.16, 0.84, 260) * width, height - 26 * rng.uniform(0, 1, 260) ** 2], -1)
    _leaves(canvas, rng, foot, 6.0, shade(leaf, 0.42), 0.05)
    if bloom is not None:
        rows, columns = np.nonzero(canvas[: height - 40, :, 3])
        chosen = rng.integers(0, len(rows), 150)
        _leaves(canvas, rng, np.stack([columns[chosen], rows[chosen]], -1).astype(float), 4.5, bloom, 0.1)
    return make_texture(canvas.astype(np.float32) / 255)


def _crown(
    canvas: NDArray,
    rng: np.random.Generator,
    leaf: Colour,
    light_from: float,
    centre: tuple[float, float],
    reach: tuple[float, float],
    clump_size: tuple[float, float],
    leaf_size: float,
) -> None:
    """Paint clumps of leaves, back to front, into an ellipse: dark below and inside, light towards the
    sun."""
    count = int(rng.integers(46, 64))
    radius = power(rng.uniform(0, 1, count), 0.55)
    around = rng.uniform(0, 2 * np.pi, count)
    clumps = np.stack(
        [centre[0] + radius * cos(around) * reach[0], centre[1] + radius * sin(around) * reach[1]], -1
    )
    depth = rng.uniform(-1, 1, count) - 0.4 * (clumps[:, 1] - centre[1]) / reach[1] * 0.27
    for index in np.argsort(depth, kind="stable"):
        clump, big = clumps[index], rng.uniform(*clump_size)
        offsets = rng.normal(0, 0.42, (170, 2))
        offsets = offsets[hypot(offsets[:, 0], offsets[:, 1]) < 1.15] * big
        offsets[:, 1] *= 0.75
        lift = (-offsets[:, 1] / big + 0.7 * light_from * offsets[:, 0] / big) * 0.9
        lift += rng.normal(0, 0.3, len(lift))
        place = (
            -(clump[1] - centre[1]) / reach[1] * 0.9 + 0.6 * light_from * (clump[0] - centre[0]) / reach[0]
        )
        base = 0.62 + 0.16 * place + 0.14 * depth[index]
        for low, high, tone in ((-9.0, -0.35, 0.55), (-0.35, 0.1, 0.8), (0.1, 0.55, 1.05), (0.55, 9.0, 1.38)):
            chosen = offsets[(lift >= low) & (lift < high)]
            if len(chosen):
                lit = shade((leaf[0] * (0.9 + 0.12 * tone), leaf[1], leaf[2]), tone * base)
                _leaves(canvas, rng, clump + chosen, leaf_size, lit, 0.07)


def potted(rng: np.random.Generator, leaf: Colour) -> Texture:
    """A house plant without its pot (one RGBA tile, square): long arching leaves or stems with leaves."""
    size = 384
    canvas = np.zeros((size, size, 4), np.uint8)
    arching = rng.random() < 0.5
    for step in range(26):
        tone = shade(leaf, 0.45 + 0.75 * step / 26)
        lean = rng.normal(0, 0.62)
        length = rng.uniform(0.55, 0.98) * size
        t = np.linspace(0, 1, 14)
        x = size / 2 + lean * length * 0.62 * power(t, 1.3)
        y = size - 2 - length * (t - 0.33 * abs(lean) * power(t, 2.4))
        if arching:
            wide = 11 * sin(np.pi * np.clip(t * 0.94 + 0.05, 0, 1)) + 1
            outline = np.concatenate([np.stack([x - wide, y], -1), np.stack([x + wide, y], -1)[::-1]])
            colour = [255 * c for c in tone] + [255]
            cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], colour, cv2.LINE_8, 4)
            middle = np.round(np.stack([x, y], -1) * 16).astype(np.int32)
            cv2.polylines(canvas, [middle], False, [255 * c * 0.75 for c in tone] + [255], 2, cv2.LINE_8, 4)
        else:
            stem = np.round(np.stack([x, y], -1) * 16).astype(np.int32)
            cv2.polylines(canvas, [stem], False, [70, 66, 40, 255], 2, cv2.LINE_8, 4)
            points = np.stack([x, y], -1)[4:] + rng.normal(0, 9, (10, 2))
            _leaves(canvas, rng, points, 19.0, tone, 0.1)
    return make_texture(canvas.astype(np.float32) / 255)


def palm(rng: np.random.Generator) -> Texture:
    """A palm (one RGBA tile, 5 wide : 6 high)."""
    width, height = 640, 768
    canvas = np.zeros((height, width, 4), np.uint8)
    lean = rng.uniform(-90, 90)
    top = np.array([width / 2 + lean, 210.0])
    t = np.linspace(0, 1, 40)
    trunk_x = width / 2 + lean * power(t, 1.6)
    trunk_y = height - (height - top[1]) * t
    for index in range(39):
        tone = 0.8 + 0.2 * (index % 2)
        bark = [255 * c * tone for c in (0.50, 0.42, 0.33)] + [255]
        start = round(trunk_x[index]), round(trunk_y[index])
        stop = round(trunk_x[index + 1]), round(trunk_y[index + 1])
        cv2.line(canvas, start, stop, bark, round(24 - 9 * t[index]))
    for step in range(22):
        leaf = shade((0.33, 0.45, 0.18), 0.5 + 0.6 * step / 22)
        angle = rng.uniform(-2.4, 2.4)
        length = rng.uniform(190, 270)
        s = np.linspace(0.08, 1, 34)
        x = top[0] + length * s * sin(angle)
        y = top[1] - length * s * cos(angle) * 0.75 + 150 * s**2
        spine = np.stack([x, y], -1)
        tangent = np.gradient(spine, axis=0)
        tangent /= norm(tangent)[..., None]
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], -1)
        reach = (58 * sin(np.pi * np.clip(s, 0.05, 0.97)) + 4)[:, None]
        colour = [255 * c for c in leaf] + [255]
        for side in (-1, 1):
            tips = spine + side * normal * reach * 0.75 + tangent * reach * 0.7 + [0, 14]
            base = tangent * 3.4
            blades = np.stack([spine - base, spine + base, tips], 1)
            cv2.fillPoly(canvas, list(np.round(blades * 16).astype(np.int32)), colour, cv2.LINE_8, 4)
    return make_texture(canvas.astype(np.float32) / 255)


def ridge(rng: np.random.Generator, tone: Colour, cliff: bool) -> Texture:
    """A distant wooded hill (one RGBA tile, 8 wide : 1 high) that sinks to nothing at both ends; cliff:
    with a pale
    line at its foot."""
    height, width = 128, 1024
    x = np.linspace(0, 1, width, dtype=np.float32)
    outline = power(np.maximum(sin(np.pi * x), 0), 0.7) * (
        0.55 + 0.10 * noise(1024, 1.5, int(rng.integers(4)))[5]
    )
    outline *= np.clip(1 + 0.9 * (x - 0.5) * float(rng.choice([-1, 1])), 0, 1.3)
    y = 1 - (np.arange(height, dtype=np.float32) + 0.5) / height
    cover = noise(1024, 0.8, 5)[:height] * 0.18 + noise(1024, 1.4, 6)[:height] * 0.12
    image = np.zeros((height, width, 4), np.float32)
    image[..., :3] = f32(tone) * (1 + cover)[..., None]
    if cliff:
        foot = (y[:, None] < 0.07 + 0.03 * noise(1024, 1.2, 7)[9][None, :])[..., None]
        image[..., :3] = np.where(foot, f32((0.62, 0.56, 0.47)) * (1 + cover)[..., None], image[..., :3])
    image[..., 3] = (y[:, None] < outline[None, :]) * 1.0
    return make_texture(image)
