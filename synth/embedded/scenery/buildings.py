"""Houses: facade pictures and the solids that carry them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.embedded.scenery import bitmaps, props, textures
from synth.embedded.scenery.raycast import Material
from synth.embedded.scenery.textures import F32, Colour, Texture, f32, noise, pick, shade
from synth.embedded.scenery.world import Frame, World
from synth.gamma import to_display

STUCCO: tuple[Colour, ...] = (
    (0.84, 0.78, 0.66),
    (0.80, 0.68, 0.56),
    (0.72, 0.74, 0.72),
    (0.86, 0.84, 0.80),
    (0.74, 0.56, 0.46),
    (0.66, 0.72, 0.76),
    (0.82, 0.72, 0.50),
)


def _wall_picture(rng: np.random.Generator) -> F32:
    """float32[1024, 1024, 3] display values: brick or stucco for a facade of 13 m by 13 m."""
    if rng.random() < 0.4:
        tone = pick(rng, ((0.58, 0.33, 0.25), (0.66, 0.46, 0.34), (0.48, 0.30, 0.26), (0.70, 0.62, 0.50)))
        texture = textures.bricks(rng, tone, (0.66, 0.62, 0.57), 128, 48, 0.8)
        return to_display(texture.levels[0])
    tone = pick(rng, STUCCO)
    stain = noise(1024, 1.6, int(rng.integers(4)))
    streak = noise(1024, 1.2, 4, 0.12)
    value = 1 + 0.025 * stain + 0.02 * streak + 0.02 * noise(1024, 0.4, 1)
    return np.asarray(f32(tone) * value[..., None], np.float32)


@dataclass(frozen=True)
class Style:
    """What the houses of one kind share: upper floors, colour of the trim, ground-floor masonry, roof."""

    front: Material
    trim: Colour
    masonry: Material
    roof: Material


def facades(rng: np.random.Generator, count: int, lit: float) -> list[Style]:
    """Styles of houses; lit: share of windows with a lamp behind them."""
    result = []
    for _ in range(count):
        trim = pick(rng, ((0.84, 0.80, 0.72), (0.90, 0.88, 0.84), (0.60, 0.55, 0.50)))
        if rng.random() < 0.18:
            tint = pick(rng, ((0.42, 0.52, 0.60), (0.40, 0.50, 0.50), (0.5, 0.5, 0.5)))
            texture = bitmaps.glass_facade(rng, tint)
        else:
            texture = bitmaps.facade(rng, _wall_picture(rng), trim, lit)
        blocks = textures.bricks(rng, shade(trim, 0.8), shade(trim, 0.6), 6, 3, 0.4, 512)
        tiles = pick(rng, ((0.32, 0.33, 0.36), (0.55, 0.30, 0.22)))
        slates = textures.bricks(rng, tiles, (0.2, 0.2, 0.2), 14, 7, 1.0, 256)
        result.append(
            Style(
                Material(texture, (12.8, 12.8)),
                trim,
                Material(blocks, (3.8, 3.8)),
                Material(slates, (3.0, 3.0)),
            )
        )
    return result


def house(
    rng: np.random.Generator,
    world: World,
    frame: Frame,
    width: float,
    height: float,
    style: Style,
    shop: Texture | None,
) -> None:
    """A building 9 m deep whose front (-z in its frame) stands on the frame's origin."""
    base = 3.8
    deck = props.plain(shade(style.trim, 0.55), 0.08)
    upper = (0, base + height / 2, 4.5), (width, height, 9.0)
    parts = [frame.box(*upper, style.front, {"top": deck}, worn=0)]
    stone = props.plain(shade(style.trim, 0.85), 0.05)
    if shop is not None:
        count = max(1, round(width / 6.0))
        glass = Material(shop, (width / count, base))
        parts.append(frame.box((0, base / 2, 4.6), (width, base, 9.0), stone, {"front": glass}, worn=0))
        if rng.random() < 0.55:
            cloth = pick(
                rng, ((0.60, 0.15, 0.13), (0.16, 0.34, 0.26), (0.18, 0.25, 0.45), (0.78, 0.62, 0.30))
            )
            stripes = Material(
                textures.fabric(rng, cloth, (0.90, 0.88, 0.82) if rng.random() < 0.6 else None), (2.4, 2.4)
            )
            wide = width * rng.uniform(0.5, 0.9) / 2
            points = [
                [s * wide, y, z]
                for s in (-1, 1)
                for y, z in ((3.0, 0.1), (2.45, -1.1), (2.25, -1.1), (2.9, 0.1))
            ]
            parts.append(frame.hull(np.array(points), stripes))
    else:
        parts.append(frame.box((0, base / 2, 4.55), (width, base, 9.0), style.masonry, worn=0))
        leaf = bitmaps.door(
            rng, pick(rng, ((0.25, 0.32, 0.28), (0.40, 0.22, 0.16), (0.16, 0.20, 0.32))), True
        )
        where = float(rng.uniform(-0.3, 0.3)) * width
        parts.append(
            frame.box(
                (where, 1.2, 0.03),
                (1.25, 2.4, 0.06),
                stone,
                {"front": Material(leaf, (1.25, 2.4))},
                casts=False,
                worn=0,
            )
        )
        parts.append(frame.box((where, 0.07, -0.25), (1.7, 0.14, 0.6), stone))
        pane = Material(bitmaps.casement(rng), (1.1, 1.5))
        for x in np.arange(-width / 2 + 1.2, width / 2 - 1.0, 2.6):
            if abs(x - where) > 1.4:
                parts.append(
                    frame.box((x, 2.0, 0.035), (1.1, 1.5, 0.05), stone, {"front": pane}, casts=False, worn=0)
                )
                parts.append(frame.box((x, 1.2, 0.0), (1.3, 0.08, 0.22), stone))
    parts.append(frame.box((0, base, 4.4), (width, 0.28, 9.1), stone))
    parts.append(frame.box((0, base + height, 4.35), (width + 0.1, 0.4, 9.4), stone))
    if rng.random() < 0.4:
        y = base + height + 0.2
        roof = np.array(
            [[s * width / 2, h, z] for s in (-1, 1) for h, z in ((y, -0.2), (y, 9.1), (y + 2.8, 4.5))]
        )
        parts.append(frame.hull(roof, style.roof))
    world.group(parts)
