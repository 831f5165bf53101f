"""From recipe, seed and index to a plan: who stands where. No pixel of the result is made here."""

from __future__ import annotations

from synth.catalogue import Catalogue
from synth.family import FAMILIES
from synth.plan import Notes, Plan
from synth.recipe import Recipe
from synth.rng import generator, weighted
from synth.store import Store
from synth.survey import Survey


class Planner:
    """Plans the scenes of one catalogue, each by the family drawn for it.

    Raises `UserError` when the catalogue lacks what a family of its recipe needs.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe
        self._families = {name: FAMILIES.load(name) for name in self.recipe.families}
        for name, weight in self.recipe.families.items():
            if weight > 0:
                self._families[name].check(catalogue)

    def plan(self, index: int) -> tuple[Plan, Notes]:
        """The plan of scene `index`; depends on recipe, sources, seed and index alone.

        Raises `AllRejected` when the split's pool holds nothing usable.
        """
        rng = generator(self.catalogue.seed, "scene", index)
        family = self._families[weighted(rng, self.recipe.families)]
        return family(self.catalogue, index, rng).plan()


def open_planner(
    recipe: Recipe, seed: int, survey: Survey | None = None, store: Store | None = None
) -> Planner:
    """Open a recipe's sources and divide them over its splits; raises `UserError` when they do not suffice.

    Looks at every picture, unless given the `survey` of somebody who has. The workers of one build share a `store`.
    """
    family = FAMILIES.load(next(iter(recipe.families)))  # all of a recipe open the same
    return Planner(family.opens(recipe, seed, survey, store))
