"""What a recipe can draw from: the items of its sources, split once and for all, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mildbench.dataset.schema import SourceInfo
from mildbench.errors import UserError
from synth.cache import MEGABYTE, Cache
from synth.figures import Figures
from synth.fit import SizedFigure
from synth.pools import Pool, share_out
from synth.recipe import Recipe
from synth.sources.base import (
    BACKGROUNDS,
    PEOPLE,
    BackgroundChoice,
    BackgroundSource,
    Cutout,
    PersonChoice,
    open_source,
)
from synth.sources.unpeopled import UnpeopledBackgrounds
from synth.survey import Survey
from synth.views import Backdrop, View, Views

SOURCE_CACHE = 432 * MEGABYTE
"""For cut-outs and backgrounds as their sources give them. With those of `Views` and `Figures` this makes 512 MB:
dozens of workers may share a machine."""


class Catalogue(Protocol):
    """What scenes are rendered from, whatever their family."""

    recipe: Recipe
    seed: int
    survey: Survey
    """Of the sources' pictures."""

    def __init__(self, recipe: Recipe, seed: int, survey: Survey | None = None) -> None: ...

    def pools(self) -> Sequence[Pool]:
        """What there is of each role."""

    def view(self, source: int, key: str, number: int) -> Backdrop:
        """Crop `number` of a background; raises `Rejected`."""

    def cutout(self, source: int, key: str) -> Cutout:
        """What a layer is made of; raises `Rejected`."""

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        """The same at scene size, with room for a shadow if there will be one; raises `Rejected`."""


def describe(catalogue: Catalogue) -> list[SourceInfo]:
    """What each source gave, for the data card and for telling whether it has changed."""
    return [info for pool in catalogue.pools() for info in pool.describe(catalogue.survey)]


class PeopleCatalogue:
    """People and backgrounds.

    Args:
        recipe: what is asked for.
        seed: of the data set.
        survey: of the sources' pictures, where somebody has looked at them already.
    """

    def __init__(self, recipe: Recipe, seed: int, survey: Survey | None = None) -> None:
        self.recipe = recipe
        self.seed = seed
        posers = [open_source(text, PEOPLE) for text in recipe.people]
        places = [_open_background(text, recipe.check_people) for text in recipe.backgrounds]
        people = [PersonChoice(i, ref) for i, source in enumerate(posers) for ref in source.people()]
        backgrounds = [
            BackgroundChoice(i, ref) for i, source in enumerate(places) for ref in source.backgrounds()
        ]
        self._people = Pool("people", posers, people)
        self._backgrounds = Pool("backgrounds", places, backgrounds)
        self.survey = share_out(recipe, seed, survey, self._people, self._backgrounds)
        self._check()
        read = Cache(SOURCE_CACHE)
        # Each has a cache of its own too: scenes bring new views and figures, which must last until rendered.
        self._views = Views(recipe, seed, places, self.backgrounds, read)
        self._figures = Figures(recipe, posers, self._people.choices, read)

    @property
    def people(self) -> dict[str, list[PersonChoice]]:
        """By split."""
        return self._people.by_split

    @property
    def backgrounds(self) -> dict[str, list[BackgroundChoice]]:
        """By split."""
        return self._backgrounds.by_split

    def pools(self) -> Sequence[Pool]:
        return self._people, self._backgrounds

    def view(self, source: int, key: str, number: int) -> View:
        return self._views.get(source, key, number)

    def cutout(self, source: int, key: str) -> Cutout:
        return self._figures.cutout(source, key)

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        return self._figures.get(source, key, scale, mirrored, shadow)

    def _check(self) -> None:
        needed = min(count for count, weight in self.recipe.crowd.items() if weight > 0)
        for split, share in self.recipe.splits.items():
            if share <= 0:
                continue
            have = len({choice.ref.group for choice in self.people[split]})
            if have < needed:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has {have} people from different images "
                    f"({self._people.account(self.survey)}), its smallest scenes need {needed}: "
                    "add people sources, or use fewer splits"
                )
            if not self.backgrounds[split]:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has no background "
                    f"({self._backgrounds.account(self.survey)}): "
                    "add background sources, or use fewer splits"
                )


def _open_background(text: str, check_people: str | None) -> BackgroundSource:
    source = open_source(text, BACKGROUNDS)
    return source if check_people is None else UnpeopledBackgrounds(source, check_people)
