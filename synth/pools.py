"""What the sources of one role have, and which split each item is in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, Generic, TypeVar

from mildbench.dataset.schema import SourceInfo
from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.identity import value_sha256
from synth.material import BackgroundChoice, BackgroundRef, PersonChoice, PersonRef
from synth.recipe import Recipe
from synth.sources.base import Source
from synth.splits import divide
from synth.survey import Survey, files_of, photos_of

C = TypeVar("C", PersonChoice, BackgroundChoice)


class Pool(Generic[C]):
    """The items of a recipe's sources of one role.

    Args:
        role: `people` or `backgrounds`.
        sources: in the recipe's order.
        choices: all that they have.
        problem: why the recipe has no use for a choice whose picture can be read, or None; looks at the picture.
    """

    def __init__(
        self,
        role: str,
        sources: Sequence[Source],
        choices: Iterable[C],
        problem: Callable[[C], str | None] | None = None,
    ) -> None:
        self.role = role
        self.problem: Callable[[C], str | None] | None = problem
        self.sources = sources
        self.choices: list[C] = list(choices)
        """Only those whose pictures can be read and are of use, once `share_out` has looked."""
        self.by_split: dict[str, list[C]] = {}
        """Filled by `share_out`."""

    def describe(self, survey: Survey) -> list[SourceInfo]:
        """One entry a source."""
        refs: dict[int, list[PersonRef | BackgroundRef]] = {i: [] for i in range(len(self.sources))}
        for choice in self.choices:
            refs[choice.source].append(choice.ref)
        return [
            SourceInfo.model_validate(
                {
                    "role": self.role,
                    "name": source.name,
                    "licence": source.licence,
                    "items": len(refs[i]),
                    "rejected": dict(sorted(source.rejections.counts.items())),
                    "left_out": dict(sorted(source.left_out.items())),
                    "fingerprint": fingerprint(sorted(_contents(source, ref, survey) for ref in refs[i])),
                }
            )
            for i, source in enumerate(self.sources)
        ]

    def account(self, survey: Survey) -> str:
        """How many items there are in all sources, and why not more."""
        groups = {choice.ref.group for choice in self.choices}
        twins = len(groups) - len({survey.leader(group) for group in groups})
        parts = [f"{len(self.choices)} usable in all sources"]
        if twins:
            parts.append(f"{twins} of them nearly equal to another, which must be in the same split")
        rejected = sum((source.rejections.counts for source in self.sources), Counter[str]())
        left_out = sum((source.left_out for source in self.sources), Counter[str]())
        parts += [f"{count} rejected: {reason}" for reason, count in rejected.most_common()]
        parts += [f"{count} left out: {reason}" for reason, count in left_out.most_common()]
        return "; ".join(parts)

    def check_rejections(self, recipe: Recipe) -> None:
        """Raise `UserError` when more of a source is broken than the recipe allows."""
        usable = Counter(choice.source for choice in self.choices)
        for i, source in enumerate(self.sources):
            rejected = source.rejections.counts
            broken = sum(rejected.values())
            total = broken + usable[i]
            if broken > recipe.max_rejected_share * total:
                reason, count = rejected.most_common(1)[0]
                raise UserError(
                    f"source {source.name}: {broken} of {total} items are broken, more than the recipe's "
                    f"max_rejected_share {recipe.max_rejected_share}; most often: {reason} ({count}x, "
                    f"e.g. {source.rejections.examples[reason]}): repair the source"
                )


def share_out(recipe: Recipe, seed: int, survey: Survey | None, *pools: Pool[Any]) -> Survey:
    """Divide the items of all pools over the recipe's splits, whole source images at a time.

    An image that is in several pools is in one split. Looks at every picture, unless given the `survey` of
    somebody who has; returns it. Raises `UserError` when too much of a source is broken.
    """
    if survey is None:
        photos: dict[str, Path] = {}
        files: set[Path] = set()
        for pool in pools:
            photos |= photos_of(pool.choices, pool.sources)
            files |= files_of(pool.choices, pool.sources)
        survey = Survey.of(photos, files)
        for pool in pools:
            if pool.problem is not None:
                survey = survey.without(pool.role, pool.choices, pool.problem)
    for pool in pools:
        pool.choices = survey.usable(pool.role, pool.choices, pool.sources)
    split_of: dict[str, str] = {}
    for pool in pools:
        groups = {survey.leader(choice.ref.group) for choice in pool.choices}
        split_of |= divide(groups - split_of.keys(), recipe.splits, seed)
        pool.by_split = {name: [] for name in recipe.splits}
        for choice in pool.choices:
            pool.by_split[split_of[survey.leader(choice.ref.group)]].append(choice)
    for pool in pools:
        pool.check_rejections(recipe)
    return survey


def _contents(source: Source, ref: PersonRef | BackgroundRef, survey: Survey) -> list[Any]:
    """An item and what it is made of. Names, sizes and times of files do not tell: they stay when pixels change."""
    files = [survey.sha256[file] for file in source.files(ref.key)]
    return [*astuple(ref), *files, value_sha256(source.annotation(ref.key))]
