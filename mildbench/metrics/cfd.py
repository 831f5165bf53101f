"""CFD, context-aware feature deviation (OmniPaint: Yu et al., ICCV 2025): was something new put into the mask?

For each 8-connected component of the mask two terms are added, each 1 - cos between means of DINOv2's tokens, which
are made unit length before and after:

- the mask against the ring that its box, grown by a third, leaves around it, in the whole picture;
- each of SAM's segments that lies inside the mask against the parts in the mask of the segments that cross its edge
  near by (dilated by 6 pixels), both cut out onto white; weighted by the inner segments' areas.

The published code gives tokens the wrong masks, in three ways: the token that is always counted is appended though
the class token comes first, so that each patch has its neighbour's mask; the processor resizes the 224 pixels to 256
and cuts the middle out, the mask is not; and a cut-out's mask is an array of integers, which index tokens by number
instead of selecting them. `cfd-official` keeps all three, since published numbers have them; in `cfd-fixed` each
patch has its own mask, and the class token counts on both sides, as the appended entry must have been meant.
"""

from __future__ import annotations

from abc import abstractmethod

import cv2
import numpy as np
import torch
from torch.nn import functional

from mildbench.geometry import Box
from mildbench.metrics.base import NO_TRUTH, MetricInfo, PairMetric, Pairs
from mildbench.metrics.crops import bicubic, planes
from mildbench.metrics.networks import Dinov2, Sam, shared
from mildbench.metrics.segments import distinct, segments

SIDE, GRID = 224, 16
"""Pixels and patches at a side of what DINOv2 is shown."""
RESIZED = 256
"""Pixels at a side to which the published processor resizes, before it cuts out the middle `SIDE`."""
REACH = 6
"""Pixels that three dilations by 5x5 reach."""


def ring(mask: np.ndarray) -> np.ndarray:
    """bool[H, W]: the mask's box, grown at each side by a third of its size inside the frame, without the mask.

    The last row and column count, as published.
    """
    height, width = mask.shape
    box = Box.around(mask)
    grown = np.zeros_like(mask)
    left, right = max(0, box.left - box.width // 3), min(width, box.right + box.width // 3)
    top, bottom = max(0, box.top - box.height // 3), min(height, box.bottom + box.height // 3)
    grown[top : bottom + 1, left : right + 1] = True
    return grown ^ mask


def sampled(values: torch.Tensor) -> torch.Tensor:
    """[..., 256], by rows, of [..., h, w]: the nearest pixel of 224x224, and of those the nearest of 16x16."""
    height, width = values.shape[-2:]
    steps = (
        torch.arange(GRID, device=values.device, dtype=torch.float64) * (SIDE // GRID)
        + SIDE // GRID // 2
        + 0.5
    )
    rows, columns = ((steps * size / SIDE).long() for size in (height, width))
    return values[..., rows[:, None], columns].flatten(-2)


def deviations(tokens: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """float64[N]: 1 - cos of two weighted means of unit tokens.

    Args:
        tokens: float[N, 2, 257, D], of the first and of the second picture.
        first: float64[N, 257], weights.
        second: float64[N, 257].
    """
    unit = functional.normalize(tokens.to(torch.float64), dim=3)
    sums = (torch.stack([first, second], dim=1)[:, :, None] @ unit)[:, :, 0]
    return 1 - functional.cosine_similarity(sums[:, 0], sums[:, 1])


class _Cfd(PairMetric):
    """CFD but for which token has which mask.

    Theirs: all that the module says, and SAM's automatic masks as they are made and sifted there. Ours: resized
    pictures are not rounded to whole grey levels; SAM is asked once a picture, not once a component; and a component
    without a ring (one that fills the frame) is left out.
    """

    _network: Dinov2
    _sam: Sam

    def load(self) -> None:
        """Read the networks; raises `mildbench.weights.WeightsMissing`."""
        self._network = shared(Dinov2, self.device)
        self._sam = shared(Sam, self.device)

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`mask` -> float64[B], from 0 up."""
        if "mask" not in pairs.regions:
            return {}
        masks = pairs.regions["mask"].cpu().numpy()
        return {
            "mask": np.array([self._picture(*one) for one in zip(planes(pairs.outputs), masks, strict=True)])
        }

    def _picture(self, picture: torch.Tensor, mask: np.ndarray) -> float:
        """The mean over the components of float64[3, H, W]; NaN where none has a value."""
        count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
        components = [labels == label for label in range(1, count)]
        components = [component for component in components if ring(component).any()]
        if not components:
            return np.nan
        found = distinct(segments(self._sam, picture))
        scores = torch.stack([self._component(picture, component, found) for component in components])
        return float(scores.nanmean())

    def _component(self, picture: torch.Tensor, mask: np.ndarray, found: torch.Tensor) -> torch.Tensor:
        """float64[]; NaN where a side of the first term has no token."""
        around = torch.from_numpy(ring(mask)).to(picture.device)
        inside = torch.from_numpy(mask).to(picture.device)
        tokens = self._tokens(picture[None])
        (first,) = deviations(
            tokens[:, None].expand(-1, 2, -1, -1), self._selected(inside[None]), self._selected(around[None])
        )
        return first + self._inner(picture, inside, found)

    def _inner(self, picture: torch.Tensor, mask: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """The second term, float64[]: 0 without an inner segment that a crossing one is near."""
        shares = (found & mask).sum(dim=(1, 2))
        areas = found.sum(dim=(1, 2))
        inner, crossing = shares == areas, (shares > 0) & (shares < areas)
        inner_masks, parts = found[inner], found[crossing] & mask
        weights = areas[inner] / areas[inner].sum().to(torch.float64)
        if not (len(inner_masks) and len(parts)):
            return torch.zeros((), dtype=torch.float64, device=picture.device)
        dilated = functional.max_pool2d(inner_masks.to(torch.float32), 2 * REACH + 1, stride=1, padding=REACH)
        flat = parts.flatten(1).to(torch.float32)
        adjacent = (dilated.flatten(1) @ flat.T > 0).to(torch.float32)
        merged = (adjacent @ flat > 0).view_as(inner_masks)
        near = adjacent.any(dim=1)
        inner_masks, merged, weights = inner_masks[near], merged[near], weights[near]
        if not len(merged):
            return torch.zeros((), dtype=torch.float64, device=picture.device)
        both = torch.stack([merged, inner_masks], dim=1)
        cut, selected = self._cut_out(picture, both.flatten(0, 1))
        tokens = self._tokens(cut).unflatten(0, (-1, 2))
        first, second = selected.unflatten(0, (-1, 2)).unbind(dim=1)
        return (weights * deviations(tokens, first, second).nan_to_num(0)).sum()

    def _cut_out(self, picture: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures float64[N, 3, 224, 224] of a mask's box, white outside bool[N, H, W]; and weights float64[N, 257].

        The masks come in pairs of crossing and inner ones.
        """
        from torchvision.ops import masks_to_boxes

        boxes = masks_to_boxes(masks).long().tolist()
        cut, weights = [], []
        for number, (mask, (left, top, right, bottom)) in enumerate(zip(masks, boxes, strict=True)):
            box = Box(left, top, right + 1, bottom + 1)
            part = mask[box.place]
            cut.append(bicubic(torch.where(part, picture[..., *box.place], 255.0)[None], (SIDE, SIDE)))
            weights.append(self._cut_selected(part, inner=number % 2 == 1))
        return torch.cat(cut), torch.stack(weights)

    @abstractmethod
    def _tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[N, 257, D] of float64[N, 3, h, w]."""

    @abstractmethod
    def _selected(self, masks: torch.Tensor) -> torch.Tensor:
        """The weights float64[N, 257] of the whole picture's tokens by masks bool[N, H, W]."""

    @abstractmethod
    def _cut_selected(self, mask: torch.Tensor, *, inner: bool) -> torch.Tensor:
        """The weights float64[257] of a cut-out's tokens by its mask bool[h, w], of an inner segment or of others."""


def _info(kind: str, says: str) -> MetricInfo:
    return MetricInfo(
        name=f"cfd-{kind}",
        id=f"cfd[{kind},{Dinov2.weights},{SIDE},{Sam.weights},32x32]@1",
        definition="CFD (OmniPaint, 2025), without the truth: 1 - cosine between DINOv2's tokens (ViT-g/14 at "
        f"{SIDE}) of the mask and of the ring around it, plus the same between SAM's segments (ViT-H, 32x32 points) "
        f"inside the mask and those that cross its edge; mean over the mask's components, from 0 up. {says} "
        "Undefined where nothing lies outside the mask.",
        higher_is_better=False,
        unit="",
        weights=(Dinov2.weights, Sam.weights),
        regions=("mask",),
        blind=NO_TRUTH,
        unasked="left out",
    )


class CfdOfficial(_Cfd):
    """CFD as the published code computes it, its misplaced masks included: for comparison with published numbers."""

    info = _info("official", "With the published code's faults: tokens have the wrong masks.")

    def _tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        resized = bicubic(bicubic(pictures, (SIDE, SIDE)), (RESIZED, RESIZED))
        middle = slice((RESIZED - SIDE) // 2, (RESIZED + SIDE) // 2)
        return self._network.tokens(resized[..., middle, middle])

    def _selected(self, masks: torch.Tensor) -> torch.Tensor:
        return functional.pad(sampled(masks).to(torch.float64), (0, 1), value=1)

    def _cut_selected(self, mask: torch.Tensor, *, inner: bool) -> torch.Tensor:
        levels = mask.to(torch.float64) * 255
        if inner:  # resized bicubically; the other one by the nearest pixel
            levels = bicubic(levels[None, None], (SIDE, SIDE))[0, 0].round()
        numbers = torch.cat([sampled(levels).long(), torch.ones(1, dtype=torch.long, device=mask.device)])
        weights = torch.zeros(1 + GRID * GRID, dtype=torch.float64, device=mask.device)
        return weights.scatter_add_(0, numbers, torch.ones_like(numbers, dtype=torch.float64))


class CfdFixed(_Cfd):
    """CFD with every patch under its own mask. Ours: a side that holds no patch has no value."""

    info = _info("fixed", "Each token has its own mask, unlike in the published code.")

    def _tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._network.tokens(bicubic(pictures, (SIDE, SIDE)))

    def _selected(self, masks: torch.Tensor) -> torch.Tensor:
        patches = sampled(masks)
        weights = functional.pad(patches.to(torch.float64), (1, 0), value=1)
        return weights.where(patches.any(dim=-1, keepdim=True), torch.nan)

    def _cut_selected(self, mask: torch.Tensor, *, inner: bool) -> torch.Tensor:
        return self._selected(mask)
