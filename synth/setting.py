"""Where people can stand in a background and how large they are there: its ground, and its perspective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synth.ground import Ground, Refusal, estimated_ground, ground_of
from synth.material import Background, Known, SeenObject
from synth.perspective import Ends, Perspective, draw, fit, fit_depth, is_close_up
from synth.recipe import Recipe

FOCAL = 0.9
"""Focal length as a share of the longer side, where the source knows none: a little wider than a standard lens."""
OUTDOORS, INDOORS = Ends(12, 60), Ends(4, 12)
"""How far ground is seen."""
SEVERAL = 3
"""Objects from which one out of place is outvoted."""


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

    Where the recipe allows ground that is unknown or too little, that is unknown ground. Nobody stands where a thing
    would hide their feet; nor, where nothing but the ground's end tells the camera, so near to it that they might as
    well be twice as tall.
    """
    height, width = background.image.shape[:2]
    if ground.refusal is not None:
        ground = Ground(Known.UNKNOWN, None, ground.refusal)
    if ground.mask is not None and background.objects:
        ground = replace(ground, mask=ground.mask & ~_behind(background.objects, ground.mask.shape))
    focal = (background.focal or FOCAL) * max(height, width)
    ends = OUTDOORS if background.open_air or ground.known is Known.ESTIMATE else INDOORS
    perspective = _perspective(background, ground, recipe, rng, focal, ends)
    if perspective.known == "edge" and ground.mask is not None and ground.end is not None:
        sure = np.arange(height)[:, None] >= ground.end + ends.blurred(focal, recipe.camera_height)
        ground = replace(ground, mask=ground.mask & sure)
    return Setting(ground, perspective, focal)


def _behind(objects: Sequence[SeenObject], shape: tuple[int, ...]) -> np.ndarray:
    """bool[H, W]: where feet are between or behind those of a thing, and whoever stands there is hidden by it."""
    hidden = np.zeros(shape, dtype=bool)
    for item in objects:
        hidden[item.pixels()] = True
    return hidden


def _perspective(
    background: Background,
    ground: Ground,
    recipe: Recipe,
    rng: np.random.Generator,
    focal: float,
    ends: Ends,
) -> Perspective:
    height, width = background.image.shape[:2]
    if background.camera is not None:
        horizon, tall = background.camera
        return Perspective(horizon * height, tall, "exact")
    edge = ground.upper_edge
    found = fit(background.objects, height, width, edge)
    # Objects tell sizes without a focal length, which photos seldom state and depth needs: several of them come first.
    # One or two leave the horizon to what is expected, and are off by a quarter as their kinds differ: then the ground
    # itself tells more, by its depth.
    if (
        (found is None or found.objects < SEVERAL)
        and background.depth is not None
        and ground.mask is not None
    ):
        found = fit_depth(background.depth, ground.mask, focal, edge) or found
    if found is not None:
        return found
    if ground.end is None:
        return draw(rng, height, recipe.horizon, recipe.camera_height)
    return ends.middle(focal, recipe.camera_height, ground.end, height, recipe.horizon)
