"""Features of pictures, kept by the pictures' content: several runs, and several metrics, share one pass."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.files import write_bytes


def pixel_sha256(image: np.ndarray) -> str:
    """sha256 (hex) of a picture's shape and pixels, however it was stored."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


_FILE = 512
"""Pictures in a file: 4 MB of Inception features, and what a killed scoring loses at most."""


class FeatureStore:
    """One network's features: `FOLDER/<network>/<sha256 of the keys>.npz` of keys (U64[n]), features (float32[n, D]).

    Files are only ever added. A key is the picture's `pixel_sha256`, so nothing in here can go stale.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self._folder = folder / re.sub(r"[^A-Za-z0-9._-]+", "-", network)
        self._known: dict[str, np.ndarray] = {}
        self._unsaved: list[str] = []
        self._files = sorted(self._folder.glob("[0-9a-f]*.npz"))
        for path in self._files:
            try:
                with np.load(path, allow_pickle=False) as archive:
                    self._known.update(zip(archive["keys"].tolist(), archive["features"], strict=True))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise UserError(
                    f"features {path} are broken ({error}): delete the file to recompute"
                ) from None

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def add(self, key: str, feature: np.ndarray) -> None:
        """Keep float32[D]; every so many go to disk, the rest at the next `save`."""
        self._known[key] = feature
        self._unsaved.append(key)
        if len(self._unsaved) >= _FILE:
            self.save()

    def save(self) -> None:
        """Write what is not on disk yet, atomically."""
        if not self._unsaved:
            return
        # Named by content: two runs that share a folder never write over each other's files.
        name = hashlib.sha256("\0".join(self._unsaved).encode()).hexdigest()[:16]
        path = self._folder / f"{name}.npz"
        buffer = io.BytesIO()
        np.savez(buffer, keys=np.array(self._unsaved), features=self.stack(self._unsaved))
        write_bytes(path, buffer.getvalue())
        self._files.append(path)
        self._unsaved = []

    def stack(self, keys: Iterable[str]) -> np.ndarray:
        """float32[n, D], in the order of `keys`; raises KeyError for an unknown one."""
        return np.stack([self._known[key] for key in keys]).astype(np.float32, copy=False)
