"""A procedural person: rendered colour, alpha, parsing and keypoints, all exact and drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mildbench.geometry import Box
from synth.embedded.fixed_point import blur, shrink
from synth.embedded.mannequin.belongings import bring, take_up
from synth.embedded.mannequin.body import BONE, Body, draw_body
from synth.embedded.mannequin.fabric import TOPS
from synth.embedded.mannequin.face import face_piece
from synth.embedded.mannequin.hair import hair_piece
from synth.embedded.mannequin.head import Head, draw_head, face_points, head_origin
from synth.embedded.mannequin.headwear import glasses_piece, hat_piece
from synth.embedded.mannequin.limbs import draw_shoes, hand_piece, shoe_piece, skin_piece
from synth.embedded.mannequin.mesh import F32, vertex_normals
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.pose import UPRIGHT, Pose, draw_pose, rotation, transforms
from synth.embedded.mannequin.raster import ARM, HEAD, LEG, TRUNK, Buffer, Look, Piece, Points, blend, draw
from synth.embedded.mannequin.shade import StudioLight, bumped, draw_light, light_up, occlusion, shadow
from synth.embedded.mannequin.wardrobe import Outfit, draw_outfit, garment_piece
from synth.exact_math import product

_BORDER = 2
_THIN = 0.9
"""Smallest radius of a thin thing in output pixels: what is thinner would break up."""
_SHOWN = 6e-4
"""Smallest visible area of a thing that counts as carried, in square statures: a third of a phone."""


@dataclass(frozen=True)
class RenderedPerson:
    """One rendered person, cropped tightly with a border of 2 px.

    rgba: uint8[h, w, 4] straight alpha, RGB order. parsing: uint8[h, w] CIHP-20 labels, > 0 exactly where
    alpha >= 128, and 255 where a carried thing is seen. keypoints: float32[17, 3] COCO-17 as x, y in crop
    pixels (centres at integers) and v: 2 visible, 1 hidden behind the person's own body or what they carry.
    stance: the pose's name; upright: stands at full stature; yaw: degrees the person is turned to their left,
    0 faces the camera. carried: names of the things that show, COCO's where COCO has one.
    """

    rgba: NDArray[np.uint8]
    parsing: NDArray[np.uint8]
    keypoints: F32
    stance: str
    upright: bool
    yaw: float
    carried: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Camera:
    """Mild perspective: the person stands `distance` statures away, seen from `eye` statures above ground."""

    turn: F32
    distance: float
    eye: float
    scale: float

    def view(self, p: F32) -> F32:
        """Points in statures, turned to the camera: x right, y up, z towards it."""
        return product(p, self.turn.T)

    def project(self, v: F32) -> F32:
        """Pixel x, y (down) relative to the ground point, and depth, of viewed points float32[n, 3]."""
        zoom = self.scale * self.distance / (self.distance - v[:, 2])
        y = (v[:, 1] - self.eye) * zoom + self.eye * self.scale
        return np.stack([v[:, 0] * zoom, -y, v[:, 2]], axis=1).astype(np.float32)


def render_person(seed: int, height: int, carrying: bool = False) -> RenderedPerson:
    """Draw and render the person of `seed`; `height` is the pixel height of the full standing stature.

    With `carrying`, the same person carries one thing or two, and holds their arms for it.
    """
    figure = _render(seed, height, carrying=carrying)
    if carrying and not figure.carried:
        # Their own back hides all they hold.
        return _render(seed, height, carrying=True, plain=True)
    return figure


def _render(seed: int, height: int, *, carrying: bool, plain: bool = False) -> RenderedPerson:
    """The person of `seed`; `plain` has them carry a thing that shows from every side."""
    rng = np.random.Generator(np.random.Philox(seed))
    body = draw_body(rng)
    pose = draw_pose(rng)
    yaw = _draw_yaw(rng)
    outfit = draw_outfit(rng, body, pose.name)
    head = draw_head(rng, body, any(g.name in ("scarf", "sweater") for g in outfit.garments) or outfit.gloves)
    light = draw_light(rng)
    noise = Noise(rng)
    # Things are drawn apart, so that they change nothing else about the person.
    luggage = np.random.Generator(np.random.Philox(seed).jumped())
    loads = take_up(luggage, body, pose, yaw, plain=plain) if carrying else ()
    pieces = _dress_up(rng, body, pose, outfit, head, noise)
    bones = transforms(body, pose)
    posed = [_skin(p, p.weights, bones) for p in pieces if p.weights is not None]
    things = bring(luggage, loads, body, pose, bones, pieces, posed, noise, _THIN / height)
    own = len(pieces)
    for thing in things:
        pieces += thing
        posed += [piece.verts for piece in thing]
    # Labels and thin parts need enough pixels to be drawn at all, so small figures are rendered larger.
    factor = max(2, int(np.ceil(440 / height)))
    camera = _Camera(
        rotation(0, yaw, 0), float(rng.uniform(3.2, 6.0)), float(rng.uniform(0.6, 1.0)), height * factor
    )
    views = [camera.view(p) for p in posed]
    buffer, origin = _rasterise(pieces, views, camera, factor)
    colour, label, group = _shade(pieces, views, buffer, light, camera)
    rgba, parsing = _compose(colour, label, buffer, factor)
    joints = camera.view(_joints(body, bones))
    keypoints = _keypoints(joints, camera, origin, buffer, label, group, factor)
    bounds = Box.around(parsing)
    top, left = bounds.top - _BORDER, bounds.left - _BORDER
    box = slice(top, bounds.bottom + _BORDER), slice(left, bounds.right + _BORDER)
    keypoints[:, :2] -= np.array([left, top], np.float32)
    shown = np.bincount(buffer.piece[buffer.piece >= 0], minlength=len(pieces))
    ends = own + np.cumsum([0] + [len(thing) for thing in things])
    carried = tuple(
        load.kind.name
        for load, first, last in zip(loads, ends[:-1], ends[1:], strict=True)
        if shown[first:last].sum() >= _SHOWN * camera.scale * camera.scale
    )
    return RenderedPerson(
        rgba[box].copy(), parsing[box].copy(), keypoints, pose.name, pose.name in UPRIGHT, yaw, carried
    )


def _draw_yaw(rng: np.random.Generator) -> float:
    """Mostly towards the camera, but every direction occurs."""
    low, high = ((0, 30), (30, 70), (70, 110), (110, 180))[int(rng.choice(4, p=[0.4, 0.28, 0.15, 0.17]))]
    return float(rng.uniform(low, high)) * (1.0 if rng.random() < 0.5 else -1.0)


def _dress_up(
    rng: np.random.Generator, body: Body, pose: Pose, outfit: Outfit, head: Head, noise: Noise
) -> list[Piece]:
    sock, glove = (TOPS[int(i)] for i in rng.integers(0, len(TOPS), 2))
    shoes, sneaker = draw_shoes(rng, outfit)
    pieces = [skin_piece(body, outfit, head.skin, sock, noise)]
    garments = sorted(outfit.garments, key=lambda g: g.layer)
    for i, garment in enumerate(garments):
        above = [g for g in garments[i + 1 :] if g.name != "scarf"]
        pieces.append(garment_piece(body, garment, above, noise))
    for sign, arm in ((1, pose.left_arm), (-1, pose.right_arm)):
        pieces.append(hand_piece(body, sign, arm.curl, outfit, head.skin, glove, noise))
        pieces.append(shoe_piece(body, sign, outfit, shoes, sneaker, noise))
    pieces.append(face_piece(body, head, noise))
    hair = hair_piece(body, head, noise)
    if hair is not None:
        pieces.append(hair)
    if head.hat:
        pieces.append(hat_piece(body, head, noise))
    if head.glasses:
        pieces.append(glasses_piece(body, head))
    return pieces


def _skin(piece: Piece, weights: F32, bones: F32) -> F32:
    """Posed vertices: each follows the weighted mean of its bones' transforms."""
    posed = np.zeros_like(piece.verts)
    for bone, share in zip(bones, weights.T, strict=True):
        held = np.flatnonzero(share)
        moved = product(piece.verts[held], bone[:, :3].T) + bone[:, 3]
        posed[held] += share[held, None] * moved
    return posed


def _rasterise(
    pieces: list[Piece], views: list[F32], camera: _Camera, factor: int
) -> tuple[Buffer, NDArray[np.float32]]:
    """The visible surface at render resolution, and the render's origin relative to the ground point."""
    screens = [camera.project(v) for v in views]
    low = np.floor(np.min([s[:, :2].min(0) for s in screens], axis=0)) - (_BORDER + 2) * factor
    high = np.ceil(np.max([s[:, :2].max(0) for s in screens], axis=0)) + (_BORDER + 2) * factor
    size = (np.ceil((high - low) / factor).astype(int) * factor).tolist()
    buffer = Buffer.blank(size[0], size[1])
    for number, (piece, screen) in enumerate(zip(pieces, screens, strict=True)):
        screen[:, :2] -= low
        draw(buffer, number, piece, screen)
    return buffer, low.astype(np.float32)


def _shade(
    pieces: list[Piece], views: list[F32], buffer: Buffer, light: StudioLight, camera: _Camera
) -> tuple[F32, NDArray[np.uint8], NDArray[np.uint8]]:
    """Display colour float32[n, 3], CIHP label and limb group per render pixel."""
    total = buffer.width * buffer.height
    shape = (buffer.height, buffer.width)
    fields = {name: np.zeros(total, np.float32) for name in ("bump", "gloss", "skin", "sheen")}
    albedo, normals, spot = (np.zeros((total, 3), np.float32) for _ in range(3))
    label, group = np.zeros(total, np.uint8), np.zeros(total, np.uint8)
    for number, (piece, view) in enumerate(zip(pieces, views, strict=True)):
        pix = np.flatnonzero(buffer.piece == number)
        if not len(pix):
            continue
        corners, bary = piece.faces[buffer.face[pix]], buffer.bary[pix]
        normal = blend(vertex_normals(view, piece.faces), corners, bary)
        back = normal[:, 2] < -0.05 if not piece.closed else np.zeros(len(pix), bool)
        normal[back] *= -1
        points = Points(blend(piece.coords, corners, bary), blend(piece.arm, corners, bary), back)
        look = piece.paint(points)
        normals[pix], spot[pix] = normal, blend(view, corners, bary)
        albedo[pix], label[pix], group[pix] = look.albedo, look.label, piece.group(points)
        for name, field in fields.items():
            field[pix] = getattr(look, name)
    mask = buffer.piece >= 0
    normal_map = bumped(
        normals.reshape(*shape, 3),
        fields["bump"].reshape(shape),
        buffer.depth.reshape(shape),
        buffer.piece.reshape(shape),
        camera.scale,
    ).reshape(-1, 3)
    ambient = occlusion(buffer.depth.reshape(shape), mask.reshape(shape), camera.scale).ravel()
    # A surface that turns away at the outline lies behind its neighbours without being shaded by them.
    ambient = 1 - (1 - ambient) * np.clip(normals[:, 2] * 1.6, 0, 1)
    on = np.flatnonzero(mask)
    lit = shadow(spot[on], normals[on], views, light.key)
    look = Look(albedo[on], label[on], **{name: field[on] for name, field in fields.items()})
    colour = np.zeros((total, 3), np.float32)
    colour[on] = light_up(look, normal_map[on], lit, ambient[on], light)
    return colour, label, group


def _joints(body: Body, bones: F32) -> F32:
    """COCO-17 joints posed, in statures, float32[17, 3]."""
    rest = body.joints
    face = head_origin(body) + face_points() * np.float32(body.head_height)
    rows = [product(bones[BONE["head"]], np.append(p, 1)) for p in face]
    for name in ("upper", "fore", "hand", "thigh", "shin", "foot"):
        for side in ("_l", "_r"):
            i = BONE[f"{name}{side}"]
            rows.append(product(bones[i], np.append(rest[i], 1)))
    return np.stack(rows).astype(np.float32)


# How far a joint may lie behind the visible surface of its own limb, in statures; COCO's order, one per pair.
_DEPTH = (
    0.02,
    0.022,
    0.022,
    0.022,
    0.022,
    *(d for d in (0.085, 0.06, 0.045, 0.13, 0.08, 0.065) for _ in (0, 1)),
)

# A dress, a long coat or a skirt hangs further off the legs.
_HANGING = frozenset({6, 7, 12})
_FREE = 0.2


def _visible(joint: int, z: float, depth: float, group: int, label: int) -> bool:
    """Whether the surface seen at a joint's pixel is the joint's own limb."""
    hanging = joint > 12 and label in _HANGING
    if z < depth - (_FREE if hanging else _DEPTH[joint]):
        return False
    if joint < 5:
        return group == HEAD
    side = (joint - 5) % 2
    own_arm, own_leg = ARM[side], LEG[side]
    kind = (joint - 5) // 2
    if kind == 0:
        return group in (TRUNK, own_arm)
    if kind in (1, 2):
        return group == own_arm
    if kind == 3:
        return group in (TRUNK, own_leg)
    return group == own_leg or (hanging and group in (TRUNK, *LEG))


def _compose(
    colour: F32, label: NDArray[np.uint8], buffer: Buffer, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Downsample the render: RGBA and parsing at output resolution, uncropped."""
    shape = (buffer.height, buffer.width)
    mask = (buffer.piece >= 0).astype(np.float32).reshape(shape)
    sigma = 0.38 * factor

    def reduce(image: F32) -> F32:
        return shrink(blur(image, sigma), factor)

    cover = reduce(mask)
    tint = reduce(colour.reshape(*shape, 3) * mask[..., None]) / np.maximum(cover, 1e-4)[..., None]
    alpha = np.rint(np.clip(cover, 0, 1) * 255).astype(np.uint8)
    alpha[alpha < 4] = 0
    count, parts = cv2.connectedComponents((alpha >= 128).astype(np.uint8))
    if count > 2:
        # A stray lock or strap end is not worth a second component.
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        body = (parts == int(sizes.argmax())).astype(np.uint8)
        alpha[cv2.dilate(body, np.ones((5, 5), np.uint8)) == 0] = 0
        alpha[(body == 0) & (alpha >= 128)] = 127
    solid = alpha >= 128
    near = (alpha > 0).astype(np.float32)
    spread = cv2.blur(tint * near[..., None], (5, 5)) / np.maximum(cv2.blur(near, (5, 5)), 1e-4)[..., None]
    tint = np.where(near[..., None] > 0, tint, spread)
    best = np.zeros(alpha.shape, np.float32)
    parsing = np.zeros(alpha.shape, np.uint8)
    labels = label.reshape(shape)
    for value in np.unique(label[label > 0]).tolist():
        share = reduce((labels == value).astype(np.float32))
        better = share > best
        best[better], parsing[better] = share[better], value
    parsing[~solid] = 0
    rgba = np.dstack([np.rint(np.clip(tint, 0, 1) * 255).astype(np.uint8), alpha])
    return rgba, parsing


def _keypoints(
    viewed: F32,
    camera: _Camera,
    origin: F32,
    buffer: Buffer,
    label: NDArray[np.uint8],
    group: NDArray[np.uint8],
    factor: int,
) -> F32:
    """Joints in uncropped output pixels with their visibility."""
    at = camera.project(viewed)
    at[:, :2] -= origin
    out = np.ones((17, 3), np.float32)
    out[:, :2] = (at[:, :2] + 0.5) / factor - 0.5
    mask = (buffer.piece >= 0).reshape(buffer.height, buffer.width)
    for i, (x, y, z) in enumerate(at):
        # A joint just off the silhouette takes the nearest pixel of the figure within a pixel of the output.
        cx, cy = round(float(x)), round(float(y))
        r = factor
        window = mask[max(cy - r, 0) : cy + r + 1, max(cx - r, 0) : cx + r + 1]
        rows, cols = np.nonzero(window)
        if not len(rows):
            continue
        rows, cols = rows + max(cy - r, 0), cols + max(cx - r, 0)
        best = int(np.argmin((rows - y) ** 2 + (cols - x) ** 2))
        flat = int(rows[best]) * buffer.width + int(cols[best])
        if _visible(i, float(z), float(buffer.depth[flat]), int(group[flat]), int(label[flat])):
            out[i, 2] = 2
    return out
