"""Benchmarks by name and version, as `multi-ip@1`: whether what was built is what everybody else has.

A versioned recipe is a shipped file that is never edited. `published.json` lists its editions: by the sources it is
built of and the seed, the fingerprint of the data set; null until somebody has built it and written it there.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from mildbench.dataset.schema import DatasetInfo
from mildbench.records import Strict
from synth.recipe import Recipe
from synth.recipe_files import load


class Edition(Strict):
    """A benchmark made of certain sources."""

    people: list[str]
    """Names of the sources, as data sets record them (`SourceInfo.name`)."""
    backgrounds: list[str]
    seed: int
    fingerprint: str | None
    """64 hex digits, or null while nobody has built it."""


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
    if recipe.model_dump(exclude=sources) != load(recipe.name).model_dump(exclude=sources):
        return f"not the published {recipe.name}: built with other settings than the recipe's"
    made = {role: [source.name for source in info.sources if source.role == role] for role in sources}
    for edition in editions()[recipe.name]:
        if (edition.people, edition.backgrounds, edition.seed) == (
            made["people"],
            made["backgrounds"],
            info.seed,
        ):
            if edition.fingerprint is None:
                return f"{recipe.name}: nobody has published the fingerprint of this edition yet"
            if edition.fingerprint == info.fingerprint:
                return f"this is the published {recipe.name}"
            return f"NOT the published {recipe.name}, whose fingerprint is {edition.fingerprint[:12]}"
    return f"not a published edition of {recipe.name}: built of other sources or with another seed"
