"""ReMOVE (Chandrasekar et al., CVPR workshops 2024): is the fill of one kind with its surroundings?"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from mildbench.geometry import Box
from mildbench.metrics.base import NO_TRUTH, MetricInfo, PairMetric, Pairs
from mildbench.metrics.crops import bicubic, planes
from mildbench.metrics.networks import PASS, Sam, shared

MARGIN = 16
"""Pixels by which the square around the mask is grown, where the frame has room on all sides."""
_WHOLE = 254.5 / 255
"""A feature is inside where the resized mask would round to white."""


def square(mask: np.ndarray) -> Box | None:
    """The square around the whole of a mask bool[H, W], cut to the frame; None for an empty mask.

    As published: it starts at the upper left of the mask's box, and is grown at all sides alike, by `MARGIN` or the
    least room at any side. Ours: it is moved into the frame before it is cut; and the room is counted exactly, where
    theirs is a pixel more at the right and below.
    """
    if not mask.any():
        return None
    height, width = mask.shape
    box = Box.around(mask)
    margin = min(MARGIN, box.left, box.top, width - box.right, height - box.bottom)
    side = box.side + 2 * margin
    left, top = (
        max(0, min(start - margin, room - side)) for start, room in ((box.left, width), (box.top, height))
    )
    return Box(left, top, min(left + side, width), min(top + side, height))


class Remove(PairMetric):
    """ReMOVE on the square crop, as the authors' code is set.

    Theirs: the crop, SAM's features of it, the mask resized bicubically to the features' grid where only what is
    wholly inside counts as inside and all else as outside, the cosine of the two means. Ours: resized pictures are
    not rounded to whole grey levels; the features of the padding that SAM adds to a crop that the frame cuts off are
    neither inside nor outside, where theirs stretches the mask over them.
    """

    info = MetricInfo(
        name="remove",
        id=f"remove[{Sam.weights},square+{MARGIN}px,1024]@1",
        definition="ReMOVE (2024), without the truth: cosine of the mean features of SAM (ViT-H) inside and outside "
        f"the mask, in a square around the mask grown by {MARGIN} pixels and resized to 1024x1024; -1 to 1. "
        "A blurred fill raises it. Undefined where no feature lies wholly inside the mask, or none outside.",
        higher_is_better=True,
        unit="",
        weights=(Sam.weights,),
        regions=("mask",),
        blind=NO_TRUTH,
        unasked="if here",
    )
    _network: Sam

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Sam, self.device)

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`mask` -> float64[B]."""
        if "mask" not in pairs.regions:
            return {}
        masks, pictures = pairs.regions["mask"], planes(pairs.outputs)
        parts = [(i, box) for i, mask in enumerate(masks.cpu().numpy()) if (box := square(mask)) is not None]
        scores = np.full(len(masks), np.nan)
        found = []
        for start in range(0, len(parts), PASS):
            some = parts[start : start + PASS]
            crops = torch.stack([self._padded(pictures[i : i + 1, :, *box.place]) for i, box in some])
            cosines = self._cosines(
                self._network.features(crops),
                torch.stack([self._sides(masks[i, *box.place]) for i, box in some]),
            )
            found.append(cosines)
        if found:
            scores[[i for i, _ in parts]] = torch.cat(found).cpu().numpy()
        return {"mask": scores}

    def _padded(self, crop: torch.Tensor) -> torch.Tensor:
        """float32[3, side, side] of float64[1, 3, h, w]: bilinear and antialiased, as SAM's own resize."""
        size = self._network.size(*crop.shape[2:])
        resized = functional.interpolate(crop, size=size, mode="bilinear", antialias=True)
        return self._network.padded(resized[0])

    def _sides(self, mask: torch.Tensor) -> torch.Tensor:
        """bool[2, grid, grid], inside and outside, of a crop's mask bool[h, w]."""
        height, width = mask.shape
        side, grid = max(height, width), self._network.grid
        fill = (0, side - width, 0, side - height)
        both = torch.stack([mask, torch.ones_like(mask)]).to(torch.float64)
        inside, frame = bicubic(functional.pad(both, fill)[:, None], (grid, grid))[:, 0] >= _WHOLE
        return torch.stack([inside, frame & ~inside])

    @staticmethod
    def _cosines(features: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
        """float64[N] of float[N, C, g, g] and bool[N, 2, g, g]; NaN where a side is empty."""
        weights = sides.flatten(2).to(torch.float64)
        means = weights @ features.flatten(2).to(torch.float64).mT / weights.sum(dim=2, keepdim=True)
        return functional.cosine_similarity(means[:, 0], means[:, 1])
