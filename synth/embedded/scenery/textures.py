"""Tileable surface bitmaps (wood, brick, grass, facades ...) with mip chains.

Every maker returns a `Texture` in linear light. Detail that a real camera could not resolve is removed by the
mip chain, not by hope: far floor tiles fade to their mean colour instead of turning into moire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.embedded.fixed_point import blur, on_grid
from synth.exact_math import cos, exp, log, power, sin
from synth.gamma import to_linear

F32: TypeAlias = NDArray[np.float32]
Colour: TypeAlias = tuple[float, float, float]

_BITS = 14
"""Texels are multiples of 2 ** -14: times OpenCV's bilinear weights of 10 bits they are exact in float32, so
that a look-up is the same in whatever order it is summed."""


@dataclass(frozen=True)
class Texture:
    """A bitmap and its mip chain.

    levels: float32[h, w, C] linear light, C is 3 or 4 (straight alpha last), each level half the one before.
    """

    levels: tuple[F32, ...]

    def sample(self, u: F32, v: F32, lod: F32 | float) -> F32:
        """float32[N, C] at u, v (float32[N], one tile = 1.0, wraps); lod is the mip level, rounded down."""
        count = len(u)
        out = np.empty((count, self.levels[0].shape[2]), np.float32)
        top = len(self.levels) - 1
        if isinstance(lod, float):
            level = self.levels[int(np.clip(lod, 0, top))]
            return _fetch(level, u, v)
        whole = np.clip(lod, 0, top).astype(np.int8)
        low, high = int(whole.min()), int(whole.max())
        if low == high:
            return _fetch(self.levels[low], u, v)
        for index in range(low, high + 1):
            chosen = np.flatnonzero(whole == index)
            if len(chosen):
                out[chosen] = _fetch(self.levels[index], u[chosen], v[chosen])
        return out


def _fetch(level: F32, u: F32, v: F32) -> F32:
    """Bilinear look-up with wrap-around; cv2.remap wants a 2-D map, so the list is folded into rows."""
    height, width = level.shape[:2]
    count = len(u)
    row = 512
    padded = -(-count // row) * row
    x = np.zeros(padded, np.float32)
    y = np.zeros(padded, np.float32)
    x[:count] = (u - np.floor(u)) * f32(width) - f32(0.5)
    y[:count] = (v - np.floor(v)) * f32(height) - f32(0.5)
    found = cv2.remap(
        level, x.reshape(-1, row), y.reshape(-1, row), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(found, np.float32).reshape(padded, -1)[:count]


def make_texture(srgb: NDArray) -> Texture:
    """From display-referred values (float [h, w, 3 or 4], 0..1): linearise the colour and build the mips."""
    base = np.clip(srgb, 0, 1).astype(np.float32)
    base[..., :3] = to_linear(base[..., :3])
    levels = [on_grid(base, _BITS)]
    while min(levels[-1].shape[:2]) > 2:
        last = levels[-1]
        if last.shape[2] == 4:
            # Colour under zero alpha must not leak into the coarser levels.
            alpha = last[..., 3:]
            premultiplied = _halved(on_grid(last[..., :3] * alpha, _BITS))
            shrunk = _halved(alpha)[..., None]
            levels.append(
                on_grid(np.concatenate([premultiplied / np.maximum(shrunk, 1e-3), shrunk], axis=2), _BITS)
            )
        else:
            levels.append(on_grid(_halved(last), _BITS))
    return Texture(tuple(levels))


def _halved(level: F32) -> F32:
    """The means of 2 x 2 texels: sums of values on the grid are exact."""
    height, width = level.shape[:2]
    if height % 2 or width % 2:
        level = f32(cv2.copyMakeBorder(level, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
    size = (level.shape[1] // 2, level.shape[0] // 2)
    return np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA))


@lru_cache(maxsize=64)
def noise(size: int, slope: float, variant: int = 0, stretch: float = 1.0) -> F32:
    """float32[size, size], mean 0 and deviation 1, tileable. slope 0 is white, 2 is cloudy; stretch > 1 draws
    the grain out along x. Read-only: the array is shared between callers."""
    rng = np.random.Generator(np.random.Philox(key=1000 * variant + size))
    white = np.fft.rfft2(rng.standard_normal((size, size)))
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.rfftfreq(size)[None, :] * size
    radius = np.sqrt((fx * stretch) ** 2 + fy**2) / np.sqrt(stretch)
    radius[0, 0] = 1.0
    weight = exp(-slope * log(np.maximum(radius, 1.0)))
    spectrum = np.empty_like(white)
    # Part by part: the products of complex numbers are fused on some CPUs.
    spectrum.real, spectrum.imag = white.real * weight, white.imag * weight
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(size, size))
    # Coarser than what the last place of the transforms' twiddle factors can move.
    grain = on_grid(field / field.std(), 14)
    grain.flags.writeable = False
    return grain


def pick(rng: np.random.Generator, options: Sequence[Colour]) -> Colour:
    """One of the colours, a little lighter or darker."""
    return shade(options[int(rng.integers(len(options)))], float(rng.uniform(0.88, 1.1)))


def f32(values: ArrayLike) -> F32:
    """The values as a float32 array."""
    return np.asarray(values, np.float32)


def mix(first: Colour, second: Colour, amount: F32) -> F32:
    """float32[h, w, 3]: first where amount is 0, second where it is 1."""
    weight = np.clip(amount, 0, 1)[..., None]
    return np.asarray(f32(first) * (1 - weight) + f32(second) * weight, np.float32)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour multiplied by factor, kept within 0..1."""
    red, green, blue = (min(1.0, max(0.0, channel * factor)) for channel in colour)
    return red, green, blue


def hue(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A colour as dyes and paints have it: any hue, but saturation and value within the given ranges. Hues
    between
    green and violet-red are rarer than warm ones and blues, as in most rooms."""
    angle = (
        float(rng.choice([0.02, 0.07, 0.11, 0.15, 0.30, 0.45, 0.55, 0.60, 0.64, 0.95]) + rng.normal(0, 0.015))
        % 1
    )
    strength, light = float(rng.uniform(*saturation)), float(rng.uniform(*value))
    wheel = np.clip(np.abs((angle * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    red, green, blue = (float(light * (1 - strength + strength * part)) for part in wheel)
    return red, green, blue


def emboss(height: F32, strength: float) -> F32:
    """Relief shading (multiplier around 1) of a tileable height field lit from the upper left."""
    slope = (height - np.roll(height, 1, 0)) + 0.6 * (height - np.roll(height, 1, 1))
    return np.asarray(np.clip(1 + strength * slope, 0.4, 1.6), np.float32)


def _cells(size: int, rows: int, columns: int, stagger: float, gap: float) -> tuple[NDArray, NDArray, F32]:
    """Brick layout: row and column index per pixel and the joint mask (1 in the joint, soft edge)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y = axis * rows
    row = y.astype(np.int32)
    x = axis[None, :] * columns + (row % 2)[:, None] * stagger + 0 * y[:, None]
    column = np.floor(x).astype(np.int32) % columns
    edge_x = np.abs(x - np.round(x)) / columns
    edge_y = np.abs(y - np.round(y)) / rows
    distance = np.minimum(edge_x, edge_y[:, None]) * size
    joint = np.clip(1.2 - distance / max(gap * size / 2, 0.5), 0, 1).astype(np.float32)
    return np.broadcast_to(row[:, None], (size, size)), column, joint


def planks(rng: np.random.Generator, colour: Colour, rows: int = 12, contrast: float = 1.0) -> Texture:
    """Wooden boards running along u; one tile holds `rows` boards."""
    size = 1024
    axis = np.arange(size)
    row = (axis * rows) // size
    shift = rng.integers(0, size, rows)
    tone = rng.normal(0, 0.13 * contrast, (rows, 2))
    x = (axis[None, :] + shift[row][:, None]) % size
    board = x // (size // 2)
    grain = noise(size, 1.15, int(rng.integers(3)), 14.0)
    jump = rng.integers(0, size, (rows, 2))
    texture = grain[axis[:, None], (x + jump[row[:, None], board]) % size]
    rings = sin(texture * 5.0 + 3 * noise(size, 1.6, 5, 8.0))
    value = 1 + tone[row[:, None], board] + contrast * (0.09 * texture + 0.05 * rings)
    seam_y = np.minimum(axis % (size / rows), size / rows - axis % (size / rows))
    seam_x = np.minimum(x % (size // 2), size // 2 - x % (size // 2))
    seam = np.minimum(np.minimum(seam_y[:, None], seam_x) / 1.6, 1)
    value = value * (0.35 + 0.65 * seam)
    warm = f32([1.0, 0.985, 0.95])
    return make_texture(f32(colour) * power(np.maximum(value, 0)[..., None], 1 / warm))


def tiles(
    rng: np.random.Generator,
    colour: Colour,
    second: Colour | None = None,
    count: int = 4,
    gap: float = 0.008,
    rough: float = 1.0,
    grout: Colour = (0.42, 0.40, 0.38),
) -> Texture:
    """Square tiles or slabs, `count` x `count` per texture tile; a second colour makes a chequerboard."""
    size = 1024
    row, column, joint = _cells(size, count, count, 0.0, gap)
    tone = rng.normal(0, 0.035 * rough, (count, count)).astype(np.float32)[row, column]
    blotch = noise(size, 1.5, int(rng.integers(4)))
    speckle = noise(size, 0.5, 3)
    value = 1 + tone + rough * (0.045 * blotch + 0.03 * speckle)
    base = np.broadcast_to(f32(colour), (size, size, 3))
    if second is not None:
        base = np.where(((row + column) % 2 == 1)[..., None], f32(second), base)
    surface = base * value[..., None] * emboss(-joint, 0.25)[..., None]
    return make_texture(surface * (1 - joint[..., None]) + f32(grout) * joint[..., None])


def bricks(
    rng: np.random.Generator,
    colour: Colour,
    mortar: Colour,
    rows: int = 12,
    columns: int = 4,
    spread: float = 1.0,
    size: int = 1024,
) -> Texture:
    """Running-bond masonry or pavers."""
    row, column, joint = _cells(size, rows, columns, 0.5, 0.011)
    # Bricks of one firing differ in brightness, and between warm and cold; they do not differ in hue at
    # random.
    tone = rng.normal(0, 0.10 * spread, (rows, columns, 1)).astype(np.float32)
    warmth = rng.normal(0, 0.05 * spread, (rows, columns, 1)).astype(np.float32)
    tone = tone + warmth * f32([1.0, 0.0, -0.8])
    rough = noise(size, 0.9, int(rng.integers(4)))
    stain = noise(size, 1.9, 7)
    joint = np.clip(joint + 0.10 * rough * (joint > 0), 0, 1)
    value = (1 + tone[row, column]) * (1 + 0.08 * rough + 0.05 * stain)[..., None]
    face = f32(colour) * value * emboss(-joint * 0.8 + 0.12 * rough, 0.35)[..., None]
    bed = f32(mortar) * (1 + 0.07 * noise(size, 0.3, 1))[..., None]
    return make_texture(face * (1 - joint[..., None]) + bed * joint[..., None])


def cobbles(rng: np.random.Generator, colour: Colour) -> Texture:
    """Small granite setts: jittered cells with rounded tops."""
    size, count = 1024, 14
    grid = (np.indices((count, count)).transpose(1, 2, 0) + 0.5).astype(np.float32)
    grid += rng.uniform(-0.22, 0.22, grid.shape).astype(np.float32)
    tone = rng.normal(1, 0.13, (count, count)).astype(np.float32)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * count
    base = axis.astype(np.int32)
    best = np.full((size, size), 9, np.float32)
    second = best.copy()
    value = best.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            rows, columns = (base + dy)[:, None], (base + dx)[None, :]
            seed = grid[rows % count, columns % count]
            wrap_y = (rows - rows % count).astype(np.float32)
            wrap_x = (columns - columns % count).astype(np.float32)
            distance = np.maximum(
                np.abs(axis[:, None] - seed[..., 0] - wrap_y), np.abs(axis[None, :] - seed[..., 1] - wrap_x)
            )
            nearer = distance < best
            second = np.where(nearer, best, np.minimum(second, distance))
            value = np.where(nearer, tone[rows % count, columns % count], value)
            best = np.minimum(best, distance)
    dome = np.clip((second - best) * 3.2, 0, 1)
    relief = emboss(blur(dome, 2.0), 1.6)
    rough = 1 + 0.07 * noise(size, 0.6, 2) + 0.05 * noise(size, 1.6, 4)
    shadow = 0.38 + 0.62 * np.minimum(dome * 1.8, 1)
    return make_texture(f32(colour) * (value * shadow * relief * rough)[..., None])


def mottled(
    rng: np.random.Generator, colour: Colour, cloudy: float = 0.05, speckle: float = 0.04, fine: float = 0.5
) -> Texture:
    """Plaster, concrete, asphalt, sand, carpet: cloudy variation plus grain of the given spectral slope."""
    size = 1024
    variant = int(rng.integers(4))
    value = 1 + cloudy * noise(size, 1.8, variant) + speckle * noise(size, fine, variant + 4)
    tint = cloudy * 0.35 * noise(size, 1.5, variant + 8)
    return make_texture(f32(colour) * np.stack([value + tint, value, value - tint], -1))


def asphalt(rng: np.random.Generator, colour: Colour) -> Texture:
    """Bitumen with bright aggregate, stains and a few sealed cracks."""
    size = 1024
    variant = int(rng.integers(3))
    grit = noise(size, 0.25, variant)
    value = 1 + 0.14 * grit + 0.30 * (grit > 2.0) + 0.09 * noise(size, 0.8, variant + 5)
    value += 0.04 * noise(size, 1.7, variant + 3)
    ridge = np.abs(noise(size, 1.75, variant + 6))
    value *= 1 - 0.45 * exp(-((ridge / 0.012) ** 2)) * (noise(size, 2.0, variant + 9) > 0.9)
    return make_texture(f32(colour) * value[..., None])


def _smooth(field: F32, sigma: float) -> F32:
    """A tileable field blurred across its borders and brought back to deviation 1."""
    soft = blur(field, sigma, tiled=True)
    return f32(soft / soft.std())


def gravel(rng: np.random.Generator, colour: Colour) -> Texture:
    """Compacted gravel: small stones with relief, some darker or paler than the rest."""
    size = 1024
    variant = int(rng.integers(3))
    relief = emboss(1.3 * _smooth(noise(size, 0.7, variant), 2.2), 0.6)
    odd = noise(size, 0.9, variant + 3)
    value = relief * (1 + 0.03 * noise(size, 1.6, variant + 6) + 0.05 * noise(size, 0.2, 2))
    value *= 1 - 0.25 * (odd > 1.6) + 0.16 * (odd < -1.7)
    return make_texture(f32(colour) * value[..., None])


def grass(rng: np.random.Generator, colour: Colour, dry: Colour) -> Texture:
    """A lawn seen from above: many short strokes in batches from dark to light."""
    size = 1024
    image = np.empty((size, size, 3), np.float32)
    image[:] = f32(shade(colour, 0.42))
    patch = noise(size, 1.7, int(rng.integers(4)))
    batches = 28
    for batch in range(batches):
        count = 700
        x, y = rng.uniform(0, size, (2, count))
        angle = rng.normal(-np.pi / 2, 0.55, count)
        length = rng.uniform(10, 30, count)
        light = 0.5 + 0.75 * batch / batches + rng.normal(0, 0.06)
        share = float(np.clip(rng.normal(0.25, 0.2), 0, 1))
        tint = [light * ((1 - share) * c + share * d) for c, d in zip(colour, dry, strict=True)]
        tips = np.stack([x + length * cos(angle), y + length * sin(angle)], -1)
        lines = np.stack([np.stack([x, y], -1), tips], 1)
        # Strokes are drawn again one tile over where they cross the border, so that the lawn tiles.
        for shift in ((0, 0), (0, size), (size, 0)):
            moved = np.round((lines + f32(shift)) * 16).astype(np.int32)
            near = moved if shift == (0, 0) else moved[(lines + f32(shift)).min((1, 2)) < size + 32]
            cv2.polylines(image, list(near), False, tint, 1, cv2.LINE_AA, 4)
    value = 1 + 0.04 * patch + 0.05 * noise(size, 0.3, 2)
    return make_texture(image * value[..., None])


def fabric(rng: np.random.Generator, colour: Colour, second: Colour | None = None) -> Texture:
    """Woven cloth; with a second colour, stripes or a check."""
    size = 512
    axis = np.arange(size)
    weave = sin(axis * 2 * np.pi / 4)[None, :] * sin(axis * 2 * np.pi / 4)[:, None]
    value = 1 + 0.06 * weave + 0.06 * noise(size, 0.4, 1) + 0.02 * noise(size, 1.4, int(rng.integers(4)))
    base = np.broadcast_to(f32(colour), (size, size, 3))
    if second is not None:
        count = int(rng.integers(3, 9))
        stripe = (sin(axis * 2 * np.pi * count / size) > rng.uniform(-0.3, 0.5)).astype(np.float32)
        pattern = np.broadcast_to(stripe[None, :], (size, size))
        if rng.random() < 0.5:
            pattern = f32((pattern + stripe[:, None]) / 2)
        base = mix(colour, second, pattern)
    return make_texture(base * value[..., None])


def rug(rng: np.random.Generator, colours: list[Colour]) -> Texture:
    """A patterned rug with borders; one texture tile is the whole rug."""
    size = 512
    axis = np.minimum(np.arange(size), size - 1 - np.arange(size)) / size
    ring = np.minimum(axis[:, None], axis[None, :])
    image = np.empty((size, size, 3), np.float32)
    image[:] = f32(colours[0])
    image[ring < 0.10] = colours[1]
    image[(ring < 0.075) & (ring > 0.055)] = colours[2]
    image[ring < 0.02] = colours[0]
    inside = ring > 0.12
    frequency = float(rng.integers(3, 8))
    u, v = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    diamonds = np.abs((u * frequency) % 1 - 0.5) + np.abs((v * frequency) % 1 - 0.5)
    image[inside & (diamonds < 0.36)] = colours[2]
    image[inside & (diamonds < 0.24)] = colours[1]
    image[inside & (diamonds < 0.12)] = colours[0]
    value = 1 + 0.10 * noise(size, 0.3, 1) + 0.06 * noise(size, 1.5, 2)
    return make_texture(image * value[..., None])


def terrazzo(rng: np.random.Generator, colour: Colour) -> Texture:
    """Polished stone with chips."""
    size = 1024
    field = noise(size, 0.95, int(rng.integers(3)))
    chips = noise(size, 0.95, 3)
    value = 1 + 0.05 * noise(size, 1.6, 6)
    image = f32(colour) * value[..., None] * np.ones((size, size, 3), np.float32)
    image[field > 1.5] *= 0.62
    image[chips > 1.6] *= f32([1.18, 1.12, 1.02])
    image[(field < -1.7)] *= f32([0.85, 0.68, 0.55])
    return make_texture(image)


def sand(rng: np.random.Generator, colour: Colour) -> Texture:
    """Dry beach sand: wind ripples, trodden hollows, coarse grains and bits of shell."""
    size = 1024
    variant = int(rng.integers(3))
    ripple = noise(size, 1.3, variant, 3.0)
    hollow = _smooth(noise(size, 0.9, variant + 3), 13.0)
    relief = emboss(0.8 * ripple + 7 * log(1 + exp(3 * (hollow - 0.8))) / 3, 0.55)
    grain = noise(size, 0.25, variant + 5)
    value = relief * (
        1 + 0.055 * grain - 0.10 * np.clip(hollow - 0.8, 0, 1) - 0.35 * (grain > 3.1) + 0.25 * (grain < -3.2)
    )
    return make_texture(f32(colour) * value[..., None])
