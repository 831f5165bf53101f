"""Training a backbone's autoencoder from scratch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.adversarial import PatchCritic, adversarial
from baselines.diffusion.architectures import architecture, random_models
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import to_model
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, Trainer, TrainerInfo

_KL = 1e-4
"""Weight of the divergence from a standard normal, per latent number, where that of the L1 loss is 1."""
_FOOLING, _MATCHING, _R1 = 0.05, 1.0, 1e-3
_CRITIC_WIDTH = 32
_MEMORY = 0.99
"""How much of the measured variance of the latents stays in each step."""


class LatentVariance(nn.Module):
    """The running variance of the latents, from which the scaling factor follows."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(()))

    @torch.no_grad()
    def update(self, latents: Tensor) -> None:
        self.value.lerp_(latents.float().var(), 1 - _MEMORY)


class VaeTrainer(Trainer):
    """A variational autoencoder of latent diffusion (Rombach et al., CVPR 2022).

    L1 and KL losses, a patch critic and feature matching; without a perceptual loss, whose weights would have to
    be downloaded. The latents' scaling factor is measured, as the paper does.
    """

    info = TrainerInfo("backbone-vae", "the autoencoder of a diffusion backbone", batch_size=16, lr=4e-4)
    make_example = staticmethod(problems.pictures)
    lr_scales = {"critic": 0.5}  # noqa: RUF012 - read-only

    def __init__(self, architecture: str = "tiny", adversarial: bool = True) -> None:
        """Nothing is loaded yet.

        Args:
            architecture: `tiny` or `sd-1.5`.
            adversarial: with the critic's losses; without, L1 and KL alone, at a third of the cost.
        """
        self.architecture = architecture
        self.adversarial = adversarial

    def load(self, device: str, seed: int) -> None:
        vae: Any = random_models(architecture(self.architecture), seed)[1]
        self.vae, self.variance = vae.to(device), LatentVariance().to(device)
        self.trained = nn.ModuleDict({"vae": self.vae, "variance": self.variance})
        if self.adversarial:
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(seed)
                self.critic = PatchCritic(_CRITIC_WIDTH).to(device)
            self.trained["critic"] = self.critic

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        picture = _picture(batch)
        posterior = self.vae.encode(picture).latent_dist
        latents = posterior.sample()
        made = self.vae.decode(latents).sample
        if self.variance.training:
            self.variance.update(latents)
        l1 = (made - picture).abs().mean() / 2
        kl = posterior.kl().mean() / latents[0].numel()
        logs = {"l1": l1, "kl": kl}
        loss = l1 + _KL * kl
        if not self.adversarial:
            return loss, {name: value.detach() for name, value in logs.items()}
        parts = adversarial(self.critic, (made + 1) / 2, (picture + 1) / 2, torch.ones_like(picture[:, :1]))
        loss = loss + _FOOLING * parts.fooling + _MATCHING * parts.matching + parts.telling + _R1 * parts.r1
        logs |= {"fooling": parts.fooling, "matching": parts.matching, "telling": parts.telling}
        return loss, {name: value.detach() for name, value in logs.items()}

    def validate(self, batch: Batch) -> Logs:
        """The L1 loss in units of the full range, the PSNR in dB, and the latents' standard deviation."""
        picture = _picture(batch)
        made = self._rebuilt(picture)
        error = ((made - picture) / 2).square().mean((1, 2, 3))
        return {
            "l1": (made - picture).abs().mean() / 2,
            "psnr": -10 * error.clamp(min=1e-10).log10().mean(),
            "latent_std": self.variance.value.sqrt(),
        }

    def panel(self, batch: Batch) -> np.ndarray:
        """Picture, and what is left of it."""
        picture = _picture(batch)
        return tile([pictures((column + 1) / 2) for column in (picture, self._rebuilt(picture))])

    def _rebuilt(self, picture: Tensor) -> Tensor:
        return self.vae.decode(self.vae.encode(picture).latent_dist.mode()).sample.float().clamp(-1, 1)

    def save(self, folder: Path) -> None:
        """diffusers' format, in half precision, with the measured scaling factor."""
        vae: Any = copy.deepcopy(self.vae)
        nn.Module.to(vae, "cpu", torch.float16)  # diffusers' own `to` warns without a reason
        vae.register_to_config(scaling_factor=1 / float(self.variance.value.sqrt()))
        vae.save_pretrained(folder)

    def usage(self, folder: Path) -> str:
        return f"mildbench train backbone:vae={folder}"

    def compiled(self) -> list[nn.Module]:
        return [self.vae.encoder, self.vae.decoder]


def _picture(batch: Batch) -> Tensor:
    """float32[B, 3, H, W] in [-1, 1]."""
    return to_model(batch["picture"]) * ~batch["grey"][:, None]
