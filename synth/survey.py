"""A look at every source file before a build: what it holds, whether it can be read, which are nearly the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mildbench.errors import UserError
from mildbench.identity import bytes_sha256
from mildbench.images import read_thumbnail
from synth.material import UNREADABLE, BackgroundChoice, PersonChoice, Rejected
from synth.near_duplicates import alike, difference_hash
from synth.sources.base import Source

C = TypeVar("C", PersonChoice, BackgroundChoice)


@dataclass(frozen=True)
class Survey:
    """What was found. Small, whatever the sources' size, so that workers are told and need not look again."""

    unreadable: dict[str, str] = field(default_factory=dict)
    """Group of a picture that cannot be read -> why."""
    alike: list[list[str]] = field(default_factory=list)
    """Groups whose pictures are near-duplicates of each other, so that they belong into one split."""
    unsuitable: dict[str, str] = field(default_factory=dict)
    """Name of a choice that the recipe has no use for (`_name`) -> why."""
    sha256: dict[Path, str] = field(default_factory=dict)
    """Of the bytes of every file: whether a source has changed. Not part of `to_json`: no worker asks."""

    def usable(self, role: str, choices: Iterable[C], sources: Sequence[Source]) -> list[C]:
        """The choices whose pictures can be read and are of use; the others are rejected or left out, and counted."""
        found = []
        for choice in choices:
            if choice.ref.group in self.unreadable:
                reason = Rejected(UNREADABLE, self.unreadable[choice.ref.group])
                sources[choice.source].rejections.add(reason)
            elif (why := self.unsuitable.get(_name(role, choice))) is not None:
                sources[choice.source].left_out[why] += 1
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
        return {"unreadable": self.unreadable, "alike": self.alike, "unsuitable": self.unsuitable}

    @classmethod
    def of(cls, photos: Mapping[str, Path], files: Iterable[Path]) -> Survey:
        """Look at the photos, group -> file, decoded small, and at the bytes of all files; on all cores."""
        shown = set(photos.values())
        paths = sorted(shown.union(files))

        def look(path: Path) -> tuple[str, int | str | None]:
            return bytes_sha256(path), _look(path) if path in shown else None

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(paths, pool.map(look, paths), strict=True))
        looks = {group: found[photo][1] for group, photo in photos.items()}
        hashes = {group: look for group, look in looks.items() if isinstance(look, int)}
        unreadable = {group: look for group, look in looks.items() if isinstance(look, str)}
        sha256s = {path: sha256 for path, (sha256, _) in found.items()}
        return cls(unreadable, alike(hashes), sha256=sha256s)

    def without(self, role: str, choices: Iterable[C], problem: Callable[[C], str | None]) -> Survey:
        """The survey that also knows for which of a role's readable choices the recipe has no use, and why."""
        readable = [choice for choice in choices if choice.ref.group not in self.unreadable]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            problems = zip(readable, pool.map(problem, readable), strict=True)
            found = {_name(role, choice): why for choice, why in problems if why is not None}
        return replace(self, unsuitable=self.unsuitable | found)


def _name(role: str, choice: PersonChoice | BackgroundChoice) -> str:
    return f"{role}/{choice.source}/{choice.ref.key}"


def files_of(choices: Iterable[PersonChoice | BackgroundChoice], sources: Sequence[Source]) -> set[Path]:
    """Every file that the choices are read from."""
    return {file for choice in choices for file in sources[choice.source].files(choice.ref.key)}


def photos_of(
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
