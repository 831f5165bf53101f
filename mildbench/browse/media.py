"""The files that the app shows of a sample: those that are there already, and those that must be made first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from mildbench.browse.gallery import Gallery
from mildbench.dataset.storage import MEMBER
from mildbench.errors import UserError
from mildbench.files import inside, write_bytes
from mildbench.images import encode_png, read_rgb
from mildbench.scene import People, Triplet
from mildbench.tasks import task_of

FOLDER = "browse"
"""What is made lies in a folder of this name: differences in their run's, the rest beside the runs."""
FULL_SCALE = 128
"""Mean absolute difference of R, G and B from which on a heat map is at its brightest; the same for all methods."""
ERASED = 255
"""The value of the mask's pixels."""


@dataclass(frozen=True, eq=False)
class File:
    """One file that the app reads."""

    path: Path
    make: Callable[[], bytes] | None = None
    """Its content; None for a file that is there already."""
    source: Path | None = None
    """A file that it is made from and that may change."""

    def ready(self) -> bool:
        """False when it is missing, or older than its source."""
        if self.make is None:
            return True
        if not self.path.exists():
            return False
        return self.source is None or self.path.stat().st_mtime_ns >= self.source.stat().st_mtime_ns

    def write(self) -> None:
        """Make it, atomically, unless it is ready."""
        if self.make is not None and not self.ready():
            write_bytes(self.path, self.make())


@dataclass(frozen=True, eq=False)
class Files:
    """The files of one sample."""

    pictures: dict[str, File]
    """Slice -> picture. A method that failed here has none."""
    mask: File | None
    """What is to be erased, `ERASED` or 0; None where nothing is asked."""
    parsing: File | None
    """CIHP-20 labels; None where people are unknown."""

    def all(self) -> list[File]:
        return [*self.pictures.values(), *(file for file in (self.mask, self.parsing) if file)]


class Media:
    """Finds, and makes, the files of a gallery's samples. Safe to use from several threads at once.

    Args:
        gallery: what is looked at.
        cache: folder for what is made and belongs to no run.
    """

    def __init__(self, gallery: Gallery, cache: Path) -> None:
        self._gallery = gallery
        self._cache = cache
        # The truth, the mask and every difference of a sample need it, one after another.
        self.triplet = lru_cache(maxsize=4)(self._read_triplet)

    def _read_triplet(self, sample_id: str) -> Triplet:
        assert self._gallery.task is not None
        return self._gallery.dataset.triplet(self._gallery.task, sample_id)

    def people(self, sample_id: str) -> tuple[People | None, tuple[int, ...]]:
        """Who is there, None if unknown, and the indices of those to erase."""
        if self._gallery.task is not None:
            triplet = self.triplet(sample_id)
            return triplet.people, triplet.targets
        if self._gallery.dataset.info.source == "pairs":
            return None, ()
        return self._gallery.dataset.scene(sample_id).people(), ()

    def files(self, sample_id: str) -> Files:
        """The sample's files, made or not. Raises `UserError` for an id that is not in the data set."""
        task = self._gallery.task
        row = self._gallery.row(sample_id)
        truth = (
            self._made("truth", sample_id, lambda: encode_png(self.triplet(sample_id).truth))
            if task is not None and task_of(task).keeps
            else self._stored("truth", row["background"])
        )
        pictures = {"composite": self._stored("composite", row["composite"]), "truth": truth}
        truth_known = self._gallery.dataset.info.source != "amodal"
        for run in self._gallery.runs:
            if (prediction := run.prediction(sample_id)) is not None:
                pictures[run.name] = File(prediction)
                if not truth_known:
                    continue
                pictures[f"{run.name} difference"] = File(
                    inside(run.folder.path / FOLDER, f"{sample_id}.png", "sample id"),
                    partial(self._difference, prediction, sample_id),
                    prediction,
                )
        mask = None
        if row["mask"] is not None:
            mask = self._stored("mask", row["mask"])
        elif task is not None:
            mask = self._made(
                "mask", sample_id, lambda: encode_png(self.triplet(sample_id).mask * np.uint8(ERASED))
            )
        parsing = None if row["parsing"] is None else self._stored("parsing", row["parsing"])
        return Files(pictures, mask, parsing)

    def _stored(self, what: str, name: str) -> File:
        """A file of the data set; a member of a tar file is copied into the cache."""
        dataset = self._gallery.dataset
        archive, bang, member = name.partition(MEMBER)
        if not bang:
            path = inside(dataset.root, archive, f"data set {dataset.root}").resolve()
            if not path.is_file():
                raise UserError(f"data set {dataset.root}: {name} is missing: rebuild it")
            return File(path)
        copy = inside(self._cache / what, f"{archive}/{member}", f"data set {dataset.root}")
        return File(copy, lambda: dataset.storage.read(name))

    def _made(self, what: str, sample_id: str, make: Callable[[], bytes]) -> File:
        return File(inside(self._cache / what, f"{sample_id}.png", "sample id"), make)

    def _difference(self, prediction: Path, sample_id: str) -> bytes:
        output = read_rgb(prediction, "prediction")
        return encode_png(difference(output, self.triplet(sample_id).truth))


def difference(output: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """uint8[H, W, 3]: heat map (inferno) of the mean absolute difference of two uint8[H, W, 3].

    Black is equal, the brightest yellow `FULL_SCALE` levels or more. Raises `UserError` for pictures of two sizes.
    """
    if output.shape != truth.shape:
        raise UserError(
            f"the output is {output.shape[1]}x{output.shape[0]}, the truth {truth.shape[1]}x{truth.shape[0]} pixels"
        )
    levels = cv2.absdiff(output, truth).mean(axis=2) * (255 / FULL_SCALE)
    heat = cv2.applyColorMap(np.minimum(levels, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)
