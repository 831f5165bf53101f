"""Training MagicEraser: textual inversion of R* and an adapter of the UNet, on a frozen backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from baselines.diffusion.parts import seeded
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from baselines.magiceraser.prompt import WORD, PromptTuning, describe
from mildbench.errors import UserError, did_you_mean
from mildbench.training.trainer import Batch, Logs, TrainerInfo

MASKS = {"people": problems.erasing_without_words, "random": problems.restoring}
"""What the holes are: people, to be erased, or boxes, under which the picture is to be restored."""


class MagicEraserTrainer(DiffusionTrainer):
    """MagicEraser's prompt tuning (Li et al., ECCV 2024).

    [paper] The embedding of R* and a LoRA of the UNet are trained together with the noise loss, all else is
    frozen; the data are OLRD triplets (the recipe `olrd`; any other will do); in the ablation, pictures that are
    restored under random masks. [ours] The prompt is always the short one, with one tag for all; boxes as random
    masks; the learning rates.
    """

    info = TrainerInfo("magiceraser", "MagicEraser's word R* and adapter", batch_size=16, lr=1e-4)
    lr_scales = {"word": 10.0}  # noqa: RUF012 - read-only

    def __init__(self, backbone: str = "tiny", tag: str = "background", masks: str = "people") -> None:
        """Raises `UserError` for unknown masks.

        Args:
            backbone: as the method's.
            tag: what every picture's background is, in words.
            masks: a key of `MASKS`.
        """
        super().__init__(backbone)
        if masks not in MASKS:
            raise UserError(f"trainer 'magiceraser' has no masks {masks!r}: {did_you_mean(masks, MASKS)}")
        self.tag = tag
        self.make_example = MASKS[masks]

    def load(self, device: str, seed: int) -> None:
        super().load(device, seed)
        self.tuning = seeded(lambda: PromptTuning(self.backbone), seed)
        # Of the network only the adapter requires a gradient.
        self.trained = nn.ModuleDict({"word": self.tuning.word, "lora": self.backbone.network})

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        with self.tuning.lora.routed([0] * len(batch["image"])):
            return super().loss(self._prompted(batch))

    def panel(self, batch: Batch) -> np.ndarray:
        with self.tuning.lora.routed([0] * len(batch["image"])):
            return super().panel(self._prompted(batch))

    def _prompted(self, batch: Batch) -> Batch:
        return {**batch, "prompt": [describe(self.tag, WORD)] * len(batch["image"])}

    def save(self, folder: Path) -> None:
        self.tuning.save(folder)

    def usage(self, folder: Path) -> str:
        return (
            "mildbench evaluate --method "
            f"magiceraser:backbone={self.backbone_name},weights={folder},tag={self.tag}"
        )

    def compiled(self) -> list[nn.Module]:
        """The network; the word is looked up, not run."""
        return [self.backbone.network]
