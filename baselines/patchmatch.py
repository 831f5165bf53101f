"""A sharp fill from copied patches, without a network: a control, and to the eye often the best fill that needs no
download."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from baselines.fills import pasted, refuse_without_rim, smooth_fill
from mildbench import extras
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo

COARSEST = 12
"""Patches along the shorter side of the coarsest level. With fewer, hardly a patch is free of the hole there, and what
comes from far away (sky in the sand) is carried to the finest level."""


class PatchMatch(EraseMethod):
    """Nearest neighbours of patches, coarse to fine, each pixel a vote of the patches that cover it.

    Search and vote are the library's. The pyramid is ours: it begins where whole patches still surround the hole, with
    each patch's nearest known one in place of a random one, so that what is near is tried first, and with a smooth fill
    in place of black: a patch is weighed by how like it is to what lies there.
    """

    info = MethodInfo(
        "patchmatch",
        "control",
        "PatchMatch inpainting (patchmatch-cython)",
        paper="Barnes et al., PatchMatch, SIGGRAPH 2009; Wexler et al., Space-Time Completion of Video, PAMI 2007",
        licence="BSD-3-Clause",
        revision=3,
    )

    def __init__(self, patch: int = 7, loops: int = 3, iterations: int = 5) -> None:
        """Raises `UserError` for options out of range.

        Args:
            patch: side of a patch in pixels, odd.
            loops: of searches and votes at each coarse level; one at the finest.
            iterations: searches in a loop.
        """
        if patch < 3 or patch % 2 == 0 or patch > 31:
            raise UserError(f"patchmatch: the patch is {patch}: give an odd number of pixels from 3 to 31")
        for name, value in (("loops", loops), ("iterations", iterations)):
            if not 1 <= value <= 20:
                raise UserError(f"patchmatch: {name} is {value}: give 1 to 20")
        self.patch = patch
        self.loops = loops
        self.iterations = iterations

    def load(self) -> None:
        """Raises `UserError` where the library is not installed."""
        extras.require("patchmatch_cython", "method 'patchmatch'")

    def erase(self, batch: EraseBatch) -> EraseResult:
        """One picture after another, each with its own seed; nothing under the mask is read."""
        fills = []
        for image, mask, seed in zip(batch.images, batch.masks, batch.seeds, strict=True):
            refuse_without_rim(mask)
            fills.append(self._fill(image, mask, seed % 2**32) if mask.any() else image)
        return pasted(batch, fills)

    def _fill(self, image: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
        """uint8[H, W, 3], of which the mask, bool[H, W], is filled."""
        from patchmatch_cython import CythonSolver

        levels = list(pyramid(image, mask, self.patch))
        fill = field = None
        for level in reversed(levels):
            near = nearest(level.mask, self.patch)
            if fill is None or field is None:
                field = near.field
                start = smooth_fill(level.image, level.mask).astype(np.float32)
            else:
                field = finer(field, near)
                start = cv2.resize(fill, level.mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
            solver = CythonSolver(np.where(level.mask[..., None], start, level.image), level.mask, self.patch)
            loops = self.loops if level is not levels[0] else 1
            fill = solver(self.iterations, randomize_nnf=False, nnf=field, seed=seed, em_loops=loops)
            field = solver.nnf
        assert fill is not None
        return np.clip(np.rint(fill), 0, 255).astype(np.uint8)


class Level(NamedTuple):
    """A picture, float32[h, w, 3], 0 in its hole, bool[h, w]."""

    image: np.ndarray
    mask: np.ndarray


def pyramid(image: np.ndarray, mask: np.ndarray, patch: int) -> Iterator[Level]:
    """From the picture itself on, each level of half the size.

    A pixel is known if half of those that it stands for are, and has their mean.
    """
    known = (~mask).astype(np.float32)
    level = Level(image.astype(np.float32) * known[..., None], mask)
    while True:
        yield level
        half = (level.mask.shape[1] // 2, level.mask.shape[0] // 2)
        if min(half) < COARSEST * patch:
            return
        weight = cv2.resize((~level.mask).astype(np.float32), half, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(level.image, half, interpolation=cv2.INTER_AREA)
        hole = weight < 0.5
        if not whole_patches(hole, patch).any():
            return
        level = Level(
            np.where(hole, 0, 1 / np.maximum(weight, 0.5)).astype(np.float32)[..., None] * colour, hole
        )


def whole_patches(mask: np.ndarray, patch: int) -> np.ndarray:
    """bool[h, w]: centres of patches that lie in the picture and outside the mask."""
    known = (~mask).astype(np.uint8)
    square = np.ones((patch, patch), np.uint8)
    return cv2.erode(known, square, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)


class Near(NamedTuple):
    """Which patches may be copied, bool[h, w], and the nearest of them to each pixel as x, y: int32[h, w, 2]."""

    usable: np.ndarray
    field: np.ndarray


def nearest(mask: np.ndarray, patch: int) -> Near:
    """Where no patch is whole, those around known pixels are usable; the fill that is there votes for the rest."""
    usable = whole_patches(mask, patch)
    usable = usable if usable.any() else ~mask
    rows, columns = distance_transform_edt(~usable, return_distances=False, return_indices=True)
    return Near(usable, np.stack((columns, rows), axis=-1).astype(np.int32))


def finer(field: np.ndarray, near: Near) -> np.ndarray:
    """The same matches at twice the size; one that may not be used there gives way to the nearest that may."""
    height, width = near.usable.shape
    rows, columns = np.indices((height, width), dtype=np.int32)
    parent = field[np.minimum(rows // 2, field.shape[0] - 1), np.minimum(columns // 2, field.shape[1] - 1)]
    match = 2 * parent + np.stack((columns % 2, rows % 2), axis=-1)
    match = np.minimum(match, (width - 1, height - 1)).astype(np.int32)
    allowed = near.usable[match[..., 1], match[..., 0]]
    return np.ascontiguousarray(np.where(allowed[..., None], match, near.field))
