"""Training two-stage de-occlusion: the mask completion, then what is added to the decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from baselines import shipped
from baselines.deocclusion import examples
from baselines.deocclusion.decoder import DecoderSkips
from baselines.deocclusion.mask_completion import MaskCompletion
from baselines.deocclusion.method import Parts
from baselines.diffusion.parts import load_part, save_part, seeded
from baselines.diffusion.training.base import DiffusionTrainer, to_model
from baselines.diffusion.training.noise import encode
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, Trainer, TrainerInfo

_STEPS = 10
"""Of the sampling in validation; the method's default."""


class MaskTrainer(Trainer):
    """Stage 1 of two-stage de-occlusion (Noh & Chang, ACM MM 2025), see `MaskCompletion`.

    [ours] The loss is that of diffusion; the whole masks are those of the scenes' layers, so they are exact.
    """

    info = TrainerInfo("deocclusion-mask", "de-occlusion's mask completion", batch_size=32, lr=5e-4)
    make_example = staticmethod(examples.masks)

    def load(self, device: str, seed: int) -> None:
        self.model = seeded(MaskCompletion, seed).to(device)
        self.trained = nn.ModuleDict({"mask_completion": self.model})

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        return self.model.training_loss(batch["amodal"], batch["conditions"], torch.default_generator), {}

    def validate(self, batch: Batch) -> Logs:
        """The loss, and the intersection over union of completed and whole masks."""
        found, whole = self._completed(batch), batch["amodal"][:, 0] > 0
        shared = (found & whole).sum((1, 2)) / (found | whole).sum((1, 2)).clamp(min=1)
        return {**super().validate(batch), "iou": shared.mean()}

    def panel(self, batch: Batch) -> np.ndarray:
        """The crop, what is visible, where more may be hidden, the completed mask, the whole one."""
        visible, observability = _masks(batch)
        found = (visible, observability, self._completed(batch), batch["amodal"][:, 0] > 0)
        crop = pictures((batch["conditions"][:, :3] + 1) / 2)
        return tile([crop, *(mask.cpu().numpy() for mask in found)])

    def _completed(self, batch: Batch) -> Tensor:
        """bool[B, S, S]: put together as `mask_completion.complete` does."""
        conditions = batch["conditions"]
        sampled = self.model.sample(conditions, range(len(conditions)), _STEPS)[:, 0]
        visible, observability = _masks(batch)
        return visible | ((sampled > 0) & observability)

    def save(self, folder: Path) -> None:
        save_part(self.model, folder / "mask_completion.safetensors")

    def usage(self, folder: Path) -> str:
        return f"mildbench train deocclusion-decoder:mask={folder}"


class DecoderTrainer(DiffusionTrainer):
    """Stage 2 of two-stage de-occlusion (Noh & Chang, ACM MM 2025): what is added to the decoder, see `DecoderSkips`.

    [paper] The loss of visible pixels through the latent space. [ours] L1; the rest of the crop counts as much,
    and its truth is exact: what is added would else smear over the edge of what is visible. The latents are those
    of the whole person's picture.

    The weights of stage 1 are saved with those of stage 2: the method reads both from one folder.
    """

    info = TrainerInfo(
        "deocclusion-decoder", "de-occlusion's decoder, after deocclusion-mask", batch_size=16, lr=5e-4
    )
    make_example = staticmethod(examples.figures)

    def __init__(self, backbone: str = "tiny", mask: str = "") -> None:
        """See the class.

        Args:
            backbone: see `DiffusionTrainer`.
            mask: folder of what `deocclusion-mask` has trained; the shipped one without.
        """
        super().__init__(backbone)
        self.mask = Path(mask) if mask else shipped.folder("deocclusion")

    def load(self, device: str, seed: int) -> None:
        super().load(device, seed)
        completion = MaskCompletion()
        load_part(completion, self.mask / "mask_completion.safetensors")
        self.parts = Parts(completion, seeded(lambda: DecoderSkips(self.backbone.vae), seed).to(device))
        self.trained = nn.ModuleDict({"decoder_skips": self.parts.decoder_skips})

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        made, truth = self._decoded(batch)
        seen = batch["seen"][:, None]
        error = (made - truth).abs().mean(1, keepdim=True)
        visible, rest = ((error * weight).sum() / weight.sum().clamp(min=1) for weight in (seen, 1 - seen))
        return visible + rest, {"visible": visible.detach(), "rest": rest.detach()}

    def panel(self, batch: Batch) -> np.ndarray:
        """What is visible, the decoded latents of the whole person, the truth."""
        columns = (to_model(batch["shown"]), *self._decoded(batch))
        return tile([pictures((column + 1) / 2) for column in columns])

    def _decoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The whole person through the latent space, and as they are: float[B, 3, H, W] in about [-1, 1]."""
        truth = to_model(batch["truth"])
        with torch.no_grad():
            latents = encode(self.backbone, truth)
        shown, seen = to_model(batch["shown"]), batch["seen"][:, None]
        return self.parts.decoder_skips.decode(self.backbone, latents, shown, seen), truth

    def save(self, folder: Path) -> None:
        for name, part in self.parts._asdict().items():
            save_part(part, folder / f"{name}.safetensors")

    def usage(self, folder: Path) -> str:
        return f"mildbench evaluate --method deocclusion:backbone={self.backbone_name},weights={folder}"


def _masks(batch: Batch) -> tuple[Tensor, Tensor]:
    """The visible and the observability mask, bool[B, S, S], out of the conditions."""
    visible, observability = (batch["conditions"][:, channel] > 0.5 for channel in (3, 4))
    return visible, observability
