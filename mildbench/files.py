"""Files: atomic writes, checksums, canonical JSON, and paths that stay in their folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from mildbench.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place on success and is removed on failure.

    A reader never sees half a file: neither after a crash nor on a full disk.
    """
    if _is_remote(path):  # a store shows a file when all of it has been put there
        with TemporaryDirectory() as folder:
            yield (temporary := Path(folder) / path.name)
            _store(path).put_file(str(temporary), path.path)  # type: ignore[attr-defined]
        return
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unique over threads, processes and the machines that share a file system.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed while they wrote below `folder` have left; nobody may be writing there."""
    for leftover in folder.rglob(".*.tmp*"):
        leftover.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock `path`, a file that is made with its folder, against other threads and processes.

    `waiting` is called before waiting for somebody else. The lock of a process that dies is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The file stays: if it were deleted, a third process could lock a new one while a second still waits for this one.
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_bytes(path: Path, data: bytes) -> str:
    """Write atomically; returns the sha256 of the data."""
    if _is_remote(path):
        path.write_bytes(data)
    else:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> str:
    """Write JSON atomically, keys in the given order; returns the sha256. NaN and infinity are refused."""
    return write_bytes(path, (json.dumps(value, indent=indent, allow_nan=False) + "\n").encode())


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file; raises `UserError` naming `what` when it is missing, broken or nested too deeply."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{what} not found: {path}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{what} {path} is not valid JSON ({error}): restore or rebuild it") from None


def fingerprint(value: Any) -> str:
    """sha256 (hex) of a value's canonical JSON: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def fan_out(name: str) -> str:
    """Two hex digits that share names out evenly over 256 folders."""
    return hashlib.sha256(name.encode()).hexdigest()[:2]


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_folder(path: Path) -> None:
    """Remove a folder and all that is in it, if it is there."""
    if not _is_remote(path):
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        _store(path).rm(path.path, recursive=True)  # type: ignore[attr-defined]


def _is_remote(path: Path) -> bool:
    """Whether it is of `mildbench.addresses`."""
    return not isinstance(path, Path)


def _store(path: Path) -> Any:
    """The fsspec file system of an address."""
    return path.fs  # type: ignore[attr-defined]


def walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """A folder and those below it, each once, with what is in it but for folders.

    Links are followed, but not to a folder that `root` itself lies in. What may not be read below `root` is left out.
    """
    home, seen = root.resolve(), set[Path]()
    real, links = [root], list[Path]()
    while real or links:
        folder = real.pop() if real else links.pop()
        target = folder.resolve()
        if target in seen or (folder != root and home.is_relative_to(target)):
            continue
        seen.add(target)
        try:
            found = [(path, path.is_dir()) for path in folder.iterdir()]
        except PermissionError:
            if folder == root:
                raise
            continue
        yield folder, [path for path, is_folder in found if not is_folder]
        for path in sorted((path for path, is_folder in found if is_folder), reverse=True):
            (links if path.is_symlink() else real).append(path)


def inside(root: Path, relative: str, what: str) -> Path:
    """`root / relative`, refusing a path that leaves `root` (`..`, absolute, or through a link).

    Links of a snapshot in Hugging Face's cache are followed, as far as they stay in its repository.
    """
    path, home = below(root, relative, what), root.resolve()
    whole = path.resolve()
    if not (whole.is_relative_to(home) or _is_blob(whole, home)):
        raise UserError(
            f"{what}: the path {relative!r} leaves the folder {root} through a link: copy there what it leads to; "
            "refused"
        )
    return path


def below(root: Path, relative: str, what: str) -> Path:
    """`root / relative`, refusing a name that leaves `root` (`..`, or absolute); links there lead where they lead.

    For folders that people keep in order with links, of photos on another disk say.
    """
    try:
        (root / relative).resolve()
    except UnicodeEncodeError:
        raise UserError(
            f"{what}: this system's locale cannot write the name {relative!r}: set a UTF-8 one, e.g. LC_ALL=C.UTF-8"
        ) from None
    except (ValueError, RuntimeError, OSError):  # a NUL character, a circle of links, a name that is too long
        raise UserError(f"{what}: {relative!r} is no path of a file; refused") from None
    named = PurePath(os.path.normpath(relative))
    if named.is_absolute():
        leaves = not any(named.is_relative_to(str(home)) for home in (root.absolute(), root.resolve()))
    else:
        leaves = named.parts[:1] == ("..",)
    if leaves:
        raise UserError(f"{what}: the path {relative!r} leaves the folder {root}; refused")
    return root / relative


def _is_blob(path: Path, root: Path) -> bool:
    """Whether `path` is a file of the repository in Hugging Face's cache of which `root` is in a snapshot."""
    snapshots = (parent.parent for parent in (root, *root.parents) if parent.parent.name == "snapshots")
    return any(path.is_relative_to(folder.parent / "blobs") for folder in snapshots)
