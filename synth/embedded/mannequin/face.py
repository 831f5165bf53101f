"""The skull and the face painted on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.embedded.mannequin.body import Body, smoothstep
from synth.embedded.mannequin.head import EYE, FACE, HAIR, Head, head_piece
from synth.embedded.mannequin.mesh import F32, Part, blob, loft, mesh_of
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import Look, Piece, Points
from synth.exact_math import cos, exp, hypot, power, sin


def face_piece(body: Body, head: Head, noise: Noise) -> Piece:
    """Skull, face, ears and the top of the neck."""
    mesh = mesh_of(_skull(head), 0.026)

    def keep(points: Points) -> NDArray[np.bool_]:
        return points.p[:, 1] > -0.62

    return head_piece(body, mesh, None, keep, lambda points: _paint_face(head, points, noise), True)


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


def skin_look(albedo: F32, label: np.ndarray, noise: Noise, p: F32, scale: float) -> Look:
    """Skin with faint blotches and pores; `scale` is the blotches' frequency."""
    n = len(albedo)
    blotch = 0.95 + 0.1 * noise(p * np.float32(scale))
    cool = power(blotch, 0.7)
    tint = np.stack([np.ones(n), cool, cool], axis=1) * (0.97 + 0.06 * blotch[:, None] - 0.03)
    zero = np.zeros(n, np.float32)
    return Look((albedo * tint).astype(np.float32), label, zero, zero + 0.22, zero + 1, zero + 0.1)


def over(albedo: F32, colour: F32, amount: F32) -> F32:
    """`colour` laid over `albedo` float32[n, 3] with opacity float32[n]."""
    return albedo * (1 - amount[:, None]) + colour * amount[:, None]


def _paint_face(head: Head, points: Points, noise: Noise) -> Look:
    p = points.p
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    n = len(p)
    front = smoothstep(0.1, 0.22, z)
    albedo = np.broadcast_to(head.skin, (n, 3)).astype(np.float32)
    cheeks = exp(-(((x - 0.19) / 0.09) ** 2) - (((y + 0.12) / 0.08) ** 2)) + 0.8 * exp(
        -((x / 0.05) ** 2) - (((y + 0.15) / 0.05) ** 2)
    )
    flush = np.clip(cheeks * front + np.clip((x - 0.33) * 8, 0, 0.8), 0, 1) * 0.3
    albedo = (albedo * (1 - flush[:, None] * np.array([0.02, 0.32, 0.28]))).astype(np.float32)
    # Shade around the eyes and under the nose, as make-up of the light that a coarse mesh misses.
    ex, ey = EYE
    dx, dy = x - ex, y - ey
    socket = exp(-((dx / 0.1) ** 2) - (((dy - 0.015) / 0.06) ** 2)) * front
    nostril = exp(-(((x - 0.03) / 0.018) ** 2) - (((y + 0.185) / 0.014) ** 2)) * front
    albedo = albedo * (1 - 0.2 * socket - 0.65 * nostril)[:, None]
    look = skin_look(albedo, np.full(n, FACE, np.uint8), noise, p, 9)
    albedo = look.albedo
    if head.beard:
        grain = 0.75 + 0.5 * noise(p * np.array([40, 22, 40], np.float32))
        jaw = smoothstep(-0.1, -0.2, y - 0.35 * np.clip(x - 0.2, 0, 1) + 0.1 * np.clip(0.1 - x, 0, 1))
        moustache = exp(-(((y + 0.215 + 0.15 * x) / 0.022) ** 2)) * smoothstep(0.13, 0.09, x)
        mouth = exp(-np.square((x / 0.1) ** 2) - np.square(((y + 0.275) / 0.042) ** 2))
        neck = smoothstep(-0.5, -0.44, y + 0.35 * (0.25 - z).clip(0, 1))
        area = np.clip(np.maximum(jaw * (1 - mouth) * neck, moustache), 0, 1) * smoothstep(-0.12, 0.0, z)
        albedo = over(albedo, head.hair * 0.9, np.clip(area * grain * head.beard, 0, 0.95).astype(np.float32))
    # Mouth: two lips that taper to the corners, and a dark line that smiles a little.
    curve = 0.03 * head.smile * (x / 0.11) ** 2
    line = y + 0.272 - curve
    taper = np.clip(1 - (x / 0.115) ** 2, 0, 1)
    within = line / np.maximum(power(taper, 0.6), 0.05)
    upper = smoothstep(0.036, 0.026, within) * (line > 0)
    lower = smoothstep(-0.052, -0.038, within) * (line <= 0)
    lips = (upper + lower) * (taper > 0.02) * front
    albedo = over(albedo, head.lips, (0.85 * lips).astype(np.float32))
    slit = exp(-((line / 0.008) ** 2)) * (x < 0.118) * front
    albedo = albedo * (1 - 0.72 * slit)[:, None]
    # Brows follow an arc that falls off outwards.
    arc = 0.125 + 0.03 * head.eye - 1.6 * (dx - 0.01) ** 2 - 0.08 * dx
    thick = 0.018 * head.brow * np.clip(1.25 - np.abs(dx + 0.02) / 0.1, 0.3, 1)
    brow = (
        smoothstep(1.25, 0.7, np.abs(y - arc) / thick) * smoothstep(0.098, 0.075, np.abs(dx - 0.002)) * front
    )
    albedo = over(albedo, np.minimum(head.hair * 0.75, 0.25), (0.85 * brow).astype(np.float32))
    # Eyes: almond outline, white, iris, pupil, highlight, lash line, fold of the lid.
    width, height = 0.082, 0.034 * head.eye
    almond = np.clip(1 - (dx / width) ** 2, 0, 1)
    top, bottom = height * power(almond, 0.7) * 1.08, -height * almond * 0.8
    slant = dy - 0.09 * dx
    open_eye = (
        smoothstep(-0.004, 0.004, np.minimum(top - slant, slant - bottom)) * front * (np.abs(dx) < width)
    )
    white = np.array([0.7, 0.67, 0.64], np.float32) * (1 - 0.3 * smoothstep(0.01, 0.04, slant)[:, None])
    r = hypot(dx, slant - 0.004)
    iris = 0.04 * float(np.sqrt(head.eye))
    eye = over(
        white.astype(np.float32),
        np.asarray(head.iris * (1 + 1.2 * (r / iris)[:, None] ** 2), np.float32),
        smoothstep(iris, iris * 0.88, r),
    )
    eye = over(eye, np.full(3, 0.006, np.float32), smoothstep(0.02, 0.015, r))
    eye = over(eye, np.full(3, 0.05, np.float32), smoothstep(0.006, 0.0, np.abs(r - iris)) * 0.6)
    spark = smoothstep(0.013, 0.007, hypot(p[:, 0] - np.sign(p[:, 0]) * ex + 0.013, slant - 0.018))
    eye = over(eye, np.full(3, 0.95, np.float32), spark)
    albedo = over(albedo, eye, open_eye)
    lash = exp(-(((slant - top) / 0.0085) ** 2)) * (np.abs(dx) < width * 1.02) * front
    under = exp(-(((slant - bottom) / 0.006) ** 2)) * (np.abs(dx) < width * 0.95) * front
    crease = exp(-(((slant - top - 0.026) / 0.008) ** 2)) * smoothstep(0.09, 0.06, np.abs(dx)) * front
    albedo = albedo * (1 - 0.88 * lash)[:, None] * (1 - 0.4 * under)[:, None] * (1 - 0.35 * crease)[:, None]
    if head.age:
        folds = (
            exp(-(((x - 0.115 - 0.25 * (-0.13 - y)) / 0.01) ** 2))
            * smoothstep(-0.3, -0.24, y)
            * smoothstep(-0.11, -0.15, y)
        )
        wrinkle = np.clip(sin(y * 110 + 0.4 * cos(x * 9)) - 0.6, 0, 1) * smoothstep(0.2, 0.24, y)
        bags = exp(-(((slant - bottom + 0.035) / 0.008) ** 2)) * smoothstep(0.08, 0.05, np.abs(dx))
        albedo = albedo * (1 - (0.22 * folds + 0.22 * wrinkle + 0.2 * bags) * front)[:, None]
    # Stubble of a shaved scalp where the hair is cropped or gone.
    if head.style in ("crop", "bald"):
        scalp = smoothstep(-0.02, 0.03, hairline(p)) * (0.12 if head.style == "bald" else 0.9)
        albedo = over(albedo, head.hair * 0.8 + 0.1 * head.skin, scalp.astype(np.float32))
    gloss = look.gloss + 0.5 * open_eye + 0.15 * lips
    bump = (-0.0007 * crease + 0.0012 * brow + 0.0008 * lips).astype(np.float32) * np.float32(0.8)
    label = look.label
    if head.style == "crop":
        label = np.where(hairline(p) > 0, HAIR, FACE).astype(np.uint8)
    return Look(
        albedo.astype(np.float32),
        label,
        bump,
        gloss.astype(np.float32),
        (look.skin * (1 - 0.7 * open_eye)).astype(np.float32),
        look.sheen,
    )


def hairline(p: F32) -> F32:
    """Signed distance inside the scalp's hair region in head units: forehead, temples, ears, nape."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    forehead = 0.3 - 0.05 * (x / 0.2) ** 2
    temple = 0.3 - 1.5 * np.clip(x - 0.2, 0, 1)
    line = np.where(z > 0.12, np.minimum(forehead, np.maximum(temple, 0.15)), 0.02)
    side = smoothstep(0.2, 0.08, z)
    line = line * (1 - side) + np.where(z > -0.09, -0.02 + 0.75 * np.clip(z, -0.2, 0.2), -0.36) * side
    return (y - line).astype(np.float32)
