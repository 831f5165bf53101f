"""Training MagicEraser: textual inversion of R* and an adapter of the UNet, on a frozen backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from baselines.diffusion.parts import seeded
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from baselines.magiceraser.prompt import WORD, PromptTuning, describe
from mildbench.training.trainer import Batch, Logs, TrainerInfo


class MagicEraserTrainer(DiffusionTrainer):
    """MagicEraser's prompt tuning (Li et al., ECCV 2024).

    [paper] The embedding of R* and a LoRA of the UNet are trained together with the noise loss, all else is
    frozen; the data are OLRD triplets (the recipe `olrd`; any other will do). [ours] The prompt is always the short
    one, with one tag for all; the learning rates.
    """

    info = TrainerInfo("magiceraser", "MagicEraser's word R* and adapter", batch_size=16, lr=1e-4)
    make_example = staticmethod(problems.erasing_without_words)
    lr_scales = {"word": 10.0}  # noqa: RUF012 - read-only

    def __init__(self, backbone: str = "tiny", tag: str = "background") -> None:
        """The options are those of the method `magiceraser`."""
        super().__init__(backbone)
        self.tag = tag

    def load(self, device: str, seed: int) -> None:
        super().load(device, seed)
        self.tuning = seeded(lambda: PromptTuning(self.backbone), seed)
        # Of the UNet only the adapter requires a gradient.
        self.trained = nn.ModuleDict({"word": self.tuning.word, "lora": self.backbone.unet})

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
        """The UNet; the word is looked up, not run."""
        return [self.backbone.unet]
