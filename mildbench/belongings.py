"""Which objects belong to which person: worn, held or ridden things join the cut-out (human-object entanglement)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.posture import ANKLES, ELBOWS, HIPS, KNEES, WRISTS, distance_to
from mildbench.regions import near


class Rule(Enum):
    """How an object has to touch a person so that it goes where the person goes."""

    WORN = "worn"
    """Touches the person anywhere."""
    HELD = "held"
    """Touches the person, and lies within a hand's length of an annotated wrist (of an elbow, where the wrist
    of that arm is not annotated)."""
    STOOD_ON = "stood on"
    """Touches the person, and lies within `LEG_REACH` of an annotated ankle."""
    RIDDEN = "ridden"
    """Touches the person, and lies within `LEG_REACH` of at least two annotated hips, knees or ankles."""


WORN, HELD, STOOD_ON, RIDDEN = Rule.WORN, Rule.HELD, Rule.STOOD_ON, Rule.RIDDEN

CARRIED: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(("backpack", "handbag", "tie"), (WORN,)),
    **dict.fromkeys(("umbrella", "suitcase", "frisbee", "sports ball", "kite", "teddy bear"), (HELD,)),
    **dict.fromkeys(("baseball bat", "baseball glove", "tennis racket"), (HELD,)),
    **dict.fromkeys(("bottle", "wine glass", "cup", "fork", "knife", "spoon"), (HELD,)),
    **dict.fromkeys(("banana", "apple", "sandwich", "orange", "carrot", "hot dog"), (HELD,)),
    **dict.fromkeys(("pizza", "donut", "cake"), (HELD,)),
    **dict.fromkeys(("remote", "cell phone", "book", "scissors", "hair drier", "toothbrush"), (HELD,)),
    **dict.fromkeys(("skis", "snowboard", "skateboard", "surfboard"), (HELD, STOOD_ON)),
    **dict.fromkeys(("bicycle", "motorcycle", "horse"), (RIDDEN,)),
}
"""COCO category -> any of the rules that make it part of a person. Furniture, vehicles with a cabin, pets, bowls
and laptops are not here: they rest on something that stays behind."""

TOUCH = 3
"""Masks closer than this many pixels touch: COCO's outlines leave gaps of that size."""
LEAST_CONTACT = 8
"""Pixels of the object within `TOUCH` of the person; fewer is a coincidence of outlines."""
HAND = 0.12
"""How far from a wrist a held thing may begin, as a share of the person's height: a hand's length (0.11)."""
FOREARM = 0.22
"""The same from an elbow."""
SEATED = 0.04
"""A rider's lowest pixel is so far above the mount's, as a share of the rider's height; who stands beside it is not."""
ASTRIDE = 0.5
"""So much of a rider's width is above, before or behind the mount."""
HANDY = 0.25
"""Area of a thing that is held, at most, as a share of the person's, where no wrist is annotated."""
SADDLE = 0.012
"""Radius of the widest hole that is closed between a person and a thing, as a share of the person's height: outlines
leave out the saddle between them, which is 4 cm thick. What is seen between an arm and a handlebar is wider."""
STEEP = 0.2
"""A mount that is seen from the side touches the ground at both ends, which differ by so much of its width at most."""
LEG_REACH = 0.1
"""How far from a hip, knee or ankle a ridden or stood-on thing may be, as a share of the person's height."""


@dataclass(frozen=True, eq=False)
class SeenBody:
    """One person of an image."""

    key: str
    mask: np.ndarray
    """bool[H, W]."""
    points: np.ndarray
    """float[17, 3]: x, y, visibility."""
    height: float
    """Pixels."""

    @cached_property
    def reach(self) -> np.ndarray:
        """bool[H, W]: the mask and everything that touches it."""
        return cv2.dilate(self.mask.astype(np.uint8), _disc(TOUCH)) > 0


@dataclass(frozen=True, eq=False)
class Thing:
    """One object of an image."""

    key: str
    name: str
    mask: np.ndarray
    """bool[H, W]."""

    @property
    def cut_by_border(self) -> bool:
        """Does the image end within the object?"""
        m = self.mask
        return bool(m[:2].any() or m[-2:].any() or m[:, :2].any() or m[:, -2:].any())


@dataclass
class Belongings:
    """What one person of an image takes along."""

    things: list[Thing] = field(default_factory=list)
    lost_ride: bool = False
    """Rides something that went to another person, as the second of two riders."""

    @property
    def rides(self) -> bool:
        """Is one of the things a vehicle or a horse?"""
        return any(RIDDEN in CARRIED[thing.name] for thing in self.things)


def share_out(bodies: Sequence[SeenBody], things: Sequence[Thing]) -> dict[str, Belongings]:
    """Who of an image's people takes what: each thing goes to the one it touches most among those it fits.

    Returns an entry for every body, by key.
    """
    owned = {body.key: Belongings() for body in bodies}
    for thing in things:
        contact = {body.key: _contact(body, thing) for body in bodies}
        # Ties go to the body that comes first, so that the result does not depend on anything else.
        takers = sorted((body.key for body in bodies if contact[body.key]), key=lambda k: -contact[k])
        if not takers:
            continue
        owned[takers[0]].things.append(thing)
        if RIDDEN in CARRIED[thing.name]:
            for key in takers[1:]:
                owned[key].lost_ride = True
    return owned


def stands_on(points: np.ndarray, height: float, things: Sequence[Thing]) -> bool:
    """Whether somebody stands on skis or a board rather than carrying them.

    Args:
        points: float[17, 3] of the person.
        height: of the person, in pixels.
        things: that are theirs.
    """
    return any(STOOD_ON in CARRIED[thing.name] and _underfoot(thing, points, height) for thing in things)


def tilted(mount: np.ndarray) -> bool:
    """Whether a mount, bool[H, W], is seen from the side and has one end in the air."""
    box = Box.around(mount)
    if box.width < box.height:
        return False  # seen from ahead or behind, where the far end is higher
    part = mount[box.place]
    third = box.width // 3
    left, right = (np.flatnonzero(end.any(axis=1))[-1] for end in (part[:, :third], part[:, -third:]))
    return bool(abs(int(left) - int(right)) > STEEP * box.width)


def share_by_touch(people: Mapping[str, np.ndarray], things: Sequence[Thing]) -> dict[str, Belongings]:
    """`share_out` where nobody's pose is known: what touches a person decides, and who sits above what.

    Somebody who touches a mount without being seen to ride it has lost it: they may lean on it, or stand behind it.

    Args:
        people: bool[H, W] masks by key.
        things: of a carried kind.
    """
    owned = {key: Belongings() for key in people}
    bodies = {key: SeenBody(key, mask, np.zeros((17, 3)), 0) for key, mask in people.items() if mask.any()}
    for thing in things:
        contact = {
            key: found
            for key, body in bodies.items()
            if (found := int(np.count_nonzero(body.reach & thing.mask))) >= LEAST_CONTACT
        }
        mounted = RIDDEN in CARRIED[thing.name]
        fits = _rides if mounted else _has
        takers = [key for key in sorted(contact, key=lambda key: -contact[key]) if fits(people[key], thing)]
        if takers:
            owned[takers[0]].things.append(thing)
        if mounted:
            for key in contact:
                owned[key].lost_ride |= key not in takers[:1]
    return owned


def _rides(person: np.ndarray, thing: Thing) -> bool:
    """Whether somebody is over a mount rather than beside it."""
    rider, mount = Box.around(person), Box.around(thing.mask)
    over = min(rider.right, mount.right) - max(rider.left, mount.left)
    return rider.bottom <= mount.bottom - SEATED * rider.height and over >= ASTRIDE * rider.width


def _has(person: np.ndarray, thing: Thing) -> bool:
    """Whether a thing that touches somebody is theirs, by its kind and size."""
    if WORN in CARRIED[thing.name] or STOOD_ON in CARRIED[thing.name]:
        return True
    return int(np.count_nonzero(thing.mask)) <= HANDY * int(np.count_nonzero(person))


def _contact(body: SeenBody, thing: Thing) -> int:
    """Pixels of the thing that touch the body, 0 where none of its rules fits."""
    contact = int(np.count_nonzero(body.reach & thing.mask))
    if contact < LEAST_CONTACT or not any(_fits(rule, body, thing) for rule in CARRIED[thing.name]):
        return 0
    return contact


def _fits(rule: Rule, body: SeenBody, thing: Thing) -> bool:
    if rule is WORN:
        return True
    if rule is STOOD_ON:
        return _underfoot(thing, body.points, body.height)
    away = distance_to(thing.mask, body.points[:, :2]) / body.height
    known = body.points[:, 2] > 0
    if rule is RIDDEN:
        legs = [joint for joint in (*HIPS, *KNEES, *ANKLES) if known[joint]]
        return sum(away[joint] <= LEG_REACH for joint in legs) >= 2
    return any(
        away[wrist] <= HAND if known[wrist] else known[elbow] and away[elbow] <= FOREARM
        for wrist, elbow in zip(WRISTS, ELBOWS, strict=True)
    )


def _underfoot(thing: Thing, points: np.ndarray, height: float) -> bool:
    ankles = points[list(ANKLES)]
    ankles = ankles[ankles[:, 2] > 0]
    return bool((distance_to(thing.mask, ankles[:, :2]) <= LEG_REACH * height).any())


def union(mask: np.ndarray, things: Sequence[Thing]) -> np.ndarray:
    """bool[H, W]: the person and the things, with what is narrow between their outlines closed."""
    whole = mask.copy()
    disc = _disc(TOUCH)
    around = cv2.dilate(mask.astype(np.uint8), disc) > 0
    for thing in things:
        whole |= thing.mask | (around & (cv2.dilate(thing.mask.astype(np.uint8), disc) > 0))
    box = Box.around(whole)
    parts = [plane[box.place] for plane in (mask, *(thing.mask for thing in things))]
    narrow = max(TOUCH - 1, round(SADDLE * Box.around(mask).height))
    # What the person or a thing goes around alone was drawn so; wide holes show what is behind.
    drawn = np.any([_holes(part) > 0 for part in parts], axis=0)
    holes = _holes(whole[box.place])
    wide = ~near(holes == 0, narrow)
    whole[box.place] |= (holes > 0) & ~np.isin(holes, holes[drawn | wide])
    return whole


def _holes(mask: np.ndarray) -> np.ndarray:
    """int32[H, W]: 1 and more in each piece of what is not marked that the mask goes around, else 0."""
    _, pieces = cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).view(np.uint8), connectivity=4)
    pieces[pieces == pieces[0, 0]] = 0
    return pieces[1:-1, 1:-1]


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
