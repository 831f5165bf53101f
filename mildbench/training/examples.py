"""From a scene to the arrays of one training example. No torch here: this runs in the data workers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mildbench.regions import near
from mildbench.scene import Scene

Example = dict[str, "np.ndarray | str"]
"""Arrays of fixed shapes, so that examples stack, and strings."""

MakeExample = Callable[[Scene, np.random.Generator], Example]
"""Depends on its arguments alone."""

_ALL = 0.5
"""How often everybody is erased; otherwise any other subset, all alike."""
_GROWTH = 1 / 32
"""A mask grows by up to this share of the picture: users' masks are looser than exact footprints."""


def draw_targets(scene: Scene, rng: np.random.Generator) -> frozenset[int]:
    """The ids of at least one person to erase."""
    ids = [layer.person.id for layer in scene.layers]
    if len(ids) == 1 or rng.random() < _ALL:
        return frozenset(ids)
    subset = int(rng.integers(1, 2 ** len(ids) - 1))
    return frozenset(name for bit, name in enumerate(ids) if subset >> bit & 1)


def draw_hole(scene: Scene, targets: frozenset[int], rng: np.random.Generator) -> np.ndarray:
    """bool[H, W]: the targets' footprint, grown by a random width."""
    footprint = scene.footprint(targets)
    return near(footprint, float(rng.uniform(0, _GROWTH)) * max(footprint.shape))


def erasing(scene: Scene, rng: np.random.Generator) -> Example:
    """The task of erasing a random subset of the people.

    `image` uint8[H, W, 3]; `mask` bool[H, W], what to erase; `truth` uint8[H, W, 3], the exact answer.
    """
    targets = draw_targets(scene, rng)
    return {
        "image": scene.composite(),
        "mask": draw_hole(scene, targets, rng),
        "truth": scene.composite(without=targets),
    }
