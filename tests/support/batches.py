"""Batches of noise with a mask, for tests of methods."""

from __future__ import annotations

import numpy as np

from mildbench.method import EraseBatch


def batch(count: int = 2, height: int = 40, width: int = 56, *, truths: bool = False) -> EraseBatch:
    """`count` smooth random pictures, each with an off-centre ellipse to erase."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width].copy()
    y, x = np.mgrid[:height, :width]
    centres = rng.uniform(0.3, 0.7, (count, 2)) * (height, width)
    masks = np.stack([((y - cy) / height) ** 2 + ((x - cx) / width) ** 2 < 0.04 for cy, cx in centres])
    return EraseBatch(
        sample_ids=tuple(f"sample-{i}" for i in range(count)),
        images=images,
        masks=masks,
        seeds=tuple(range(count)),
        truths=255 - images if truths else None,
    )
