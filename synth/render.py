"""From a plan to a scene: the same plan and the same sources give the same bytes."""

from __future__ import annotations

from mildbench.scene import Layer, Person, Scene
from synth.catalogue import Catalogue, View
from synth.plan import Plan


def render(plan: Plan, catalogue: Catalogue) -> tuple[Scene, View]:
    """The scene of a plan, and the view that its background is."""
    view = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
    layers = []
    for planned in plan.people:
        figure = catalogue.figure(
            planned.source, planned.key, planned.scale, planned.mirrored, planned.shadow
        )
        cutout = catalogue.cutout(planned.source, planned.key)
        person = Person(planned.id, figure.keypoints, figure.parsing, cutout.provenance, cutout.carried)
        layers.append(Layer(figure.rgba, planned.origin, person, figure.shadow))
    return Scene(sample_id(plan.index), view.image, tuple(layers)), view


def sample_id(index: int) -> str:
    """The id of sample `index`: fixed width, so that names sort in order up to 10^8 scenes."""
    return f"{index:08d}"
