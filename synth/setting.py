"""Where people can stand in a background and how large they are there: its ground, and its perspective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.ground import Ground, Refusal, estimated_ground, ground_of
from synth.material import Background, Known
from synth.perspective import Perspective, draw, fit, is_close_up
from synth.recipe import Recipe

FOCAL = 0.9
"""Focal length as a share of the longer side, where the source knows none: a little wider than a standard lens."""


ABOVE = 0.35
"""The horizon lies so far above the ground's upper edge at most, as a share of the height: a fence or a wall hides the
rest of the ground, seldom more."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Of a whole picture."""

    ground: Ground
    perspective: Perspective
    focal: float
    """In pixels."""


def ground_in(background: Background) -> Ground:
    """The background's ground as its source knows it, else by an estimate, which may be unknown."""
    if background.ground is None:
        return estimated_ground(background.image)
    return ground_of(background.known, background.ground)


def refusal(background: Background, ground: Ground, recipe: Recipe) -> Refusal | None:
    """Why a recipe puts nobody into a background, or None."""
    if is_close_up(background.objects, background.image.shape[0]):
        return Refusal.CLOSE_UP
    return None if recipe.allow_ungrounded else ground.refusal


def setting_of(background: Background, ground: Ground, recipe: Recipe, rng: np.random.Generator) -> Setting:
    """Ground and perspective of a background that is not refused.

    Where the recipe allows ground that is unknown or too little, that is unknown ground.
    """
    height, width = background.image.shape[:2]
    if ground.refusal is not None:
        ground = Ground(Known.UNKNOWN, None, ground.refusal)
    focal = (background.focal or FOCAL) * max(height, width)
    return Setting(ground, _perspective(background, ground, recipe, rng), focal)


def _perspective(
    background: Background, ground: Ground, recipe: Recipe, rng: np.random.Generator
) -> Perspective:
    height, width = background.image.shape[:2]
    if background.horizon is not None and background.camera_height is not None:
        return Perspective(background.horizon * height, background.camera_height, "exact")
    edge = ground.upper_edge
    if (found := fit(background.objects, height, width, edge)) is not None:
        return found
    horizon = recipe.horizon if edge is None else (max(edge / height - ABOVE, 0.0), edge / height)
    return draw(rng, height, horizon, recipe.camera_height, edge)
