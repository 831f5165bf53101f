"""From what the pathways made to completed layers, and from those to the picture. All at the picture's size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from baselines.mild.pathways import GREY, Pathway
from mildbench.scene import over

THIN = 0.1
"""Below this share of the person in a pixel its colour is not solved for: the error would be enlarged too much."""


def layer(pathway: Pathway, image: np.ndarray, made: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """One person whole: uint8[H, W, 4], straight alpha.

    Visible pixels are the input's, opaque; a person is nowhere but there and in the hole.

    Args:
        pathway: the person's.
        image: uint8[H, W, 3], the input.
        made: uint8[H, W, 3], the person on grey.
        matte: float32[H, W], 0 to 1.
    """
    share = np.clip(matte, 0, 1)[..., None]
    # The person was made on grey, which shows through where the matte is soft.
    colour = GREY + (made.astype(np.float32) - GREY) / np.maximum(share, THIN)
    found = np.concatenate([np.clip(np.rint(colour), 0, 255), np.rint(share * 255)], axis=2).astype(np.uint8)
    found[~pathway.hole] = 0
    found[pathway.visible, :3] = image[pathway.visible]
    found[pathway.visible, 3] = 255
    return found


def seen(image: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """uint8[H, W, 4]: a person of whom nothing is hidden, as the input uint8[H, W, 3] shows them in bool[H, W]."""
    return np.dstack([image, np.where(visible, np.uint8(255), np.uint8(0))])


def seen_of(person: int | None, layers: Mapping[int, np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """bool[H, W]: where the person is the first, from the front, whose alpha is 128 or more; None: where nobody is.

    `layers` are as in `compose`, of the size (H, W).
    """
    hidden = np.zeros(size, dtype=bool)
    for place in sorted(layers, reverse=True):
        solid = layers[place][..., 3] >= 128
        if place == person:
            return solid & ~hidden
        hidden |= solid
    return ~hidden if person is None else np.zeros_like(hidden)


def compose(
    image: np.ndarray, mask: np.ndarray, background: np.ndarray, layers: Mapping[int, np.ndarray]
) -> np.ndarray:
    """uint8[H, W, 3]: inside the mask the layers over the background, outside it the input.

    Args:
        image: uint8[H, W, 3], the input.
        mask: bool[H, W], what is erased.
        background: uint8[H, W, 3], as its pathway made it.
        layers: place in the depth order, from the back -> uint8[H, W, 4].
    """
    made = background.copy()
    for place in sorted(layers):
        rgba = layers[place]
        over(made, rgba[..., :3], rgba[..., 3])
    return np.where(mask[..., None], made, image)
