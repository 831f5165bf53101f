"""Fill the cache, from mirrors or from what the user has: whole and verified, or not at all."""

from __future__ import annotations

import errno
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
from mildbench.files import locked
from mildbench.weights import hub, manifest
from mildbench.weights.checks import (
    HTML_PAGE,
    digest_problem,
    file_problem,
    is_html,
    problem,
    size_problem,
    write_record,
)
from mildbench.weights.manifest import AnyEntry, HubCheckpoint, WeightsFile
from mildbench.weights.store import place

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""

_TIMEOUT = 30.0
"""Seconds without a byte before a mirror is given up."""
_PIECE = 1 << 20
_OFFLINE = ("MILDBENCH_OFFLINE", "HF_HUB_OFFLINE")


class _SourceFailedError(Exception):
    """This source did not give the right bytes; another may."""


def fetch(name: str, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The verified file of the weights `name`, or folder of a checkpoint, downloaded if it is not in the cache.

    Mirrors are tried in turn. What arrives is checked (size, sha256) under a temporary name before it takes
    its place; what is wrong in the cache is replaced. Of several processes one downloads, the others wait. A
    checkpoint that breaks off is gone on with by the next fetch; it shows bars of its own.

    Raises `UserError`: an unknown name, `offline` (or $MILDBENCH_OFFLINE or $HF_HUB_OFFLINE) with the weights
    not here, no room on the disk, no mirror that gave the right bytes, or, for a checkpoint, no
    `huggingface_hub`.
    """
    entry = manifest.entry(name)
    target = place(entry)
    if _good(entry, target):  # before the lock, so that a read-only shared cache works
        return target
    if forbidden := "--offline" if offline else _offline_variable():
        raise UserError(f"{name}: not in the cache, and {forbidden} forbids the network; {_by_hand(entry)}")
    with _locked(target):
        if not _good(entry, target):  # another process may just have fetched it
            if isinstance(entry, HubCheckpoint):
                _download_checkpoint(entry, target)
            else:
                _download(entry, target, progress)
    return target


def add(name: str, path: Path, *, progress: Progress | None = None) -> Path:
    """Copy what the user has into the cache as the weights `name`, and check it; returns its place.

    Args:
        name: in the manifest.
        path: the file; of a checkpoint the folder, laid out as on the hub.
        progress: told of the bytes copied.

    Raises:
        UserError: an unknown name, a missing or wrong file or folder, or no room on the disk.
    """
    entry = manifest.entry(name)
    if isinstance(entry, HubCheckpoint):
        return _add_checkpoint(entry, path, progress)
    target = place(entry)
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


def _good(entry: AnyEntry, target: Path) -> bool:
    return target.exists() and problem(entry, target) is None


def _offline_variable() -> str | None:
    """The environment variable that forbids the network, if one does."""
    yes = {"1", "true", "yes", "on"}
    return next((f"${name}" for name in _OFFLINE if os.environ.get(name, "").lower() in yes), None)


def _by_hand(entry: AnyEntry) -> str:
    if isinstance(entry, HubCheckpoint):
        page = f"https://huggingface.co/{entry.repositories[0].partition('@')[0]}"
        return f"download {page} elsewhere and run: mildbench weights add {entry.name} FOLDER"
    return f"download {entry.urls[0]} elsewhere and run: mildbench weights add {entry.name} FILE"


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock on one file of the cache, against other processes; makes the folder."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"the weights cache {folder} is not a folder: set $MILDBENCH_CACHE to one") from None
    with locked(folder / f".{target.name}.lock"):
        yield


def _check_room(entry: AnyEntry, folder: Path, *, already: int = 0) -> None:
    if shutil.disk_usage(folder).free < entry.size - already:
        raise _no_room(entry, folder)


def _no_room(entry: AnyEntry, folder: Path) -> UserError:
    need = f"{entry.size / 1e6:,.0f} MB"
    return UserError(f"{entry.name}: no room in {folder} for {need}: free some, or set $MILDBENCH_CACHE")


@contextmanager
def _full_disk_told(entry: AnyEntry, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(entry, folder) from None
        raise


def _part(target: Path) -> Path:
    """Where it lies until it is whole. One fixed name, safe under the lock: the next fetch finds or replaces it."""
    return target.with_name(f".{target.name}.part")


def _download_checkpoint(entry: HubCheckpoint, target: Path) -> None:
    """Try the repositories in turn. Needs the lock."""
    part = _part(target)
    here = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
    _check_room(entry, target.parent, already=here)
    failures = []
    for repository in entry.repositories:
        try:
            with _full_disk_told(entry, target.parent):
                source = hub.download(repository, entry, part)
                return _install(entry, part, target, source)
        except hub.HubFailedError as failure:
            failures.append(f"{repository}: {failure}")
    tried = "; ".join(failures)
    raise UserError(f"{entry.name}: no mirror gave the files ({tried}); try later, or {_by_hand(entry)}")


def _add_checkpoint(entry: HubCheckpoint, folder: Path, progress: Progress | None) -> Path:
    target = place(entry)
    if not folder.is_dir():
        raise UserError(f"checkpoint folder not found: {folder}")
    wrong = _first_problem(entry, folder, in_full=False)
    with _locked(target):
        if wrong is None:
            _check_room(entry, target.parent)
            part = _part(target)
            shutil.rmtree(part, ignore_errors=True)
            try:
                with _full_disk_told(entry, target.parent):
                    _copy_files(entry, folder, part, progress)
                    wrong = _first_problem(entry, part, in_full=True)
                    if wrong is None:
                        _install(entry, part, target, "added from a folder")
            finally:
                shutil.rmtree(part, ignore_errors=True)
    if wrong:
        raise UserError(
            f"{folder} is not the {entry.name} weights: {wrong}; they are {entry.repositories[0]}"
        )
    return target


def _copy_files(entry: HubCheckpoint, source: Path, target: Path, progress: Progress | None) -> None:
    total = sum((source / file.path).stat().st_size for file in entry.files)
    done = 0
    for file in entry.files:
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file.path, copy)
        done += copy.stat().st_size
        if progress is not None:
            progress(done, total)


def _first_problem(entry: HubCheckpoint, folder: Path, *, in_full: bool) -> str | None:
    problems = (file_problem(file, folder, in_full=in_full) for file in entry.files)
    return next(filter(None, problems), None)


def _install(entry: HubCheckpoint, part: Path, target: Path, source: str) -> None:
    """Give the complete folder `part` its place, whatever wrong thing is there now. Needs the lock."""
    write_record(entry, part, source)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    part.rename(target)


def _download(entry: WeightsFile, target: Path, progress: Progress | None) -> None:
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


def _store(source: IO[bytes], entry: WeightsFile, target: Path, progress: Progress | None) -> None:
    """Stream `source` to a temporary name beside `target`, check it, and move it there. Needs the lock."""
    part = _part(target)
    try:
        with _full_disk_told(entry, target.parent):
            with part.open("wb") as sink:
                digest = _copy(source, sink, entry, progress)
            if wrong := size_problem(entry, part) or digest_problem(entry, digest):
                raise _SourceFailedError(wrong)
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy(source: IO[bytes], sink: IO[bytes], entry: WeightsFile, progress: Progress | None) -> str:
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
