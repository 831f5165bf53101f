"""Names as people and their programs write them: which mean a person, and which mean the same file."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath

from mildbench.errors import UserError, did_you_mean

PEOPLE = frozenset(
    (
        "person", "persons", "people", "human", "humans", "pedestrian", "pedestrians", "crowd", "rider",
        "cyclist", "man", "men", "woman", "women", "boy", "boys", "girl", "girls", "adult", "adults",
        "child", "children", "kid", "kids", "baby", "babies", "riders", "cyclists", "bicyclist", "motorcyclist",
        "individual", "somebody", "someone", "player", "players", "worker", "workers", "passenger", "passengers",
        "skier", "surfer", "swimmer", "spectator", "spectators", "audience", "face", "faces", "head", "heads",
    )
)  # fmt: skip
"""Words in the names of categories of which no background may show one, whatever else a data set calls a person."""


def plain(name: str) -> str:
    """A category's name without regard to case and to spaces around it."""
    return name.strip().casefold()


def means_people(name: str, label: str) -> bool:
    """Whether somebody may be in a picture that shows a `name`; `label` is what the data set calls a person.

    A word of it is enough, as in `person;individual;someone` or `human--rider--bicyclist`.
    """
    return plain(name) == plain(label) or not PEOPLE.isdisjoint(re.split(r"[\W\d_]+", plain(name)))


def called(label: str, known: Iterable[str], where: str) -> frozenset[str]:
    """Those of the known categories that are called `label`, in any case.

    Raises `UserError` when none is: then nobody knows who is in the pictures of `where`, nor in which nobody is.
    """
    names = set(known)
    found = frozenset(name for name in names if plain(name) == plain(label))
    if not found:
        others = sorted(name for name in names if means_people(name, label))
        meant = f"did you mean {others[0]!r}?" if others else did_you_mean(label, names)
        raise UserError(
            f"{where} has no category {label!r}, so it does not say where people are: {meant} "
            "(name the category of people: label=NAME)"
        )
    return found


def same_file(name: str) -> str:
    """A file's name or path in one form: Unicode's composed one (macOS decomposes), without `./` and `../`."""
    return posixpath.normpath(unicodedata.normalize("NFC", name))


def on_disk(path: Path) -> Path:
    """The file that a list calls `path`, whose Unicode form and case of ending may differ; else the path itself."""
    if path.exists():
        return path
    for name in (unicodedata.normalize(form, path.name) for form in ("NFC", "NFD")):
        stem, suffix = PurePath(name).stem, PurePath(name).suffix
        for ending in (suffix, suffix.lower(), suffix.upper()):
            if (other := path.with_name(stem + ending)).exists():
                return other
    return path


def in_order(key: str) -> tuple[int, int, str]:
    """Sorts ids: numbers by size, then text."""
    return (0, int(key), key) if key.isdecimal() else (1, 0, key)
