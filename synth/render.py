"""From a plan to a scene: the same plan and the same sources give the same bytes."""

from __future__ import annotations

import numpy as np

from mildbench.scene import Layer, Person, Scene
from synth.blend import BLENDS
from synth.catalogue import Catalogue
from synth.fit import cast_shadow
from synth.harmonise import harmonise
from synth.plan import Plan
from synth.rng import generator
from synth.views import Backdrop


def render(plan: Plan, catalogue: Catalogue) -> tuple[Scene, np.ndarray, Backdrop]:
    """The scene of a plan, its composite (uint8[size, size, 3]), and the backdrop it stands on."""
    backdrop = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
    canvas = backdrop.image.copy()
    layers = []
    for planned in plan.people:
        finish = planned.finish
        shadow = finish.shadow
        figure = catalogue.figure(planned.source, planned.key, planned.scale, planned.mirrored, shadow > 0)
        figure = cast_shadow(figure, shadow)
        rng = generator(catalogue.seed, "noise", plan.index, planned.id)
        figure = harmonise(figure, canvas, planned.origin, finish.harmony, rng)
        figure = BLENDS.load(finish.blend)().blend(figure, canvas, planned.origin)
        cutout = catalogue.cutout(planned.source, planned.key)
        facts = cutout.provenance, cutout.category, cutout.carried
        person = Person(planned.id, figure.keypoints, figure.parsing, *facts)
        layer = Layer(figure.rgba, planned.origin, person, figure.shadow)
        layer.paint(canvas)
        layers.append(layer)
    return Scene(sample_id(plan.index), backdrop.image, tuple(layers)), canvas, backdrop


def sample_id(index: int) -> str:
    """The id of sample `index`: fixed width, so that names sort in order up to 10^8 scenes."""
    return f"{index:08d}"
