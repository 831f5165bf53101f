"""The VAE's decoder with the visible pixels as a further input.

What passes through the latent space comes back changed, also where it was known. A small encoder of the visible
pixels adds its features to the decoder at every resolution, by convolutions that start at zero: fresh ones leave
the decoder as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from baselines.diffusion.backbone import Backbone

WIDTH = 32
"""Channels of the encoder's features."""


class DecoderSkips(nn.Module):
    """The encoder of visible pixels, and what it adds to the input of each of the decoder's up blocks.

    Args:
        vae: diffusers' `AutoencoderKL`; it is read for its sizes, not kept.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        widths = [block.resnets[0].in_channels for block in vae.decoder.up_blocks]
        self.stem = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.down = nn.ModuleList([nn.Conv2d(WIDTH, WIDTH, 3, 2, padding=1) for _ in widths[1:]])
        self.out = nn.ModuleList([_zero_convolution(width) for width in widths])

    def forward(self, pictures: torch.Tensor, seen: torch.Tensor) -> list[torch.Tensor]:
        """What to add to the up blocks' inputs, coarse to fine.

        Args:
            pictures: float[P, 3, H, W] in [-1, 1].
            seen: float[P, 1, H, W] in [0, 1]: how much of each pixel is visible; the rest is not looked at.
        """
        features = [F.silu(self.stem(torch.cat([pictures * seen, seen], dim=1)))]
        for layer in self.down:
            features.append(F.silu(layer(features[-1])))
        return [out(feature) for out, feature in zip(self.out, reversed(features), strict=True)]

    def decode(
        self, backbone: Backbone, latents: torch.Tensor, pictures: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor:
        """As `Backbone.decode`, with the visible pixels; gradients reach this module through the frozen VAE."""
        decoded = []
        # One at a time, as the backbone does: memory stays small.
        for latent, picture, mask in zip(latents, pictures, seen, strict=True):
            with _added(backbone.vae.decoder, self(picture[None].float(), mask[None].float())):
                decoded.append(backbone.decode(latent[None]))
        return torch.cat(decoded)


def _zero_convolution(width: int) -> nn.Conv2d:
    layer = nn.Conv2d(WIDTH, width, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


@contextmanager
def _added(decoder: Any, additions: list[torch.Tensor]) -> Iterator[None]:
    """Within it, each of the decoder's up blocks has its addition added to its input."""

    def adding(addition: torch.Tensor) -> Any:
        return lambda _, inputs: (inputs[0] + addition.to(inputs[0].dtype), *inputs[1:])

    handles = [
        block.register_forward_pre_hook(adding(addition))
        for block, addition in zip(decoder.up_blocks, additions, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
