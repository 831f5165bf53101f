"""What MILD is trained on, as arrays: pathways of a scene, and what they are to make."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from baselines.diffusion.canvas import Canvas
from baselines.diffusion.training import problems
from baselines.mild import guidance, modulation
from baselines.mild.pathways import GREY, Pathway, dual_pathways, pathways, single_pathways
from mildbench.scene import Layer, Scene
from mildbench.training.examples import Example, MakeExample, draw_targets

LEVELS = 127
"""Guidance, which is in [-1, 1], travels as int8 in these parts: a quarter of the bytes to copy to a GPU."""


def two_pathways(scene: Scene, rng: np.random.Generator, parts: Collection[str], edge: int) -> Example:
    """A background pathway and, where there is one, an instance pathway; see `_stack`."""
    height, width = scene.background.shape[:2]
    shown, _ = problems.task(scene, draw_targets(scene, rng), rng)
    chosen = [pathways(shown)[0]]
    several = len(scene.layers) > 1
    targets = problems.draw_uncovering(scene, rng) if several else draw_targets(scene, rng)
    shown, _ = problems.task(scene, targets, rng)
    another, *instances = pathways(shown)
    chosen.append(instances[int(rng.integers(len(instances)))] if instances else another)
    layers = [[] if path.layer is None else [scene.layers[path.layer]] for path in chosen]
    made = [problems.alone(some, height, width, GREY) if some else scene.background for some in layers]
    return _stack(chosen, made, layers, parts, edge)


def dual_pathways_of(scene: Scene, rng: np.random.Generator, parts: Collection[str], edge: int) -> Example:
    """A background pathway and, where there is one, that of all who stay; see `_stack`."""
    height, width = scene.background.shape[:2]
    several = len(scene.layers) > 1
    targets = problems.draw_uncovering(scene, rng) if several else draw_targets(scene, rng)
    shown, _ = problems.task(scene, targets, rng)
    background, *everybody = dual_pathways(shown)
    chosen = [background, *(everybody or [background])]
    stay = [layer for layer in scene.layers if layer.person.id not in targets]
    layers = [[] if path.layer is None else stay for path in chosen]
    made = [problems.alone(some, height, width, GREY) if some else scene.background for some in layers]
    return _stack(chosen, made, layers, parts, edge)


def instance_alone(scene: Scene, rng: np.random.Generator, two: MakeExample) -> Example:
    """The second pathway alone of the two that `two` makes: the instance, where there is one."""
    return {name: value[1:] for name, value in two(scene, rng).items()}


def single_pathway(scene: Scene, rng: np.random.Generator, parts: Collection[str], edge: int) -> Example:
    """The one pathway that inpaints the mask; see `_stack`."""
    targets = draw_targets(scene, rng)
    shown, _ = problems.task(scene, targets, rng)
    return _stack(single_pathways(shown), [scene.composite(without=targets)], [[]], parts, edge)


def _stack(
    chosen: list[Pathway],
    made: list[np.ndarray],
    layers: list[list[Layer]],
    parts: Collection[str],
    edge: int,
) -> Example:
    """N pathways as arrays.

    `picture` and `target` uint8[N, H, W, 3]; `hole` and `visible` bool[N, H, W]; `matte` uint8[N, H, W], of
    `layers`, from the back; `instance` bool[N]; `guidance` int8[N, CHANNELS, H, W] in 127ths; `regions`
    bool[N, R, H, W]. The canvas is the scene's own: nothing is scaled, so that every share of a pixel is 0 or 1.
    """
    height, width = chosen[0].hole.shape
    canvas = Canvas.of((height, width), max(height, width), 1)
    mattes = np.zeros((len(chosen), height, width), np.uint8)
    for matte, some in zip(mattes, layers, strict=True):
        for layer in some:
            there, here = layer.window(height, width)
            # What is behind a soft edge is seen through it.
            clear = (255 - matte[there].astype(np.uint16)) * (
                255 - layer.rgba[here][..., 3].astype(np.uint16)
            )
            matte[there] = 255 - np.rint(clear / 255).astype(np.uint8)
    channels = np.stack([guidance.channels(path, canvas, parts) for path in chosen])
    return {
        "picture": np.stack([path.picture for path in chosen]),
        "target": np.stack(made),
        "hole": np.stack([path.hole for path in chosen]),
        "visible": np.stack([path.visible for path in chosen]),
        "matte": mattes,
        "instance": np.array([path.layer is not None for path in chosen]),
        "guidance": np.rint(channels * LEVELS).astype(np.int8),
        "regions": np.stack([modulation.regions(path, canvas, edge) > 0 for path in chosen]),
    }
