"""A batch with people in it, for tests of methods that use instance masks, poses and parsing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from batches import batch

from mildbench.method import EraseBatch


def crowd(
    count: int = 2, size: int = 64, centres: tuple[float, float, float] = (0.3, 0.7, 0.5)
) -> EraseBatch:
    """`count` pictures of three people, back to front; the one in front, who hides parts of both, is erased.

    People are upright ellipses with 17 keypoints on their axis and three bands of parsing; `centres` are where
    they stand, as shares of the width.
    """
    plain = batch(count, size, size)
    y, x = np.mgrid[:size, :size] / size
    whole = np.stack(
        [((x - cx) / 0.16) ** 2 + ((y - 0.55) / 0.38) ** 2 < 1 for cx in centres]
    )  # the third stands between the other two
    visible = whole.copy()
    visible[:2] &= ~whole[2]
    height = np.linspace(0.25, 0.85, 17, dtype=np.float32) * size
    keypoints = np.stack(
        [
            np.stack([np.full(17, cx * size, np.float32), height, np.full(17, 2, np.float32)], axis=1)
            for cx in centres
        ]
    )
    bands = np.select([y < 0.35, y < 0.65], [13, 5], 9).astype(np.uint8)  # face, upper clothes, trousers
    parsing = np.where(visible.any(0), bands, 0).astype(np.uint8)
    images = plain.images.copy()
    for colour, mask in zip(((200, 40, 40), (40, 160, 60), (40, 60, 200)), visible, strict=True):
        images[:, mask] = colour
    return EraseBatch(
        sample_ids=plain.sample_ids,
        images=images,
        masks=np.repeat(whole[2:], count, axis=0),
        seeds=plain.seeds,
        instances=(visible,) * count,
        targets=((2,),) * count,
        keypoints=(keypoints,) * count,
        parsing=np.repeat(parsing[None], count, axis=0),
    )


def reordered(people: EraseBatch, order: tuple[int, ...]) -> EraseBatch:
    """The same pictures with the people listed in another order."""
    assert people.instances is not None
    assert people.keypoints is not None
    assert people.targets is not None
    rows = list(order)
    return replace(
        people,
        instances=tuple(masks[rows] for masks in people.instances),
        keypoints=tuple(points[rows] for points in people.keypoints),
        targets=tuple(tuple(order.index(target) for target in targets) for targets in people.targets),
    )
