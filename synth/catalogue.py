"""What a recipe can draw from: the items of its sources, split once and for all, and their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from math import ceil
from typing import Protocol

import numpy as np

from mildbench.dataset.schema import SourceInfo
from mildbench.errors import UserError
from synth import framing
from synth.cache import MEGABYTE, Cache
from synth.figures import Figures
from synth.fit import SizedFigure
from synth.ground import Refusal
from synth.material import BackgroundChoice, Cutout, PersonChoice, PersonRef, Rejected
from synth.pools import Pool, share_out
from synth.recipe import Recipe
from synth.rng import generator
from synth.setting import ground_in, refusal
from synth.sources.base import BACKGROUNDS, PEOPLE, BackgroundSource, PeopleSource, open_source
from synth.sources.sounded import SoundedBackgrounds
from synth.sources.unpeopled import UnpeopledBackgrounds
from synth.splits import Places, split_of_sample
from synth.store import SharedBackgrounds, SharedPeople, Store
from synth.survey import Survey
from synth.views import Backdrop, View, Views

SOURCE_CACHE = 432 * MEGABYTE
"""For cut-outs and backgrounds as their sources give them. With those of `Views` and `Figures` this makes 512 MB:
dozens of workers may share a machine."""
FINDINGS_CACHE = 4 * MEGABYTE
"""For what families find out: numbers, not pictures."""


class Catalogue(Protocol):
    """What scenes are rendered from, whatever their family."""

    recipe: Recipe
    seed: int
    survey: Survey
    """Of the sources' pictures."""

    def __init__(
        self, recipe: Recipe, seed: int, survey: Survey | None = None, store: Store | None = None
    ) -> None: ...

    def pools(self) -> Sequence[Pool]:
        """What there is of each role."""

    def share(self, store: Store) -> None:
        """Leave in a store what others would take long to find out who open the same."""

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
        store: where it is shared with others what takes long to make.
    """

    def __init__(
        self, recipe: Recipe, seed: int, survey: Survey | None = None, store: Store | None = None
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        posers = [_open_people(text, store) for text in recipe.people]
        places = [_open_background(text, recipe, store) for text in recipe.backgrounds]
        people = [PersonChoice(i, ref) for i, source in enumerate(posers) for ref in source.people()]
        backgrounds = [
            BackgroundChoice(i, ref) for i, source in enumerate(places) for ref in source.backgrounds()
        ]
        self._posers = posers
        self._places = places
        self._listed = people
        self._people = Pool("people", posers, people)
        self._backgrounds = Pool("backgrounds", places, backgrounds, self._refusal)
        self.survey = share_out(recipe, seed, survey, self._people, self._backgrounds)
        self._check()
        self._scenes = Places(recipe.splits)
        self._order = lru_cache(maxsize=2 * len(recipe.splits))(self._order_of)
        read = Cache(SOURCE_CACHE)
        # Each has a cache of its own too: scenes bring new views and figures, which must last until rendered.
        self._views = Views(recipe, seed, places, self.backgrounds, self.table, read)
        self._figures = Figures(recipe, posers, self._people.choices, read)
        self.findings = Cache(FINDINGS_CACHE)
        """What a family has found out about people and backgrounds and will ask again, by keys of its own."""

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

    def share(self, store: Store) -> None:
        """Leave in a store what workers would take long to find out."""
        for number, (text, source) in enumerate(zip(self.recipe.people, self._posers, strict=True)):
            if source.slow_to_list:
                listed = [choice.ref for choice in self._listed if choice.source == number]
                store.list_people(text, listed)

    @cached_property
    def table(self) -> framing.Table:
        """How people are framed, of those who are as tall as the recipe asks for."""
        table = framing.load(self.recipe.framing)
        least, _ = self.recipe.stature
        try:
            return table.taller(least)
        except ValueError:
            tallest = max(column.height[-1] for column in table.columns)
            raise UserError(
                f"recipe {self.recipe.name}: stature: nobody in the framing {self.recipe.framing!r} is {least} frame "
                f"heights tall: ask for less than {tallest}, or for another framing"
            ) from None

    @cached_property
    def tallest(self) -> dict[str, float]:
        """By split, how tall in pixels the largest cut-out may appear."""
        return {
            split: self.recipe.max_upscale * max((choice.ref.stature for choice in choices), default=0)
            for split, choices in self.people.items()
        }

    @cached_property
    def shown(self) -> dict[str, float]:
        """By split, the largest part that there is of anybody, from the head down; infinite where somebody is whole."""
        return {
            split: max((_shown(choice.ref) for choice in choices), default=0.0)
            for split, choices in self.people.items()
        }

    def background_of(self, index: int) -> Iterator[tuple[BackgroundChoice, int]]:
        """The background for a scene and which crop of it; then others and other crops, should it be of no use.

        Each of the split's is used before one is used again, and then by another crop. Recipes differ in the order.
        """
        split = split_of_sample(index, self.recipe.splits)
        pool, place = self.backgrounds[split], self._scenes.of(index)
        for further in range(len(pool) * self.recipe.background_views):
            lap, position = divmod(place + further, len(pool))
            yield pool[self._order(split, lap)[position]], lap % self.recipe.background_views

    def _order_of(self, split: str, lap: int) -> np.ndarray:
        rng = generator(self.seed, "backgrounds", self.recipe.name, split, lap)
        return rng.permutation(len(self.backgrounds[split]))

    def _refusal(self, choice: BackgroundChoice) -> str | None:
        """Why nobody is put into a background; None also where that cannot be told before it is used."""
        source = self._places[choice.source]
        if source.rendered:
            return None
        try:
            place = source.place(choice.ref.key)
        except Rejected:
            return None  # told when it is used
        why = refusal(place, ground_in(place), self.recipe)
        return None if why is None else str(why)

    def view(self, source: int, key: str, number: int) -> View:
        return self._views.get(source, key, number)

    def cutout(self, source: int, key: str) -> Cutout:
        return self._figures.cutout(source, key)

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        return self._figures.get(source, key, scale, mirrored, shadow)

    def _check(self) -> None:
        needed = min(count for count, weight in self.recipe.crowd.items() if weight > 0)
        shares = [share for share in self.recipe.splits.values() if share > 0]
        in_all = ceil(needed * sum(shares) / min(shares))
        for split, share in self.recipe.splits.items():
            if share <= 0:
                continue
            have = len({choice.ref.group for choice in self.people[split]})
            if have < needed:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has {have} people from different images "
                    f"({self._people.account(self.survey)}), its smallest scenes need {needed}: "
                    f"add people sources (some {in_all} people in all would do), or use fewer splits"
                )
            if not self.backgrounds[split]:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has no background "
                    f"({self._backgrounds.account(self.survey)}): {self._remedy()}"
                )

    def _remedy(self) -> str:
        reasons = {reason for source in self._backgrounds.sources for reason in source.left_out}
        if reasons & {Refusal.UNSURE, Refusal.NONE, Refusal.LITTLE}:
            return (
                "add pictures of places with ground to stand on, tell the ground (mildbench segment makes a folder for "
                "coco: of photos), or allow them for people cut by the frame: --allow-ungrounded"
            )
        return "add background sources, or use fewer splits"


def _shown(ref: PersonRef) -> float:
    return ref.height / ref.stature if ref.cut_at_bottom else np.inf


def _open_people(text: str, store: Store | None) -> PeopleSource:
    source = open_source(text, PEOPLE)
    return source if store is None else SharedPeople(source, text, store)


def _open_background(text: str, recipe: Recipe, store: Store | None) -> BackgroundSource:
    source = open_source(text, BACKGROUNDS)
    if store is not None:
        source = SharedBackgrounds(source, text, store)
    if recipe.check_people is not None:
        source = UnpeopledBackgrounds(source, recipe.check_people)
    return source if recipe.depth is None else SoundedBackgrounds(source, recipe.depth)
