"""What diffusion models are trained on, as arrays. No torch here: this runs in the data workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mildbench.evaluation.data import as_batch
from mildbench.method import EraseBatch
from mildbench.scene import Layer, People, Scene
from mildbench.training.examples import Example, draw_hole, draw_targets, erasing

PERSON = "a person"
"""The prompt for a hole in which somebody is to appear; the empty one is for background."""

_ERASING = 0.6
_PEOPLED = 0.2
"""A hole of which people fill at least this share is to be filled with people."""
_BOXES = 3
_BOX_SIDE = (0.15, 0.6)
"""Of the picture's side."""


def erasing_without_words(scene: Scene, rng: np.random.Generator) -> Example:
    """The task of erasing some people, with the empty prompt: `image`, `mask`, `truth` and `prompt`."""
    return {**erasing(scene, rng), "prompt": ""}


def inpainting(scene: Scene, rng: np.random.Generator) -> Example:
    """Erasing, or restoring; the prompt says what."""
    return (erasing_without_words if rng.random() < _ERASING else restoring)(scene, rng)


def restoring(scene: Scene, rng: np.random.Generator) -> Example:
    """What boxes hide, be it people or background; the prompt says which of them."""
    picture = scene.composite()
    hole = _boxes(rng, *picture.shape[:2])
    somebody = scene.people().visible.any(axis=0)
    peopled = np.count_nonzero(somebody & hole) >= _PEOPLED * np.count_nonzero(hole)
    return {"image": picture, "mask": hole, "truth": picture, "prompt": PERSON if peopled else ""}


def draw_uncovering(scene: Scene, rng: np.random.Generator) -> frozenset[int]:
    """The ids of people to erase, one of whom stands before somebody who stays; needs two people."""
    ids = [layer.person.id for layer in scene.layers]
    stays = int(rng.integers(len(ids) - 1))
    erased = rng.random(len(ids)) < 0.5
    erased[stays], erased[rng.integers(stays + 1, len(ids))] = False, True
    return frozenset(name for name, gone in zip(ids, erased, strict=True) if gone)


def task(scene: Scene, targets: frozenset[int], rng: np.random.Generator) -> tuple[EraseBatch, People]:
    """What a method is shown that is to erase these people, in a hole as loose as a user's; and who is there."""
    erased = scene.erase(targets)
    assert erased.people is not None
    shown = replace(erased, mask=draw_hole(scene, targets, rng))
    return as_batch(scene.id, shown, 0, with_truth=False), erased.people


def alone(layers: Sequence[Layer], height: int, width: int, grey: int) -> np.ndarray:
    """uint8[height, width, 3]: whole people on grey, from the back, without shadows and reflections."""
    canvas = np.full((height, width, 3), grey, np.uint8)
    for layer in layers:
        replace(layer, shadow=None, reflection=None).paint(canvas)
    return canvas


def pictures(scene: Scene, rng: np.random.Generator) -> Example:
    """What an autoencoder is shown: whole pictures, pictures with a grey hole, and people on grey.

    `picture` uint8[H, W, 3]; `grey` bool[H, W], where the picture is to be neutral grey.
    """
    kind = rng.integers(4)
    targets = draw_targets(scene, rng)
    grey = np.zeros(scene.background.shape[:2], dtype=bool)
    if kind == 0:
        return {"picture": scene.composite(), "grey": grey}
    if kind == 1:
        return {"picture": scene.composite(without=targets), "grey": grey}
    if kind == 2:
        return {"picture": scene.composite(), "grey": draw_hole(scene, targets, rng)}
    chosen = int(rng.integers(len(scene.layers)))
    others = [layer.person.id for place, layer in enumerate(scene.layers) if place != chosen]
    return {"picture": scene.composite(without=others), "grey": ~scene.people().amodal[chosen]}


def _boxes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """bool[H, W]: a few rectangles."""
    hole = np.zeros((height, width), dtype=bool)
    for _ in range(int(rng.integers(1, _BOXES + 1))):
        h, w = (rng.uniform(*_BOX_SIDE, 2) * (height, width)).astype(int)
        top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
        hole[top : top + h, left : left + w] = True
    return hole
