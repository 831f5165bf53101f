"""Predictions made anywhere, read from a folder: scoring without running."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Also in capitals. The first that exists is read, in this order."""


class Precomputed(EraseMethod):
    """Looks `<sample id>.png` (or .jpg, .jpeg, .webp) up in a folder; the pixels it is shown do not matter.

    A sample whose picture is absent, unreadable or of another size fails alone, and is counted.
    """

    info = MethodInfo(
        "precomputed",
        "external",
        "reads predictions from a folder",
        revision=1,
        capabilities=frozenset({"names"}),
    )

    def __init__(self, directory: str = "") -> None:
        """`directory`: the folder with one picture a sample."""
        self.directory = Path(directory)
        self.named = bool(directory)

    def load(self) -> None:
        """Raises `UserError` when the folder was not given or is not there."""
        if not self.named:
            raise UserError("method 'precomputed' needs the predictions' folder: precomputed:directory=DIR")
        if not self.directory.is_dir():
            raise UserError(f"predictions folder not found: {self.directory}")
        found = (path for path in self.directory.iterdir() if path.is_file())
        pictures = [path for path in found if path.suffix.lower() in SUFFIXES]
        pictures.sort(key=lambda path: (SUFFIXES.index(path.suffix.lower()), path.name), reverse=True)
        self._pictures = {path.stem: path for path in pictures}

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The predictions, in the batch's order."""
        shape = batch.images.shape[1:]
        return EraseResult(np.stack([self._read(name, shape) for name in batch.sample_ids]))

    def _read(self, sample_id: str, shape: tuple[int, ...]) -> np.ndarray:
        if (
            Path(sample_id).name != sample_id
        ):  # an id comes from a data set's file: it may not choose a folder
            raise ValueError(f"the sample id {sample_id!r} is not a plain file name; refused")
        path = self._pictures.get(sample_id)
        if path is None:
            raise FileNotFoundError(f"no prediction for {sample_id}")
        try:
            image = read_rgb(path, "prediction")
        except UserError as error:  # one broken picture is one failed sample, not the end of the run
            raise ValueError(str(error)) from None
        if image.shape != shape:
            found, expected = (f"{width}x{height}" for height, width, _ in (image.shape, shape))
            raise ValueError(f"the prediction for {sample_id} is {found} pixels, the sample is {expected}")
        return image
