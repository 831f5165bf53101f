"""The alpha head: from an instance's final latent to its matte. All of it is [ours]."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

WIDTHS = (64, 64, 32, 16)
"""Channels at the latent's resolution, then after each doubling; further doublings keep the last."""

PRIOR = 0.01
"""What a fresh head gives every pixel, as focal loss starts (Lin et al., ICCV 2017): nothing hidden is there."""


class AlphaHead(nn.Module):
    """A small convolutional decoder.

    Args:
        latent: channels of the latents.
        factor: pixels to a latent, a power of two.
    """

    def __init__(self, latent: int, factor: int) -> None:
        super().__init__()
        doublings = int(math.log2(factor))
        widths = [WIDTHS[min(level, len(WIDTHS) - 1)] for level in range(doublings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(latent + 2, widths[0], 3, padding=1), nn.SiLU()]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), nn.SiLU()]
        last = nn.Conv2d(widths[-1], 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        last.bias = nn.Parameter(torch.full((1,), math.log(PRIOR / (1 - PRIOR))))
        self.layers = nn.Sequential(*layers, last)
        self._shrink = nn.AvgPool2d(factor)

    def forward(self, latents: torch.Tensor, visible: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
        """Logits of the matte, float[P, 1, H, W].

        Args:
            latents: float[P, 4, H/f, W/f], scaled.
            visible: float[P, 1, H, W], how much of each pixel shows the person.
            holes: float[P, 1, H, W], where the person may be hidden.
        """
        known = self._shrink(torch.cat([visible, holes], dim=1))
        return self.layers(torch.cat([latents, known], dim=1))
