"""The weights that are here: the cache folder, and the check that a file is what the manifest says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.weights import manifest
from mildbench.weights.manifest import Entry


class WeightsMissing(UserError):
    """The weights are not in the cache. A metric turns this into `n/a`; a method cannot run."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} weights missing: mildbench weights fetch {name}")
        self.name = name


State = Literal["here", "missing", "wrong"]


@dataclass(frozen=True)
class Status:
    """What the cache holds for one entry."""

    entry: Entry
    path: Path
    state: State
    problem: str | None = None
    """What is wrong with the file, where `state` is `wrong`."""


def cache_dir() -> Path:
    """$MILDBENCH_CACHE, else $XDG_CACHE_HOME/mildbench, else ~/.cache/mildbench; then `weights`.

    It need not exist yet.
    """
    if own := os.environ.get("MILDBENCH_CACHE"):
        return Path(own).expanduser().absolute() / "weights"
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is invalid and is to be ignored.
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "mildbench" / "weights"


def resolve(name: str) -> Path:
    """The verified file of the weights `name`. Never downloads.

    Raises `WeightsMissing` when it is not in the cache, and `UserError` for an unknown name or a file of the
    wrong size or sha256, which is never handed out.
    """
    entry = manifest.entry(name)
    path = cache_dir() / entry.file
    if not path.is_file():
        raise WeightsMissing(name)
    if wrong := problem(entry, path):
        raise UserError(
            f"{path} is not the {name} weights: {wrong}; mildbench weights fetch {name} replaces it"
        )
    return path


def verify(names: Iterable[str] = ()) -> list[Status]:
    """Check the files of `names` (all when empty) in full; a missing file is a state, not an error."""
    return [_status(manifest.entry(name), in_full=True) for name in tuple(names) or manifest.entries()]


def overview() -> list[Status]:
    """The state of every entry, at a glance: sizes are compared, nothing is hashed."""
    return [_status(entry, in_full=False) for entry in manifest.entries().values()]


def _status(entry: Entry, *, in_full: bool) -> Status:
    path = cache_dir() / entry.file
    if not path.is_file():
        return Status(entry, path, "missing")
    wrong = problem(entry, path) if in_full else size_problem(entry, path)
    return Status(entry, path, "wrong" if wrong else "here", wrong)


_hashed: dict[tuple[Path, int, int], str] = {}
"""(path, size, mtime in ns) -> sha256, so that half a gigabyte is not hashed twice in one process."""

HTML_PAGE = "it is an HTML page, not weights"


def problem(entry: Entry, path: Path) -> str | None:
    """Why `path` is not the file that `entry` describes, or None if it is."""
    if wrong := size_problem(entry, path):
        return wrong
    facts = path.stat()
    key = (path, facts.st_size, facts.st_mtime_ns)
    if key not in _hashed:
        _hashed[key] = file_sha256(path)
    return digest_problem(entry, _hashed[key])


def size_problem(entry: Entry, path: Path) -> str | None:
    """What the size alone says against `path`."""
    size = path.stat().st_size
    if size == entry.size:
        return None
    # An error page saved under the weights' name is the usual accident; say so rather than two sizes.
    with path.open("rb") as stream:
        return HTML_PAGE if is_html(stream.read(64)) else f"it has {size:,} bytes, not {entry.size:,}"


def digest_problem(entry: Entry, sha256: str) -> str | None:
    """What the sha256 (hex) says against a file."""
    return None if sha256 == entry.sha256 else f"its sha256 is {sha256[:12]}..., not {entry.sha256[:12]}..."


def is_html(head: bytes) -> bool:
    """Whether a file that starts with `head` is a web page; no weights file starts so."""
    return head.lstrip().startswith(b"<")
