"""A batch in which one person in front hides the lower halves of any number of others, and is erased."""

from __future__ import annotations

import numpy as np
from batches import batch

from mildbench.method import EraseBatch


def group(survivors: int, size: int = 64) -> EraseBatch:
    """One picture: upright people side by side, back to front from the left, the erased one across them all."""
    plain = batch(1, size, size)
    y, x = np.mgrid[:size, :size] / size
    centres = (np.arange(survivors) + 0.5) / survivors
    whole = [((x - cx) * survivors / 0.4) ** 2 + ((y - 0.5) / 0.4) ** 2 < 1 for cx in centres]
    front = (y > 0.5) & (y < 0.8) & (x > 0.05) & (x < 0.95)
    visible = np.stack([*(person & ~front for person in whole), front])
    keypoints = np.zeros((survivors + 1, 17, 3), np.float32)
    keypoints[..., 1] = np.linspace(0.2, 0.8, 17) * size
    keypoints[..., 0] = np.array([*centres, 0.5])[:, None] * size
    keypoints[..., 2] = np.where(keypoints[..., 1] < 0.5 * size, 2, 1)
    images = plain.images.copy()
    for place, mask in enumerate(visible):
        images[0, mask] = (30 * place + 20, 200 - 40 * place, 90)
    return EraseBatch(
        sample_ids=plain.sample_ids,
        images=images,
        masks=front[None],
        seeds=plain.seeds,
        instances=(visible,),
        targets=((survivors,),),
        keypoints=(keypoints,),
        parsing=np.where(visible.any(0), 5, 0).astype(np.uint8)[None],
    )
