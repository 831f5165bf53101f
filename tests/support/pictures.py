"""Pictures and pairs that the metrics' tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mildbench.images import read_rgb
from mildbench.metrics.base import Pairs
from mildbench.regions import regions

TESTDATA = Path(__file__).resolve().parents[2].parent / "shared" / "testdata"


def synthetic(seed: int, height: int = 72, width: int = 96) -> np.ndarray:
    """uint8[H, W, 3]: smooth blobs, a hard edge, noise and saturated parts."""
    generator = np.random.default_rng(seed)
    picture = cv2.resize(
        generator.uniform(-60, 320, (6, 8, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    picture[:, : width // 3] *= 0.5
    picture += generator.normal(0, 4, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def photos(count: int, size: int) -> list[np.ndarray]:
    """Square crops of real photographs; skips the test where they are not at hand."""
    files = sorted((TESTDATA / "backgrounds" / "kodak24").glob("*.png"))[:count]
    if len(files) < count:
        pytest.skip(f"no photographs at {TESTDATA} (they are not part of the repository)")
    return [np.ascontiguousarray(read_rgb(file)[:size, :size]) for file in files]


def damaged(picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture blurred and noisy on its left side: what an eraser might return."""
    generator = np.random.default_rng(seed)
    noisy = cv2.GaussianBlur(picture, (0, 0), 2) + generator.normal(0, 9, picture.shape)
    output = picture.copy()
    left = slice(0, picture.shape[1] * 2 // 3)
    output[:, left] = noisy[:, left].clip(0, 255).astype(np.uint8)
    return output


def mask_of(picture: np.ndarray) -> np.ndarray:
    """bool[H, W]: an off-centre ellipse."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 3, height // 2), (width // 5, height // 4), 20, 0, 360, 1, -1)
    return mask > 0


def pairs_of(
    outputs: Sequence[np.ndarray], truths: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None = None
) -> Pairs:
    """A batch with the regions of its masks, and an overlap region that is empty in every second sample."""
    masks = [mask_of(truth) for truth in truths] if masks is None else masks
    found = [regions(mask, mask & (index % 2 == 0)) for index, mask in enumerate(masks)]
    return Pairs(
        torch.from_numpy(np.stack(outputs)),
        torch.from_numpy(np.stack(truths)),
        {name: torch.from_numpy(np.stack([sample[name] for sample in found])) for name in found[0]},
    )


def split(pairs: Pairs) -> list[Pairs]:
    """The same samples, one to a batch."""
    return [
        Pairs(
            pairs.outputs[i : i + 1],
            pairs.truths[i : i + 1],
            {name: region[i : i + 1] for name, region in pairs.regions.items()},
        )
        for i in range(len(pairs.outputs))
    ]
