"""Features of pictures, kept by the pictures' content: several runs, and several metrics, share one pass."""

from __future__ import annotations

import hashlib
import io
import re
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


class FeatureStore:
    """One network's features: `FOLDER/<network>/<sha256 of the keys>.npz` of keys (U64[n]), features (float32[n, D]).

    Files are only ever added. A key is the picture's `pixel_sha256`, so nothing in here can go stale.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self._known: dict[str, np.ndarray] = {}
        for path in files(folder, network):
            with _reading(path) as archive:
                self._known.update(zip(archive["keys"].tolist(), archive["features"], strict=True))

    def stack(self, keys: Iterable[str]) -> np.ndarray:
        """float32[n, D], in the order of `keys`; raises KeyError for an unknown one."""
        return np.stack([self._known[key] for key in keys]).astype(np.float32, copy=False)


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


def _folder_of(folder: Path, network: str) -> Path:
    return folder / re.sub(r"[^A-Za-z0-9._-]+", "-", network)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"features {path} are broken ({error}): delete the file to recompute") from None
