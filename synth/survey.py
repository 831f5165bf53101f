"""A look at every source picture before a build: which cannot be read, and which are nearly the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mildbench.errors import UserError
from mildbench.images import read_thumbnail
from synth.near_duplicates import alike, difference_hash
from synth.sources.base import UNREADABLE, BackgroundChoice, PersonChoice, Rejected, Source

C = TypeVar("C", PersonChoice, BackgroundChoice)


@dataclass(frozen=True)
class Survey:
    """What was found. Small, whatever the sources' size, so that workers are told and need not look again."""

    unreadable: dict[str, str] = field(default_factory=dict)
    """Group of a picture that cannot be read -> why."""
    alike: list[list[str]] = field(default_factory=list)
    """Groups whose pictures are near-duplicates of each other, so that they belong into one split."""

    def readable(self, choices: Iterable[C], sources: Sequence[Source]) -> list[C]:
        """The choices whose pictures can be read; the others are rejected, once a picture."""
        found = []
        for choice in choices:
            if choice.ref.group in self.unreadable:
                reason = Rejected(UNREADABLE, self.unreadable[choice.ref.group])
                sources[choice.source].rejections.add(reason)
            else:
                found.append(choice)
        return found

    def leader(self, group: str) -> str:
        """The first of the groups that this one is alike to; itself, if it is that or alike to none."""
        return self._leaders.get(group, group)

    @cached_property
    def _leaders(self) -> dict[str, str]:
        return {group: groups[0] for groups in self.alike for group in groups[1:]}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, files: Mapping[str, Path]) -> Survey:
        """Look at the pictures: group -> file. Decoded small, on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            looks = dict(zip(files, pool.map(_look, files.values()), strict=True))
        hashes = {group: look for group, look in looks.items() if isinstance(look, int)}
        unreadable = {group: look for group, look in looks.items() if isinstance(look, str)}
        return cls(unreadable, alike(hashes))


def files_of(
    choices: Iterable[PersonChoice | BackgroundChoice], sources: Sequence[Source]
) -> dict[str, Path]:
    """Group -> picture file, for the choices whose sources have files."""
    found = {}
    for choice in choices:
        if choice.ref.group not in found:
            file = sources[choice.source].photo(choice.ref.key)
            if file is not None:
                found[choice.ref.group] = file
    return found


def _look(path: Path) -> int | str:
    """The picture's perceptual hash, or why it cannot be read."""
    try:
        return difference_hash(read_thumbnail(path))
    except UserError as error:
        return str(error)
