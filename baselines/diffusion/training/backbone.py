"""Training a backbone's UNet and text encoder from scratch, on a trained autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from baselines.diffusion.architectures import architecture, random_models
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.checkpoints import read_vae
from baselines.diffusion.saving import save_backbone
from baselines.diffusion.text import TextEncoder
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from baselines.diffusion.unet import UNetBackbone
from mildbench.errors import UserError
from mildbench.training.trainer import TrainerInfo


class BackboneTrainer(DiffusionTrainer):
    """An inpainting latent diffusion model (Rombach et al., CVPR 2022): the noise loss, on erasing and restoring.

    The empty prompt stands for background, "a person" for a person, so that the same weights can complete people.
    """

    info = TrainerInfo("backbone", "UNet and text encoder of a diffusion backbone", batch_size=32, lr=3e-4)
    make_example = staticmethod(problems.inpainting)

    def __init__(
        self, vae: str = "", start: str = "", architecture: str = "tiny", resolution: int = 0
    ) -> None:
        """Raises `UserError` unless one of `vae` and `start` is given, or for a resolution that is no multiple of 64.

        Args:
            vae: folder of a trained autoencoder in diffusers' format; UNet and text encoder begin at random.
            start: a trained backbone to go on from, named as other trainers' `backbone`.
            architecture: of a random beginning, `tiny` or `sd-1.5`.
            resolution: pixels at which methods show the trained backbone its pictures: that of the training scenes,
                as a rule. 0: as the architecture or the start has it.
        """
        if bool(vae) == bool(start):
            raise UserError(
                "trainer 'backbone' needs a trained autoencoder or a trained backbone: mildbench train backbone-vae, "
                "then backbone:vae=FOLDER; or backbone:start=BACKBONE"
            )
        if resolution < 0 or resolution % 64:
            raise UserError(
                f"trainer 'backbone': resolution={resolution} is no multiple of 64; leave it out or give one"
            )
        super().__init__(start or f"random:{architecture}")
        self.resolution = resolution
        self.architecture = architecture
        self.vae = Path(vae) if vae else None

    def load(self, device: str, seed: int) -> None:
        if self.vae is None:
            super().load(device, seed)
        else:
            self.backbone = self._random(self.vae, device, seed)
        unet, encoders = self.backbone.network, nn.ModuleList(self.backbone.text.models)
        if self.resolution:
            unet.register_to_config(sample_size=self.resolution // self.backbone.factor)
        for part in (unet, encoders):
            part.to(device).requires_grad_(True)
        self.trained = nn.ModuleDict({"unet": unet, "text": encoders})

    def _random(self, vae: Path, device: str, seed: int) -> Backbone:
        """Untrained but for the autoencoder."""
        models: tuple[Any, ...] = random_models(architecture(self.architecture), seed)
        unet, _, text, tokenizer, schedule = models
        return UNetBackbone(
            self.backbone_name,
            unet,
            read_vae(vae).to(device).requires_grad_(False).eval(),
            TextEncoder((tokenizer,), (text,)),
            schedule,
        )

    def save(self, folder: Path) -> None:
        save_backbone(self.backbone, folder)

    def front_matter(self) -> dict[str, int]:
        return self.sampling()

    def usage(self, folder: Path) -> str:
        return f"mildbench evaluate --method sd-inpaint:backbone={folder}"
