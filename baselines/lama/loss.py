"""LaMa's reconstruction loss."""

from __future__ import annotations

from torch import Tensor


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
