"""Backbones with a UNet: checkpoints of the SD-1.x, SD-2.x and SDXL family."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from baselines.diffusion.attention import RegionAttention
from baselines.diffusion.backbone import Backbone, Course, Inputs, Noised


class UNetBackbone(Backbone):
    """diffusers' `UNet2DConditionModel` with nine input channels: the latent, the hole, and the latent of the picture
    with the hole cut out; or with four, which paints whole pictures."""

    part = "unet"

    def attend_by(self, attention: RegionAttention) -> list[str]:
        layers = []
        processors = dict(self.network.attn_processors)
        for name in processors:
            layer = name.removesuffix(".processor")
            if layer.endswith(".attn1"):
                layers.append(layer)
                processors[name] = _Processor(layer, attention)
        self.network.set_attn_processor(processors)
        return layers

    @property
    def inpainting_channels(self) -> int:
        return 2 * self.latent_channels + 1

    @property
    def painting_channels(self) -> int:
        return self.latent_channels

    @property
    def composing(self) -> frozenset[str]:
        """Those of the up blocks."""
        return frozenset(layer for layer in self.attention.layers if layer.startswith("up_blocks."))

    @property
    def multiple(self) -> int:
        return self.factor * 2 ** (len(self.network.config.block_out_channels) - 1)

    @property
    def resolution(self) -> int:
        return int(self.network.config.sample_size) * self.factor

    @property
    def entries(self) -> list[tuple[int, int]]:
        """The down blocks.

        diffusers adds a T2I-Adapter's residual before the downsampling in blocks with attention, and after it in the
        others; the last block does not downsample.
        """
        config = self.network.config
        found: list[tuple[int, int]] = []
        reduction = 1
        for width, block in zip(config.block_out_channels, config.down_block_types, strict=True):
            after = reduction if len(found) == len(config.down_block_types) - 1 else 2 * reduction
            found.append((width, reduction if "CrossAttn" in block else after))
            reduction = after
        return found

    def course(self, steps: int, strength: float, size: tuple[int, int], *, exact: bool = False) -> Course:
        """As diffusers' image-to-image pipelines choose the steps, unless `exact`."""
        count = int(self.noise_schedule.config.num_train_timesteps)
        if exact and strength < 1:
            scheduler = self._cut(max(1, round(strength * count)))
            scheduler.set_timesteps(steps, device=self.device)
            return Course(scheduler, scheduler.timesteps, count)
        scheduler = self.scheduler()
        scheduler.set_timesteps(steps, device=self.device)
        first = (steps - min(int(steps * strength), steps)) * scheduler.order
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        return Course(scheduler, scheduler.timesteps[first:], count)

    def _cut(self, last: int) -> Any:
        """The schedule as if noise went no further than the time `last`."""
        schedule = self.noise_schedule
        return type(schedule).from_config(
            schedule.config,
            trained_betas=schedule.betas[:last].tolist(),
            num_train_timesteps=last,
            rescale_betas_zero_snr=False,  # the betas already are
            timestep_spacing="trailing",  # the first step is at the last time
        )

    def known(self, holes: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """The five constant channels: float[P, 5, h, w]."""
        return torch.cat([F.interpolate(holes, size=picture.shape[2:]).to(picture.dtype), picture], dim=1)

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        pooled, conditions = inputs.prompts.pooled, None
        if pooled is not None:
            # SDXL's further conditions: the pooled prompt, and sizes that say `not cropped`.
            sizes = torch.tensor(
                [[*inputs.size, 0, 0, *inputs.size]], device=pooled.device, dtype=pooled.dtype
            )
            conditions = {"text_embeds": pooled, "time_ids": sizes.repeat(len(pooled), 1)}
        return self.network(
            latents if inputs.known is None else torch.cat([latents, inputs.known], dim=1),
            timesteps,
            encoder_hidden_states=inputs.prompts.tokens,
            added_cond_kwargs=conditions,
            # The UNet empties the list that it is given.
            down_intrablock_additional_residuals=None if inputs.residuals is None else list(inputs.residuals),
            return_dict=False,
        )[0]

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> Noised:
        schedule = self.noise_schedule
        # Not the scheduler's `add_noise`, which in some of them scales for their own steps.
        share = schedule.alphas_cumprod[timesteps.cpu()].view(-1, 1, 1, 1).to(latents.device)
        signal, spread = share.sqrt(), (1 - share).sqrt()
        noisy = signal * latents + spread * noise
        kind = str(schedule.config.prediction_type)
        if kind == "epsilon":
            return Noised(noisy, noise, lambda prediction: (noisy - spread * prediction) / signal)
        if kind == "v_prediction":
            velocity = signal * noise - spread * latents
            return Noised(noisy, velocity, lambda prediction: signal * noisy - spread * prediction)
        raise ValueError(f"a noise schedule with prediction type {kind} cannot be trained")


class _Processor:
    """diffusers' attention processor of one self-attention layer."""

    def __init__(self, layer: str, attention: RegionAttention) -> None:
        self._layer = layer
        self._attention = attention

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """float[B, N, C] -> float[B, N, C]."""
        batch, tokens = hidden_states.shape[:2]

        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.view(batch, tokens, attn.heads, -1).transpose(1, 2)

        query, key, value = (heads(project(hidden_states)) for project in (attn.to_q, attn.to_k, attn.to_v))
        out = self._attention.attend(self._layer, query, key, value)
        dropout, projection = attn.to_out[1], attn.to_out[0]
        return dropout(projection(out.transpose(1, 2).reshape(batch, tokens, -1)))
