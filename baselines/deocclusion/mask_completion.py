"""Stage one: the whole mask of a partly hidden person, by a small conditional diffusion model on masks.

A crop around the person is scaled to `SIDE` pixels; the model denoises the amodal mask there (-1 outside, 1
inside the person, in between on the edge, so that the edge is finer than the pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from baselines.deocclusion.window import Window
from baselines.people import HiddenPerson, joint_heatmaps
from mildbench.labels import KEYPOINTS

SIDE = 64
"""Pixels of the side at which the model sees a person."""
MARGIN = 0.1
"""Of the crop, around the visible pixels and the observability mask."""
JOINT_RADIUS = 1.5
"""Standard deviation of a joint's heatmap, in pixels of the crop."""
CONDITIONS = 3 + 1 + 1 + len(KEYPOINTS) + 1
"""Channels beside the noisy mask: RGB, visible mask, observability mask, joints, hidden joints."""


class MaskCompletion(nn.Module):
    """A UNet that predicts v (Salimans & Ho, ICLR 2022) on a cosine schedule that ends in pure noise.

    With few steps the first one counts: the schedule has no signal left there, and sampling starts there (Lin et
    al., Common diffusion noise schedules and sample steps are flawed, WACV 2024).
    """

    def __init__(self) -> None:
        from diffusers import DDIMScheduler, UNet2DModel

        super().__init__()
        self.unet: Any = UNet2DModel(
            sample_size=SIDE,
            in_channels=1 + CONDITIONS,
            out_channels=1,
            block_out_channels=(32, 64, 96, 128),
            down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=32,
            norm_num_groups=16,
        )
        self.schedule: Any = DDIMScheduler(
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
            clip_sample=True,
        )

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Noisy masks float[P, 1, S, S], one timestep or P, `conditions` float[P, C, S, S] -> v float[P, 1, S, S]."""
        return self.unet(torch.cat([noisy, conditions], dim=1), timesteps, return_dict=False)[0]

    def training_loss(
        self, amodal: torch.Tensor, conditions: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Mean squared error of v at random timesteps; a scalar.

        Args:
            amodal: float[P, 1, S, S] in [-1, 1], the whole masks.
            conditions: float[P, C, S, S], see `conditions`.
            generator: on the CPU, draws the noise and the timesteps.
        """
        steps = int(self.schedule.config.num_train_timesteps)
        timesteps = torch.randint(steps, (len(amodal),), generator=generator).to(amodal.device)
        noise = torch.randn(amodal.shape, generator=generator).to(amodal)
        noisy = self.schedule.add_noise(amodal, noise, timesteps)
        wanted = self.schedule.get_velocity(amodal, noise, timesteps)
        return F.mse_loss(self(noisy, timesteps, conditions), wanted)

    @torch.no_grad()
    def sample(self, conditions: torch.Tensor, seeds: Sequence[int], steps: int) -> torch.Tensor:
        """DDIM; masks float[P, 1, S, S] in [-1, 1]. Equal seeds start from equal noise."""
        shape = (1, 1, *conditions.shape[2:])
        noise = [torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds]
        masks = torch.cat(noise).to(conditions)
        self.schedule.set_timesteps(steps, device=conditions.device)
        for timestep in self.schedule.timesteps:
            velocity = self(masks, timestep, conditions)
            masks = self.schedule.step(velocity, timestep, masks, return_dict=False)[0]
        return masks


def complete(
    model: MaskCompletion, people: Sequence[HiddenPerson], seeds: Sequence[int], steps: int
) -> list[np.ndarray]:
    """The amodal mask bool[H, W] of each person; all are sampled together.

    It holds the visible mask, and nothing but that outside the observability mask.
    """
    windows = [window(person) for person in people]
    shown = np.stack([conditions(*pair) for pair in zip(people, windows, strict=True)])
    device = next(model.parameters()).device
    sampled = model.sample(torch.from_numpy(shown).to(device), seeds, steps)[:, 0].cpu().numpy()
    if not np.isfinite(sampled).all():
        raise ValueError("the mask completion returned values that are not finite")
    amodal = []
    for person, crop, mask in zip(people, windows, sampled, strict=True):
        completed = crop.back(mask, *person.visible.shape) > 0
        amodal.append(person.visible | (completed & person.observability))
    return amodal


def window(person: HiddenPerson) -> Window:
    """The crop that the model sees: all that is seen of the person, and all that may be hidden."""
    return Window.around(person.visible | person.observability, MARGIN)


def conditions(person: HiddenPerson, crop: Window) -> np.ndarray:
    """float32[C, S, S]: what the model is told. RGB in [-1, 1], all else in [0, 1]."""
    rgb = crop.picture(person.image, SIDE).astype(np.float32) / 127.5 - 1
    masks = [crop.coverage(mask, SIDE) for mask in (person.visible, person.observability)]
    keypoints = np.zeros((len(KEYPOINTS), 3)) if person.keypoints is None else person.keypoints
    return np.concatenate([rgb.transpose(2, 0, 1), masks, joints(crop.points(keypoints, SIDE))])


def joints(points: np.ndarray) -> np.ndarray:
    """float32[18, S, S]: the heatmaps of float32[17, 3], then the hidden ones once more.

    The last channel flags what of the others is hidden: the largest of the hidden joints' heatmaps.
    """
    maps = joint_heatmaps(points, (SIDE, SIDE), JOINT_RADIUS)
    hidden = maps[points[:, 2] == 1].max(axis=0, initial=0)
    return np.concatenate([maps, hidden[None]])
