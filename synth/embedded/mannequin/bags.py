"""Bags: in the hand, on the forearm, on the shoulder, across the body and on the back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from synth.embedded.mannequin.bearer import UP, Bearer, level, upright
from synth.embedded.mannequin.material import (
    CANVAS,
    LEATHER,
    METAL,
    NYLON,
    PAPER,
    Detail,
    Finish,
    pick,
    solid,
)
from synth.embedded.mannequin.mesh import F32, Mesh
from synth.embedded.mannequin.raster import Piece
from synth.embedded.mannequin.solids import curve, joined, moved, rounded_box, sweep, unit
from synth.embedded.mannequin.strap import hung, ribbon, taut
from synth.exact_math import cos, dot, exp, hypot, norm, product, sin

Size = tuple[float, float, float]


def handbag_in_hand(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A handbag that hangs from the fist."""
    hand = who.hand
    return _handbag(rng, who, hand.fist, level(hand.thumb), 0.0)


def handbag_on_forearm(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A handbag whose handles hang over the bent forearm."""
    elbow = who.at("fore_l" if who.side > 0 else "fore_r", _mirrored(who.body.elbow, who.side))
    wrist = who.hand.wrist
    middle = (elbow * 0.42 + wrist * 0.58).astype(np.float32)
    axis = unit(wrist - elbow)
    rel = who.surface.arms - middle
    along = dot(rel, axis)
    near = np.abs(along) < 0.025
    round_ = norm(rel - along[:, None] * axis)
    near &= round_ < 0.08
    radius = float(np.quantile(round_[near], 0.9)) if near.any() else 0.026
    return _handbag(rng, who, middle, level(axis), radius)


def _mirrored(rest: F32, sign: int) -> F32:
    return rest * np.array([sign, 1, 1], np.float32)


def _handbag(rng: np.random.Generator, who: Bearer, hook: F32, along: F32, radius: float) -> list[Piece]:
    """A bag below `hook`, its length `along`; the handles pass `radius` above the hook."""
    w, h, d = (float(v) * who.bulk for v in rng.uniform((0.13, 0.095, 0.05), (0.19, 0.14, 0.075)))
    drop = float(rng.uniform(0.045, 0.08)) + radius
    axes = upright(along)
    mesh = _bellied(rounded_box((w, h, d), 0.016), h, float(rng.uniform(-0.12, 0.3)))
    centre = hook - UP * np.float32(drop + h / 2)
    centre = _clear_of_legs(who, centre, d / 2, (w / 2, h / 2))
    material = Finish(
        pick(rng, LEATHER),
        METAL,
        gloss=float(rng.uniform(0.2, 0.5)),
        grain=0.2,
        detail=_flap(h, rng.random() < 0.5),
    )
    pieces = [solid(moved(mesh, centre, axes), material, who.noise, local=mesh.verts)]
    thick = who.width(0.0045)
    over = hook + UP * np.float32(radius + thick)
    for z in (-0.3, 0.3):
        feet = [centre + product(axes, np.array([x * w, h * 0.42, z * d], np.float32)) for x in (-0.3, 0.3)]
        reach = axes[:, 0] * np.float32(0.018 + 0.4 * radius)
        top = over + axes[:, 2] * np.float32(z * 0.016)
        bow = [feet[0], feet[0] * 0.5 + (top - reach) * 0.5 - axes[:, 0] * 0.012, top - reach]
        bow += [top + reach, feet[1] * 0.5 + (top + reach) * 0.5 + axes[:, 0] * 0.012, feet[1]]
        path = curve(bow)
        handle = sweep(path, axes[:, 2], thick, thick, sides=8)
        pieces.append(solid(handle, Finish(material.base * np.float32(0.7), gloss=0.35), who.noise))
    return pieces


def _clear_of_legs(who: Bearer, centre: F32, half_depth: float, half: tuple[float, float]) -> F32:
    """A hanging bag leans on the leg instead of passing through it."""
    out = np.array([who.side, 0, 0], np.float32)
    origin = centre * np.array([0, 1, 1], np.float32)
    leg = who.surface.extent(origin, out, half)
    push = leg + half_depth + 0.003 - float(dot(centre, out))
    return (centre + out * np.float32(np.clip(push, 0, 0.05))).astype(np.float32)


def _bellied(mesh: Mesh, height: float, taper: float) -> Mesh:
    """Fuller at the bottom, with the mouth drawn in (or, for negative `taper`, spread)."""
    v = mesh.verts.copy()
    f = np.clip(v[:, 1] / np.float32(height) + 0.5, 0, 1)
    v[:, 2] *= 1.12 - 0.55 * f * np.sqrt(f)
    v[:, 0] *= 1 - taper * (f - 0.35)
    return Mesh(v, mesh.faces)


def _flap(height: float, buckle: bool) -> Detail:
    def detail(p: F32) -> tuple[F32, F32]:
        edge = p[:, 1] - height * 0.08 + 1.4 * p[:, 0] ** 2
        seam = exp(-((edge / 0.0022) ** 2))
        clasp = (np.abs(p[:, 0]) < 0.011) & (np.abs(p[:, 1] - height * 0.08) < 0.008) & buckle
        return clasp.astype(np.float32), np.where(edge > 0, 0.0012, 0) - 0.0008 * seam + 0.001 * clasp

    return detail


def shopping_bags(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """One or two paper bags with cord handles in the fist."""
    hand = who.hand
    pieces: list[Piece] = []
    axes = upright(level(hand.thumb))
    for i in range(1 + int(rng.random() < 0.5)):
        w, h, d = (float(v) * who.bulk for v in rng.uniform((0.13, 0.15, 0.055), (0.19, 0.215, 0.075)))
        slip = np.float32((0.02 if i else -0.005) * (1 if rng.random() < 0.5 else -1))
        centre = hand.fist - UP * np.float32(0.055 + h / 2 + 0.012 * i) + axes[:, 0] * slip * 2
        centre = _clear_of_legs(who, centre, d / 2, (w / 2, h / 2))
        centre += np.array([who.side * 0.05 * i, 0, 0.02 * i], np.float32)
        yaw = float(rng.uniform(-0.25, 0.25))
        turned_axes = upright(axes[:, 0] * cos(yaw) + axes[:, 2] * sin(yaw))
        mesh = _paper(rounded_box((w, h, d), 0.003), h)
        base = pick(rng, PAPER)
        ink = np.full(3, 0.8 if float(base.mean()) < 0.3 else 0.05, np.float32)
        material = Finish(
            base, ink, gloss=float(rng.choice([0.05, 0.4])), grain=0.08, detail=_print(rng, w, h)
        )
        pieces.append(solid(moved(mesh, centre, turned_axes), material, who.noise, local=mesh.verts))
        cord = who.width(0.0028)
        for z in (-0.5, 0.5):
            feet = [
                centre + product(turned_axes, np.array([x, h * 0.49, z * d * 0.9], np.float32))
                for x in (-0.032, 0.032)
            ]
            grip = hand.fist + axes[:, 0] * np.float32(0.4) * slip
            path = curve([feet[0], grip - axes[:, 0] * 0.012, grip + axes[:, 0] * 0.012, feet[1]])
            pieces.append(
                solid(sweep(path, axes[:, 2], cord, cord, sides=6), Finish(ink * np.float32(0.9)), who.noise)
            )
    return pieces


def _paper(mesh: Mesh, height: float) -> Mesh:
    """Gussets: the narrow sides fold inwards towards the mouth."""
    v = mesh.verts.copy()
    f = np.clip(v[:, 1] / np.float32(height) + 0.5, 0, 1)
    fold = 1 - np.minimum(np.abs(v[:, 2]) / np.abs(v[:, 2]).max(), 1)
    v[:, 0] *= 1 - 0.12 * f * fold
    v[:, 2] *= 1 - 0.25 * f
    return Mesh(v, mesh.faces)


def _print(rng: np.random.Generator, w: float, h: float) -> Detail:
    """A logo: a disc or a bar with a line under it."""
    round_ = rng.random() < 0.4
    size = float(rng.uniform(0.12, 0.2)) * w

    def detail(p: F32) -> tuple[F32, F32]:
        x, y = p[:, 0], p[:, 1] - 0.06 * h
        if round_:
            mark = np.abs(hypot(x, y) - size) < 0.3 * size
        else:
            letters = sin(x * 260) > -0.5
            mark = ((np.abs(x) < 1.7 * size) & (np.abs(y) < 0.45 * size) & letters) | (
                (np.abs(x) < 1.1 * size) & (np.abs(y + 0.9 * size) < 0.12 * size)
            )
        crease = exp(-(((p[:, 1] + 0.3 * h) / 0.003) ** 2))
        return mark.astype(np.float32), (-0.0008 * crease).astype(np.float32)

    return detail


def tote(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A tote bag on one shoulder, under the arm; its two handles run over the shoulder."""
    s = who.side
    body = who.body
    w, h, d = (float(v) * who.bulk for v in rng.uniform((0.18, 0.18, 0.04), (0.23, 0.23, 0.065)))
    chest = who.axes("chest")
    axes = upright(chest[:, 2])
    top_y = float(who.at("chest", (0, body.top, 0))[1]) - float(rng.uniform(0.29, 0.33))
    pelvis = who.at("pelvis", (0, float(body.hip[1]), -0.03))
    out = level(chest[:, 0] * np.float32(s))
    base = np.array([pelvis[0], top_y - h / 2, pelvis[2]], np.float32) - axes[:, 0] * np.float32(0.02)
    # Only the upper part rests on the body: a flared skirt would push the whole bag away.
    reach = who.surface.extent(base + UP * np.float32(0.25 * h), out, (w / 2, h * 0.25))
    centre = base + out * np.float32(reach + d * 0.42)
    mesh = _bellied(rounded_box((w, h, d), 0.012), h, -0.08)
    leather = rng.random() < 0.4
    material = Finish(
        pick(rng, LEATHER if leather else CANVAS),
        np.full(3, 0.05, np.float32),
        gloss=0.3 if leather else 0.04,
        sheen=0.0 if leather else 0.3,
        grain=0.2,
        detail=_flap(h, False) if leather else _print(rng, w, h),
    )
    pieces = [solid(moved(mesh, centre, axes), material, who.noise, local=mesh.verts)]
    for shift in (-0.011, 0.012):
        # The inner handle starts at the inner face, the outer one at the outer.
        z = np.float32(np.sign(shift) * d * 0.25)
        feet = [
            centre + axes[:, 0] * np.float32(x * w) + UP * np.float32(h * 0.46) + out * z
            for x in (-0.24, 0.24)
        ]
        x = s * (float(body.shoulder[0]) - 0.024 + shift)
        over = who.at(
            "chest", [(x, body.top - 0.05, -0.07), (x, body.top + 0.02, -0.01), (x, body.top - 0.05, 0.06)]
        )
        path, normal = hung(who.surface, [over[0], feet[0]], over[1], [over[2], feet[1]], 0.006)
        strap = ribbon(path, normal, max(0.015, 2 * who.thin), max(0.004, who.thin))
        pieces.append(solid(strap, Finish(material.base * np.float32(0.85), gloss=material.gloss), who.noise))
    return pieces


def crossbody(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A small bag at the hip, its strap across the body to the other shoulder."""
    s = who.side
    body = who.body
    w, h, d = (float(v) * who.bulk for v in rng.uniform((0.11, 0.08, 0.03), (0.18, 0.14, 0.05)))
    pelvis = who.axes("pelvis")
    ahead = float(rng.choice([0.8, 0.35, -0.6]))
    out = level(pelvis[:, 0] * np.float32(s) + pelvis[:, 2] * np.float32(ahead))
    axes = upright(np.cross(UP, out))
    hip = who.at("pelvis", (0, float(body.hip[1]) + 0.01, 0))
    reach = who.surface.extent(hip, out, (w * 0.4, h / 2))
    centre = hip + out * np.float32(reach + d / 2)
    mesh = rounded_box((w, h, d), 0.014)
    material = Finish(pick(rng, LEATHER), METAL, gloss=0.3, grain=0.2, detail=_flap(h, rng.random() < 0.7))
    pieces = [solid(moved(mesh, centre, axes), material, who.noise, local=mesh.verts)]
    top = UP * np.float32(h * 0.45)
    # x of the bag runs from its back end to its front end or the other way, as `side` has it.
    ends = [centre + top + axes[:, 0] * np.float32(x * w * 0.47) for x in (-1, 1)]
    ends.sort(key=lambda e: float(dot(e, pelvis[:, 2])))
    back, front = ends
    mid = float(body.hip[1]) + 0.55 * (body.top - float(body.hip[1]))
    behind: ArrayLike = [(-s * 0.025, mid + 0.07, -0.12), (s * 0.045, mid - 0.04, -0.14)]
    ahead_of: ArrayLike = [(-s * 0.03, mid + 0.07, 0.13), (s * 0.04, mid - 0.05, 0.15)]
    path, normal = hung(
        who.surface,
        [*who.at("chest", behind), back],
        who.at("chest", (-s * 0.058, body.top + 0.03, -0.012)),
        [*who.at("chest", ahead_of), front],
        0.005,
    )
    strap = ribbon(path, normal, max(0.012, 2 * who.thin), max(0.004, who.thin))
    pieces.append(solid(strap, Finish(material.base * np.float32(0.8), gloss=0.3), who.noise))
    return pieces


def backpack(rng: np.random.Generator, who: Bearer) -> list[Piece]:
    """A backpack on both shoulders."""
    body = who.body
    w, h, d = (float(v) for v in rng.uniform((0.145, 0.235, 0.08), (0.185, 0.31, 0.125)))
    axes = who.axes("chest")
    top = body.top - 0.005
    middle = who.at("chest", (0, top - h / 2, 0))
    rel = product(who.surface.points - middle, axes)
    behind = (np.abs(rel[:, 0]) < w * 0.35) & (np.abs(rel[:, 1]) < h * 0.45)
    # A soft back panel gives way a little where the back stands out most.
    back = float(np.quantile(-rel[behind, 2], 0.97))
    origin = middle - axes[:, 2] * np.float32(back - 0.006 + d / 2)
    mesh = rounded_box((w, h, d), 0.034)
    v = mesh.verts.copy()
    f = np.clip(v[:, 1] / np.float32(h) + 0.5, 0, 1)
    v[:, 0] *= 1.04 - 0.16 * f * f * f
    v[:, 2] += np.where(v[:, 2] < 0, 0.03 * np.square(f * f) - 0.012 * (1 - f), 0)
    mesh = Mesh(v.astype(np.float32), mesh.faces)
    base = pick(rng, NYLON)
    second = pick(rng, NYLON) if rng.random() < 0.5 else base * np.float32(0.6)

    def zips(p: F32) -> tuple[F32, F32]:
        line = exp(-(((p[:, 2] + 0.1 * d) / 0.0025) ** 2))
        low = (p[:, 1] < -0.3 * h).astype(np.float32)
        return np.maximum(low, 0.8 * line).astype(np.float32), (0.0012 * low - 0.001 * line).astype(
            np.float32
        )

    main = Finish(base, second, gloss=0.12, sheen=0.2, grain=0.22, detail=zips)
    pocket_mesh = rounded_box((w * 0.74, h * 0.46, 0.05), 0.022)

    def pocket_zip(p: F32) -> tuple[F32, F32]:
        line = exp(-(((p[:, 1] - 0.15 * h) / 0.0025) ** 2))
        return (0.85 * line).astype(np.float32), (-0.001 * line).astype(np.float32)

    pocket = Finish(base, second * np.float32(0.6), gloss=0.12, sheen=0.2, grain=0.22, detail=pocket_zip)
    place = origin + product(axes, np.array([0, -0.2 * h, -d / 2 - 0.008], np.float32))
    pieces = [
        solid(moved(mesh, origin, axes), main, who.noise, local=mesh.verts),
        solid(moved(pocket_mesh, place, axes), pocket, who.noise, local=pocket_mesh.verts),
    ]
    return [*pieces, *back_straps(who, origin, axes, (w, h, d), base * np.float32(0.55))]


def back_straps(who: Bearer, origin: F32, axes: F32, size: Size, colour: F32) -> list[Piece]:
    """Two straps from the top of a load on the back, over the shoulders and under the arms to its foot."""
    body = who.body
    w, h, d = size
    bands = []
    for s in (-1, 1):
        start = origin + product(axes, np.array([s * min(w * 0.28, 0.05), h * 0.46, d * 0.4], np.float32))
        end = origin + product(axes, np.array([s * w * 0.44, -h * 0.36, d * 0.35], np.float32))
        x = min(0.064, 0.68 * float(body.shoulder[0]))
        over: ArrayLike = [
            (s * x, body.top + 0.035, -0.02),
            (s * x, body.top - 0.01, 0.07),
            (s * (x + 0.008), body.top - 0.1, 0.13),
            (s * (x + 0.03), body.top - 0.17, 0.11),
            (s * (x + 0.085), body.top - 0.2, 0.02),
        ]
        way = np.concatenate([[start], who.at("chest", over), [end]])
        path, normal = taut(who.surface, way, 0.006)
        bands.append(ribbon(path, normal, max(0.026, 2.5 * who.thin), max(0.007, who.thin)))
    return [solid(joined(*bands), Finish(colour, gloss=0.1, sheen=0.25, grain=0.2), who.noise)]
