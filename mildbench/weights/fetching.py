"""Fill the cache, from mirrors or from a file that the user has: whole and verified, or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO

from mildbench.errors import UserError
from mildbench.weights import manifest
from mildbench.weights.manifest import Entry
from mildbench.weights.store import (
    HTML_PAGE,
    cache_dir,
    digest_problem,
    is_html,
    problem,
    size_problem,
)

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""

_TIMEOUT = 30.0
"""Seconds without a byte before a mirror is given up."""
_PIECE = 1 << 20
_OFFLINE = ("MILDBENCH_OFFLINE", "HF_HUB_OFFLINE")


class _SourceFailedError(Exception):
    """This source did not give the right bytes; another may."""


def fetch(name: str, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The verified file of the weights `name`, downloaded if it is not in the cache.

    Mirrors are tried in turn. What arrives is checked (size, sha256) under a temporary name before it takes
    its place; a wrong file in the cache is replaced. Of several processes one downloads, the others wait.

    Raises `UserError`: an unknown name, `offline` (or $MILDBENCH_OFFLINE or $HF_HUB_OFFLINE) with the file
    not here, no room on the disk, or no mirror that gave the right bytes.
    """
    entry = manifest.entry(name)
    target = cache_dir() / entry.file
    if _good(entry, target):  # before the lock, so that a read-only shared cache works
        return target
    if forbidden := "--offline" if offline else _offline_variable():
        raise UserError(f"{name}: not in the cache, and {forbidden} forbids the network; {_by_hand(entry)}")
    with _locked(target):
        if not _good(entry, target):  # another process may just have fetched it
            _download(entry, target, progress)
    return target


def add(name: str, path: Path, *, progress: Progress | None = None) -> Path:
    """Copy a file that the user has into the cache as the weights `name`, and check it; returns its place.

    Raises `UserError` for an unknown name, a missing or wrong file, or no room on the disk.
    """
    entry = manifest.entry(name)
    target = cache_dir() / entry.file
    if not path.is_file():
        raise UserError(f"weights file not found: {path}")
    wrong = size_problem(entry, path)
    with _locked(target):
        if wrong is None and not (target.exists() and target.samefile(path)):
            _check_room(entry, target.parent)
            try:
                with path.open("rb") as source:
                    _store(source, entry, target, progress)
            except _SourceFailedError as failure:
                wrong = str(failure)
    if wrong:
        raise UserError(f"{path} is not the {name} weights: {wrong}; they are {entry.urls[0]}")
    return target


def _good(entry: Entry, target: Path) -> bool:
    return target.is_file() and problem(entry, target) is None


def _offline_variable() -> str | None:
    """The environment variable that forbids the network, if one does."""
    yes = {"1", "true", "yes", "on"}
    return next((f"${name}" for name in _OFFLINE if os.environ.get(name, "").lower() in yes), None)


def _by_hand(entry: Entry) -> str:
    return f"download {entry.urls[0]} elsewhere and run: mildbench weights add {entry.name} FILE"


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock on one file of the cache, against other processes; makes the folder."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"the weights cache {folder} is not a folder: set $MILDBENCH_CACHE to one") from None
    # The lock file stays: if it were deleted, a third process could lock a new one while a second still
    # waits for this one.
    with (folder / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_room(entry: Entry, folder: Path) -> None:
    if shutil.disk_usage(folder).free < entry.size:
        raise _no_room(entry, folder)


def _no_room(entry: Entry, folder: Path) -> UserError:
    need = f"{entry.size / 1e6:,.0f} MB"
    return UserError(f"{entry.name}: no room in {folder} for {need}: free some, or set $MILDBENCH_CACHE")


def _download(entry: Entry, target: Path, progress: Progress | None) -> None:
    """Try the mirrors in turn. Needs the lock."""
    _check_room(entry, target.parent)
    failures = []
    for url in entry.urls:
        try:
            with _open(url) as source:
                return _store(source, entry, target, progress)
        except _SourceFailedError as failure:
            failures.append(f"{url}: {failure}")
    tried = "; ".join(failures)
    raise UserError(f"{entry.name}: no mirror gave the file ({tried}); try later, or {_by_hand(entry)}")


@contextmanager
def _open(url: str) -> Iterator[IO[bytes]]:
    """A readable stream of `url`: http, https or file, and no other scheme, not even through a redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.FileHandler(),
        urllib.request.HTTPRedirectHandler(),  # never to a file; to ftp only where that has a handler
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "mildbench"})
        source = opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise _SourceFailedError(f"HTTP {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise _SourceFailedError(str(getattr(error, "reason", error))) from None
    with source:
        yield source


def _store(source: IO[bytes], entry: Entry, target: Path, progress: Progress | None) -> None:
    """Stream `source` to a temporary name beside `target`, check it, and move it there. Needs the lock."""
    # One fixed name, safe under the lock: what a killed process leaves is overwritten by the next fetch.
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as sink:
            digest = _copy(source, sink, entry, progress)
        if wrong := size_problem(entry, part) or digest_problem(entry, digest):
            raise _SourceFailedError(wrong)
        part.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(entry, target.parent) from None
        raise
    finally:
        part.unlink(missing_ok=True)


def _copy(source: IO[bytes], sink: IO[bytes], entry: Entry, progress: Progress | None) -> str:
    """Copy to the end of `source`; returns the sha256 (hex) of what was copied."""
    digest = hashlib.sha256()
    done = 0
    while True:
        try:
            piece = source.read(_PIECE)
        except (OSError, HTTPException) as error:
            raise _SourceFailedError(f"broke off after {done:,} bytes of {entry.size:,} ({error})") from None
        if not piece:
            return digest.hexdigest()
        if not done and is_html(piece):
            raise _SourceFailedError(HTML_PAGE)
        done += len(piece)
        if done > entry.size:
            raise _SourceFailedError(f"it has more than {entry.size:,} bytes")
        sink.write(piece)
        digest.update(piece)
        if progress is not None:
            progress(done, entry.size)
