"""The weights that are here: the cache folder, and what it holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.weights import manifest
from mildbench.weights.checks import problem, recorded
from mildbench.weights.manifest import AnyEntry, HubCheckpoint


class WeightsMissing(UserError):
    """The weights are not in the cache. A metric turns this into `n/a`; a method cannot run."""

    def __init__(self, name: str, instead: str = "") -> None:
        other = f", or take {instead}" if instead else ""
        super().__init__(f"{name} weights missing: mildbench weights fetch {name}{other}")
        self.name, self.instead = name, instead

    def __reduce__(self) -> tuple[type[WeightsMissing], tuple[str, str]]:
        # Workers raise it too: else the message came as the name.
        return WeightsMissing, (self.name, self.instead)


State = Literal["here", "missing", "wrong"]


@dataclass(frozen=True)
class Status:
    """What the cache holds for one entry."""

    entry: AnyEntry
    path: Path
    state: State
    problem: str | None = None
    """What is wrong with the file or the folder, where `state` is `wrong`."""


def cache_dir() -> Path:
    """$MILDBENCH_CACHE, else $XDG_CACHE_HOME/mildbench, else ~/.cache/mildbench; then `weights`.

    It need not exist yet.
    """
    if own := os.environ.get("MILDBENCH_CACHE"):
        return Path(own).expanduser().absolute() / "weights"
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is invalid and is to be ignored.
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "mildbench" / "weights"


def place(entry: AnyEntry) -> Path:
    """Where the cache holds the file, or the folder of a checkpoint."""
    return cache_dir() / (entry.name if isinstance(entry, HubCheckpoint) else entry.file)


def resolve(name: str) -> Path:
    """The verified file of the weights `name`, or the verified folder of a checkpoint. Never downloads.

    Raises `WeightsMissing` when it is not in the cache, and `UserError` for an unknown name or a file of the
    wrong size or sha256, which is never handed out.
    """
    entry = manifest.entry(name)
    path = place(entry)
    if not _is_here(entry, path):
        raise WeightsMissing(name, entry.instead)
    if wrong := problem(entry, path):
        raise UserError(
            f"{path} is not the {name} weights: {wrong}; mildbench weights fetch {name} replaces it"
        )
    return path


def is_here(name: str) -> bool:
    """Whether the cache holds something as the weights `name`; it is not checked. `UserError` for an unknown name."""
    entry = manifest.entry(name)
    return _is_here(entry, place(entry))


def resolve_folder(name: str) -> Path:
    """The verified folder of the checkpoint `name`; as `resolve`, and `UserError` for a single file's name."""
    if not isinstance(manifest.entry(name), HubCheckpoint):
        raise UserError(f"the weights {name} are a single file, not a checkpoint's folder")
    return resolve(name)


def digest(name: str) -> str:
    """64 hex digits that tell one content of the weights `name` from another, for a run's record.

    Of a file its sha256. Of a checkpoint a hash over those of its files, as far as they are known: some only
    once it is in the cache.
    """
    entry = manifest.entry(name)
    if not isinstance(entry, HubCheckpoint):
        return entry.sha256
    first = recorded(place(entry))
    return fingerprint({file.path: file.sha256 or first.get(file.path) for file in entry.files})


def verify(names: Iterable[str] = ()) -> list[Status]:
    """Check the weights `names` (all when empty) in full; a missing one is a state, not an error."""
    return [_status(manifest.entry(name), in_full=True) for name in tuple(names) or manifest.entries()]


def overview() -> list[Status]:
    """The state of every entry, at a glance: sizes are compared, nothing is hashed."""
    return [_status(entry, in_full=False) for entry in manifest.entries().values()]


def _status(entry: AnyEntry, *, in_full: bool) -> Status:
    path = place(entry)
    if not _is_here(entry, path):
        return Status(entry, path, "missing")
    wrong = problem(entry, path, in_full=in_full)
    return Status(entry, path, "wrong" if wrong else "here", wrong)


def _is_here(entry: AnyEntry, path: Path) -> bool:
    return path.exists() if isinstance(entry, HubCheckpoint) else path.is_file()
