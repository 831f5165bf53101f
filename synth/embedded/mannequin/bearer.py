"""A posed, dressed person as the things they carry see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from synth.embedded.mannequin.body import BONE, Body
from synth.embedded.mannequin.grip import Hand, hand_of
from synth.embedded.mannequin.mesh import F32
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.solids import unit
from synth.embedded.mannequin.strap import Surface
from synth.exact_math import product

UP = np.array([0, 1, 0], np.float32)


@dataclass(frozen=True)
class Bearer:
    """Who carries. `thin`: the smallest radius that still shows in the output, in statures.

    `side`: the hand or shoulder in use, +1 left, -1 right. `walking`: a thing on wheels trails behind.
    """

    body: Body
    bones: F32
    surface: Surface
    noise: Noise
    thin: float
    side: int
    walking: bool

    @property
    def hand(self) -> Hand:
        """The hand in use."""
        return self.hand_at(self.side)

    def hand_at(self, sign: int) -> Hand:
        """The hand of one side."""
        return hand_of(self.body, self.bones, sign)

    @property
    def bulk(self) -> float:
        """How large everyday things are next to this person: more for a child."""
        return 1.22 if self.body.kind == "child" else 1.0

    def at(self, bone: str, rest: ArrayLike) -> F32:
        """Where points [..., 3] of the rest pose go with a bone."""
        m = self.bones[BONE[bone]]
        return (product(np.asarray(rest, np.float32), m[:, :3].T) + m[:, 3]).astype(np.float32)

    def axes(self, bone: str) -> F32:
        """A bone's left, up and forward as columns, float32[3, 3]."""
        return self.bones[BONE[bone]][:, :3]

    def width(self, radius: float) -> float:
        """A radius, but no smaller than what shows."""
        return max(radius, self.thin)


def level(direction: ArrayLike) -> F32:
    """The horizontal unit direction nearest to `direction`."""
    v = np.asarray(direction, np.float32).copy()
    v[1] = 0
    return unit(v)


def upright(along: ArrayLike) -> F32:
    """Axes as columns: x the horizontal direction `along`, y up, z to the right of x seen from above."""
    x = level(along)
    return np.stack([x, UP, np.cross(x, UP)], axis=1).astype(np.float32)
