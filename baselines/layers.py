"""People's layers over a background: how methods that complete people put the picture together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mildbench.method import EraseBatch
from mildbench.scene import over


def seen(image: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """uint8[H, W, 4]: a person of whom nothing is hidden, as the input uint8[H, W, 3] shows them in bool[H, W]."""
    return np.dstack([image, np.where(visible, np.uint8(255), np.uint8(0))])


def staying(batch: EraseBatch, sample: int) -> dict[int, np.ndarray]:
    """Survivor -> uint8[H, W, 4], what the input shows of them; nobody where people are unknown."""
    if batch.instances is None or batch.targets is None:
        return {}
    return {
        person: seen(batch.images[sample], visible)
        for person, visible in enumerate(batch.instances[sample])
        if person not in batch.targets[sample]
    }


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
        background: uint8[H, W, 3], without anybody.
        layers: place in the depth order, from the back -> uint8[H, W, 4].
    """
    made = background.copy()
    for place in sorted(layers):
        rgba = layers[place]
        over(made, rgba[..., :3], rgba[..., 3])
    return np.where(mask[..., None], made, image)
