"""Training a backbone's UNet and text encoder from scratch, on a trained autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from baselines.diffusion.architectures import architecture, random_models
from baselines.diffusion.backbone import Backbone, read_vae
from baselines.diffusion.saving import save_backbone
from baselines.diffusion.text import TextEncoder
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from mildbench.errors import UserError
from mildbench.training.trainer import TrainerInfo


class BackboneTrainer(DiffusionTrainer):
    """An inpainting latent diffusion model (Rombach et al., CVPR 2022): the noise loss, on erasing and restoring.

    The empty prompt stands for background, "a person" for a person, so that the same weights can complete people.
    """

    info = TrainerInfo("backbone", "UNet and text encoder of a diffusion backbone", batch_size=32, lr=3e-4)
    make_example = staticmethod(problems.inpainting)

    def __init__(self, vae: str = "", architecture: str = "tiny") -> None:
        """Raises `UserError` without an autoencoder.

        Args:
            vae: folder of a trained autoencoder in diffusers' format.
            architecture: see `baselines.diffusion.architectures`.
        """
        if not vae:
            raise UserError(
                "trainer 'backbone' needs a trained autoencoder: mildbench train backbone-vae, then backbone:vae=FOLDER"
            )
        super().__init__(f"random:{architecture}")
        self.architecture = architecture
        self.vae = Path(vae)

    def load(self, device: str, seed: int) -> None:
        models: tuple[Any, ...] = random_models(architecture(self.architecture), seed)
        unet, _, text, tokenizer, schedule = models
        vae = read_vae(self.vae).requires_grad_(False).eval()
        self.backbone = Backbone(
            self.backbone_name,
            unet.to(device),
            vae.to(device),
            TextEncoder((tokenizer,), (text.to(device),)),
            schedule,
        )
        self.trained = nn.ModuleDict({"unet": unet, "text": text})

    def save(self, folder: Path) -> None:
        save_backbone(self.backbone, folder)

    def usage(self, folder: Path) -> str:
        return f"mildbench evaluate --method sd-inpaint:backbone={folder}"
