"""What a person carries: the choice, the arms that it takes, and the things themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synth.embedded.mannequin import bags, gear, grip
from synth.embedded.mannequin.bearer import Bearer
from synth.embedded.mannequin.body import BONE, Body
from synth.embedded.mannequin.grip import arm_of, stretch, with_arm
from synth.embedded.mannequin.head import face_points, head_origin
from synth.embedded.mannequin.mesh import F32
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.pose import UPRIGHT, Arm, Pose, transforms
from synth.embedded.mannequin.raster import Piece
from synth.embedded.mannequin.strap import Surface
from synth.exact_math import product, sin

Build = Callable[[np.random.Generator, Bearer], list[Piece]]


@dataclass(frozen=True)
class Kind:
    """A way of carrying a thing. `name` is COCO's where COCO has one.

    arm: how the arm in use is held, None where it stays as it is; both: both arms are held so. worn: hangs
    from the shoulders. low: also goes with running, sitting, crouching and bending.
    """

    name: str
    odds: float
    build: Build
    arm: Arm | None
    both: bool = False
    worn: bool = False
    low: bool = False


_IN_HAND = Kind("cell phone", 1.0, gear.phone_in_hand, grip.SCREEN)
_AT_EAR = Kind("cell phone", 0.7, gear.phone_at_ear, grip.EAR)
_UMBRELLA = Kind("umbrella", 1.2, gear.open_umbrella, grip.ALOFT)
_SUITCASE = Kind("suitcase", 1.5, gear.suitcase, grip.TOW)
_CANE = Kind("umbrella", 0.6, gear.closed_umbrella, grip.CANE)
_BALL = Kind("sports ball", 0.9, gear.sports_ball, grip.EMBRACE, both=True)
_BOX = Kind("box", 0.9, gear.carton, grip.EMBRACE, both=True)
_BACKPACK = Kind("backpack", 2.2, bags.backpack, None, worn=True, low=True)
_KINDS = (
    _BACKPACK,
    Kind("handbag", 1.2, bags.crossbody, None, worn=True, low=True),
    Kind("handbag", 1.3, bags.tote, grip.TUCK, worn=True),
    Kind("handbag", 1.0, bags.handbag_in_hand, grip.HANG),
    Kind("handbag", 0.9, bags.handbag_on_forearm, grip.CROOK),
    Kind("shopping bag", 1.2, bags.shopping_bags, grip.HANG),
    _UMBRELLA,
    _CANE,
    _SUITCASE,
    Kind("skateboard", 0.8, gear.skateboard, grip.UNDER),
    Kind("guitar case", 0.7, gear.guitar_case, grip.HANG),
    _IN_HAND,
    _AT_EAR,
    _BALL,
    _BOX,
)
_SECOND = 0.3


@dataclass(frozen=True)
class Load:
    """One thing and the side it is carried on: +1 left, -1 right."""

    kind: Kind
    side: int


def take_up(
    rng: np.random.Generator, body: Body, pose: Pose, yaw: float, *, plain: bool = False
) -> tuple[Load, ...]:
    """Choose one thing or two that go with the pose, and move the pose's arms to hold them.

    yaw: as in `Figure`; `plain` takes a backpack, which shows from every side.
    """
    if plain:
        return (Load(_BACKPACK, 1),)
    first = _first(rng, pose, yaw)
    loads = [first]
    if pose.name in UPRIGHT and not first.kind.both and rng.random() < _SECOND:
        rest = [
            k
            for k in _KINDS
            if k.name != first.kind.name and not k.both and k.worn != first.kind.worn and k is not _CANE
        ]
        loads.append(Load(_drawn(rng, rest), -first.side))
    for load in loads:
        _hold(rng, body, pose, load)
    return tuple(loads)


def _drawn(rng: np.random.Generator, kinds: Sequence[Kind]) -> Kind:
    odds = np.array([k.odds for k in kinds])
    return kinds[int(rng.choice(len(kinds), p=odds / odds.sum()))]


def _first(rng: np.random.Generator, pose: Pose, yaw: float) -> Load:
    """The main thing; somebody who looks at a phone or calls holds one, unless nobody could see it."""
    gesture = {"phone": _IN_HAND, "call": _AT_EAR}.get(pose.name)
    if gesture is not None and abs(yaw) < 120:
        return Load(gesture, max((1, -1), key=lambda s: arm_of(pose, s).wrist[1]))
    free = [s for s in (1, -1) if not _busy(arm_of(pose, s))]
    near = -1 if yaw > 0 else 1
    side = near if rng.random() < 0.5 + 0.3 * min(abs(sin(np.radians(yaw))) * 1.5, 1) else -near
    if len(free) == 1:
        side = free[0]
    kinds = [k for k in _KINDS if pose.name in UPRIGHT or k.low]
    if pose.name == "wave":
        # The raised arm would pass through the canopy.
        kinds = [k for k in kinds if k is not _UMBRELLA]
    kind = _drawn(rng, kinds)
    if kind.arm is not None and (not free or pose.name in ("crossed", "behind")):
        pose.left_arm, pose.right_arm = Arm(), Arm()
        pose.name = "stand"
    return Load(kind, side)


def _busy(arm: Arm) -> bool:
    """Whether the arm does something else than hang."""
    return arm.wrist[1] > -0.75


def _hold(rng: np.random.Generator, body: Body, pose: Pose, load: Load) -> None:
    """Move the arms to where the thing wants them; a gesture that ends so gives the stance its name no more."""
    kind, side = load.kind, load.side
    if kind.arm is None:
        return
    arm = kind.arm
    if kind is _SUITCASE and pose.name == "walk":
        arm = grip.DRAG
    for sign in (1, -1) if kind.both else (side,):
        if _busy(arm_of(pose, sign)):
            pose.name = "stand"
        with_arm(pose, sign, replace(arm))
    if kind.name == "cell phone" and pose.name == "stand":
        pose.name = "phone" if kind is _IN_HAND else "call"
    if kind is _IN_HAND:
        pose.head = (max(pose.head[0], 13.0), pose.head[1], pose.head[2])
    elif kind is _AT_EAR:
        bones = transforms(body, pose)
        ear = _ear(body, bones, side)
        out = bones[BONE["head"]][:, 0] * np.float32(side)
        stretch(body, pose, side, ear + out * np.float32(0.024) - np.array([0, 0.062, -0.02], np.float32))
    elif kind.both:
        _embrace(rng, body, pose, 0.066 if kind is _BALL else float(rng.uniform(0.1, 0.13)))


def _ear(body: Body, bones: F32, sign: int) -> F32:
    """Where the ear of one side is, float32[3]."""
    rest = head_origin(body) + face_points()[3 if sign > 0 else 4] * np.float32(body.head_height)
    m = bones[BONE["head"]]
    return (product(m[:, :3], rest) + m[:, 3]).astype(np.float32)


def _embrace(rng: np.random.Generator, body: Body, pose: Pose, half: float) -> None:
    """Bring both palms to either side of a thing of half-width `half` in front of the belly."""
    bones = transforms(body, pose)
    m = bones[BONE["chest"]]
    down, ahead = float(rng.uniform(0.2, 0.27)), 0.185 + 0.03 * max(body.heavy, 0)
    middle = product(m[:, :3], np.array([0, body.top - down, ahead], np.float32)) + m[:, 3]
    for sign in (1, -1):
        stretch(body, pose, sign, middle + m[:, 0] * np.float32(sign * half))


def bring(
    rng: np.random.Generator,
    loads: Sequence[Load],
    body: Body,
    pose: Pose,
    bones: F32,
    pieces: Sequence[Piece],
    posed: Sequence[F32],
    noise: Noise,
    thin: float,
) -> list[list[Piece]]:
    """The surfaces of each thing, in the person's frame.

    pieces, posed: the person's own, and their posed vertices; thin: the smallest radius that shows, statures.
    """
    if not loads:
        return []
    surface = Surface(pieces, posed)
    walking = pose.name == "walk"
    return [
        load.kind.build(rng, Bearer(body, bones, surface, noise, thin, load.side, walking)) for load in loads
    ]
