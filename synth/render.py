"""From a plan to a scene: the same plan and the same sources give the same bytes."""

from __future__ import annotations

from mildbench.scene import Layer, Person, Scene
from synth.blend import BLENDS
from synth.catalogue import Backdrop, Catalogue
from synth.fit import cast_shadow
from synth.harmonise import Harmony, harmonise
from synth.olrd import OlrdCatalogue
from synth.plan import Finish, Plan
from synth.rng import generator


def render(plan: Plan, catalogue: Catalogue | OlrdCatalogue) -> tuple[Scene, Backdrop]:
    """The scene of a plan, and the backdrop it stands on."""
    backdrop = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
    # What is behind a person matters to blends and harmonisation only; without them the scene composes itself.
    behind = None if all(_is_plain(planned.finish) for planned in plan.people) else backdrop.image.copy()
    layers = []
    for planned in plan.people:
        finish = planned.finish
        shadow = finish.shadow
        figure = catalogue.figure(planned.source, planned.key, planned.scale, planned.mirrored, shadow > 0)
        figure = cast_shadow(figure, shadow)
        if behind is not None:
            rng = generator(catalogue.seed, "noise", plan.index, planned.id)
            figure = harmonise(figure, behind, planned.origin, finish.harmony, rng)
            figure = BLENDS.load(finish.blend)().blend(figure, behind, planned.origin)
        cutout = catalogue.cutout(planned.source, planned.key)
        facts = cutout.provenance, cutout.category, cutout.carried
        person = Person(planned.id, figure.keypoints, figure.parsing, *facts)
        layer = Layer(figure.rgba, planned.origin, person, figure.shadow)
        if behind is not None:
            layer.paint(behind)
        layers.append(layer)
    return Scene(sample_id(plan.index), backdrop.image, tuple(layers)), backdrop


def _is_plain(finish: Finish) -> bool:
    return finish.blend == "alpha" and finish.harmony == Harmony()


def sample_id(index: int) -> str:
    """The id of sample `index`: fixed width, so that names sort in order up to 10^8 scenes."""
    return f"{index:08d}"
