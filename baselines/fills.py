"""Controls that show what a metric rewards: a smooth fill and a sharp one, neither of which knows any scene.

A metric that ranks `blur` above `patchmatch` rewards the mean of what could be there; one that ranks it far below
rewards texture. `mean` is the plainest answer of all.
"""

from __future__ import annotations

import cv2
import numpy as np

from mildbench import extras
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


def _pasted(batch: EraseBatch, fills: list[np.ndarray]) -> EraseResult:
    return EraseResult(np.where(batch.masks[..., None], np.stack(fills), batch.images))


def _refuse_without_rim(mask: np.ndarray) -> None:
    """The runner makes a failure of this sample of it."""
    if mask.all():
        raise ValueError("the mask covers the whole picture: there is nothing to fill it from")


class Mean(EraseMethod):
    """The mean colour of everything outside the mask."""

    info = MethodInfo("mean", "control", "the mean colour outside the mask", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """A picture without anything outside its mask fails."""
        fills = []
        for image, mask in zip(batch.images, batch.masks, strict=True):
            _refuse_without_rim(mask)
            colour = np.rint(image[~mask].mean(axis=0, dtype=np.float64)).astype(np.uint8)
            fills.append(np.broadcast_to(colour, image.shape))
        return _pasted(batch, fills)


class Blur(EraseMethod):
    """A blurred diffusion of the mask's rim, by pulling colours up a pyramid and pushing them down into the hole
    (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.3). No edge, no texture: what PSNR likes best."""

    info = MethodInfo("blur", "control", "a smooth fill from the mask's rim", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """A picture without anything outside its mask fails."""
        pairs = zip(batch.images, batch.masks, strict=True)
        return _pasted(batch, [smooth_fill(image, mask) for image, mask in pairs])


def smooth_fill(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8[H, W, 3] with the mask, bool[H, W], filled smoothly from around it; nothing under it is read.

    Raises ValueError when the mask covers everything.
    """
    _refuse_without_rim(mask)
    weight = (~mask).astype(np.float64)
    colour = image * weight[..., None]
    levels = []
    while max(weight.shape) > 1:  # pull: known colours, each level at half the size
        levels.append((colour, weight))
        half = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        colour = np.asarray(cv2.resize(colour, half, interpolation=cv2.INTER_AREA), np.float64)
        weight = np.asarray(cv2.resize(weight, half, interpolation=cv2.INTER_AREA), np.float64)
    fill = colour.reshape(1, 1, 3) / weight.reshape(1, 1, 1)
    for colour, weight in reversed(levels):  # push: what is not known comes from the coarser level
        coarser = cv2.resize(fill, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        fill = colour + (1 - weight[..., None]) * coarser
    return np.clip(np.rint(fill), 0, 255).astype(np.uint8)


class PatchMatch(EraseMethod):
    """Nearest neighbours of patches, coarse to fine, each pixel a vote of those that cover it. Sharp, without a
    network, and to the eye often the best fill that needs no download.

    The library searches in both directions (Simakov et al., CVPR 2008), which keeps one smooth patch from being
    copied everywhere.
    """

    info = MethodInfo(
        "patchmatch",
        "control",
        "PatchMatch inpainting (patchmatch-cython)",
        paper="Barnes et al., PatchMatch, SIGGRAPH 2009",
        licence="BSD-3-Clause",
        revision=1,
    )

    def __init__(self, patch: int = 7, loops: int = 2) -> None:
        """`patch`: side of a patch in pixels, odd; `loops`: searches and votes at each coarse level."""
        if patch < 3 or patch % 2 == 0 or patch > 31:
            raise UserError(f"patchmatch: the patch is {patch}: give an odd number of pixels from 3 to 31")
        if not 1 <= loops <= 20:
            raise UserError(f"patchmatch: loops is {loops}: give 1 to 20")
        self.patch = patch
        self.loops = loops

    def load(self) -> None:
        """Raises `UserError` where the library is not installed."""
        extras.require("patchmatch_cython", "method 'patchmatch'")

    def erase(self, batch: EraseBatch) -> EraseResult:
        """One picture after another, each with its own seed; nothing under the mask is read."""
        from patchmatch_cython import inpaint_pyramid

        fills = []
        for image, mask, seed in zip(batch.images, batch.masks, batch.seeds, strict=True):
            _refuse_without_rim(mask)
            if not mask.any():
                fills.append(image)
                continue
            filled = inpaint_pyramid(
                np.where(mask[..., None], np.uint8(0), image),
                mask,
                patch_size=self.patch,
                seed=seed % 2**32,
                em_loops=self.loops,
                reverse_search=True,
            )
            fills.append(filled)
        return _pasted(batch, fills)
