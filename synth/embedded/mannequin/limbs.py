"""Bare skin, hands and feet: the pieces at the ends of the limbs and what lies under the clothes."""

from __future__ import annotations

import numpy as np

from synth.embedded.mannequin.body import BONE, BONES, Body
from synth.embedded.mannequin.fabric import SHOES, linear
from synth.embedded.mannequin.face import skin_look
from synth.embedded.mannequin.mesh import F32, Mesh, Part, blob, loft, mesh_of
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import ARM, LEG, Keep, Look, Paint, Piece, Points
from synth.embedded.mannequin.wardrobe import Outfit
from synth.exact_math import arctan2, cos, exp, norm, sin

GLOVE, SOCKS, TORSO_SKIN, LEFT_ARM, LEFT_LEG, LEFT_SHOE = 3, 8, 10, 14, 16, 18


def skin_piece(body: Body, outfit: Outfit, skin: F32, sock: F32, noise: Noise) -> Piece:
    """The body's own surface, hidden where a garment covers it; socks are painted on the shins."""
    mesh = mesh_of(body.parts(), 0.009)
    arm = body.armness(mesh.verts)

    def keep(points: Points) -> np.ndarray:
        shown = np.ones(len(points.p), bool)
        for garment in outfit.garments:
            if garment.name != "scarf":
                shown &= garment.extent(points.p, points.arm) < 0.014
        return shown

    def paint(points: Points) -> Look:
        p = points.p
        right = (p[:, 0] < 0).astype(np.uint8)
        on_arm = points.arm > 0.5
        on_leg = ~on_arm & (p[:, 1] < body.hip[1] - 0.03)
        label = np.where(on_arm, LEFT_ARM + right, np.where(on_leg, LEFT_LEG + right, TORSO_SKIN)).astype(
            np.uint8
        )
        along = body.arm_along(p)
        upper = float(norm(body.elbow - body.shoulder))
        warm = (
            exp(-(((along - upper) / 0.02) ** 2)) * on_arm
            + exp(-(((p[:, 1] - body.knee[1]) / 0.022) ** 2)) * on_leg
        )
        albedo = skin * (1 - 0.16 * warm[:, None] * np.array([0.3, 1, 1], np.float32))
        look = skin_look(albedo.astype(np.float32), label, noise, p, 34)
        top = outfit.sock_top
        sock_here = on_leg & (p[:, 1] < top)
        if sock_here.any():
            look.label[sock_here] = SOCKS
            look.albedo[sock_here] = sock
            rib = sin(arctan2(p[:, 0] - np.sign(p[:, 0]) * body.ankle[0], p[:, 2]) * 26)
            look.bump[sock_here] = (0.0004 * rib + 0.0012)[sock_here]
            look.skin[sock_here] = 0
            look.gloss[sock_here] = 0.05
        return look

    return Piece(
        mesh.verts,
        mesh.faces,
        mesh.verts,
        arm,
        body.weights(mesh.verts),
        keep,
        paint,
        split=float(body.hip[1]) - 0.05,
    )


def _rigid(mesh: Mesh, joint: F32, bone: str, limb: int, paint: Paint, keep: Keep | None = None) -> Piece:
    weights = np.zeros((len(mesh.verts), len(BONES)), np.float32)
    weights[:, BONE[bone]] = 1
    verts = mesh.verts + joint
    return Piece(
        verts, mesh.faces, mesh.verts, np.zeros(len(verts), np.float32), weights, keep, paint, limb=limb
    )


def hand_size(body: Body) -> float:
    """Length of the hand in statures, which is the unit of its model."""
    return 0.105 * float(norm(body.wrist - body.shoulder)) / 0.31 * (1 - 0.06 * body.feminine)


def hand_piece(
    body: Body, sign: int, curl: float, outfit: Outfit, skin: F32, glove: F32, noise: Noise
) -> Piece:
    """A hand around the wrist: fingers -y, palm z, thumb x * sign; `curl` 0 flat .. 1 fist."""
    size = hand_size(body)
    thick = 1.25 if outfit.gloves else 1.0
    parts = [
        Part(loft((0, 0.16, 0), (0, -0.1, 0), [0.15, 0.155, 0.17], [0.135, 0.125, 0.115], cap=0.05)),
        Part(
            loft(
                (0.01, -0.1, 0.0),
                (0, -0.5, 0.0),
                [0.17, 0.215, 0.225, 0.2],
                [0.115, 0.115, 0.105, 0.09],
                cap=0.06,
            ),
            0.06,
        ),
        Part(blob((0.12, -0.2, 0.06), (0.1, 0.15, 0.085)), 0.05),
    ]
    lengths = (0.41, 0.46, 0.42, 0.33)
    for i, reach in enumerate(lengths):
        x = 0.152 - 0.101 * i
        start = np.array([x, -0.47 + 0.03 * (i == 3), 0.0])
        bend = 0.25 + 1.35 * curl + 0.07 * i * (0.3 + curl)
        a1, a2, a3 = bend * 0.55, bend * 1.15, bend * 1.6
        spread = (0.12 - 0.08 * i) * (1 - curl)
        radius = (0.055 - 0.003 * abs(i - 1)) * thick
        for k, (angle, part) in enumerate(((a1, 0.44), (a2, 0.31), (a3, 0.25))):
            end = start + reach * part * np.array([spread, -cos(angle), sin(angle)])
            r = radius * (1 - 0.09 * k)
            parts.append(Part(loft(start, end, [r, r * 0.93], forward=(1, 0, 0), cap=r), 0.012))
            start = end
    tip = np.array([0.25, -0.36, 0.12 + 0.06 * curl])
    parts.append(
        Part(loft((0.12, -0.1, 0.06), tip, np.array([0.075, 0.062]) * thick, forward=(0, 0, 1)), 0.04)
    )
    bend_to = tip + np.array([0.03 - 0.16 * curl, -0.17, 0.04 + 0.06 * curl])
    parts.append(Part(loft(tip, bend_to, np.array([0.06, 0.05]) * thick, forward=(0, 0, 1)), 0.02))
    mesh = mesh_of(parts, 0.034)
    flip = np.array([sign, 1, 1], np.float32)
    verts = mesh.verts * flip * np.float32(size)
    faces = mesh.faces if sign > 0 else mesh.faces[:, ::-1].copy()
    label = GLOVE if outfit.gloves else LEFT_ARM + (0 if sign > 0 else 1)

    def paint(points: Points) -> Look:
        n = len(points.p)
        labels = np.full(n, label, np.uint8)
        if outfit.gloves:
            zero = np.zeros(n, np.float32)
            albedo = glove * (0.9 + 0.2 * noise(points.p * 300))[:, None]
            return Look(albedo.astype(np.float32), labels, zero, zero + 0.1, zero, zero + 0.4)
        y = points.p[:, 1] / np.float32(size)
        pink = exp(-(((y + 0.5) / 0.06) ** 2)) * 0.12 + exp(-(((y + 0.9) / 0.08) ** 2)) * 0.1
        palm = np.clip(points.p[:, 2] / np.float32(size) * 4, 0, 1)
        light = (
            skin * (1 - palm[:, None])
            + (0.55 * skin + 0.45 * np.array([0.5, 0.3, 0.22], np.float32)) * palm[:, None]
        )
        albedo = light * (1 - pink[:, None] * np.array([0.2, 1, 1], np.float32))
        return skin_look(albedo.astype(np.float32), labels, noise, points.p, 60)

    joint = body.wrist if sign > 0 else body.wrist * flip
    bone = "hand_l" if sign > 0 else "hand_r"
    return _rigid(Mesh(verts.astype(np.float32), faces), joint, bone, ARM[sign < 0], paint)


def shoe_piece(
    body: Body, sign: int, outfit: Outfit, colours: tuple[F32, F32], sneaker: bool, noise: Noise
) -> Piece:
    """A shoe or boot around the ankle, sole at the ground."""
    floor = -float(body.ankle[1])
    length = 0.145 if body.feminine < 0.5 else 0.136
    heel, toe = -0.036, length - 0.036
    parts = [
        Part(
            loft(
                (0, floor + 0.016, heel),
                (0.004, floor + 0.014, toe - 0.018),
                [0.022, 0.024, 0.027, 0.031, 0.027],
                [0.017, 0.017, 0.015, 0.014, 0.011],
                forward=(0, 1, 0),
                cap=0.02,
            )
        ),
        Part(blob((0, floor + 0.03, -0.008), (0.024, 0.028, 0.034)), 0.02),
        Part(
            loft(
                (0, floor + 0.046, 0.0),
                (0.002, floor + 0.024, 0.05),
                [0.023, 0.022],
                [0.016, 0.012],
                forward=(0, 1, 0),
                cap=0.012,
            ),
            0.02,
        ),
        Part(
            loft(
                (0, floor + 0.007, heel + 0.004),
                (0.004, floor + 0.007, toe - 0.016),
                [0.026, 0.026, 0.029, 0.034, 0.029],
                [0.0075],
                forward=(0, 1, 0),
                cap=0.02,
            ),
            0.003,
        ),
    ]
    top = floor + (0.062 if sneaker else 0.054)
    if outfit.boot:
        top = floor + 0.02 + outfit.boot
        ease = 0.007
        shaft = body.shin.grown(ease)
        length_shin = float(norm(body.ankle - body.knee))
        cut = 1 - min(outfit.boot, 0.9 * length_shin) / length_shin
        k = int(cut * 47)
        radii = shaft.side[k::6], shaft.front[k::6]
        parts.append(
            Part(loft((0, top + 0.01, -0.004), (0, floor + 0.04, -0.002), radii[0], radii[1], cap=0.01), 0.02)
        )
    else:
        parts.append(
            Part(
                loft(
                    (0, floor + 0.03, -0.004),
                    (0, top + 0.01, -0.004),
                    [0.025, 0.026],
                    [0.029, 0.028],
                    cap=0.006,
                ),
                0.012,
            )
        )
    mesh = mesh_of(parts, 0.0068)
    flip = np.array([sign, 1, 1], np.float32)
    faces = mesh.faces if sign > 0 else mesh.faces[:, ::-1].copy()
    label = LEFT_SHOE + (0 if sign > 0 else 1)
    upper, sole = colours

    def keep(points: Points) -> np.ndarray:
        return points.p[:, 1] < top

    def paint(points: Points) -> Look:
        p = points.p
        n = len(p)
        zero = np.zeros(n, np.float32)
        y = p[:, 1] - floor
        low = y < (0.0125 if sneaker else 0.006)
        albedo = np.where(low[:, None], sole, upper).astype(np.float32)
        if sneaker:
            laces = (np.abs(p[:, 0]) < 0.013) & (p[:, 2] > 0.012) & (p[:, 2] < 0.055) & (y > 0.026)
            rows = np.abs(sin(p[:, 2] * 480)) < 0.45
            albedo[laces & rows] = 0.75
            toe_cap = (p[:, 2] > toe - 0.03) & ~low
            albedo[toe_cap] = albedo[toe_cap] * 0.6 + sole * 0.4
        bump = np.where(low, 0.0009, 0).astype(np.float32)
        albedo = albedo * (0.9 + 0.2 * noise(p * 90))[:, None]
        return Look(
            albedo.astype(np.float32),
            np.full(n, label, np.uint8),
            bump,
            zero + (0.1 if sneaker else 0.5),
            zero,
            zero + 0.1,
        )

    joint = body.ankle if sign > 0 else body.ankle * flip
    bone = "foot_l" if sign > 0 else "foot_r"
    return _rigid(
        Mesh((mesh.verts * flip).astype(np.float32), faces), joint, bone, LEG[sign < 0], paint, keep
    )


def draw_shoes(rng: np.random.Generator, outfit: Outfit) -> tuple[tuple[F32, F32], bool]:
    """Upper and sole colours, and whether they are sneakers."""
    sneaker = not outfit.boot and rng.random() < 0.65
    upper = SHOES[int(rng.integers(len(SHOES)))]
    sole = linear("efece6") if sneaker and rng.random() < 0.75 else linear("1b1a19")
    return (upper, sole), sneaker
