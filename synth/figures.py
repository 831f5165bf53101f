"""People as scenes show them: cut out no finer than a scene can show, and brought to size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from synth.cache import MEGABYTE, Cache
from synth.cutout import extend_colours
from synth.fit import SizedFigure, fit
from synth.material import Cutout, PersonChoice
from synth.recipe import Recipe
from synth.sources.base import PeopleSource

FINENESS = 2.0
"""A person is cut out at no more than so many times the largest height at which a scene may show all of them: at
twice, the matte is finer than the scene's pixels, and those pixels are averages as they would be of the whole photo."""
SMALLEST_CUTOUT = 240
"""Nobody is reduced to fewer rows than that before they are cut out, however small the scenes."""
FIGURE_CACHE = 48 * MEGABYTE
"""For people as scenes show them. Their size is drawn anew for each scene, in which they are asked for twice."""


class Figures:
    """The people of a recipe's sources.

    Args:
        recipe: what is asked for.
        sources: of the people.
        people: those in use.
        read: keeps cut-outs as their sources give them.
    """

    def __init__(
        self, recipe: Recipe, sources: Sequence[PeopleSource], people: Iterable[PersonChoice], read: Cache
    ) -> None:
        self._sources = sources
        enough = max(SMALLEST_CUTOUT, FINENESS * min(recipe.stature[1], 1.0) * recipe.size)
        self._reduced = {
            (c.source, c.ref.key): enough / c.ref.stature for c in people if c.ref.stature > enough
        }
        self._read = read
        self._figures = Cache(FIGURE_CACHE)

    def cutout(self, source: int, key: str) -> Cutout:
        """The person, no finer than scenes can show them; raises `Rejected`."""
        return self._read.get(("person", source, key), lambda: self._cut_out(source, key))

    def _cut_out(self, source: int, key: str) -> Cutout:
        cutout = self._sources[source].cutout(key, self._reduced.get((source, key), 1.0))
        return replace(cutout, rgba=extend_colours(cutout.rgba))

    def get(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        """The person at scene size, with room for a shadow if there will be one; raises `Rejected`."""
        cutout = self.cutout(source, key)  # outside: what reading costs is no reason to keep a figure
        return self._figures.get(
            (source, key, scale, mirrored, shadow),
            lambda: fit(cutout, scale / cutout.scale, mirrored, room_for_shadow=shadow),
        )
