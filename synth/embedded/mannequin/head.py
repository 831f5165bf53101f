"""A head's looks: skin, hair, eyes, hat and glasses as drawn for one person.

All parts of the head are modelled in head units: y from -0.5 (chin) to 0.5 (crown), z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.embedded.mannequin.body import BONE, BONES, Body
from synth.embedded.mannequin.fabric import COATS, TOPS, linear, palette
from synth.embedded.mannequin.mesh import F32, Mesh
from synth.embedded.mannequin.raster import HEAD, Keep, Paint, Piece

HAT, HAIR, SUNGLASSES, FACE = 1, 2, 4, 13

# Shades after the Monk Skin Tone scale, light to dark.
SKIN_TONES = palette("e2c4ac e4bfa0 e0b792 d8aa82 cc986c b58255 a06f48 7f5236 5c3a29 3f2a21")
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


def face_points() -> F32:
    """Nose, left eye, right eye, left ear, right ear in head units, float32[5, 3], on the surface."""
    x, y = EYE
    return np.array(
        [[0, -0.14, 0.475], [x, y, 0.335], [-x, y, 0.335], [0.345, -0.02, -0.0], [-0.345, -0.02, -0.0]],
        np.float32,
    )


def head_piece(
    body: Body,
    mesh: Mesh,
    weights: F32 | None,
    keep: Keep,
    paint: Paint,
    closed: bool,
    coords: F32 | None = None,
) -> Piece:
    """A piece modelled in head units, moved by the head alone unless `weights` say otherwise."""
    verts = head_origin(body) + mesh.verts * np.float32(body.head_height)
    if weights is None:
        weights = np.zeros((len(verts), len(BONES)), np.float32)
        weights[:, BONE["head"]] = 1
    zeros = np.zeros(len(verts), np.float32)
    return Piece(
        verts, mesh.faces, mesh.verts if coords is None else coords, zeros, weights, keep, paint, closed, HEAD
    )
