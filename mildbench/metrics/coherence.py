"""RC-S, removal coherence in space (PROVE: Li et al., ACM MM 2026): does the fill look like its surroundings?"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional

from mildbench.geometry import Box
from mildbench.metrics.base import NO_TRUTH, MetricInfo, PairMetric, Pairs
from mildbench.metrics.crops import planes
from mildbench.metrics.networks import PASS, Dinov2, shared

SIDE = 448
"""Pixels at a side of a resized crop."""
WINDOW, STEP = 4, 8
"""A window takes 1/4 of the crop's tokens at a side, and moves on by 1/8 of them."""
SMALLEST = 200
"""Pixels under which a component counts only if all are as small: then the largest do."""
FEWEST = 5
"""A window needs more tokens than that on either side of the mask's edge."""
SIGMA = 10.0
"""The kernel's bandwidth, for tokens of length 1."""
SCALE, TEMPERATURE = 1000.0, 3.0


def squares(mask: np.ndarray) -> list[Box]:
    """A square around each 4-connected component of the mask bool[H, W], grown by up to a third of its side.

    As published: grown at all four sides alike, as far as the frame and half the side allow; moved and cut to fit the
    frame. Components under `SMALLEST` pixels are left out unless no component has as many.
    """
    height, width = mask.shape
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    parts = statistics[1:]  # the first is what is not in the mask
    if not len(parts):
        return []
    least = min(SMALLEST, parts[:, cv2.CC_STAT_AREA].max())
    found = []
    for left, top, wide, high, area in parts.tolist():
        if area < least:
            continue
        size = max(wide, high)
        x, y = round(left + wide / 2 - size / 2), round(top + high / 2 - size / 2)
        room = min(x, y, width - x - size, height - y - size)
        margin = max(0, min(round(size / 3), room, size // 2))
        side = min(size + 2 * margin, width, height)
        x, y = max(0, min(x - margin, width - side)), max(0, min(y - margin, height - side))
        found.append(Box(x, y, x + side, y + side))
    return found


def discrepancies(tokens: torch.Tensor, marked: torch.Tensor) -> torch.Tensor:
    """Mean over the windows of the squared MMD between the marked tokens and the others, times `SCALE`.

    A window on the edge compares its own tokens; one all inside the mask is compared with all tokens outside.
    With a and b the two sides' uniform weights and K the kernel, the biased MMD is (a - b) K (a - b); the kernel is
    taken less 1, which cancels and saves its digits.

    Args:
        tokens: float[N, T, D] of a square grid.
        marked: bool[N, T].

    Returns:
        float64[N]; NaN where no window counts.
    """
    unit = functional.normalize(tokens.to(torch.float64), dim=2)
    kernel = torch.expm1((2 - 2 * unit @ unit.mT).clamp(min=0) / (-2 * SIGMA**2))
    windows = _windows(round(tokens.shape[1] ** 0.5)).to(tokens.device)
    inside = windows & marked[:, None]
    own = windows & ~marked[:, None]
    within = ~own.any(dim=2)
    outside = torch.where(within[..., None], ~marked[:, None], own)
    many, others = (side.sum(dim=2, dtype=torch.float64) for side in (inside, outside))
    counts = (many > FEWEST) & torch.where(within, others > 0, others > FEWEST)
    difference = inside / many.clamp(min=1)[..., None] - outside / others.clamp(min=1)[..., None]
    squared = SCALE * ((difference @ kernel) * difference).sum(dim=2)
    return torch.where(counts, squared, 0).sum(dim=1) / counts.sum(dim=1)


def _windows(side: int) -> torch.Tensor:
    """bool[W, T]: which of the side x side tokens are in which window."""
    size, step = max(1, side // WINDOW), max(1, side // STEP)
    numbers = torch.arange(side * side).view(side, side)
    members = numbers.unfold(0, size, step).unfold(1, size, step).reshape(-1, size * size)
    return torch.zeros(len(members), side * side, dtype=torch.bool).scatter_(1, members, True)


class RemovalCoherence(PairMetric):
    """RC-S as the authors' code computes it.

    Theirs: the squares, bilinear resize without antialiasing, masks by the nearest pixel and then by the maximum of a
    token's patch, the windows, the kernel, exp(-MMD / 3), and the plain mean over components. Ours: resized pictures
    are not rounded to whole grey levels; the arithmetic after the network is double; and a component without a
    window that counts (one that leaves nothing outside) is left out, where theirs drops the picture.
    """

    info = MetricInfo(
        name="rc-s",
        id=f"rc-s[{Dinov2.weights},component+1/3,{SIDE}]@1",
        definition="Removal coherence in space (PROVE, 2026), without the truth: around each component of the mask a "
        f"square grown by a third and resized to {SIDE}x{SIDE}, DINOv2's tokens (ViT-g/14) inside the mask "
        "against those outside by squared MMD (Gaussian kernel, bandwidth 10, times 1000) in sliding windows, "
        "exp(-mean / 3), mean over components; 0 to 1. Undefined where nothing lies outside the mask.",
        higher_is_better=True,
        unit="",
        weights=(Dinov2.weights,),
        regions=("mask",),
        blind=NO_TRUTH,
        unasked="if here",
    )
    _network: Dinov2

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Dinov2, self.device)

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`mask` -> float64[B]."""
        if "mask" not in pairs.regions:
            return {}
        masks = pairs.regions["mask"]
        pictures = planes(pairs.outputs)
        parts = [(index, box) for index, mask in enumerate(masks.cpu().numpy()) for box in squares(mask)]
        found = []
        for start in range(0, len(parts), PASS):
            some = parts[start : start + PASS]
            crops = torch.cat([_resized(pictures[i : i + 1, :, *box.place], "bilinear") for i, box in some])
            inside = torch.cat(
                [_resized(masks[i : i + 1, None, *box.place].to(torch.float32), "nearest") for i, box in some]
            )
            marked = functional.max_pool2d(inside, self._network.patch).flatten(1) > 0
            found.append(discrepancies(self._network.tokens(crops)[:, 1:], marked))
        values = torch.cat(found).clamp(min=0).cpu().numpy() if found else np.zeros(0)
        return {"mask": _means(np.exp(-values / TEMPERATURE), [index for index, _ in parts], len(masks))}


def _resized(crop: torch.Tensor, mode: str) -> torch.Tensor:
    return functional.interpolate(crop, size=(SIDE, SIDE), mode=mode)


def _means(values: np.ndarray, samples: list[int], count: int) -> np.ndarray:
    """float64[count]: each sample's mean of its values that are not NaN; NaN where there are none."""
    known = ~np.isnan(values)
    of = np.array(samples, dtype=np.intp)[known]
    numbers = np.bincount(of, minlength=count).astype(np.float64)
    sums = np.bincount(of, values[known], minlength=count)
    return np.divide(sums, numbers, out=np.full(count, np.nan), where=numbers > 0)
