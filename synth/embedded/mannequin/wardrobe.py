"""What a person wears: an outfit is drawn, and each garment becomes a surface of its own around the body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from synth.embedded.mannequin.body import JOINT, Body, leg_parts, limb_parts, smoothstep
from synth.embedded.mannequin.fabric import (
    COATS,
    DENIM,
    DRESSES,
    SKIRTS,
    TOPS,
    TROUSERS,
    Fabric,
    draw_fabric,
    paint_cloth,
)
from synth.embedded.mannequin.mesh import F32, Loft, Part, loft, mesh_of
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import Look, Piece, Points
from synth.exact_math import arctan2, cos, hypot, norm, sin

UPPER, DRESS, COAT, PANTS, SCARF, SKIRT = 5, 6, 7, 9, 11, 12

Extent = Callable[[F32, F32], F32]
"""Signed distance inside a garment's outline (positive: cloth) from rest points and armness."""


@dataclass(frozen=True)
class Garment:
    """A garment: its solid, its outline, and its cloth; `layer` orders what covers what."""

    name: str
    layer: int
    fabric: Fabric
    parts: list[Part]
    extent: Extent
    loose: float = 0.0
    hanging: bool = False
    buttoned: bool = False
    voxel: float = 0.0095


@dataclass
class Outfit:
    """Garments from the skin outwards, and how the extremities are dressed."""

    garments: list[Garment] = field(default_factory=list)
    sock_top: float = 0.0
    boot: float = 0.0
    gloves: bool = False
    style: str = ""


_PLAIN = {
    "plain": 5.0,
    "stripes": 1.3,
    "thin stripes": 0.7,
    "dots": 0.3,
    "floral": 0.3,
    "block": 0.3,
    "graphic": 1.3,
}
_SHIRT = {"plain": 3.0, "checks": 1.0, "tartan": 1.2, "pinstripes": 1.2, "floral": 0.4, "dots": 0.4}
_SKIRT = {"plain": 3.0, "tartan": 0.8, "floral": 1.0, "dots": 0.8, "stripes": 0.5}


def draw_outfit(rng: np.random.Generator, body: Body, stance: str) -> Outfit:
    """An outfit that suits the body and the stance (no long skirts on the ground)."""
    low = stance in ("sit", "crouch", "run", "bend")
    woman = body.feminine > 0.5
    outfit = Outfit()
    u = rng.random()
    winter = rng.random() < 0.3
    sport = stance == "run" or rng.random() < 0.1
    if woman and not low and u < 0.3:
        outfit.garments.append(_dress(rng, body, winter))
        outfit.style = "dress"
    else:
        outfit.garments.append(
            _bottom(rng, body, skirt=woman and not low and u < 0.55, sport=sport, winter=winter)
        )
        tucked = outfit.garments[0].name != "shorts" and rng.random() < (
            0.5 if outfit.garments[0].name == "skirt" else 0.2
        )
        outfit.garments.append(_top(rng, body, winter=winter, sport=sport, tucked=tucked))
        outfit.style = outfit.garments[0].name
    if not sport and rng.random() < (0.75 if winter else 0.22):
        outfit.garments.append(_coat(rng, body, long=not low and rng.random() < 0.45))
    if winter and rng.random() < 0.5:
        outfit.garments.append(_scarf(rng, body))
    outfit.gloves = winter and rng.random() < 0.35
    bare = outfit.style in ("dress", "skirt", "shorts")
    if bare:
        outfit.sock_top = float(rng.choice([0.0, 0.065, 0.095, 0.15]))
        if rng.random() < (0.45 if winter else 0.12):
            outfit.boot = float(rng.uniform(0.1, 0.2))
    elif rng.random() < 0.15:
        outfit.boot = 0.09
    return outfit


def _tube(body: Body, bottom: float, ease_low: float, ease_high: float, flare: float = 0.0) -> Loft:
    """The trunk's loft carried straight down to `bottom`, as cloth falls from the hips, with room to move."""
    torso = body.torso
    n = len(torso.side)
    old = np.linspace(float(torso.a[1]), float(torso.b[1]), n)
    new = np.linspace(bottom, old[-1], n)
    hips = float(body.hip[1])
    side, front, shift = (np.interp(new, old, v) for v in (torso.side, torso.front, torso.shift))
    below = new < hips + 0.01
    if below.any():
        k = int(np.flatnonzero(~below)[0])
        side[below] = max(side[k], float(body.hip[0] + body.thigh.side[0]))
        front[below] = front[k] + 0.006
        shift[below] = shift[k]
    f = np.clip((new - hips) / (body.top - hips), 0, 1)
    ease = ease_low * (1 - f) + ease_high * f + flare * np.clip(hips - new, 0, None)
    return Loft(
        np.array([0, bottom, 0], np.float32),
        torso.b,
        (side + ease).astype(np.float32),
        (front + ease).astype(np.float32),
        shift.astype(np.float32),
        torso.forward,
        0.01,
    )


def _upper_parts(body: Body, tube: Loft, ease: float, sleeve: float, wide: float) -> list[Part]:
    """Trunk, chest and sleeves of anything worn above the waist; `wide` widens the sleeve's end."""
    parts = [Part(tube), Part(body.neck.grown(ease * 0.7), 0.03)]
    parts += [
        Part(shape.grown(ease * 0.75), blend)
        for shape, blend in body.extras
        if shape.a[1] > body.hip[1] + 0.03
    ]
    parts += limb_parts([body.upper.grown([ease * 0.5, ease * 0.8, ease * 0.8 + wide])], 0.03)
    if sleeve > 0.15:
        parts += limb_parts(
            [body.fore.grown([ease * 0.8 + wide, ease * 0.7 + wide, ease * 0.7 + wide * 0.6])], JOINT
        )
    return parts


def _upper_extent(body: Body, hem: float, sleeve: float, neck: tuple[float, float], opening: float) -> Extent:
    """Outline of an upper garment.

    `neck` is (depth below the neck's root in front, slope of a V); `opening` > 0 leaves the front open.
    """
    top = body.top
    radius = float(body.neck.side[0])

    def extent(p: F32, arm: F32) -> F32:
        x, y, z = p[:, 0], p[:, 1], p[:, 2]
        front = smoothstep(-0.02, 0.03, z)
        line = top + 0.034 - (neck[0] + 0.012) * front + neck[1] * np.abs(x) * front
        line = np.minimum(line, top + 0.036)
        around = hypot(x, z + 0.012) - radius
        # Outside the neck's own radius the shoulders stay covered unless the neckline is cut wide.
        collar = np.maximum(line - y, around - 0.02 - neck[0] * 0.25)
        trunk = np.minimum(collar, y - hem)
        if opening > 0:
            lapel = smoothstep(0.35, 1.0, body.height_fraction(y)) * 0.026
            gap = opening + lapel + smoothstep(0.2, -0.8, body.height_fraction(y)) * 0.02
            trunk = np.where(z > 0, np.minimum(trunk, np.abs(x) - gap), trunk)
        sleeve_edge = sleeve - body.arm_along(p)
        return np.where(arm > 0.5, sleeve_edge, trunk).astype(np.float32)

    return extent


def _arm_length(body: Body) -> float:
    return float(norm(body.wrist - body.shoulder))


def _top(rng: np.random.Generator, body: Body, *, winter: bool, sport: bool, tucked: bool) -> Garment:
    arm = _arm_length(body)
    kinds = {"tee": 3.0, "long": 1.2, "shirt": 1.6, "hoodie": 1.0, "sweater": 0.8, "tank": 0.7}
    if winter:
        kinds = {"long": 1.0, "shirt": 1.0, "hoodie": 1.2, "sweater": 1.6}
    elif sport:
        kinds = {"tee": 2.0, "tank": 1.2, "long": 0.6}
    names = list(kinds)
    odds = np.array(list(kinds.values()))
    kind = names[int(rng.choice(len(names), p=odds / odds.sum()))]
    sleeve = {"tee": float(rng.uniform(0.085, 0.13)), "tank": 0.012}.get(kind, arm - 0.004)
    if kind == "shirt" and rng.random() < 0.35:
        sleeve = float(rng.uniform(0.1, arm * 0.62))
    loose = {"tee": 0.011, "tank": 0.007, "long": 0.008, "shirt": 0.012, "hoodie": 0.017, "sweater": 0.014}[
        kind
    ]
    loose *= float(rng.uniform(0.75, 1.35))
    neck = (0.028, 0.0)
    if kind == "tank":
        neck = (0.055, 0.0)
    elif kind in ("tee", "long") and rng.random() < 0.3:
        neck = (0.068, 1.1)
    elif kind == "shirt":
        neck = (0.05, 1.3)
    elif kind == "sweater" and rng.random() < 0.4:
        neck = (-0.012, 0.0)
    hem = float(body.hip[1]) + (0.06 if tucked else float(rng.uniform(-0.035, 0.01)))
    patterns = (
        _SHIRT
        if kind == "shirt"
        else {"plain": 4.0, "graphic": 1.0, "block": 0.6}
        if kind == "hoodie"
        else _PLAIN
    )
    knit = kind == "sweater"
    fabric = draw_fabric(
        rng,
        UPPER,
        TOPS,
        patterns,
        fold=0.0032 if kind in ("shirt", "hoodie") else 0.0026,
        gloss=0.04 if knit else 0.08,
        sheen=0.5 if knit else 0.25,
        knit=float(knit),
    )
    ease_low = loose * 0.7 if tucked else max(loose * 1.25, 0.012)
    parts = _upper_parts(
        body,
        _tube(body, hem - 0.04, ease_low + 0.004, loose * 0.6),
        loose,
        sleeve,
        0.007 if sleeve < 0.2 else 0.003,
    )
    if kind == "shirt":
        parts += _collar(body, loose)
    if kind == "hoodie":
        top = body.top
        back = -float(body.torso.front[-10]) - 0.012
        parts.append(
            Part(
                loft(
                    (-0.045, top + 0.012, back),
                    (0.045, top + 0.012, back),
                    [0.018, 0.03, 0.018],
                    [0.02, 0.03, 0.02],
                    cap=0.03,
                ),
                0.02,
            )
        )
        parts += _collar(body, loose + 0.006)
    return Garment(
        kind,
        0 if tucked else 2,
        fabric,
        parts,
        _upper_extent(body, hem, sleeve, neck, 0.0),
        loose=0.25,
        buttoned=kind == "shirt",
    )


def _collar(body: Body, ease: float) -> list[Part]:
    top = body.top
    r = float(body.neck.side[0]) + 0.6 * ease
    return [
        Part(
            loft(
                (0, top + 0.002, -0.012),
                (0, top + 0.034, -0.006),
                [r + 0.02, r + 0.012, r + 0.008],
                [r + 0.02, r + 0.012, r + 0.008],
                cap=0.008,
            ),
            0.012,
        )
    ]


def _bottom(rng: np.random.Generator, body: Body, *, skirt: bool, sport: bool, winter: bool) -> Garment:
    hip = float(body.hip[1])
    waist = hip + 0.29 * (body.top - hip)
    if skirt:
        hem = float(rng.choice([hip * 0.72, hip * 0.5, hip * 0.3]))
        fabric = draw_fabric(rng, SKIRT, SKIRTS, _SKIRT, fold=0.004, gloss=0.08)
        tube = _tube(body, hem - 0.04, 0.012, 0.004, flare=float(rng.uniform(0.05, 0.32)))

        def skirt_extent(p: F32, arm: F32) -> F32:
            return np.where(arm > 0.5, -1, np.minimum(waist - p[:, 1], p[:, 1] - hem)).astype(np.float32)

        return Garment("skirt", 1, fabric, [Part(tube)], skirt_extent, loose=1.0, hanging=True)
    short = rng.random() < (0.5 if sport else 0.05 if winter else 0.28)
    knee, ankle = float(body.knee[1]), float(body.ankle[1])
    cuff = (
        float(rng.uniform(knee - 0.01, knee + 0.1))
        if short
        else ankle + float(rng.choice([-0.022, -0.012, 0.02]))
    )
    wide = float(rng.choice([0.003, 0.006, 0.01, 0.014], p=[0.25, 0.4, 0.25, 0.1]))
    if short:
        wide = max(wide, 0.011)
    if rng.random() < 0.5 and not sport:
        fabric = draw_fabric(rng, PANTS, DENIM, {"denim": 1.0}, fold=0.0032, gloss=0.03, sheen=0.15)
    else:
        patterns = {"plain": 6.0, "pinstripes": 0.5, "camo": 0.4}
        fabric = draw_fabric(
            rng,
            PANTS,
            TROUSERS,
            patterns,
            fold=0.0032 if wide > 0.005 else 0.0012,
            gloss=0.2 if wide < 0.005 else 0.05,
            sheen=0.2,
        )
    extras = [Part(s.grown(0.006), b) for s, b in body.extras if s.a[1] < hip + 0.15 * 0.29]
    parts = [Part(body.torso.grown([0.012, 0.009, 0.008, 0.006, 0.004])), *extras]
    thigh = body.thigh.grown([0.007, 0.4 * wide + 0.005, wide + 0.003 + (0.006 if short else 0)])
    parts += leg_parts([thigh], 0.03)
    if cuff < knee + 0.03:
        shin = body.shin.grown([wide + 0.003, wide + 0.003, wide * 1.1 + 0.004, wide * 1.3 + 0.006])
        parts += leg_parts([shin], JOINT)

    def extent(p: F32, arm: F32) -> F32:
        return np.where(arm > 0.5, -1, np.minimum(waist - p[:, 1], p[:, 1] - cuff)).astype(np.float32)

    return Garment("shorts" if short else "trousers", 1, fabric, parts, extent)


def _dress(rng: np.random.Generator, body: Body, winter: bool) -> Garment:
    hip = float(body.hip[1])
    hem = float(rng.choice([hip * 0.7, hip * 0.52, hip * 0.3, 0.07], p=[0.3, 0.35, 0.25, 0.1]))
    sleeve = _arm_length(body) - 0.01 if winter else float(rng.choice([0.012, 0.09, 0.2], p=[0.4, 0.4, 0.2]))
    neck = ((0.03, 0.0), (0.06, 0.0), (0.075, 1.0))[int(rng.integers(3))]
    fabric = draw_fabric(rng, DRESS, DRESSES, _SKIRT, fold=0.0042, gloss=0.12)
    tube = _tube(body, hem - 0.04, 0.01, 0.004, flare=float(rng.uniform(0.08, 0.36)))
    parts = _upper_parts(body, tube, 0.006, sleeve, 0.006)
    return Garment(
        "dress", 2, fabric, parts, _upper_extent(body, hem, sleeve, neck, 0.0), loose=1.0, hanging=True
    )


def _coat(rng: np.random.Generator, body: Body, long: bool) -> Garment:
    hip = float(body.hip[1])
    hem = hip * float(rng.uniform(0.5, 0.75)) if long else hip + float(rng.uniform(-0.06, 0.005))
    fabric = draw_fabric(
        rng,
        COAT,
        COATS,
        {"plain": 6.0, "tartan": 0.4, "denim": 0.6, "camo": 0.2},
        fold=0.0034,
        gloss=float(rng.choice([0.04, 0.25])),
        sheen=0.35,
    )
    ease = float(rng.uniform(0.014, 0.021))
    opening = float(rng.choice([0.0, 0.012, 0.03]))
    tube = _tube(body, hem - 0.04, ease + 0.006, ease * 0.75, flare=0.1)
    parts = _upper_parts(body, tube, ease, 1.0, 0.003) + _collar(body, ease + 0.012)
    outline = _upper_extent(body, hem, _arm_length(body) + 0.008, (0.075, 1.3), opening)
    return Garment("coat", 3, fabric, parts, outline, loose=0.5 if long else 0.3, hanging=long, buttoned=True)


def _scarf(rng: np.random.Generator, body: Body) -> Garment:
    fabric = draw_fabric(rng, SCARF, TOPS, {"plain": 3.0, "tartan": 1.5, "stripes": 1.0}, knit=1.0, sheen=0.6)
    top = body.top
    r = float(body.neck.side[0])
    turns = [
        Part(
            loft(
                (0, top + 0.006 + 0.022 * i, -0.012),
                (0, top + 0.022 + 0.022 * i, -0.006),
                r + 0.028 - 0.006 * i,
                r + 0.028 - 0.006 * i,
                cap=0.012,
            ),
            0.006,
        )
        for i in range(2)
    ]
    x = 0.03 if rng.random() < 0.5 else -0.03
    front = float(body.torso.front.max()) + 0.026
    tail = loft((x * 0.7, top + 0.02, 0.05), (x, top - 0.17, front), 0.024, 0.009, cap=0.004)
    return Garment(
        "scarf",
        4,
        fabric,
        [*turns, Part(tail, 0.01)],
        lambda p, arm: np.full(len(p), 0.1, np.float32),
        voxel=0.007,
    )


def garment_piece(body: Body, garment: Garment, above: list[Garment], noise: Noise) -> Piece:
    """The garment's surface, hidden where `above` covers it for certain."""
    mesh = mesh_of(garment.parts, garment.voxel)
    arm = body.armness(mesh.verts) if garment.name != "scarf" else np.zeros(len(mesh.verts), np.float32)
    # A little unevenness, and the deep folds of a hanging cloth, break the clean outline of the lofts.
    rough = 1.6 * garment.fabric.fold * (noise(mesh.verts * 30 + 3) - 0.5)
    if garment.hanging:
        rough += _drape(body, mesh.verts, noise)
    verts = (mesh.verts + rough[:, None] * _radial(mesh.verts, arm)).astype(np.float32)

    def keep(points: Points) -> np.ndarray:
        inside = garment.extent(points.p, points.arm) > 0
        # One looks a little way under a neckline or an opening, but not under a hem seen from above.
        margin = np.where(body.height_fraction(points.p[:, 1]) < 0.3, 0.005, 0.014)
        for other in above:
            inside &= other.extent(points.p, points.arm) < margin
        return inside

    def paint(points: Points) -> Look:
        edge = garment.extent(points.p, points.arm)
        look = paint_cloth(body, garment.fabric, points, edge, noise, hanging=garment.hanging)
        if garment.buttoned:
            _placket(points, look)
        return look

    weights = body.weights(mesh.verts, loose=garment.loose)
    return Piece(
        verts,
        mesh.faces,
        mesh.verts,
        arm,
        weights,
        keep,
        paint,
        closed=garment.name == "scarf",
        split=float(body.hip[1]) - 0.05,
    )


def _drape(body: Body, p: F32, noise: Noise) -> F32:
    """How far a skirt's folds stand out below the hips, in statures; deeper towards the hem."""
    hip = float(body.hip[1])
    angle = arctan2(p[:, 0], p[:, 2])
    at = np.stack([sin(angle) * 2.6, cos(angle) * 2.6, p[:, 1] * 2], axis=1).astype(np.float32)
    return ((noise(at + 11) - 0.5) * 0.05 * smoothstep(hip, hip - 0.3, p[:, 1])).astype(np.float32)


def _radial(p: F32, arm: F32) -> F32:
    out = p * np.array([1, 0, 1], np.float32)
    out = np.asarray(out / np.maximum(norm(out)[..., None], 1e-4), np.float32)
    return out * (1 - arm[:, None])


def _placket(points: Points, look: Look) -> None:
    """A buttoned front: a seam line, and buttons down it."""
    x, y = points.p[:, 0], points.p[:, 1]
    front = (points.p[:, 2] > 0.01) & (points.arm < 0.5)
    seam = front & (np.abs(x - 0.011) < 0.0012)
    look.albedo[seam] *= 0.65
    step = y / 0.045 - np.floor(y / 0.045) - 0.5
    button = front & (hypot(x, step * 0.045) < 0.0042)
    look.albedo[button] = look.albedo[button] * 0.35 + 0.03
    look.gloss[button] = 0.6
