"""What weights there are: the packaged lists `manifest.yaml` (files) and `checkpoints.yaml` (folders)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from mildbench.errors import UserError, did_you_mean


@dataclass(frozen=True)
class WeightsFile:
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
    instead: str = ""
    """What does without them, if anything does."""


@dataclass(frozen=True)
class CheckpointFile:
    """One file of a checkpoint."""

    path: str
    """In the repository and in the folder, with slashes."""
    size: int | None = None
    """Bytes; None where it is not known beforehand (a small configuration)."""
    sha256: str | None = None
    """64 hex digits; None where it is not known beforehand: then it is kept as it was first fetched."""


@dataclass(frozen=True)
class HubCheckpoint:
    """A folder of files from the Hugging Face hub, in diffusers' or transformers' format."""

    name: str
    """Also the folder's name in the cache."""
    repositories: tuple[str, ...]
    """`owner/name@commit`, or `owner/name` where no commit is pinned; mirrors, tried in this order."""
    files: tuple[CheckpointFile, ...]
    """All that is fetched of the repository."""
    licence: str
    used_for: str
    instead: str = ""
    """What does without it, if anything does."""

    @property
    def size(self) -> int:
        """Bytes of the files whose size is known beforehand: all but a few kilobytes."""
        return sum(file.size or 0 for file in self.files)


AnyEntry = WeightsFile | HubCheckpoint


@cache
def entries() -> dict[str, AnyEntry]:
    """Name -> entry, in the manifest's order: single files, then checkpoints."""
    found: dict[str, AnyEntry] = {
        name: WeightsFile(name=name, **(fields | {"urls": tuple(fields["urls"])}))
        for name, fields in _read("manifest.yaml").items()
    }
    for name, fields in _read("checkpoints.yaml").items():
        parts = tuple(CheckpointFile(path, **facts) for path, facts in fields["files"].items())
        repositories = tuple(fields["repositories"])
        found[name] = HubCheckpoint(name=name, **(fields | {"repositories": repositories, "files": parts}))
    return found


def entry(name: str) -> AnyEntry:
    """The entry called `name`; raises `UserError` for an unknown one."""
    known = entries()
    if name not in known:
        raise UserError(f"unknown weights {name!r}: {did_you_mean(name, known)}")
    return known[name]


def checkpoints(holding: str = "") -> list[str]:
    """The names of the entries that are folders; where a file is named, of those that hold it."""
    return [
        name
        for name, entry in entries().items()
        if isinstance(entry, HubCheckpoint)
        and (not holding or holding in {file.path for file in entry.files})
    ]


def _read(file: str) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = yaml.safe_load(files(__package__).joinpath(file).read_text("utf-8"))
    return content
