"""What de-occlusion is trained on, as arrays: people of whom a part is hidden, and the whole of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from baselines.deocclusion import mask_completion
from baselines.deocclusion.mask_completion import SIDE
from baselines.deocclusion.rgb_completion import Figure, on_grey
from baselines.deocclusion.window import GREY
from baselines.diffusion.training import problems
from baselines.people import HiddenPerson, hidden_people
from mildbench.scene import Layer, Scene
from mildbench.training.examples import Example

_CROWDS = 4
"""Attempts to put somebody in front of somebody, where nobody in the scene is."""


def masks(scene: Scene, rng: np.random.Generator) -> Example:
    """For stage 1: `conditions` float32[C, S, S], see `mask_completion.conditions`; `amodal` float32[1, S, S].

    The latter is the whole mask: -1 outside, 1 inside, in between on the edge.
    """
    person, _, whole = _hidden(scene, rng)
    crop = mask_completion.window(person)
    return {
        "conditions": mask_completion.conditions(person, crop),
        "amodal": crop.coverage(whole, SIDE)[None] * 2 - 1,
    }


def figures(scene: Scene, rng: np.random.Generator) -> Example:
    """For stage 2, in a crop of the scene's size around the whole person.

    `shown` uint8[H, H, 3], what is seen of the person on grey; `seen` float32[H, H], how much of each pixel that
    is; `truth` uint8[H, H, 3], the whole person on grey.
    """
    person, layer, whole = _hidden(scene, rng)
    height, width = whole.shape
    side = max(height, width)
    crop = Figure.of(person, whole).window
    # What is seen stays as it is, soft edges before the old background included.
    truth = np.where(person.seen[..., None], person.image, problems.alone([layer], height, width, GREY))
    return {
        "shown": crop.picture(on_grey(person), side),
        "seen": crop.coverage(person.seen, side),
        "truth": crop.picture(truth, side),
    }


def _hidden(scene: Scene, rng: np.random.Generator) -> tuple[HiddenPerson, Layer, np.ndarray]:
    """Somebody whom the erased may hide, as the method sees them; their layer, and bool[H, W], the whole of them."""
    for crowd in (scene, *(_crowded(scene, rng) for _ in range(_CROWDS))):
        if len(crowd.layers) == 1:
            continue
        batch, people = problems.task(crowd, problems.draw_uncovering(crowd, rng), rng)
        if found := hidden_people(batch):
            person = found[int(rng.integers(len(found)))]
            return person, crowd.layers[person.index], people.amodal[person.index]
    raise ValueError(f"scene {scene.id}: nobody can be hidden behind anybody")


def _crowded(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with a copy of one of the people moved before one of them."""
    behind, front = (scene.layers[int(rng.integers(len(scene.layers)))] for _ in range(2))
    row, column = rng.choice(np.argwhere(behind.mask)) - np.argwhere(front.mask).mean(axis=0).astype(int)
    origin = (int(behind.origin[0] + column), int(behind.origin[1] + row))
    taken = {layer.person.id for layer in scene.layers}
    copy = replace(front.person, id=min(set(range(1, 256)) - taken))
    return replace(scene, layers=(*scene.layers, replace(front, origin=origin, person=copy)))
