"""Scenes rendered as they are asked for, for training: no files, no end."""

from __future__ import annotations

from functools import cached_property
from math import ceil
from typing import Any

from mildbench.errors import UserError
from mildbench.scene import Scene
from synth.catalogue import describe
from synth.planner import Planner, open_planner
from synth.recipe import Recipe
from synth.render import render
from synth.splits import split_of_sample
from synth.survey import Survey


class RenderedScenes:
    """The scenes of a recipe, as `build` would make them, each split an endless stream (a `SceneSource`)."""

    def __init__(self, recipe: Recipe, seed: int, survey: Survey | None = None) -> None:
        """The same recipe, sources and seed divide the people and backgrounds over the splits as `build` does.

        `survey`: of the sources, by somebody who has looked at them.
        """
        self.recipe = recipe
        self.seed = seed
        self._survey = survey

    def __reduce__(self) -> tuple[Any, ...]:
        # Workers need not look at every picture once more.
        return RenderedScenes, (self.recipe, self.seed, self._planner.catalogue.survey)

    @cached_property
    def _planner(self) -> Planner:
        return open_planner(self.recipe, self.seed, self._survey)

    def check(self, split: str) -> None:
        """Open the sources; raises `UserError` when they do not suffice, and for a split that there is not."""
        if self.recipe.splits.get(split, 0) <= 0:
            have = ", ".join(self.recipe.splits)
            raise UserError(
                f"recipe {self.recipe.name} has no split {split!r}; it has {have}: "
                "add it to the recipe's splits, or name another one"
            )
        self._planner  # noqa: B018 - opens the sources

    def scene(self, split: str, position: int) -> Scene:
        """Scene `position` of the split; raises `AllRejected` or `Rejected` for inputs that turn out broken."""
        plan, _ = self._planner.plan(self._index(split, position))
        return render(plan, self._planner.catalogue)[0]

    def _index(self, split: str, position: int) -> int:
        """The number of the scene among those of all splits: the first of `split` in block `position`."""
        shares = self.recipe.splits
        # Indices fall to splits evenly spread, so a block of a few times 1 / share holds one of each.
        block = ceil(4 * sum(shares.values()) / shares[split])
        start = position * block
        return next(index for index in range(start, start + block) if split_of_sample(index, shares) == split)

    def describe(self) -> dict[str, Any]:
        """The recipe, and in place of its sources' paths their names and what they hold."""
        sources = describe(self._planner.catalogue)
        return {
            "recipe": self.recipe.model_dump(mode="json", exclude={"people", "backgrounds", "count"}),
            "seed": self.seed,
            "sources": [source.model_dump() for source in sources],
        }
