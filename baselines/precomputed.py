"""Predictions made anywhere, read from a folder: scoring without running."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.files import fan_out
from mildbench.images import decode_on_white, read_file
from mildbench.listing import list_pictures, sample_id, stem_of
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


class Precomputed(EraseMethod):
    """Looks a picture named like the sample up in a folder; the pixels it is shown do not matter.

    The name is the sample's id, or what an imported sample was called before it got one; the ending may be any of a
    picture's. Of several the one with the id itself is read, `.png` before others.

    A sample whose picture is absent, unreadable, partly transparent or of another size fails alone, and is counted.
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
        if self.directory.is_file():
            raise UserError(
                f"predictions folder {self.directory} is a file: give a folder (of an archive, unpack it)"
            )
        if not self.directory.is_dir():
            raise UserError(f"predictions folder not found: {self.directory}")
        self._files = _by_id(self.directory)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The predictions, in the batch's order."""
        shape = batch.images.shape[1:]
        return EraseResult(np.stack([self._read(name, shape) for name in batch.sample_ids]))

    def _read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        candidates = self._files.get(name, [])
        if not candidates:
            raise FileNotFoundError(f"no prediction for {name}")
        path, *others = candidates
        if others and _rank(path, name) == _rank(others[0], name):
            raise ValueError(f"{path.name} and {others[0].name} are both named like {name}: keep one")
        try:
            image, transparent = decode_on_white(read_file(path, "prediction"), f"prediction {path}")
        except UserError as error:  # one broken picture is one failed sample, not the end of the run
            raise ValueError(str(error)) from None
        if transparent:  # which colour is meant there, nobody knows
            raise ValueError(f"the prediction for {name} is transparent in places: save it without alpha")
        if image.shape != shape:
            found, expected = (f"{width}x{height}" for height, width, _ in (image.shape, shape))
            raise ValueError(f"the prediction for {name} is {found} pixels, the sample is {expected}")
        return image


def _by_id(folder: Path) -> dict[str, list[Path]]:
    """Sample id -> the files that are named like it, the best first; files below the folder are named by their path."""
    found: dict[str, list[Path]] = {}
    for path in list_pictures(folder, deep=True).pictures:
        below = path.parent.relative_to(folder)
        if below.name == fan_out(stem_of(path)):  # a large run's predictions
            below = below.parent
        name = (below / stem_of(path)).as_posix()
        found.setdefault(sample_id(name), []).append(path)
    return {name: sorted(paths, key=lambda path: _rank(path, name)) for name, paths in found.items()}


def _rank(path: Path, name: str) -> tuple[bool, bool]:
    return stem_of(path) != name, path.suffix.lower() != ".png"
