"""Folders that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mildbench.errors import UserError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out` that becomes `out` on success and is removed on failure.

    Those of the same `out` that killed processes left behind are removed too; one that somebody still fills is not.

    Raises `UserError` when `out` exists and is not an empty folder, or is a mount point.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _taken(out)
    if out.is_mount():  # nothing can be put in its place
        raise UserError(
            f"{out} is where a disk is mounted: give a new folder on it, e.g. --out {out / 'data'}"
        )
    target = out.resolve()
    _remove_leftovers(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    temporary.mkdir(parents=True)
    with _opened(temporary) as handle:
        _lock(handle)
        try:
            yield temporary
            try:
                temporary.replace(target)
            except OSError as error:
                if error.errno in (
                    errno.ENOTEMPTY,
                    errno.EEXIST,
                    errno.ENOTDIR,
                ):  # another process was faster
                    raise _taken(out) from None
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _taken(out: Path) -> UserError:
    return UserError(f"{out} exists already: choose another --out, or delete it")


def _remove_leftovers(target: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{12}}\.tmp")
    siblings = list(target.parent.iterdir()) if target.parent.is_dir() else []
    for folder in siblings:
        if pattern.fullmatch(folder.name) and folder.is_dir():
            with _opened(folder) as handle:
                if _lock(handle):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Take a folder's lock, which the system gives back when the process ends, however it ends.

    False where another process has it, and on a file system without locks: there nobody takes a folder for left over.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
