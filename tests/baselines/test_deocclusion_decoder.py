"""De-occlusion's skips into the decoder: fresh ones change nothing, and they can learn."""

from __future__ import annotations

import pytest
import torch

from baselines.deocclusion.decoder import DecoderSkips
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.parts import seeded


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("random:tiny", "cpu", torch.float32)


def _decoding(backbone: Backbone) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 16, generator=random)
    pictures = torch.rand(2, 3, 32, 64, generator=random) * 2 - 1
    return latents, pictures, (torch.rand(2, 1, 32, 64, generator=random) > 0.5).float()


def test_fresh_decoder_skips_change_nothing(backbone: Backbone) -> None:
    latents, pictures, seen = _decoding(backbone)
    skips = seeded(lambda: DecoderSkips(backbone.vae))
    with torch.no_grad():
        plain = backbone.decode(latents)
        assert torch.equal(skips.decode(backbone, latents, pictures, seen), plain)
        for layer in skips.out:
            torch.nn.init.ones_(layer.weight)
        changed = skips.decode(backbone, latents, pictures, seen)
        assert not torch.allclose(changed, plain, atol=1e-2)
        hidden = torch.where(seen > 0, pictures, -pictures)
        assert torch.equal(skips.decode(backbone, latents, hidden, seen), changed)
        assert torch.equal(backbone.decode(latents), plain)  # nothing is left behind in the backbone


def test_gradients_reach_the_decoder_skips_and_no_further(backbone: Backbone) -> None:
    latents, pictures, seen = _decoding(backbone)
    skips = seeded(lambda: DecoderSkips(backbone.vae))
    optimiser = torch.optim.SGD(skips.parameters(), lr=1e-2)

    def loss() -> torch.Tensor:
        decoded = skips.decode(backbone, latents, pictures, seen)
        return ((decoded - pictures) * seen).pow(2).mean()

    first = loss()
    first.backward()
    assert all(layer.weight.grad.any() for layer in skips.out)
    optimiser.step()
    optimiser.zero_grad()
    loss().backward()
    assert all(part.grad is not None and part.grad.any() for part in skips.parameters())
    assert all(part.grad is None for part in backbone.vae.parameters())
    optimiser.step()
    assert loss() < first
