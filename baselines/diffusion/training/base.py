"""The base class of trainers on a diffusion backbone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.cards import card_of
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.diffusion.training.noise import noise_losses
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, Trainer

PANEL_STEPS = 20


class DiffusionTrainer(Trainer):
    """A trainer on a frozen backbone. A subclass sets in `load` what of it, or beside it, is trained.

    As it is, it minimises the noise loss of inpainting problems (`InpaintingExample`); a method with problems of
    its own overrides `loss` and `panel`.
    """

    def __init__(self, backbone: str) -> None:
        """Nothing is loaded yet.

        Args:
            backbone: `tiny`, the shipped one; `random:ARCHITECTURE`; a name of `mildbench weights list`; a folder in
                diffusers' format; or a hub id whose files are in Hugging Face's cache already (`hf download ID`).
        """
        self.backbone_name = backbone

    def load(self, device: str, seed: int) -> None:
        """Load the backbone, frozen; a subclass calls this first."""
        self.backbone: Backbone = load_backbone(self.backbone_name, device, torch.float32)

    def sampling(self) -> dict[str, int]:
        """For the card of a backbone that is trained on: sampled as it was before."""
        card = card_of(self.backbone_name)
        return {} if card is None else card.said

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        truth, hole = to_model(batch["truth"]), to_hole(batch["mask"])
        made = noise_losses(
            self.backbone, truth, to_model(batch["image"]), hole, self.backbone.text(batch["prompt"])
        )
        return made.losses.mean(), {}

    def panel(self, batch: Batch) -> np.ndarray:
        """Input, mask, what the model makes of it, the truth."""
        shown, holes = to_model(batch["image"]), to_hole(batch["mask"])
        prompts = self.backbone.text(batch["prompt"])
        pathways = Pathways(shown, holes, prompts, range(len(shown)))
        made = self.backbone.decode(denoise(self.backbone, pathways, Settings(steps=PANEL_STEPS)))
        columns = (shown, made, to_model(batch["truth"]))
        image, filled, truth = (pictures((column + 1) / 2) for column in columns)
        return tile([image, batch["mask"].cpu().numpy(), filled, truth])


def to_model(images: Tensor) -> Tensor:
    """uint8[P, H, W, 3] -> float32[P, 3, H, W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_hole(masks: Tensor) -> Tensor:
    """bool[P, H, W] -> float32[P, 1, H, W]."""
    return masks[:, None].float()
