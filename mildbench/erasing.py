"""Erasing people from photos: who is there, who goes, and the photo without them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mildbench.annotators.census import Census
from mildbench.errors import UserError
from mildbench.method import EraseMethod, MethodSpec
from mildbench.panel import panel
from mildbench.photo import PhotoPerson, erase_people

AUTOMATIC = ("patchmatch", "navier-stokes")
"""Methods without weights to fetch, the better to the eye first. The second runs wherever mildbench does."""


class PictureArray(np.ndarray):
    """uint8[H, W, 3] that a notebook shows as a picture; what is computed from it is a plain array."""

    @classmethod
    def of(cls, pixels: np.ndarray) -> PictureArray:
        """The same pixels."""
        return pixels.view(cls)

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def _repr_png_(self) -> bytes | None:
        from mildbench.images import encode_png

        shown = self.dtype == np.uint8 and self.ndim == 3 and self.shape[2] == 3 and self.size
        return encode_png(np.ascontiguousarray(self)) if shown else None


@dataclass(frozen=True, eq=False)
class Erased:
    """What was found in a photo, and what was made of it."""

    photo: np.ndarray
    """uint8[H, W, 3]."""
    people: Sequence[PhotoPerson]
    """Everybody who was found, from left to right."""
    targets: Sequence[int]
    """Indices into `people` of those who are gone."""
    pixels: np.ndarray
    """uint8[H, W, 3]: the photo without them."""
    doubtful: int
    """How many more looked like people, too little to be erased."""

    @property
    def panel(self) -> np.ndarray:
        """uint8[h, w, 3]: the photo with everybody numbered, and the result beside it."""
        return panel(self.photo, self.people, self.targets, self.pixels)


@dataclass(frozen=True, eq=False)
class Eraser:
    """A method and annotators, loaded."""

    method: EraseMethod
    census: Census
    size: int
    """Pixels of the longer side that the method is shown at once."""
    seed: int
    """Of the method's generators."""

    @classmethod
    def create(cls, method: EraseMethod, device: str, census: Census, *, size: int, seed: int) -> Eraser:
        """Load a method, as `photo_method` gives it. Raises `UserError` for one that cannot be loaded."""
        method.device = device
        method.load()
        return cls(method, census, size, seed)

    def erase(
        self,
        name: str,
        photo: np.ndarray,
        masks: np.ndarray | None = None,
        keep: Collection[int] = (),
    ) -> Erased:
        """Erase everybody, or all but some.

        Args:
            name: of the photo; the method's random numbers follow from it and the seed.
            photo: uint8[H, W, 3].
            masks: bool[K, H, W], who is there; None to look for people.
            keep: numbers of people, from 1 on the left, who stay.

        Raises:
            UserError: the method or an annotator failed; nobody has a number in `keep`.
        """
        found, labels, doubtful = self.census.people(name, photo, masks)
        if unknown := set(keep) - set(range(1, len(found) + 1)):
            raise UserError(
                f"--keep {min(unknown)}: {len(found)} people were found in {name}: "
                "look at the panel of a run without --keep"
            )
        targets = [k for k in range(len(found)) if k + 1 not in keep]
        pixels = erase_people(
            self.method, photo, found, targets, labels, name=name, size=self.size, seed=self.seed
        )
        return Erased(photo, found, targets, pixels, doubtful)


def photo_method(method: str) -> EraseMethod:
    """A method, written as on the command line, not loaded: what is wrong with its name or options is told at once.

    `auto` is the first of `AUTOMATIC` that is installed. Raises `UserError` for what is unknown or bad, and for a
    method that photos are no input of.
    """
    if method == "auto":
        return MethodSpec.parse(next(filter(_is_here, AUTOMATIC))).create()
    found = MethodSpec.parse(method).create()
    if found.info.capabilities & {"truth", "names"}:
        raise UserError(
            f"method {found.info.name!r} needs a data set: a photo of yours has no truth; choose another"
        )
    return found


def _is_here(name: str) -> bool:
    """Whether a method without weights can be loaded: whether its package is installed."""
    try:
        MethodSpec.parse(name).create().load()
    except UserError:
        return False
    return True
