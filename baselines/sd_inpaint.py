"""Stable Diffusion inpainting, as its pipeline does it: one pathway, nothing added."""

from __future__ import annotations

from dataclasses import replace

from baselines import shipped
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.sampler import Settings
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseResult, MethodInfo


class SdInpaint(DiffusionMethod):
    """Inpainting by a latent diffusion model (Rombach et al., CVPR 2022), the checkpoint as it is, empty prompt."""

    info = MethodInfo(
        "sd-inpaint",
        "official",
        "Stable Diffusion inpainting, the checkpoint as it is",
        paper="Rombach et al., High-resolution image synthesis with latent diffusion models, CVPR 2022",
        licence="the checkpoint's",
        revision=2,
        capabilities=frozenset({"device", "attention"}),
    )

    def __init__(
        self,
        backbone: str = shipped.BACKBONE,
        prompt: str = "",
        negative_prompt: str = "",
        steps: int = 0,
        guidance: float = 7.5,
        resolution: int = 0,
        dtype: str = "auto",
        seamless: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`.
            prompt: what to paint, the same for every picture.
            negative_prompt: what to be guided away from.
            steps: of the checkpoint's own scheduler; 0 for what its card says, or 30.
            guidance: scale of classifier-free guidance; without effect where both prompts are the same. Or of that
                which the backbone was distilled with (FLUX-Fill).
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
            seamless: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, seamless=seamless)
        if not self.info.weights:  # a user's own checkpoint, or a retrained one, is not the authors'
            self.info = replace(self.info, provenance="port")
        self.prompt, self.negative_prompt = prompt, negative_prompt
        self.settings = Settings.checked(self.info.name, steps or self.usual_steps, guidance)

    def load(self) -> None:
        """Load the backbone; raises `UserError` where it cannot do what the options ask for."""
        super().load()
        if self.negative_prompt and self.backbone.distilled:
            raise UserError(
                f"method {self.info.name!r}: the backbone {self.backbone_name} was distilled with guidance, and is not "
                "guided away from anything: leave negative_prompt out"
            )

    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """One pathway a sample."""
        # Guidance between equal prompts is no guidance: half the work, the same picture.
        idle = self.prompt == self.negative_prompt and not self.backbone.distilled
        return self.inpaint(
            batch,
            self.canvas(batch),
            replace(self.settings, guidance=1.0) if idle else self.settings,
            prompts=self.backbone.text([self.prompt] * len(batch)),
            negative=self.backbone.text([self.negative_prompt] * len(batch)),
        )
