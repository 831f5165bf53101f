"""What weights there are: the packaged list `manifest.yaml`, one pinned file a name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from mildbench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """One weights file: where to get it, and what it must be."""

    name: str
    file: str
    """The file's name in the cache; its suffix says how it is read."""
    urls: tuple[str, ...]
    """Mirrors of the same bytes, tried in this order."""
    size: int
    """Bytes."""
    sha256: str
    """64 hex digits."""
    licence: str
    used_for: str


@cache
def entries() -> dict[str, Entry]:
    """Name -> entry, in the manifest's order."""
    text = files(__package__).joinpath("manifest.yaml").read_text("utf-8")
    return {
        name: Entry(name=name, **(fields | {"urls": tuple(fields["urls"])}))
        for name, fields in yaml.safe_load(text).items()
    }


def entry(name: str) -> Entry:
    """The entry called `name`; raises `UserError` for an unknown one."""
    known = entries()
    if name not in known:
        raise UserError(f"unknown weights {name!r}: {did_you_mean(name, known)}")
    return known[name]
