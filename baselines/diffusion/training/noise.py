"""The noise loss of latent inpainting models, one term a pathway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.diffusion.attention import Modulation
from baselines.diffusion.backbone import Backbone, Inputs
from baselines.diffusion.text import TextEmbedding

HOLE = 0.75
"""Share of the loss that the hole has, whatever its size [ours].

Elsewhere the picture is known, and what is made there is not used: with the plain mean most of the gradient goes into
copying.
"""


@dataclass(frozen=True, eq=False)
class Denoised:
    """One pass of the network over P pathways at random times."""

    losses: Tensor
    """float32[P]: squared error of what the network predicts, noise or velocity, as its schedule says; see `HOLE`."""
    clean: Tensor
    """float32[P, C, h, w]: the scaled latents without noise that follow from the prediction."""
    times: Tensor
    """float32[P]: 1 is pure noise, 0 the picture."""


def noise_losses(
    backbone: Backbone,
    targets: Tensor,
    known: Tensor,
    holes: Tensor,
    prompts: TextEmbedding,
    *,
    residuals: Sequence[Tensor] | None = None,
    modulation: Modulation | None = None,
) -> Denoised:
    """Noise the targets, and let the network tell the noise from what is known.

    Args:
        backbone: gradients reach whatever of it is not frozen, but for the VAE.
        targets: float[P, 3, H, W] in [-1, 1], the pictures to be made.
        known: float[P, 3, H, W] in [-1, 1], the pictures shown; what is in the hole is not looked at.
        holes: float[P, 1, H, W], 1 where the picture is to be made.
        prompts: P prompts.
        residuals: see `Pathways.residuals`.
        modulation: changes self-attention.
    """
    with torch.no_grad():
        latents, cut = encode(backbone, torch.cat([targets, known * (1 - holes)])).chunk(2)
        noise = torch.randn_like(latents)
        count = backbone.noise_schedule.config.num_train_timesteps
        drawn = torch.randint(count, (len(latents),))  # on the CPU, so that nobody waits for the GPU
        timesteps = drawn.to(latents.device)
        noised = backbone.noised(latents, noise, drawn)
        small = F.interpolate(holes, size=latents.shape[2:]).to(latents.dtype)
    size = (int(targets.shape[2]), int(targets.shape[3]))
    inputs = Inputs(backbone.known(holes, cut), prompts, size, residuals)
    with backbone.attention.during(drawn.float() / count, modulation, None):
        prediction = backbone.predict(noised.latents, timesteps, inputs).float()
    losses = _weighted((prediction - noised.wanted).square().mean(1, keepdim=True), small)
    return Denoised(losses, noised.clean(prediction), timesteps.float() / count)


def encode(backbone: Backbone, pictures: Tensor) -> Tensor:
    """float[P, 3, H, W] in [-1, 1] -> scaled latents float32[P, C, h, w], in one batch; drawn from the posterior."""
    posterior = backbone.vae.encode(pictures.to(backbone.vae.dtype)).latent_dist
    return backbone.scaled(posterior.sample().float())


def _weighted(errors: Tensor, holes: Tensor) -> Tensor:
    """float[P]: the mean of float[P, 1, h, w] in the holes and that outside, `HOLE` to 1; one of them may be empty."""
    inside, outside = (
        (errors * part).sum((1, 2, 3)) / part.sum((1, 2, 3)).clamp(min=1) for part in (holes, 1 - holes)
    )
    share = HOLE * (holes > 0).any(3).any(2).any(1)
    share = torch.where((holes > 0).all(3).all(2).all(1), 1.0, share)
    return share * inside + (1 - share) * outside
