"""Smooth fills that know no scene, to show what a metric rewards.

A metric that ranks `blur` above `baselines.patchmatch` rewards the mean of what could be there; one that ranks it far
below rewards texture. `mean` is the plainest answer of all.
"""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


def pasted(batch: EraseBatch, fills: list[np.ndarray]) -> EraseResult:
    """The fills, uint8[H, W, 3] each, inside the masks; the images outside."""
    return EraseResult(np.where(batch.masks[..., None], np.stack(fills), batch.images))


def refuse_without_rim(mask: np.ndarray) -> None:
    """Raises ValueError, of which the runner makes a failure of this sample, where the mask covers everything."""
    if mask.all():
        raise ValueError("the mask covers the whole picture: there is nothing to fill it from")


class Mean(EraseMethod):
    """The mean colour of everything outside the mask."""

    info = MethodInfo("mean", "control", "the mean colour outside the mask", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """A picture without anything outside its mask fails."""
        fills = []
        for image, mask in zip(batch.images, batch.masks, strict=True):
            refuse_without_rim(mask)
            colour = np.rint(image[~mask].mean(axis=0, dtype=np.float64)).astype(np.uint8)
            fills.append(np.broadcast_to(colour, image.shape))
        return pasted(batch, fills)


class Blur(EraseMethod):
    """A blurred diffusion of the mask's rim, by pulling colours up a pyramid and pushing them down into the hole
    (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.3). No edge, no texture: what PSNR likes best."""

    info = MethodInfo("blur", "control", "a smooth fill from the mask's rim", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """A picture without anything outside its mask fails."""
        pairs = zip(batch.images, batch.masks, strict=True)
        return pasted(batch, [smooth_fill(image, mask) for image, mask in pairs])


def smooth_fill(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8[H, W, 3] of `image`, numbers from 0 to 255, with the mask, bool[H, W], filled smoothly from around it;
    nothing under it is read.

    Raises ValueError when the mask covers everything.
    """
    refuse_without_rim(mask)
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
