"""LoRA routed by batch element."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.diffusion.architectures import TINY, random_models
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.routing import DomainLora
from mildbench.errors import UserError

INPUTS = torch.randn(2, 9, 8, 8, generator=torch.Generator().manual_seed(0))
PROMPTS = torch.randn(2, 77, 128, generator=torch.Generator().manual_seed(1))


def _adapted(seed: int | None) -> tuple[torch.nn.Module, DomainLora]:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    lora = DomainLora(backbone, ("background", "instance"), rank=4)
    if seed is not None:
        random = torch.Generator().manual_seed(seed)
        for part in lora.parameters():
            part.data = torch.randn(part.shape, generator=random) / 10
    return backbone.network, lora


@torch.no_grad()
def _run(unet: torch.nn.Module, lora: DomainLora, route: list[int] | None, times: int = 1) -> torch.Tensor:
    with lora.routed(route):
        return unet(INPUTS.repeat(times, 1, 1, 1), 500, PROMPTS.repeat(times, 1, 1)).sample


def test_fresh_adapters_change_nothing() -> None:
    plain = random_models(TINY)[0].eval()
    unet, lora = _adapted(None)
    with torch.no_grad():
        expected = plain(INPUTS, 500, PROMPTS).sample
    torch.testing.assert_close(_run(unet, lora, [0, 1]), expected)
    torch.testing.assert_close(_run(unet, lora, None), expected)


def test_each_element_takes_its_own_adapter() -> None:
    unet, lora = _adapted(3)
    mixed = _run(unet, lora, [0, 1])
    first, second = _run(unet, lora, [0, 0]), _run(unet, lora, [1, 1])
    torch.testing.assert_close(mixed[0], first[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed[1], second[1], atol=1e-5, rtol=1e-5)
    assert (first[1] - second[1]).abs().max() > 1e-2
    assert (_run(unet, lora, None)[0] - first[0]).abs().max() > 1e-2


def test_both_halves_of_guidance_are_routed_alike() -> None:
    unet, lora = _adapted(3)
    doubled = _run(unet, lora, [0, 1], times=2)
    torch.testing.assert_close(doubled[:2], doubled[2:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(doubled[:2], _run(unet, lora, [0, 1]), atol=1e-5, rtol=1e-5)


def test_only_the_adapters_used_get_gradients() -> None:
    unet, lora = _adapted(3)
    unet.requires_grad_(False)
    for part in lora.parameters():
        part.requires_grad_(True)
    with lora.routed([1, 1]):
        unet(INPUTS, 500, PROMPTS).sample.pow(2).mean().backward()
    for part in lora.parameters():
        assert part.grad is not None
        assert not part.grad[0].any()
    assert any(part.grad[1].any() for part in lora.parameters() if part.grad is not None)


def test_saved_adapters_are_diffusers_loras(tmp_path: Path) -> None:
    unet, lora = _adapted(3)
    lora.save(tmp_path)
    again, fresh = _adapted(None)
    fresh.load(tmp_path)
    torch.testing.assert_close(_run(again, fresh, [0, 1]), _run(unet, lora, [0, 1]), atol=1e-2, rtol=1e-2)

    # PEFT, through diffusers, reads the same file to the same effect: LoRA's scale alpha / rank is 1.
    peer = random_models(TINY)[0].eval()
    peer.load_lora_adapter(tmp_path / "instance.safetensors", prefix="unet")
    with torch.no_grad():
        expected = peer(INPUTS, 500, PROMPTS).sample
    torch.testing.assert_close(_run(again, fresh, [1, 1]), expected, atol=1e-4, rtol=1e-4)


def test_adapters_of_another_rank_are_refused(tmp_path: Path) -> None:
    _adapted(3)[1].save(tmp_path)
    other = DomainLora(load_backbone("random:tiny", "cpu", torch.float32), ("background", "instance"), rank=2)
    with pytest.raises(UserError, match="another network or rank"):
        other.load(tmp_path)
