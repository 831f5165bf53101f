"""Pictures drawn once per scene: facades, shop fronts, books, paintings, windows' views."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.embedded.fixed_point import blur, resample
from synth.embedded.scenery.textures import F32, Colour, Texture, f32, hue, make_texture, mix, noise, shade
from synth.exact_math import sin


def _fill(image: NDArray, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    """Rectangle with sub-pixel borders snapped to pixels."""
    image[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = colour


def _glass(rng: np.random.Generator, height: int, width: int, lit: float) -> F32:
    """A pane: sky mirrored in the upper part, dark room or a lamp-lit curtain below."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    tilt = y + rng.uniform(-0.5, 0.5) * x + 0.12 * noise(256, 1.7, int(rng.integers(4)))[:height, :width]
    dark: Colour = (0.13, 0.15, 0.18)
    mirror: Colour = (0.50, 0.58, 0.66)
    pane = mix(mirror, dark, np.clip(tilt * rng.uniform(0.9, 2.2), 0, 1))
    if rng.random() < lit:
        pane = mix((0.98, 0.80, 0.50), (0.80, 0.55, 0.28), np.clip(y + 0 * x, 0, 1))
    if rng.random() < 0.45:
        folds = 0.75 + 0.2 * sin(x * width / rng.uniform(2.5, 5.0)) + 0 * y
        side = rng.uniform(0.15, 0.5)
        curtain = ((x < side) | (x > 1 - side)) & (y < rng.uniform(0.5, 1.2))
        pane = np.where(curtain[..., None], f32((0.8, 0.78, 0.72)) * folds[..., None], pane)
    return np.asarray(pane, np.float32)


def facade(rng: np.random.Generator, wall: F32, trim: Colour, lit: float) -> Texture:
    """Four bays by four storeys of windows on the given wall picture (float32[1024, 1024, 3], display
    values)."""
    image = wall.copy()
    cell = 256
    wide = int(rng.integers(90, 150))
    tall = int(rng.integers(130, 180))
    style = int(rng.integers(4))
    sash = int(rng.integers(1, 4))
    shutter = hue(rng, (0.2, 0.6), (0.25, 0.55))
    frame = shade((0.92, 0.91, 0.88), 1.0) if rng.random() < 0.7 else (0.20, 0.18, 0.17)
    for row in range(4):
        for column in range(4):
            x0, y0 = column * cell + (cell - wide) // 2, row * cell + 50
            x1, y1 = x0 + wide, y0 + tall
            surround = int(style != 3) * 9
            _fill(image, x0 - surround, y0 - surround - 4, x1 + surround, y1 + 4, trim)
            _fill(image, x0 - surround, y0 - surround - 4, x1 + surround, y0 - surround - 2, shade(trim, 1.2))
            _fill(image, x0 - 1, y0 - 1, x1 + 1, y1 + 1, shade(trim, 0.45))
            _fill(image, x0 + 4, y0 + 7, x1, y1, frame)
            panes = sash
            step = (wide - 10) / panes
            for pane in range(panes):
                left, right = round(x0 + 9 + pane * step), round(x0 + 4 + (pane + 1) * step)
                for top, bottom in ((y0 + 12, y0 + tall // 3), (y0 + tall // 3 + 6, y1 - 6)):
                    image[top:bottom, left:right] = _glass(rng, bottom - top, right - left, lit)
            image[y0 + 7 : y0 + 22, x0 + 4 : x1] *= 0.55
            image[y0 + 7 : y1, x0 + 4 : x0 + 9] *= 0.7
            _fill(image, x0 - 14, y1, x1 + 14, y1 + 9, shade(trim, 1.12))
            image[y1 + 9 : y1 + 20, x0 - 12 : x1 + 16] *= 0.66
            if style == 1:
                for left in (x0 - 44, x1 + 6):
                    _fill(image, left, y0, left + 38, y1, shutter)
                    image[y0:y1:7, left + 4 : left + 34] *= 0.62
                    image[y0:y1, left + 38 : left + 44] *= 0.7
            if style == 2 and row % 2 == 0:
                deck = y1 + 6
                image[deck : deck + 26, x0 - 34 : x1 + 34] *= 0.6
                _fill(image, x0 - 36, deck, x1 + 36, deck + 10, shade(trim, 0.95))
                for bar in range(x0 - 34, x1 + 36, 9):
                    _fill(image, bar, deck - 58, bar + 2, deck, (0.13, 0.13, 0.14))
                _fill(image, x0 - 36, deck - 61, x1 + 36, deck - 57, (0.13, 0.13, 0.14))
    if rng.random() < 0.7:
        for row in range(4):
            _fill(image, 0, row * cell + 2, 1024, row * cell + 14, shade(trim, 1.05))
            image[row * cell + 14 : row * cell + 24] *= 0.72
    return make_texture(image)


def casement(rng: np.random.Generator) -> Texture:
    """One window (one tile, 11 wide : 15 high) with frame, glazing bars and glass."""
    height, width = 240, 176
    image = np.empty((height, width, 3), np.float32)
    image[:] = (0.88, 0.87, 0.84)
    for left, right in ((12, 83), (93, 164)):
        for top, bottom in ((12, 74), (84, 228)):
            image[top:bottom, left:right] = _glass(rng, bottom - top, right - left, 0.15)
            image[top : top + 6, left:right] *= 0.5
            image[top:bottom, left : left + 4] *= 0.6
    return make_texture(image)


def glass_facade(rng: np.random.Generator, tint: Colour) -> Texture:
    """A curtain wall: a grid of panes that mirror the sky, each tilted a little differently."""
    size, columns, rows = 1024, 8, 6
    image = np.empty((size, size, 3), np.float32)
    sky = noise(size, 1.8, int(rng.integers(4)))
    step_x, step_y = size / columns, size / rows
    for row in range(rows):
        for column in range(columns):
            box = np.s_[
                round(row * step_y) : round((row + 1) * step_y),
                round(column * step_x) : round((column + 1) * step_x),
            ]
            light = rng.normal(1.0, 0.13) * (0.55 if rng.random() < 0.2 else 1.0)
            image[box] = f32(tint) * (light * (1 + 0.22 * sky[box]))[..., None]
    for row in range(rows):
        y = round(row * step_y)
        _fill(image, 0, y, size, y + 30, shade(tint, 0.5))
        _fill(image, 0, y + 30, size, y + 34, shade(tint, 1.25))
    for column in range(columns):
        x = round(column * step_x)
        _fill(image, x, 0, x + 5, size, (0.72, 0.73, 0.74))
        image[:, x + 5 : x + 9] *= 0.6
    return make_texture(image)


def shop(rng: np.random.Generator, frame: Colour, sign: Colour, lit: float) -> Texture:
    """A ground-floor shop front (one texture tile, 6 m by 3.8 m): sign with lettering, glass, door,
    display."""
    height, width = 512, 808
    image = np.empty((height, width, 3), np.float32)
    image[:] = f32(frame)
    image *= (1 + 0.03 * np.tile(noise(512, 1.2, 1), (1, 2))[:height, :width])[..., None]
    _fill(image, 20, 24, width - 20, 104, sign)
    ink = shade((0.95, 0.93, 0.88), 1.0) if sum(sign) < 1.6 else (0.12, 0.12, 0.13)
    x = float(rng.uniform(60, 260))
    for _ in range(int(rng.integers(5, 11))):
        # Lettering without words: strokes of equal height read as a sign from across the road.
        advance = float(rng.uniform(22, 34))
        kind = int(rng.integers(4))
        if kind == 0:
            cv2.ellipse(image, (int(x + 12), 64), (10, 18), 0, 0, 360, ink, 5)
        elif kind == 1:
            _fill(image, x, 46, x + 6, 82, ink)
            _fill(image, x, 46, x + 20, 52, ink)
            _fill(image, x, 62, x + 16, 67, ink)
        elif kind == 2:
            _fill(image, x + 3, 46, x + 9, 82, ink)
        else:
            cv2.line(image, (int(x), 82), (int(x + 10), 46), ink, 5)
            cv2.line(image, (int(x + 10), 46), (int(x + 21), 82), ink, 5)
        x += advance
        if x > width - 90:
            break
    image[104:116] *= 0.6
    door = int(rng.choice([0, 1, 2]))
    edges = np.linspace(20, width - 20, 4)
    for bay in range(3):
        x0, x1 = round(edges[bay]) + 8, round(edges[bay + 1]) - 8
        bottom = 500 if bay == door else 420
        inside = _glass(rng, 256, x1 - x0 if x1 - x0 < 256 else 256, lit)
        pane = resample(inside, (x1 - x0, bottom - 130))
        for _ in range(0 if bay == door else 14):
            left, top = rng.uniform(0, x1 - x0 - 30), rng.uniform((bottom - 130) * 0.45, bottom - 150)
            tone = hue(rng, (0.1, 0.6), (0.2, 0.8))
            _fill(
                pane,
                left,
                top,
                left + rng.uniform(10, 46),
                min(top + rng.uniform(10, 70), bottom - 131),
                tone,
            )
        image[130:bottom, x0:x1] = pane
        image[130:146, x0:x1] *= 0.55
        image[130:bottom, x0 : x0 + 6] *= 0.6
        if bay == door:
            _fill(image, x0 + 4, 300, x1 - 4, 308, shade(frame, 0.8))
            _fill(image, x1 - 26, 280, x1 - 20, 350, (0.75, 0.72, 0.65))
        else:
            _fill(image, x0, 436, x1, 438, shade(frame, 0.6))
            _fill(image, x0, 494, x1, 496, shade(frame, 0.6))
    return make_texture(image)


def books(rng: np.random.Generator, wood: Colour, shelves: int = 5) -> Texture:
    """A full bookcase front (one texture tile): boards, and rows of spines with titles and gaps."""
    size = 512
    image = np.empty((size, size, 3), np.float32)
    image[:] = f32(shade(wood, 0.28))
    step = size / shelves
    palette = [hue(rng, (0.25, 0.7), (0.25, 0.75)) for _ in range(9)]
    palette += [(0.88, 0.85, 0.78), (0.80, 0.76, 0.68), (0.14, 0.14, 0.16), (0.45, 0.16, 0.13)]
    for shelf in range(shelves):
        floor = (shelf + 1) * step - 8
        x = 10.0
        while x < size - 22:
            if rng.random() < 0.06:
                x += rng.uniform(8, 50)
                continue
            thick = rng.uniform(5, 17)
            tall = step * rng.uniform(0.55, 0.84)
            colour = shade(palette[int(rng.integers(len(palette)))], rng.uniform(0.75, 1.1))
            _fill(image, x, floor - tall, x + thick, floor, colour)
            _fill(image, x, floor - tall, x + 1.2, floor, shade(colour, 1.3))
            _fill(image, x + thick - 1.5, floor - tall, x + thick, floor, shade(colour, 0.5))
            if thick > 8:
                title = floor - tall * rng.uniform(0.55, 0.85)
                _fill(image, x + 3, title, x + thick - 3, title + tall * 0.12, shade(colour, 1.7))
            x += thick
        top = round(shelf * step)
        image[top : top + round(step * 0.25)] *= np.linspace(0.4, 1, round(step * 0.25))[:, None, None]
        _fill(image, 0, floor, size, floor + 8, wood)
        _fill(image, 0, floor, size, floor + 2, shade(wood, 1.25))
    _fill(image, 0, 0, size, 10, wood)
    _fill(image, 0, 0, 10, size, wood)
    _fill(image, size - 10, 0, size, size, wood)
    return make_texture(image * (1 + 0.04 * noise(size, 0.6, 1))[..., None])


def painting(rng: np.random.Generator) -> Texture:
    """A canvas: landscape, colour field, stripes or brushy abstraction, with a passe-partout now and then."""
    size = 256
    image = np.empty((size, size, 3), np.float32)
    colours = [hue(rng, (0.15, 0.75), (0.25, 0.95)) for _ in range(5)]
    cloud = noise(size, 1.7, int(rng.integers(6)))
    other = noise(size, 1.5, 6 + int(rng.integers(6)))
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None] + 0 * cloud
    kind = int(rng.integers(5))
    if kind == 0:
        image[:] = mix((0.45, 0.62, 0.80), (0.92, 0.82, 0.68), y * 1.6 + 0.15 * cloud)
        for layer in range(4):
            ridge = 0.42 + 0.13 * layer + 0.05 * np.roll(cloud, 50 * layer, 1)[7 * layer][None, :]
            tone = shade(colours[layer], 0.75 - 0.1 * layer)
            image[y > ridge] = (f32(tone) * (1 + 0.15 * other[..., None]))[y > ridge]
    elif kind == 1:
        image[:] = f32(colours[0])
        for _ in range(int(rng.integers(3, 8))):
            x0, y0 = rng.uniform(0, 200, 2)
            _fill(
                image,
                x0,
                y0,
                x0 + rng.uniform(20, 120),
                y0 + rng.uniform(20, 120),
                colours[int(rng.integers(5))],
            )
        image *= (1 + 0.06 * cloud + 0.06 * other)[..., None]
    elif kind == 2:
        image[:] = mix(colours[0], colours[1], 0.5 + 0.5 * cloud)
        image = np.where((other > 0.6)[..., None], f32(colours[2]), image)
        image = np.where((other < -1.0)[..., None], f32(colours[3]), image)
    elif kind == 3:
        bands = np.sort(rng.uniform(0, 1, 4))
        index = np.searchsorted(bands, y + 0.02 * cloud)
        image[:] = f32(colours)[index] * (1 + 0.08 * other)[..., None]
    else:
        image[:] = f32((0.93, 0.91, 0.86))
        for _ in range(60):
            start = rng.uniform(0, size, 2)
            stop = start + rng.normal(0, 60, 2)
            cv2.line(
                image,
                (int(start[0]), int(start[1])),
                (int(stop[0]), int(stop[1])),
                colours[int(rng.integers(5))],
                int(rng.integers(1, 9)),
                cv2.LINE_AA,
            )
    image *= (1 + 0.05 * noise(size, 0.4, 2))[..., None]
    if rng.random() < 0.35:
        mat = np.empty((size, size, 3), np.float32)
        mat[:] = (0.94, 0.93, 0.90)
        inner = resample(blur(image, 0.6), (170, 170))
        mat[41:215, 41:215] = (0.75, 0.74, 0.72)
        mat[43:213, 43:213] = inner
        image = mat
    return make_texture(image)


def notice(rng: np.random.Generator, board: Colour) -> Texture:
    """A pin board with sheets of text-like lines and pictures."""
    height, width = 320, 512
    image = np.empty((height, width, 3), np.float32)
    image[:] = f32(board)
    image *= (1 + 0.10 * noise(512, 0.4, 2)[:height, :width])[..., None]
    for column in range(6):
        for row in range(2):
            if rng.random() < 0.2:
                continue
            x, y = 20 + column * 82 + rng.uniform(-6, 6), 22 + row * 150 + rng.uniform(-8, 8)
            tone = shade((0.95, 0.94, 0.90), 1.0) if rng.random() < 0.6 else hue(rng, (0.15, 0.5), (0.7, 1.0))
            image[round(y) + 3 : round(y) + 113, round(x) + 3 : round(x) + 71] *= 0.6
            _fill(image, x, y, x + 68, y + 108, tone)
            if rng.random() < 0.5:
                picture = hue(rng, (0.2, 0.7), (0.3, 0.8))
                _fill(image, x + 8, y + 10, x + 60, y + 46, picture)
            for line in range(int(y) + 54, int(y) + 98, 7):
                _fill(image, x + 8, line, x + 8 + rng.uniform(28, 52), line + 3, shade(tone, 0.5))
    return make_texture(image)


def screen(rng: np.random.Generator) -> Texture:
    """A computer screen (one tile, 8 wide : 5 high): windows with lines of text, a chart, a side bar."""
    height, width = 200, 320
    image = np.empty((height, width, 3), np.float32)
    dark = rng.random() < 0.4
    page: Colour = (0.13, 0.14, 0.17) if dark else (0.92, 0.93, 0.95)
    ink: Colour = (0.60, 0.68, 0.72) if dark else (0.35, 0.37, 0.42)
    image[:] = f32(page)
    accent = hue(rng, (0.4, 0.7), (0.5, 0.8))
    _fill(image, 0, 0, width, 14, shade(accent, 0.8))
    _fill(image, 0, 14, 62, height, shade(page, 0.86) if not dark else (0.18, 0.19, 0.22))
    for y in range(24, height - 8, 11):
        _fill(image, 8, y, 8 + rng.uniform(20, 46), y + 4, ink)
        indent = 72 + 10 * int(rng.integers(0, 4))
        _fill(image, indent, y, indent + rng.uniform(30, 130), y + 4, accent if rng.random() < 0.2 else ink)
    if rng.random() < 0.6:
        _fill(image, 210, 30, 310, 110, shade(page, 0.94) if not dark else (0.20, 0.21, 0.25))
        for bar in range(8):
            _fill(image, 218 + 11 * bar, 104 - rng.uniform(10, 66), 226 + 11 * bar, 104, accent)
    return make_texture(image)


def view(rng: np.random.Generator, day: Colour) -> Texture:
    """What is outside a window: overexposed sky, blurred trees and a roof line."""
    size = 256
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None] + np.zeros((1, size), np.float32)
    image = mix(shade(day, 1.0), shade(day, 0.92), y)
    trees = noise(size, 1.25, int(rng.integers(4)))
    line = 0.55 + 0.10 * noise(size, 1.6, 5)[3][None, :]
    green = mix((0.22, 0.33, 0.15), (0.62, 0.72, 0.45), 0.45 + 0.25 * trees)
    image = np.where((y > line)[..., None], green, image)
    if rng.random() < 0.6:
        left, wide, top = rng.uniform(0, 150), rng.uniform(50, 110), rng.uniform(70, 120)
        wall = shade((0.75, 0.66, 0.58), rng.uniform(0.7, 1.1))
        _fill(image, left, top, left + wide, size, wall)
        for row in range(int(top) + 12, size, 34):
            for column in range(int(left) + 8, int(left + wide) - 12, 24):
                _fill(image, column, row, column + 11, row + 18, shade(wall, 0.45))
    return make_texture(blur(image, 1.6) * 0.72 + 0.22)


def door(rng: np.random.Generator, colour: Colour, glazed: bool) -> Texture:
    """A panelled door leaf with handle, one texture tile."""
    height, width = 420, 190
    image = np.empty((height, width, 3), np.float32)
    image[:] = f32(colour)
    image *= (
        1 + 0.05 * noise(512, 1.2, 1, 1.0)[:height, :width] + 0.03 * noise(512, 0.4, 2)[:height, :width]
    )[..., None]
    rows = ((30, 190), (215, 390)) if rng.random() < 0.6 else ((30, 120), (140, 250), (270, 390))
    for top, bottom in rows:
        for left, right in ((26, 88), (102, 164)):
            _fill(image, left, top, right, bottom, shade(colour, 0.62))
            _fill(image, left + 3, top + 3, right, bottom, shade(colour, 1.16))
            _fill(image, left + 3, top + 3, right - 3, bottom - 3, shade(colour, 0.95))
    if glazed:
        _fill(image, 36, 30, 154, 230, shade(colour, 0.5))
        image[36:224, 42:148] = _glass(rng, 188, 106, 0.3)
    _fill(image, 12, 208, 34, 214, (0.78, 0.74, 0.66))
    _fill(image, 12, 198, 19, 226, (0.62, 0.60, 0.55))
    image[:, :3] *= 0.4
    image[:, -3:] *= 0.4
    image[:3] *= 0.4
    return make_texture(image)
