"""Head, face, hair, hat and glasses, modelled in head units: y from -0.5 (chin) to 0.5 (crown), z forward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.mannequin.body import BONE, BONES, Body, smoothstep
from synth.mannequin.fabric import COATS, TOPS, linear, palette
from synth.mannequin.mesh import F32, Mesh, Part, blob, loft, mesh_of
from synth.mannequin.noise import Noise
from synth.mannequin.raster import HEAD, Keep, Look, Paint, Piece, Points

HAT, HAIR, SUNGLASSES, FACE = 1, 2, 4, 13

# Shades after the Monk Skin Tone scale, light to dark.
SKIN_TONES = palette("e6cfbc e6c8ae e6c3a2 dcb08a cc986c b58255 a06f48 7f5236 5c3a29 3f2a21")
HAIR_COLOURS = palette("15110f 1d1713 2c1d14 3d281a 5a3b22 7a5230 a97d4b cfae78 7c3417 4a2316")
EYES = palette("2f1d12 241610 4a2e1a 3c5a6e 4f6142 5a6b78")
GREY_HAIR = palette("8d8a86 b9b6b1 dedbd6 5c5a58")

EYE = (0.137, 0.025)
"""Centre of the person's left eye, x and y."""


@dataclass(frozen=True)
class Head:
    """How one head looks."""

    skin: F32
    hair: F32
    iris: F32
    lips: F32
    style: str
    hat: str
    hat_colour: F32
    hat_second: F32
    glasses: str
    beard: float
    brow: float
    jaw: float
    nose: float
    age: float
    eye: float
    smile: float


def draw_head(rng: np.random.Generator, body: Body, winter: bool) -> Head:
    """A random head for the body."""
    tone = int(rng.integers(len(SKIN_TONES)))
    skin = SKIN_TONES[tone] * np.float32(rng.uniform(0.93, 1.05))
    dark = tone >= 5 or rng.random() < 0.45
    hair = HAIR_COLOURS[int(rng.integers(0, 4 if dark else len(HAIR_COLOURS)))]
    if body.kind == "elder" or rng.random() < 0.04:
        hair = GREY_HAIR[int(rng.integers(len(GREY_HAIR)))]
    woman = body.feminine > 0.5
    if woman or (body.kind == "child" and rng.random() < 0.45):
        styles = {
            "bob": 2.0,
            "long": 3.0,
            "bun": 1.3,
            "ponytail": 1.6,
            "short": 0.8,
            "afro": 0.5,
            "curly": 0.8,
        }
    else:
        styles = {"short": 4.0, "crop": 2.0, "bald": 0.9, "afro": 0.5, "curly": 0.9, "bob": 0.25, "bun": 0.2}
    if tone >= 7:
        styles["afro"] = 2.0
        styles["crop"] = styles.get("crop", 0.0) + 1.0
    if body.kind == "child":
        styles.pop("bald", None)
    names = list(styles)
    odds = np.array(list(styles.values()))
    style = names[int(rng.choice(len(names), p=odds / odds.sum()))]
    hat = ""
    if rng.random() < (0.5 if winter else 0.17) and style not in ("afro", "bun"):
        hat = "beanie" if winter else str(rng.choice(["cap", "brim", "cap"]))
    u = rng.random()
    glasses = "" if body.kind == "child" or u > 0.26 else "sun" if u < 0.1 else "clear"
    colours = [*TOPS, *COATS]
    first, second = rng.choice(len(colours), 2, replace=False)
    beard = 0.0
    if body.kind != "child" and body.feminine < 0.5 and rng.random() < 0.5:
        beard = float(rng.choice([0.3, 0.55, 1.0]))
    lips = skin * np.array([0.86, 0.55, 0.53], np.float32)
    if woman and body.kind == "adult" and rng.random() < 0.5:
        lips = linear(str(rng.choice(["9c3a3f", "b4504f", "8a3347", "b8606a"])))
    child = 1.0 if body.kind == "child" else 0.0
    return Head(
        skin,
        hair,
        EYES[int(rng.integers(0, 3 if tone >= 4 else len(EYES)))],
        lips,
        style,
        hat,
        colours[first],
        colours[second],
        glasses,
        beard,
        float(rng.uniform(0.8, 1.2)) * (0.75 if woman else 1.1),
        float(rng.uniform(-1, 1)) - 0.6 * body.feminine,
        float(rng.uniform(0.85, 1.2)) * (0.85 if child else 1.0),
        1.0 if body.kind == "elder" else 0.0,
        1.0 + 0.2 * child + 0.1 * body.feminine,
        float(rng.uniform(-0.2, 1.0)),
    )


def head_origin(body: Body) -> F32:
    """Rest position of the head's centre."""
    return np.array([0, 1 - 0.5 * body.head_height, 0.006], np.float32)


def face_points(head: Head) -> F32:
    """Nose, left eye, right eye, left ear, right ear in head units, float32[5, 3], on the surface."""
    del head
    x, y = EYE
    return np.array(
        [[0, -0.14, 0.475], [x, y, 0.335], [-x, y, 0.335], [0.345, -0.02, -0.0], [-0.345, -0.02, -0.0]],
        np.float32,
    )


def _skull(head: Head) -> list[Part]:
    j = head.jaw
    x, y = EYE
    parts = [
        Part(blob((0, 0.13, -0.055), (0.325, 0.37, 0.4))),
        Part(blob((0, -0.1, 0.06), (0.268 + 0.012 * j, 0.33, 0.315)), 0.12),
        Part(blob((0, -0.3, 0.1), (0.2 + 0.025 * j, 0.17, 0.22)), 0.1),
        Part(blob((0, -0.42, 0.22), (0.085 + 0.02 * j, 0.07, 0.085)), 0.1),
        Part(loft((-0.2, 0.115, 0.3), (0.2, 0.115, 0.3), [0.04, 0.055, 0.04]), 0.06),
    ]
    for s in (-1, 1):
        parts.append(Part(blob((s * 0.19, -0.1, 0.23), (0.09, 0.07, 0.08)), 0.08))
        parts.append(Part(blob((s * x, y, 0.44), (0.105, 0.06, 0.085)), 0.07, carve=True))
        parts.append(Part(blob((s * x, y - 0.005, 0.262), (0.085, 0.062 * head.eye, 0.088)), 0.015))
    n = head.nose
    parts += [
        Part(
            loft(
                (0, 0.08, 0.325),
                (0, -0.13, 0.425 + 0.02 * n),
                [0.035, 0.034, 0.05 * n],
                [0.045, 0.045, 0.055],
            ),
            0.05,
        ),
        Part(blob((0, -0.145, 0.435), (0.048 * n, 0.042, 0.05)), 0.03),
        Part(blob((0.042 * n, -0.155, 0.385), (0.034, 0.03, 0.042)), 0.02),
        Part(blob((-0.042 * n, -0.155, 0.385), (0.034, 0.03, 0.042)), 0.02),
        Part(blob((0, -0.245, 0.345), (0.095, 0.03, 0.04)), 0.03),
        Part(blob((0, -0.3, 0.335), (0.08, 0.032, 0.042)), 0.025),
        Part(loft((-0.1, -0.272, 0.385), (0.1, -0.272, 0.385), [0.008, 0.014, 0.008]), 0.015, carve=True),
    ]
    for s in (-1, 1):
        parts.append(
            Part(
                loft(
                    (s * 0.345, -0.1, -0.005),
                    (s * 0.37, 0.07, -0.045),
                    [0.03, 0.045, 0.045, 0.035],
                    [0.04, 0.06, 0.075, 0.05],
                    cap=0.03,
                ),
                0.02,
            )
        )
        parts.append(Part(blob((s * 0.415, 0.0, -0.005), (0.035, 0.05, 0.04)), 0.025, carve=True))
    parts.append(Part(loft((0, -0.75, -0.13), (0, -0.2, -0.06), [0.2, 0.2, 0.16], cap=0.05), 0.06))
    return parts


def _piece(
    body: Body,
    mesh: Mesh,
    weights: F32 | None,
    keep: Keep,
    paint: Paint,
    closed: bool,
    coords: F32 | None = None,
) -> Piece:
    verts = head_origin(body) + mesh.verts * np.float32(body.head_height)
    if weights is None:
        weights = np.zeros((len(verts), len(BONES)), np.float32)
        weights[:, BONE["head"]] = 1
    zeros = np.zeros(len(verts), np.float32)
    return Piece(
        verts, mesh.faces, mesh.verts if coords is None else coords, zeros, weights, keep, paint, closed, HEAD
    )


def head_pieces(body: Body, head: Head, noise: Noise) -> list[Piece]:
    """Face, hair, hat and glasses."""
    mesh = mesh_of(_skull(head), 0.026)
    pieces = [
        _piece(body, mesh, None, lambda pt: pt.p[:, 1] > -0.62, lambda pt: _paint_face(head, pt, noise), True)
    ]
    hair = _hair(body, head, noise)
    if hair is not None:
        pieces.append(hair)
    if head.hat:
        pieces += _hat(body, head, noise)
    if head.glasses:
        pieces.append(_glasses(body, head))
    return pieces


def skin_look(albedo: F32, label: np.ndarray, noise: Noise, p: F32, scale: float) -> Look:
    """Skin with faint blotches and pores; `scale` is the blotches' frequency."""
    n = len(albedo)
    blotch = 0.95 + 0.1 * noise(p * np.float32(scale))
    tint = np.stack([np.ones(n), blotch**0.7, blotch**0.7], axis=1) * (0.97 + 0.06 * blotch[:, None] - 0.03)
    zero = np.zeros(n, np.float32)
    return Look((albedo * tint).astype(np.float32), label, zero, zero + 0.22, zero + 1, zero + 0.1)


def _over(albedo: F32, colour: F32, amount: F32) -> F32:
    return albedo * (1 - amount[:, None]) + colour * amount[:, None]


def _paint_face(head: Head, points: Points, noise: Noise) -> Look:
    p = points.p
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    n = len(p)
    front = smoothstep(0.1, 0.22, z)
    albedo = np.broadcast_to(head.skin, (n, 3)).astype(np.float32)
    flush = np.exp(-(((x - 0.19) / 0.09) ** 2) - (((y + 0.12) / 0.08) ** 2)) + 0.8 * np.exp(
        -((x / 0.05) ** 2) - (((y + 0.15) / 0.05) ** 2)
    )
    flush = np.clip(flush * front + np.clip((x - 0.33) * 8, 0, 0.8), 0, 1) * 0.3
    albedo = albedo * (1 - flush[:, None] * np.array([0.02, 0.32, 0.28], np.float32))
    # Shade around the eyes and under the nose, as make-up of the light that a coarse mesh misses.
    ex, ey = EYE
    dx, dy = x - ex, y - ey
    socket = np.exp(-((dx / 0.1) ** 2) - (((dy - 0.015) / 0.06) ** 2)) * front
    nostril = np.exp(-(((x - 0.03) / 0.018) ** 2) - (((y + 0.185) / 0.014) ** 2)) * front
    albedo = albedo * (1 - 0.2 * socket - 0.65 * nostril)[:, None]
    look = skin_look(albedo, np.full(n, FACE, np.uint8), noise, p, 9)
    albedo = look.albedo
    if head.beard:
        grain = 0.75 + 0.5 * noise(p * np.array([40, 22, 40], np.float32))
        jaw = smoothstep(-0.1, -0.2, y - 0.35 * np.clip(x - 0.2, 0, 1) + 0.1 * np.clip(0.1 - x, 0, 1))
        moustache = np.exp(-(((y + 0.215 + 0.15 * x) / 0.022) ** 2)) * smoothstep(0.13, 0.09, x)
        mouth = np.exp(-((x / 0.1) ** 4) - (((y + 0.275) / 0.042) ** 4))
        neck = smoothstep(-0.5, -0.44, y + 0.35 * (0.25 - z).clip(0, 1))
        area = np.clip(np.maximum(jaw * (1 - mouth) * neck, moustache), 0, 1) * smoothstep(-0.12, 0.0, z)
        albedo = _over(
            albedo, head.hair * 0.9, np.clip(area * grain * head.beard, 0, 0.95).astype(np.float32)
        )
    # Mouth: two lips that taper to the corners, and a dark line that smiles a little.
    curve = 0.03 * head.smile * (x / 0.11) ** 2
    line = y + 0.272 - curve
    taper = np.clip(1 - (x / 0.115) ** 2, 0, 1)
    upper = smoothstep(0.036, 0.026, line / np.maximum(taper**0.6, 0.05) * 1.0) * (line > 0)
    lower = smoothstep(-0.052, -0.038, line / np.maximum(taper**0.6, 0.05)) * (line <= 0)
    lips = (upper + lower) * (taper > 0.02) * front
    albedo = _over(albedo, head.lips, (0.85 * lips).astype(np.float32))
    slit = np.exp(-((line / 0.008) ** 2)) * (x < 0.118) * front
    albedo = albedo * (1 - 0.72 * slit)[:, None]
    # Brows follow an arc that falls off outwards.
    arc = 0.125 + 0.03 * head.eye - 1.6 * (dx - 0.01) ** 2 - 0.08 * dx
    thick = 0.018 * head.brow * np.clip(1.25 - np.abs(dx + 0.02) / 0.1, 0.3, 1)
    brow = (
        smoothstep(1.25, 0.7, np.abs(y - arc) / thick) * smoothstep(0.112, 0.09, np.abs(dx - 0.005)) * front
    )
    albedo = _over(albedo, np.minimum(head.hair * 0.75, 0.25), (0.85 * brow).astype(np.float32))
    # Eyes: almond outline, white, iris, pupil, highlight, lash line, fold of the lid.
    width, height = 0.082, 0.034 * head.eye
    almond = np.clip(1 - (dx / width) ** 2, 0, 1)
    top, bottom = height * almond**0.7 * 1.08, -height * almond * 0.8
    slant = dy - 0.09 * dx
    open_eye = (
        smoothstep(-0.004, 0.004, np.minimum(top - slant, slant - bottom)) * front * (np.abs(dx) < width)
    )
    white = np.array([0.7, 0.67, 0.64], np.float32) * (1 - 0.3 * smoothstep(0.01, 0.04, slant)[:, None])
    r = np.hypot(dx, slant - 0.004)
    iris = 0.04 * head.eye**0.5
    eye = _over(
        white.astype(np.float32),
        head.iris * (1 + 1.2 * (r / iris)[:, None] ** 2),
        smoothstep(iris, iris * 0.88, r),
    )
    eye = _over(eye, np.full(3, 0.006, np.float32), smoothstep(0.02, 0.015, r))
    eye = _over(eye, np.full(3, 0.05, np.float32), smoothstep(0.006, 0.0, np.abs(r - iris)) * 0.6)
    spark = smoothstep(0.013, 0.007, np.hypot(p[:, 0] - np.sign(p[:, 0]) * ex + 0.013, slant - 0.018))
    eye = _over(eye, np.full(3, 0.95, np.float32), spark)
    albedo = _over(albedo, eye, open_eye)
    lash = np.exp(-(((slant - top) / 0.0085) ** 2)) * (np.abs(dx) < width * 1.02) * front
    under = np.exp(-(((slant - bottom) / 0.006) ** 2)) * (np.abs(dx) < width * 0.95) * front
    crease = np.exp(-(((slant - top - 0.026) / 0.008) ** 2)) * smoothstep(0.09, 0.06, np.abs(dx)) * front
    albedo = albedo * (1 - 0.88 * lash)[:, None] * (1 - 0.4 * under)[:, None] * (1 - 0.35 * crease)[:, None]
    if head.age:
        folds = (
            np.exp(-(((x - 0.115 - 0.25 * (-0.13 - y)) / 0.01) ** 2))
            * smoothstep(-0.3, -0.24, y)
            * smoothstep(-0.11, -0.15, y)
        )
        wrinkle = np.clip(np.sin(y * 110 + 0.4 * np.cos(x * 9)) - 0.6, 0, 1) * smoothstep(0.2, 0.24, y)
        bags = np.exp(-(((slant - bottom + 0.035) / 0.008) ** 2)) * smoothstep(0.08, 0.05, np.abs(dx))
        albedo = albedo * (1 - (0.22 * folds + 0.22 * wrinkle + 0.2 * bags) * front)[:, None]
    # Stubble of a shaved scalp where the hair is cropped or gone.
    if head.style in ("crop", "bald"):
        scalp = smoothstep(-0.02, 0.03, _hairline(p)) * (0.12 if head.style == "bald" else 0.9)
        albedo = _over(albedo, head.hair * 0.8 + 0.1 * head.skin, scalp.astype(np.float32))
    gloss = look.gloss + 0.5 * open_eye + 0.15 * lips
    bump = (-0.0007 * crease + 0.0012 * brow + 0.0008 * lips).astype(np.float32) * np.float32(0.8)
    label = look.label
    if head.style == "crop":
        label = np.where(_hairline(p) > 0, HAIR, FACE).astype(np.uint8)
    return Look(
        albedo.astype(np.float32),
        label,
        bump,
        gloss.astype(np.float32),
        (look.skin * (1 - 0.7 * open_eye)).astype(np.float32),
        look.sheen,
    )


def _hairline(p: F32) -> F32:
    """Signed distance inside the scalp's hair region in head units: forehead, temples, ears, nape."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    forehead = 0.3 - 0.05 * (x / 0.2) ** 2
    temple = 0.3 - 1.5 * np.clip(x - 0.2, 0, 1)
    line = np.where(z > 0.12, np.minimum(forehead, np.maximum(temple, 0.15)), 0.02)
    side = smoothstep(0.2, 0.08, z)
    line = line * (1 - side) + np.where(z > -0.09, -0.02 + 0.75 * np.clip(z, -0.2, 0.2), -0.36) * side
    return (y - line).astype(np.float32)


def _hair(body: Body, head: Head, noise: Noise) -> Piece | None:
    style = head.style
    if style in ("bald", "crop"):
        return None
    thick = {
        "short": 0.06,
        "bob": 0.065,
        "long": 0.06,
        "bun": 0.035,
        "ponytail": 0.035,
        "afro": 0.24,
        "curly": 0.12,
    }[style]
    if head.hat:
        thick = min(thick, 0.035)
    rough = {"afro": 0.06, "curly": 0.07}.get(style, 0.022)
    r = np.array([0.325, 0.37, 0.4]) + thick
    parts = [
        Part(blob((0, 0.13 + 0.25 * thick, -0.06 - 0.1 * thick), r)),
        Part(blob((0, -0.1, -0.13), (0.29 + thick * 0.6, 0.27, 0.27 + thick * 0.7)), 0.08),
    ]
    if style == "short" and not head.hat:
        parts.append(Part(blob((0.05, 0.4, 0.16), (0.22, 0.1, 0.18)), 0.08))
    if style in ("bob", "long"):
        end = -0.42 if style == "bob" else -1.15
        for s in (-1, 1):
            parts.append(
                Part(
                    loft(
                        (s * 0.25, 0.2, -0.02),
                        (s * (0.3 if style == "bob" else 0.27), end, -0.06),
                        [0.1, 0.1, 0.095, 0.05],
                        [0.2, 0.2, 0.17, 0.09],
                        cap=0.05,
                    ),
                    0.08,
                )
            )
        parts.append(
            Part(
                loft(
                    (0, 0.1, -0.25), (0, end, -0.24), [0.3, 0.32, 0.3, 0.2], [0.2, 0.2, 0.16, 0.08], cap=0.06
                ),
                0.1,
            )
        )
    if style == "bun":
        parts.append(Part(blob((0, 0.38, -0.43), (0.17, 0.16, 0.16)), 0.03))
    if style == "ponytail":
        parts.append(
            Part(
                loft(
                    (0, 0.22, -0.46),
                    (0, -0.75, -0.5),
                    [0.06, 0.12, 0.11, 0.1, 0.03],
                    [0.06, 0.11, 0.1, 0.09, 0.03],
                    shift=[0, -0.1, -0.12, -0.04, 0.0],
                    cap=0.04,
                ),
                0.04,
            )
        )
    mesh = mesh_of(parts, 0.034)
    v = mesh.verts
    if style in ("afro", "curly"):
        d = noise(v * (14 if style == "afro" else 8)) - 0.5
    else:
        d = noise.ridges(v * np.array([9, 1.5, 9], np.float32)) - 0.5
    away = v / np.maximum(np.linalg.norm(v * np.array([1, 0.6, 1], np.float32), axis=1, keepdims=True), 0.1)
    mesh = Mesh((v + away * np.float32(rough) * d[:, None]).astype(np.float32), mesh.faces)
    weights = np.zeros((len(v), len(BONES)), np.float32)
    fall = smoothstep(-0.35, -0.9, v[:, 1]) * (0.85 if style == "long" else 0.35)
    weights[:, BONE["head"]] = 1 - fall
    weights[:, BONE["chest"]] = fall
    frame = style in ("bob", "long")

    def keep(points: Points) -> np.ndarray:
        p = points.p
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        inside = _hairline(p) + 0.02 * (noise(p * 16) - 0.5) > 0
        if frame:
            # Locks that fall beside the face, open in front of it.
            inside |= (y < 0.16) & (x > 0.235 + 0.06 * smoothstep(-0.2, 0.1, y)) & (z < 0.24)
            inside |= (z < -0.1) & (y < 0.2)
        if style == "ponytail":
            inside |= z < -0.44
        if style == "afro":
            inside |= (z < -0.02) & (y > -0.3)
        if head.hat:
            inside &= y < 0.24
        return inside

    return _piece(body, mesh, weights, keep, lambda pt: _paint_hair(head, pt, noise), False)


def _paint_hair(head: Head, points: Points, noise: Noise) -> Look:
    p = points.p
    n = len(p)
    zero = np.zeros(n, np.float32)
    curls = head.style in ("afro", "curly")
    if curls:
        strand = noise(p * np.float32(38 if head.style == "afro" else 20))
        bump = strand * np.float32(0.003)
    else:
        # Strands run from the crown: the noise is drawn out along that direction.
        angle = np.arctan2(p[:, 0], p[:, 2] + 0.05)
        flow = np.stack(
            [np.sin(angle) * 13, np.cos(angle) * 13, p[:, 1] * 1.6 + np.hypot(p[:, 0], p[:, 2]) * 2], axis=1
        )
        fine = np.stack([np.sin(angle) * 40, np.cos(angle) * 40, p[:, 1] * 2.5], axis=1)
        strand = 0.6 * noise(flow.astype(np.float32)) + 0.4 * noise(fine.astype(np.float32))
        bump = strand * np.float32(0.0022)
    shade = (0.55 + 0.9 * strand) * np.where(points.back, 0.35, 1.0)
    depth = 0.75 + 0.35 * smoothstep(-0.6, 0.4, p[:, 1])
    albedo = (head.hair + 0.008) * (shade * depth)[:, None]
    gloss = zero + (0.1 if curls else 0.28)
    return Look(
        albedo.astype(np.float32),
        np.full(n, HAIR, np.uint8),
        bump.astype(np.float32),
        gloss,
        zero + 0.15,
        zero + 0.35,
    )


def _hat(body: Body, head: Head, noise: Noise) -> list[Piece]:
    if head.hat == "beanie":
        parts = [
            Part(blob((0, 0.19, -0.06), (0.385, 0.41, 0.455))),
            Part(
                loft(
                    (0, 0.17, -0.06), (0, 0.27, -0.06), [0.395, 0.405, 0.39], [0.465, 0.475, 0.46], cap=0.03
                ),
                0.02,
            ),
        ]
    elif head.hat == "cap":
        parts = [
            Part(blob((0, 0.19, -0.06), (0.375, 0.375, 0.445))),
            Part(
                loft(
                    (0, 0.25, 0.25),
                    (0, 0.2, 0.72),
                    [0.29, 0.3, 0.28, 0.2],
                    [0.04, 0.036, 0.034, 0.03],
                    forward=(0, 1, 0),
                    shift=[0.0, 0.02, 0.0, -0.02],
                    cap=0.06,
                ),
                0.02,
            ),
        ]
    else:
        parts = [
            Part(
                loft(
                    (0, 0.2, -0.05),
                    (0, 0.52, -0.05),
                    [0.375, 0.37, 0.34, 0.3],
                    [0.44, 0.43, 0.4, 0.35],
                    cap=0.06,
                )
            ),
            Part(loft((0, 0.215, -0.04), (0, 0.255, -0.04), [0.66, 0.62], [0.7, 0.66], cap=0.012), 0.04),
        ]
    mesh = mesh_of(parts, 0.03)
    edge = 0.205 if head.hat == "cap" else -1.0

    def keep(points: Points) -> np.ndarray:
        y, z = points.p[:, 1], points.p[:, 2]
        return (y > edge) | (z > 0.3) if head.hat == "cap" else y > (0.1 if head.hat == "beanie" else 0.16)

    def paint(points: Points) -> Look:
        p = points.p
        n = len(p)
        zero = np.zeros(n, np.float32)
        second = np.zeros(n, np.float32)
        bump = zero.copy()
        angle = np.arctan2(p[:, 0], p[:, 2])
        if head.hat == "beanie":
            rib = np.sin(angle * 38)
            bump = (0.0009 * rib).astype(np.float32)
            second = (p[:, 1] < 0.3).astype(np.float32) * 0.25
        elif head.hat == "cap":
            second = (p[:, 2] > 0.33).astype(np.float32)
            seam = np.abs(np.sin(angle * 3)) < 0.03
            bump = np.where(seam, -0.0005, 0).astype(np.float32)
        else:
            second = ((p[:, 1] > 0.26) & (p[:, 1] < 0.34) & (np.hypot(p[:, 0], p[:, 2]) < 0.47)).astype(
                np.float32
            )
        albedo = _over(np.broadcast_to(head.hat_colour, (n, 3)).astype(np.float32), head.hat_second, second)
        albedo = albedo * (0.9 + 0.2 * noise(p * 30))[:, None] * np.where(points.back, 0.4, 1)[:, None]
        return Look(albedo.astype(np.float32), np.full(n, HAT, np.uint8), bump, zero + 0.05, zero, zero + 0.4)

    return [_piece(body, mesh, None, keep, paint, False)]


def _glasses(body: Body, head: Head) -> Piece:
    """A thin strip bent around the face; its coordinates are (arc, height, side piece or front)."""
    x = np.concatenate([np.full(6, -0.36), np.linspace(-0.345, 0.345, 41), np.full(6, 0.36)])
    z = np.concatenate(
        [
            np.linspace(0.02, 0.33, 6),
            0.445 - 0.75 * np.linspace(-0.345, 0.345, 41) ** 2,
            np.linspace(0.33, 0.02, 6),
        ]
    )
    y = np.linspace(-0.085, 0.1, 9)
    step = np.hypot(np.diff(x), np.diff(z))
    arc = np.concatenate([[0], np.cumsum(step)])
    arc -= arc[-1] / 2
    cols, rows = len(x), len(y)
    verts = np.stack([np.repeat(x, rows), np.tile(y, cols), np.repeat(z, rows)], axis=1).astype(np.float32)
    coords = np.stack(
        [np.repeat(arc, rows), np.tile(y, cols), np.repeat(np.abs(x) > 0.35, rows)], axis=1
    ).astype(np.float32)
    i, j = np.meshgrid(np.arange(cols - 1), np.arange(rows - 1), indexing="ij")
    a = (i * rows + j).ravel()
    faces = np.concatenate(
        [np.stack([a, a + rows, a + rows + 1], 1), np.stack([a, a + rows + 1, a + 1], 1)]
    ).astype(np.int32)
    round_ = head.brow > 0.9

    def lens(p: F32) -> F32:
        du, dv = (np.abs(p[:, 0]) - 0.155) / 0.112, (p[:, 1] - 0.012) / 0.082
        power = 2.2 if round_ else 3.6
        return ((np.abs(du) ** power + np.abs(dv) ** power) ** (1 / power) - 1) * 0.09

    def keep(points: Points) -> np.ndarray:
        d = lens(points.p)
        frame = np.abs(d) < 0.0135
        bridge = (np.abs(points.p[:, 0]) < 0.05) & (np.abs(points.p[:, 1] - 0.035) < 0.012)
        temple = (np.abs(points.p[:, 0]) > 0.26) & (np.abs(points.p[:, 1] - 0.045) < 0.014)
        solid = frame | bridge | temple
        return solid | (d < 0) if head.glasses == "sun" else solid

    def paint(points: Points) -> Look:
        n = len(points.p)
        zero = np.zeros(n, np.float32)
        inner = lens(points.p) < -0.013
        frame = np.minimum(head.hat_colour, 0.08) * 0.6 + 0.01
        glass = 0.012 + 0.03 * smoothstep(-0.08, 0.08, points.p[:, 1])[:, None] * np.array([1.0, 0.9, 0.8])
        albedo = np.where(inner[:, None], glass, frame)
        return Look(albedo.astype(np.float32), np.full(n, SUNGLASSES, np.uint8), zero, zero + 0.9, zero, zero)

    return _piece(body, Mesh(verts, faces), None, keep, paint, False, coords)
