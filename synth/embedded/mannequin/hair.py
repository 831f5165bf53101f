"""Hair: a shell around the skull with a hairline, and what falls or stands away from it."""

from __future__ import annotations

import numpy as np

from synth.embedded.mannequin.body import BONE, BONES, Body, smoothstep
from synth.embedded.mannequin.face import hairline
from synth.embedded.mannequin.head import HAIR, Head, head_piece
from synth.embedded.mannequin.mesh import Mesh, Part, blob, loft, mesh_of
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import Look, Piece, Points
from synth.exact_math import arctan2, cos, hypot, norm, sin


def hair_piece(body: Body, head: Head, noise: Noise) -> Piece | None:
    """The hair, or nothing for a bald or cropped head, whose stubble is painted on the skin."""
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
                        [0.13, 0.14, 0.11, 0.05],
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
    away = v / np.maximum(norm(v * np.array([1, 0.6, 1], np.float32))[..., None], 0.1)
    mesh = Mesh((v + away * np.float32(rough) * d[:, None]).astype(np.float32), mesh.faces)
    weights = np.zeros((len(v), len(BONES)), np.float32)
    fall = smoothstep(-0.35, -0.9, v[:, 1]) * (0.85 if style == "long" else 0.35)
    weights[:, BONE["head"]] = 1 - fall
    weights[:, BONE["chest"]] = fall
    frame = style in ("bob", "long")

    def keep(points: Points) -> np.ndarray:
        p = points.p
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        inside = hairline(p) + 0.02 * (noise(p * 16) - 0.5) > 0
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

    return head_piece(body, mesh, weights, keep, lambda pt: _paint_hair(head, pt, noise), False)


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
        angle = arctan2(p[:, 0], p[:, 2] + 0.05)
        flow = np.stack(
            [sin(angle) * 13, cos(angle) * 13, p[:, 1] * 1.6 + hypot(p[:, 0], p[:, 2]) * 2], axis=1
        )
        fine = np.stack([sin(angle) * 40, cos(angle) * 40, p[:, 1] * 2.5], axis=1)
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
