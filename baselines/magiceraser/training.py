"""Training MagicEraser: textual inversion of R* and an adapter of the UNet, on a frozen backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from baselines.diffusion.parts import seeded
from baselines.diffusion.training import problems
from baselines.diffusion.training.base import DiffusionTrainer
from baselines.magiceraser.prompt import AUTO, WORD, PromptTuning, describe, in_words
from mildbench.errors import UserError, did_you_mean
from mildbench.scene import Scene
from mildbench.training.examples import Example
from mildbench.training.trainer import Batch, Logs, TrainerInfo


def erasing(scene: Scene, rng: np.random.Generator) -> Example:
    """The task of erasing some people, and `tag`, the background's category or nothing."""
    return {**problems.erasing_without_words(scene, rng), "tag": scene.background_tag or ""}


def restoring(scene: Scene, rng: np.random.Generator) -> Example:
    """What boxes hide, and `tag`."""
    return {**problems.restoring(scene, rng), "tag": scene.background_tag or ""}


MASKS = {"people": erasing, "random": restoring}
"""What the holes are: people, to be erased, or boxes, under which the picture is to be restored."""


class MagicEraserTrainer(DiffusionTrainer):
    """MagicEraser's prompt tuning (Li et al., ECCV 2024).

    [paper] The embedding of R* and a LoRA of the UNet are trained together with the noise loss, all else is
    frozen; the data are OLRD triplets (the recipe `olrd`; any other will do); in the ablation, pictures that are
    restored under random masks. The prompt has the tag of each picture's background, from a panoptic segmentation
    (`--annotations` with segments; "background" where nobody has segmented it). [ours] The prompt is always the short
    one; the tag is of what lies around all people of the scene; boxes as random masks; the learning rates.
    """

    info = TrainerInfo("magiceraser", "MagicEraser's word R* and adapter", batch_size=16, lr=1e-4)
    lr_scales = {"word": 10.0}  # noqa: RUF012 - read-only

    def __init__(self, backbone: str = "tiny", tag: str = AUTO, masks: str = "people") -> None:
        """Raises `UserError` for unknown masks.

        Args:
            backbone: see `DiffusionTrainer`.
            tag: what every picture's background is, in words; `auto` is each one's own.
            masks: `people`, to be erased, or `random` boxes, to be restored.
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
        own = self.tag == AUTO
        words = [in_words(tag) if own else self.tag for tag in batch["tag"]]
        return {**batch, "prompt": [describe(background, WORD) for background in words]}

    def save(self, folder: Path) -> None:
        self.tuning.save(folder)

    def usage(self, folder: Path) -> str:
        tag = "" if self.tag == AUTO else f",tag={self.tag}"
        return f"mildbench evaluate --method magiceraser:backbone={self.backbone_name},weights={folder}{tag}"

    def compiled(self) -> list[nn.Module]:
        """The network; the word is looked up, not run."""
        return [self.backbone.network]
