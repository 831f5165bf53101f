"""Things that are not bags: umbrellas, cases, sports gear, phones, boxes."""

from __future__ import annotations

import numpy as np

from synth.embedded.mannequin.bearer import UP, Bearer, level, upright
from synth.embedded.mannequin.fabric import linear
from synth.embedded.mannequin.material import (
    CARD,
    DECK,
    LEATHER,
    METAL,
    NYLON,
    RAIN,
    RUBBER,
    SHELL,
    WOOD,
    Finish,
    pick,
    solid,
)
from synth.embedded.mannequin.mesh import F32, Mesh
from synth.embedded.mannequin.raster import Piece
from synth.embedded.mannequin.solids import ball, curve, joined, moved, rounded_box, sweep, turned, unit
from synth.exact_math import arctan2, cos, dot, exp, hypot, norm, power, product, sin

_RIBS = 8
_BOW = 0.026
"""Radius of the bow of an umbrella used as a stick."""


def open_umbrella(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """An open umbrella above the head, its shaft through the fist."""
    hand = who.hand
    lean = np.array([-who.side * rng.uniform(0.08, 0.16), 0, rng.uniform(-0.16, -0.04)], np.float32)
    up = unit(UP + lean)
    length = float(rng.uniform(0.5, 0.56))
    apex = hand.fist + up * np.float32(length)
    axes = np.stack([unit(np.cross(up, [0, 0, 1])), up, np.zeros(3)], axis=1).astype(np.float32)
    axes[:, 2] = np.cross(axes[:, 0], up)
    canopy = _canopy(float(rng.uniform(0.27, 0.33)), float(rng.uniform(0.1, 0.14)))
    panels = rng.random() < 0.35
    base = pick(rng, RAIN)
    second = pick(rng, RAIN) if panels else base * np.float32(0.55)

    def ribs(p: F32) -> tuple[F32, F32]:
        turn = arctan2(p[:, 0], p[:, 2]) * (_RIBS / (2 * np.pi))
        if panels:
            return (np.floor(turn) % 2).astype(np.float32), np.zeros(len(p), np.float32)
        off = np.abs(turn - np.rint(turn)) * hypot(p[:, 0], p[:, 2]) * (2 * np.pi / _RIBS)
        line = exp(-((off / 0.004) ** 2)).astype(np.float32)
        return line, 0.001 * line

    cloth = Finish(base, second, gloss=0.25, sheen=0.2, grain=0.06, detail=ribs)
    thin = who.width(0.0038)
    shaft = sweep(
        np.linspace(hand.fist - up * np.float32(0.02), apex + up * np.float32(0.03), 50).astype(np.float32),
        (0, 0, 1),
        thin,
        thin,
        sides=8,
    )
    return [
        solid(moved(canopy, apex, axes), cloth, who.noise, local=canopy.verts, closed=False),
        solid(shaft, Finish(METAL * np.float32(0.35), gloss=0.8), who.noise),
        solid(_crook(hand.fist, up, axes[:, 2], 0.05, who.width(0.0072)), Finish(WOOD, gloss=0.5), who.noise),
    ]


def _canopy(radius: float, depth: float) -> Mesh:
    """Eight panels of cloth that sag between the ribs; the rim is cut in an arc from rib to rib."""
    rings, sides = 30, _RIBS * 10
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    sag = np.abs(sin(angle * _RIBS / 2))
    f = np.linspace(0.002, 1, rings)[:, None]
    r = radius * f * (1 - 0.07 * sag * f)
    y = -depth * power(f, 1.9) + 0.014 * sag * f**2
    grid = np.stack([r * sin(angle), y + 0 * r, r * cos(angle)], axis=2).astype(np.float32)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    a, b = (i * sides + j).ravel(), (i * sides + (j + 1) % sides).ravel()
    faces = np.concatenate([np.stack([a, a + sides, b + sides], 1), np.stack([a, b + sides, b], 1)])
    return Mesh(grid.reshape(-1, 3), faces.astype(np.int32))


def _crook(fist: F32, up: F32, side: F32, straight: float, thick: float) -> Mesh:
    """A handle from above the fist down to a hook."""
    turn = np.linspace(0, np.pi * 0.95, 7)
    r = np.float32(0.022)
    low = fist - up * np.float32(straight)
    hook = [low + side * (r * (1 - cos(t))) - up * (r * sin(t)) for t in turn]
    path = curve([fist + up * np.float32(0.04), fist, *hook], 0.005)
    return sweep(path, np.cross(up, side), thick, thick, sides=10)


def closed_umbrella(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A closed umbrella used as a stick, its tip on the ground ahead of the foot."""
    hand = who.hand
    ahead = level(hand.thumb)
    # The fist closes on the top of the bow; the shaft goes down from the bow's back.
    head = hand.fist - ahead * np.float32(_BOW)
    tip = np.array([head[0] + who.side * 0.015, 0.004, head[2] + rng.uniform(0.02, 0.1)], np.float32)
    up = unit(head - tip)
    length = float(norm(head - tip))
    axes = np.stack([unit(np.cross(up, [0, 0, 1])), up, np.zeros(3)], axis=1).astype(np.float32)
    axes[:, 2] = np.cross(axes[:, 0], up)
    height = np.array([0, 0.03, 0.035, 0.12, 0.24, length - 0.1, length - 0.06, length - 0.058])
    least = who.thin
    radius = np.maximum([0.0, 0.0035, 0.008, 0.0135, 0.0165, 0.0125, 0.008, 0.0], [0, *[least] * 6, 0])
    steps = np.linspace(0, height[-1], 60)
    fold = turned(np.interp(steps, height, radius), steps, 20)

    def pleats(p: F32) -> tuple[F32, F32]:
        turn = arctan2(p[:, 0], p[:, 2]) + p[:, 1] * 9
        band = exp(-(((p[:, 1] - length * 0.62) / 0.006) ** 2))
        return (0.8 * band).astype(np.float32), (0.0012 * sin(turn * 5)).astype(np.float32)

    cloth = Finish(pick(rng, RAIN), gloss=0.2, sheen=0.2, detail=pleats)
    shaft = sweep(
        np.linspace(head - up * np.float32(0.1), head - up * np.float32(0.03), 8).astype(np.float32),
        (0, 0, 1),
        who.width(0.004),
        who.width(0.004),
    )
    handle = _cane_handle(head, up, ahead, who.width(0.007))
    return [
        solid(moved(fold, tip, axes), cloth, who.noise, local=fold.verts),
        solid(shaft, Finish(METAL, gloss=0.8), who.noise),
        solid(handle, Finish(WOOD, gloss=0.5), who.noise),
    ]


def _cane_handle(head: F32, up: F32, ahead: F32, thick: float) -> Mesh:
    """The bow of a walking stick that stands below `head`: up, forward through the fist, and down."""
    r = np.float32(_BOW)
    turn = np.linspace(0, np.pi, 8)
    bow = [head + ahead * (r * (1 - cos(t))) + up * (r * (sin(t) - 1)) for t in turn]
    path = curve([head - up * np.float32(0.07), *bow, bow[-1] - up * np.float32(0.02)], 0.005)
    return sweep(path, np.cross(up, ahead), thick, thick, sides=10)


def suitcase(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A wheeled case beside the foot, or tilted behind somebody who walks; wheels on the ground."""
    hand = who.hand
    w, h, d = (float(v) * min(who.bulk, 1.1) for v in rng.uniform((0.2, 0.29, 0.11), (0.25, 0.36, 0.14)))
    bar = level(hand.thumb)
    axes = upright(bar)
    grip = hand.fist.copy()
    if who.walking:
        tilt = float(rng.uniform(0.55, 0.8))
        back = level(-who.axes("pelvis")[:, 2])
        up = unit(UP * cos(tilt) - back * sin(tilt))
        axes = np.stack([unit(np.cross(up, back)), up, np.zeros(3)], axis=1).astype(np.float32)
        axes[:, 2] = np.cross(axes[:, 0], up)
        bar = axes[:, 0]
    up = axes[:, 1]
    ground = 0.012
    length = float((grip[1] - ground) / up[1])
    h = min(h, length - 0.06)
    foot = grip - up * np.float32(length)
    wheel = 0.015
    centre = foot + up * np.float32(wheel + h / 2)
    if not who.walking:
        leg = who.surface.extent(centre * UP + centre * [0, 0, 1], (who.side, 0, 0), (w / 2, h / 2))
        thick = abs(float(axes[0, 0])) * w / 2 + abs(float(axes[0, 2])) * d / 2
        push = max(leg, 0.15) + thick + 0.004 - who.side * float(centre[0])
        centre = centre + np.array([who.side * np.clip(push, 0, 0.06), 0, 0], np.float32)
    mesh = rounded_box((w, h, d), 0.022)
    hard = rng.random() < 0.65

    def grooves(p: F32) -> tuple[F32, F32]:
        seam = exp(-((p[:, 2] / 0.003) ** 2))
        if hard:
            face = (np.abs(p[:, 0]) < w * 0.42) & (np.abs(p[:, 1]) < h * 0.46)
            rib = np.clip(sin(p[:, 0] * 2 * np.pi / (w / 7)) * 2, -1, 1) * face
            return (0.7 * seam).astype(np.float32), (0.0016 * rib).astype(np.float32)
        pocket = np.maximum(np.abs(p[:, 0]) / (w * 0.36), np.abs(p[:, 1] + 0.1 * h) / (h * 0.3))
        edge = exp(-(((pocket - 1) / 0.03) ** 2)) * (np.abs(p[:, 2]) > d * 0.4)
        return (0.7 * np.maximum(seam, edge)).astype(np.float32), (-0.001 * edge).astype(np.float32)

    colour = pick(rng, SHELL if hard else NYLON)
    shell = Finish(colour, gloss=0.6 if hard else 0.1, sheen=0.0 if hard else 0.2, grain=0.08, detail=grooves)
    wheels = [
        moved(
            rounded_box((0.016, 2 * wheel, 2 * wheel), 0.007),
            centre + product(axes, np.array([x, -h / 2 - 0.006, z], np.float32)),
            axes,
        )
        for x in (-w * 0.4, w * 0.4)
        for z in (-d * 0.36, d * 0.36)
    ]
    rod = who.width(0.0042)
    rods = []
    for x in (-0.034, 0.034):
        low = centre + product(axes, np.array([x, h * 0.48, -d * 0.2], np.float32))
        path = np.linspace(low, grip + bar * np.float32(x), 24).astype(np.float32)
        rods.append(sweep(path, axes[:, 2], rod, rod, sides=6))
    ends = np.linspace(grip - bar * np.float32(0.042), grip + bar * np.float32(0.042), 9).astype(np.float32)
    return [
        solid(moved(mesh, centre, axes), shell, who.noise, local=mesh.verts),
        solid(joined(*wheels), Finish(RUBBER, gloss=0.3), who.noise),
        solid(joined(*rods), Finish(METAL * np.float32(0.7), gloss=0.8, grain=0.05), who.noise),
        solid(sweep(ends, axes[:, 2], 0.0085, 0.0085), Finish(RUBBER, gloss=0.3), who.noise),
    ]


def skateboard(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A skateboard on edge under the arm: the hand holds the lower edge, the wheels face outwards."""
    hand = who.hand
    long, half = 0.235 * who.bulk, 0.059 * who.bulk
    ahead = level(who.axes("chest")[:, 2])
    out = level(who.axes("chest")[:, 0] * np.float32(who.side))
    pitch = float(rng.uniform(-0.25, 0.15))
    along = unit(ahead * cos(pitch) + UP * sin(pitch))
    # Leaning in at the top, it rests between the arm and the ribs.
    across = unit(UP - out * np.float32(0.22) - along * float(dot(UP, along)))
    normal = unit(np.cross(along, across))
    normal = normal if float(dot(normal, out)) > 0 else -normal
    centre = (
        hand.fist
        - out * np.float32(0.012)
        + across * np.float32(half - 0.004)
        + along * np.float32(rng.uniform(-0.05, 0.03))
    )
    t = np.linspace(-1, 1, 60)
    kick = np.clip(np.abs(t) - 0.68, 0, 1) * 0.11
    # The nose and the tail bend to the side of the grip tape, away from the wheels.
    path = (centre + along * (t * long)[:, None] - normal * kick[:, None]).astype(np.float32)
    width = half * np.sqrt(np.clip(1 - (np.clip(np.abs(t) - 0.76, 0, 1) / 0.245) ** 2, 0.01, 1))
    deck = sweep(path, across, width.astype(np.float32), 0.0045, sides=16, exponent=5)
    frame = np.stack([along, across, normal], axis=1).astype(np.float32)
    local = product(deck.verts - centre, frame)

    def grip_tape(p: F32) -> tuple[F32, F32]:
        tape = (p[:, 2] + np.clip(np.abs(p[:, 0]) / long - 0.68, 0, 1) * 0.11 < 0.0005).astype(np.float32)
        stripe = (np.abs(p[:, 0] + 1.5 * p[:, 1]) < 0.02) & (p[:, 2] > 0.002)
        return np.maximum(tape, 0.7 * stripe).astype(np.float32), np.zeros(len(p), np.float32)

    board = Finish(pick(rng, DECK), gloss=0.3, grain=0.1, detail=grip_tape)
    trucks, wheels = [], []
    for x in (-0.62, 0.62):
        at = centre + along * np.float32(x * long) + normal * np.float32(0.02)
        axle = np.linspace(at - across * np.float32(half * 0.8), at + across * np.float32(half * 0.8), 14)
        trucks.append(sweep(axle.astype(np.float32), along, 0.006, 0.008, sides=6))
        trucks.append(moved(rounded_box((0.022, 0.03, 0.026), 0.006), at - normal * np.float32(0.008), frame))
        for y in (-0.72, 0.72):
            hub = at + across * np.float32(y * half)
            roll = np.linspace(hub - across * np.float32(0.01), hub + across * np.float32(0.01), 4)
            wheels.append(sweep(roll.astype(np.float32), along, 0.0155, 0.0155, sides=14))
    return [
        solid(deck, board, who.noise, local=local.astype(np.float32)),
        solid(joined(*trucks), Finish(METAL * np.float32(0.6), gloss=0.7), who.noise),
        solid(joined(*wheels), Finish(np.float32(1) * linear("e8e2d2"), gloss=0.4), who.noise),
    ]


def guitar_case(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A guitar case by its handle, neck forwards or backwards."""
    hand = who.hand
    big = min(who.bulk, 1.1)
    t = np.array([0, 0.02, 0.08, 0.2, 0.32, 0.42, 0.52, 0.6, 0.66, 0.8, 0.92, 0.985, 1.0])
    half = (
        np.array([0.02, 0.07, 0.104, 0.112, 0.09, 0.08, 0.085, 0.07, 0.043, 0.038, 0.043, 0.036, 0.012]) * big
    )
    s = 0.5 - 0.5 * cos(np.linspace(0, np.pi, 70))
    width = np.interp(s, t, half)
    width = (
        np.lib.stride_tricks.sliding_window_view(np.pad(width, 2, mode="edge"), 5).mean(1).astype(np.float32)
    )
    length = 0.6 * big
    direction = -1.0 if rng.random() < 0.35 else 1.0
    pitch = float(rng.uniform(-0.05, 0.22)) * direction
    flat = level(hand.thumb) * np.float32(direction)
    along = unit(flat * cos(pitch) + UP * sin(pitch * direction))
    across = unit(UP - along * float(dot(UP, along)))
    # The handle sits on the waist's upper edge.
    hold = 0.43
    top = float(np.interp(hold, s, width))
    centre = hand.fist - across * np.float32(top + 0.02)
    out = np.array([who.side, 0, 0], np.float32)
    leg = who.surface.extent(centre * [0, 1, 1], out, (0.12, 0.1))
    centre = centre + out * np.float32(np.clip(leg + 0.033 - float(dot(centre, out)), 0, 0.05))
    path = (centre + along * ((s - hold) * length)[:, None]).astype(np.float32)
    case = sweep(
        path,
        across,
        width,
        np.where((s < 0.004) | (s > 0.996), 0.012, 0.03).astype(np.float32),
        sides=28,
        exponent=5,
    )
    frame = np.stack([along, across, np.cross(along, across)], axis=1).astype(np.float32)
    local = product(case.verts - centre, frame).astype(np.float32)

    def lid(p: F32) -> tuple[F32, F32]:
        seam = exp(-((p[:, 2] / 0.0025) ** 2))
        return (0.6 * seam).astype(np.float32), (-0.0008 * seam).astype(np.float32)

    leather = pick(rng, LEATHER[:4] + NYLON[:2])
    r = who.width(0.0055)
    foot = centre + across * np.float32(top - 0.006)
    bow = curve(
        [foot - along * 0.038, hand.fist - along * 0.026, hand.fist + along * 0.026, foot + along * 0.038]
    )
    return [
        solid(case, Finish(leather, METAL, gloss=0.3, grain=0.25, detail=lid), who.noise, local=local),
        solid(sweep(bow, out, r, r, sides=8), Finish(RUBBER, gloss=0.3), who.noise),
    ]


def sports_ball(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A ball between both palms."""
    a, b = who.hand_at(1).palm, who.hand_at(-1).palm
    radius = max(0.5 * float(norm(a - b)) - 0.001, 0.05)
    mesh = ball(radius)
    centre = 0.5 * (a + b)
    turn = _random_axes(rng)
    spot = _icosahedron()
    basket = rng.random() < 0.5

    def marks(p: F32) -> tuple[F32, F32]:
        q = unit(product(p, turn))
        if basket:
            bow = np.abs(np.abs(q[:, 0]) - 0.62 + 0.25 * q[:, 2] ** 2)
            line = np.minimum(np.minimum(np.abs(q[:, 1]), np.abs(q[:, 2])), bow) < 0.035
            return line.astype(np.float32), np.where(line, -0.0006, 0).astype(np.float32)
        near = np.sort(product(q, spot.T), axis=1)
        patch = near[:, -1] > 0.915
        seam = (np.abs(near[:, -1] - near[:, -2]) < 0.02) & ~patch
        return np.where(patch, 1, 0.4 * seam).astype(np.float32), np.where(seam, -0.0006, 0).astype(
            np.float32
        )

    base = linear("b5541c") if basket else linear("efeeea")
    return [
        solid(
            moved(mesh, centre),
            Finish(base, gloss=0.2 if basket else 0.4, detail=marks),
            who.noise,
            local=mesh.verts,
        )
    ]


def _random_axes(rng: np.random.Generator) -> F32:
    """Three directions at right angles, float32[3, 3], every turn as likely as another."""
    first, second, _ = rng.normal(0, 1, (3, 3))
    x = unit(first)
    y = unit(second - x * dot(second, x))
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _icosahedron() -> F32:
    """Unit vertices float32[12, 3]: where a football has its dark patches."""
    g = (1 + np.sqrt(5)) / 2
    rows = [(0, a, b * g) for a in (-1, 1) for b in (-1, 1)]
    return unit([row[k:] + row[:k] for row in rows for k in range(3)])


def phone_in_hand(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A phone along the fingers, its screen towards the face."""
    return _phone(rng, who, 0.5, 0.2)


def phone_at_ear(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A phone between the hand and the ear."""
    return _phone(rng, who, 0.35, 0.42)


def _phone(rng: np.random.Generator, who: Bearer, slope: float, ahead: float) -> list[Piece]:
    """A phone in the hand; `slope` (radians) tips it the way the fingers curl, `ahead` is how far it stands
    out beyond the palm in lengths of the hand.
    """
    hand = who.hand
    w, h = 0.043 * who.bulk, 0.089 * who.bulk
    thick = max(0.0056, 1.2 * who.thin)
    long = unit(hand.fingers * cos(slope) + hand.facing * sin(slope))
    face = unit(hand.facing - long * float(dot(long, hand.facing)))
    across = np.cross(long, face)
    centre = hand.palm + long * np.float32(ahead * hand.size) + face * np.float32(0.09 * hand.size)
    mesh = rounded_box((w, h, thick), 0.0045)
    frame = np.stack([across, long, face], axis=1).astype(np.float32)

    def screen(p: F32) -> tuple[F32, F32]:
        glass = (p[:, 2] > thick * 0.3) & (np.abs(p[:, 0]) < w * 0.45) & (np.abs(p[:, 1]) < h * 0.46)
        lens = (p[:, 2] < -thick * 0.3) & (hypot(p[:, 0] - w * 0.27, p[:, 1] - h * 0.38) < 0.006)
        return (glass | lens).astype(np.float32), np.zeros(len(p), np.float32)

    shell = Finish(
        pick(rng, SHELL), np.float32(0.02) * np.ones(3, np.float32), gloss=0.8, grain=0.04, detail=screen
    )
    return [solid(moved(mesh, centre, frame), shell, who.noise, local=mesh.verts)]


def carton(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A cardboard box held between both hands against the belly."""
    a, b = who.hand_at(1).palm, who.hand_at(-1).palm
    x = level(a - b)
    axes = upright(x)
    w = abs(float(dot(a - b, x))) - 0.004
    h, d = float(rng.uniform(0.12, 0.2)), float(rng.uniform(0.13, 0.19))
    ahead = level(who.axes("chest")[:, 2])
    centre = (0.5 * (a + b)).astype(np.float32) + UP * np.float32(rng.uniform(-0.01, 0.25) * h)
    belly = who.surface.extent(centre - ahead * float(dot(centre, ahead)), ahead, (w / 2, h / 2))
    centre = centre + ahead * np.float32(max(belly + d / 2 - float(dot(centre, ahead)), -0.02))
    mesh = rounded_box((w, h, d), 0.004)
    tape_on = rng.random() < 0.8

    def tape(p: F32) -> tuple[F32, F32]:
        band = (np.abs(p[:, 2]) < 0.014) & ((np.abs(p[:, 1]) > h * 0.48) | (p[:, 1] > h * 0.25)) & tape_on
        seam = exp(-((p[:, 2] / 0.0012) ** 2)) * (np.abs(p[:, 1]) > h * 0.48)
        label = (p[:, 2] < -d * 0.48) & (np.abs(p[:, 0] - 0.15 * w) < 0.04) & (np.abs(p[:, 1]) < 0.028)
        return np.where(label, 1, 0.55 * band).astype(np.float32), (-0.001 * seam).astype(np.float32)

    board = Finish(pick(rng, CARD), linear("d9cdb4"), gloss=0.08, grain=0.1, detail=tape)
    return [solid(moved(mesh, centre, axes), board, who.noise, local=mesh.verts)]
