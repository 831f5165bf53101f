"""LaMa's reconstruction losses."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_FAINT = 0.005
"""Of detail, a standard deviation that nobody sees: about a grey level."""


def masked_l1(
    predicted: Tensor, target: Tensor, mask: Tensor, known: float = 1.0, hole: float = 6.0
) -> Tensor:
    """Mean absolute difference, weighted by region; a scalar.

    The authors train with 10 on the known pixels and 0 in the hole, which they leave to adversarial and
    perceptual losses. Ours weighs the hole too (1 : 6, as in Liu et al., ECCV 2018): a synthetic scene
    has an exact answer there.

    Args:
        predicted: float[B, 3, H, W], the prediction before composition.
        target: float[B, 3, H, W], the clean background, in [0, 1].
        mask: float[B, 1, H, W], 1 in the hole, else 0.
        known: weight of a pixel outside the hole.
        hole: weight of a pixel in the hole.
    """
    return ((predicted - target).abs() * (known + (hole - known) * mask)).mean()


def coarse_l1(predicted: Tensor, target: Tensor, mask: Tensor, side: int = 8) -> Tensor:
    """Mean absolute difference of the means over squares, averaged over the hole; a scalar.

    It asks for the right colours and leaves texture alone: at full resolution an L1 loss asks for the mean of all
    textures that could be there.

    Args:
        predicted: float[B, 3, H, W]; what is outside the hole is not looked at.
        target: float[B, 3, H, W], the clean background, in [0, 1].
        mask: float[B, 1, H, W], 1 in the hole, else 0.
        side: of the squares, in pixels; H and W are multiples of it.
    """
    differs = F.avg_pool2d((predicted - target) * mask, side)
    return differs.abs().sum() / (3 * F.avg_pool2d(mask, side).sum()).clamp(min=1)


def contrast(predicted: Tensor, target: Tensor, mask: Tensor, side: int = 12) -> Tensor:
    """How much the strength of fine detail differs over squares of the hole; a scalar from 0 to 1.

    The difference over the sum: a plain wall is to stay as plain as gravel is rough, wherever the stones lie. Detail is
    what a mean over 3 x 3 pixels, and one over 7 x 7, takes away.

    Args:
        predicted: float[B, 3, H, W], equal to the target outside the hole.
        target: float[B, 3, H, W], the clean background, in [0, 1].
        mask: float[B, 1, H, W], 1 in the hole, else 0.
        side: of the squares, in pixels.
    """
    share = F.avg_pool2d(mask, side)

    def strength(pictures: Tensor, reach: int) -> Tensor:
        mean = F.avg_pool2d(F.pad(pictures, (reach,) * 4, mode="reflect"), 2 * reach + 1, stride=1)
        power = ((pictures - mean).square() * mask).mean(1, keepdim=True)
        return (F.avg_pool2d(power, side) / share.clamp(min=1e-6) + _FAINT**2).sqrt()

    differs = predicted.new_zeros(())
    for reach in (1, 3):
        made, true = strength(predicted, reach), strength(target, reach)
        differs = differs + ((made - true).abs() / (made + true) * share).sum() / share.sum().clamp(min=1e-6)
    return differs / 2
