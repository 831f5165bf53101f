"""Benchmarks by name and version, as `multi-ip@1`: whether what was built is what everybody else has.

A versioned recipe is a shipped file that is never edited. `published.json` lists its editions: by the sources it is
built of and the seed, the fingerprint of the data set, and that of its first scenes alone, which a build of any count
has too; each null until somebody has built it and written it there. Until mildbench is released for the first time they
may be written anew, as `CHANGELOG.md` says; from then on what changes is another version.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from mildbench.dataset.schema import DatasetInfo
from mildbench.records import Strict
from synth.recipe import Recipe
from synth.recipe_files import load

FIRST = 8
"""Scenes whose fingerprint is enough to see that another machine, or another version of the code, makes the same."""


class Edition(Strict):
    """A benchmark made of certain sources."""

    people: list[str]
    """Names of the sources, as data sets record them (`SourceInfo.name`)."""
    backgrounds: list[str]
    seed: int
    fingerprint: str | None
    """64 hex digits, or null while nobody has built it."""
    first: str | None
    """The same of its first `FIRST` scenes: of a build with that count."""


@lru_cache(maxsize=1)
def editions() -> dict[str, list[Edition]]:
    """By the recipe's name."""
    text = Path(__file__).with_name("published.json").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, list[Edition]]).validate_json(text)


def verdict(recipe: Recipe, info: DatasetInfo) -> str | None:
    """Whether a data set is the published one, in a line; None for a recipe without a version."""
    if recipe.name not in editions():
        return None
    sources = {"people", "backgrounds"}
    begun = recipe.count == FIRST
    settings = load(recipe.name).model_copy(update={"count": FIRST} if begun else {})
    if recipe.model_dump(exclude=sources) != settings.model_dump(exclude=sources):
        return f"not the published {recipe.name}: built with other settings than the recipe's"
    made = {role: [source.name for source in info.sources if source.role == role] for role in sources}
    for edition in editions()[recipe.name]:
        if (edition.people, edition.backgrounds, edition.seed) == (
            made["people"],
            made["backgrounds"],
            info.seed,
        ):
            known = edition.first if begun else edition.fingerprint
            whose = f"the first {FIRST} scenes of the published" if begun else "the published"
            if known is None:
                return f"{recipe.name}: nobody has published the fingerprint of this edition yet"
            if known == info.fingerprint:
                return f"{'these are' if begun else 'this is'} {whose} {recipe.name}"
            return f"NOT {whose} {recipe.name}, whose fingerprint is {known[:12]}"
    return f"not a published edition of {recipe.name}: built of other sources or with another seed"
