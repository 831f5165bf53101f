"""What a thing is, not how it was stored: digests over decoded pixels and over contents.

Compressed bytes differ by encoder and by CPU, times and places by machine; none of them enters an identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.files import file_sha256, fingerprint


def pixels_sha256(pixels: np.ndarray) -> str:
    """sha256 (hex) of an array's dtype, shape and values, whatever its memory layout.

    >>> pixels_sha256(np.zeros((2, 2), np.uint8)) == pixels_sha256(np.zeros((4, 4), np.uint8)[::2, ::2])
    True
    """
    digest = hashlib.sha256(f"{pixels.dtype.str}{list(pixels.shape)}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def content_sha256(path: Path) -> str:
    """sha256 (hex) of a file, or of all files under a folder with their names, links followed.

    Cards (`*.md`) are left out of a folder's: they describe. Whoever reads a setting from one names that file, too.
    """
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in _files(path, ()) if file.suffix != ".md")
    return fingerprint([[file.relative_to(path).as_posix(), file_sha256(file)] for file in files])


def value_sha256(value: Any) -> str:
    """sha256 (hex) of JSON values as somebody else wrote them: keys in any order, NaN and infinity allowed."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def bytes_sha256(path: Path) -> str:
    """sha256 (hex) of a file that somebody else looks after; empty for one that is not there or cannot be read."""
    try:
        return file_sha256(path) if path.is_file() else ""
    except OSError:
        return ""


def _files(folder: Path, inside: tuple[Path, ...]) -> Iterator[Path]:
    """The files under a folder. A link to a folder is one, unless it leads back to one that it is `inside` of."""
    inside = (*inside, folder.resolve())
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.is_dir() and path.resolve() not in inside:
            yield from _files(path, inside)
