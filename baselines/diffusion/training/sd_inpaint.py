"""Retraining Stable Diffusion inpainting on the data of the others."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from baselines.diffusion.saving import save_backbone
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from mildbench.training.trainer import TrainerInfo


class SdInpaintTrainer(DiffusionTrainer):
    """The UNet of an inpainting checkpoint, trained on with the noise loss to erase people; the prompt is empty."""

    info = TrainerInfo(
        "sd-inpaint", "the UNet of an inpainting checkpoint, trained to erase", batch_size=32, lr=1e-5
    )
    make_example = staticmethod(problems.erasing_without_words)

    def __init__(self, backbone: str = "tiny") -> None:
        """`backbone`: where to start; see `DiffusionTrainer`."""
        super().__init__(backbone)

    def load(self, device: str, seed: int) -> None:
        super().load(device, seed)
        self.trained = nn.ModuleDict({"unet": self.backbone.network.requires_grad_(True)})

    def save(self, folder: Path) -> None:
        save_backbone(self.backbone, folder)

    def front_matter(self) -> dict[str, int]:
        return self.sampling()

    def usage(self, folder: Path) -> str:
        return f"mildbench evaluate --method sd-inpaint:backbone={folder}"
