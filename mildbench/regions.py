"""Where a score is taken: the whole picture, the erased part, the rest, the seam, the multi-person zone."""

from __future__ import annotations

import math
from collections.abc import Collection

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.scene import People


def ring_width(height: int, width: int) -> int:
    """Pixels that the ring reaches to each side of the mask's edge: 1/64 of the shorter side, at least 2."""
    return max(2, round(min(height, width) / 64))


def regions(
    mask: np.ndarray, overlap: np.ndarray | None, effect: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The regions of one sample; any of them may be empty.

    Args:
        mask: bool[H, W], what was to be erased.
        overlap: bool[H, W], where an erased person covers a kept one; None where people are unknown.
        effect: bool[H, W], what goes with the erased and was not marked, a part of `mask` or outside of it; None
            where it is unknown.

    Returns:
        bool[H, W] for `full`, `mask`, `outside` (not `mask`) and `ring`: pixels within `ring_width` of one on
        the other side of the mask's edge (the frame is not an edge); and `overlap` and `effect` when they are known.

    Raises:
        ValueError: for arrays that are not bool[H, W] of one shape.
    """
    for name, region in (("mask", mask), ("overlap", overlap), ("effect", effect)):
        if region is not None and (
            region.dtype != np.bool_ or region.ndim != 2 or region.shape != mask.shape
        ):
            raise ValueError(f"{name} is {region.dtype}{list(region.shape)}, expected bool{list(mask.shape)}")
    reach = ring_width(*mask.shape)
    found = {
        "full": np.ones_like(mask),
        "mask": mask,
        "outside": ~mask,
        "ring": np.where(mask, near(~mask, reach), near(mask, reach)),
    }
    if overlap is not None:
        found["overlap"] = overlap
    if effect is not None:
        found["effect"] = effect
    return found


def paste(output: np.ndarray, image: np.ndarray, mask: np.ndarray, dilation: int) -> np.ndarray:
    """uint8[H, W, 3]: `output` within `dilation` pixels of `mask`, `image` everywhere else.

    The `pasted` variant: it takes away what a method changed far from where it was asked to.
    """
    return np.where(near(mask, dilation)[..., None], output, image)


def near(region: np.ndarray, distance: float) -> np.ndarray:
    """bool[H, W]: pixels at most `distance` (Euclidean) from `region`, the region included."""
    found = np.zeros_like(region)
    if region.any():  # OpenCV leaves the distance to nothing undefined
        window = Box.around(region).grown(math.ceil(distance), region.shape).place
        away = cv2.distanceTransform((~region[window]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        found[window] = away <= distance
    return found


def contents(people: People, targets: Collection[int]) -> np.ndarray:
    """int16[H, W]: what one sees once the `targets` are gone: 0 the background, k + 1 person k."""
    found = np.zeros(people.amodal.shape[1:], dtype=np.int16)
    for person, whole in enumerate(people.amodal):
        if person not in targets:
            found[whole] = person + 1
    return found
