"""Features of pictures, kept by the pictures' content: several runs, and several metrics, share one pass.

A store has one network's: `FOLDER/<network>/<sha256 of the keys>.npz` of keys (U64[n]) and features (float32[n, D]).
Files are only ever added. A key is the picture's `pixel_sha256`, so nothing in here can go stale.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.errors import UserError
from mildbench.files import write_bytes


def pixel_sha256(image: np.ndarray) -> str:
    """sha256 (hex) of a picture's shape and pixels, however it was stored."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def write(folder: Path, network: str, features: Mapping[str, np.ndarray]) -> tuple[Path, str]:
    """Add a file of key -> float32[D] to a store; returns it and its sha256."""
    # Named by content: two that share a folder never write over each other's files.
    name = hashlib.sha256("\0".join(features).encode()).hexdigest()[:16]
    path = _folder_of(folder, network) / f"{name}.npz"
    buffer = io.BytesIO()
    np.savez(
        buffer, keys=np.array(list(features)), features=np.stack(list(features.values())).astype(np.float32)
    )
    return path, write_bytes(path, buffer.getvalue())


def files(folder: Path, network: str) -> list[Path]:
    """Those of a store, in order."""
    return sorted(_folder_of(folder, network).glob("[0-9a-f]*.npz"))


def keys(paths: Iterable[Path]) -> set[str]:
    """The keys in some of a store's files."""
    found: set[str] = set()
    for path in paths:
        with _reading(path) as archive:
            found.update(archive["keys"].tolist())
    return found


def stack(folder: Path, network: str, keys: Iterable[str]) -> np.ndarray:
    """float32[n, D] of a store's features, in the order of `keys`, at least one; KeyError for one that is not there.

    It lies in a file without a name, for those of 100,000 pictures are many.
    """
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    missing, width = set(places), 0
    with tempfile.TemporaryFile(dir=_folder_of(folder, network)) as file:
        for path in files(folder, network):
            with _reading(path) as archive:
                for key, feature in zip(archive["keys"].tolist(), archive["features"], strict=True):
                    width = len(feature)
                    for place in places.get(key, ()):
                        file.seek(place * feature.nbytes)
                        file.write(feature)
                    missing.discard(key)
        if missing:
            raise KeyError(min(missing))
        file.flush()
        return np.asarray(np.memmap(file, np.float32, "r").reshape(-1, width))


def _folder_of(folder: Path, network: str) -> Path:
    return folder / re.sub(r"[^A-Za-z0-9._-]+", "-", network)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"features {path} are broken ({error}): delete the file to recompute") from None
