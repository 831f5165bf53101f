"""Hats and glasses."""

from __future__ import annotations

import numpy as np

from synth.embedded.mannequin.body import Body, smoothstep
from synth.embedded.mannequin.face import over
from synth.embedded.mannequin.head import HAT, SUNGLASSES, Head, head_piece
from synth.embedded.mannequin.mesh import F32, Mesh, Part, blob, loft, mesh_of
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import Look, Piece, Points
from synth.exact_math import arctan2, hypot, power, sin


def hat_piece(body: Body, head: Head, noise: Noise) -> Piece:
    """A beanie, a cap or a brimmed hat."""
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
        angle = arctan2(p[:, 0], p[:, 2])
        if head.hat == "beanie":
            rib = sin(angle * 38)
            bump = (0.0009 * rib).astype(np.float32)
            second = (p[:, 1] < 0.3).astype(np.float32) * 0.25
        elif head.hat == "cap":
            second = (p[:, 2] > 0.33).astype(np.float32)
            seam = np.abs(sin(angle * 3)) < 0.03
            bump = np.where(seam, -0.0005, 0).astype(np.float32)
        else:
            second = ((p[:, 1] > 0.26) & (p[:, 1] < 0.34) & (hypot(p[:, 0], p[:, 2]) < 0.47)).astype(
                np.float32
            )
        albedo = over(np.broadcast_to(head.hat_colour, (n, 3)).astype(np.float32), head.hat_second, second)
        albedo = albedo * (0.9 + 0.2 * noise(p * 30))[:, None] * np.where(points.back, 0.4, 1)[:, None]
        return Look(albedo.astype(np.float32), np.full(n, HAT, np.uint8), bump, zero + 0.05, zero, zero + 0.4)

    return head_piece(body, mesh, None, keep, paint, False)


def glasses_piece(body: Body, head: Head) -> Piece:
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
    step = hypot(np.diff(x), np.diff(z))
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
        square = 2.2 if round_ else 3.6
        return (power(power(np.abs(du), square) + power(np.abs(dv), square), 1 / square) - 1) * 0.09

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

    return head_piece(body, Mesh(verts, faces), None, keep, paint, False, coords)
