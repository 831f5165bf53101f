"""From a plan to a scene: the same plan and the same sources give the same bytes."""

from __future__ import annotations

import numpy as np

from mildbench.scene import Layer, Person, Scene
from synth.blend import BLENDS
from synth.catalogue import Catalogue
from synth.fit import SizedFigure, cast_shadow
from synth.harmonise import harmonise
from synth.light import grade_for, lay_shadow, relight
from synth.plan import Plan, PlannedPerson
from synth.reflection import reflect
from synth.rng import generator
from synth.views import Backdrop, View


def render(plan: Plan, catalogue: Catalogue) -> tuple[Scene, np.ndarray, Backdrop]:
    """The scene of a plan, its composite (uint8[size, size, 3]), and the backdrop it stands on."""
    backdrop = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
    canvas = backdrop.image.copy()
    layers = []
    for planned in plan.people:
        finish = planned.finish
        figure, origin = with_effects(planned, backdrop, catalogue)
        rng = generator(catalogue.seed, "noise", plan.index, planned.id)
        figure = harmonise(figure, canvas, origin, finish.harmony, rng)
        figure = BLENDS.load(finish.blend)().blend(figure, canvas, origin)
        cutout = catalogue.cutout(planned.source, planned.key)
        facts = cutout.provenance, cutout.category, cutout.carried
        person = Person(planned.id, figure.keypoints, figure.parsing, *facts)
        layer = Layer(figure.rgba, origin, person, figure.shadow, figure.reflection)
        layer.paint(canvas)
        layers.append(layer)
    return Scene(sample_id(plan.index), backdrop.image, tuple(layers)), canvas, backdrop


def with_effects(
    planned: PlannedPerson, backdrop: Backdrop, catalogue: Catalogue
) -> tuple[SizedFigure, tuple[int, int]]:
    """A person in the light of the place, with shadows and reflection; and where the layer's top left pixel is."""
    finish, origin = planned.finish, planned.origin
    figure = catalogue.figure(planned.source, planned.key, planned.scale, planned.mirrored, finish.shadow > 0)
    figure = cast_shadow(figure, finish.shadow)
    if finish.light > 0:
        figure = relight(figure, grade_for(figure, backdrop.image, origin, finish.light))
    foot = figure.foot
    if finish.cast is not None:
        figure = lay_shadow(figure, finish.cast)
    origin = (origin[0] + foot[0] - figure.foot[0], origin[1] + foot[1] - figure.foot[1])
    if finish.reflection > 0 and isinstance(backdrop, View) and backdrop.sheen is not None:
        figure = reflect(figure, backdrop.sheen, origin, finish.reflection)
    return figure, origin


def sample_id(index: int) -> str:
    """The id of sample `index`: fixed width, so that names sort in order up to 10^8 scenes."""
    return f"{index:08d}"
