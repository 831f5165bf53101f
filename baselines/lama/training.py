"""Training LaMa's network, either variant, from scratch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from baselines.adversarial import PatchCritic, adversarial
from baselines.lama.checkpoint import load_network
from baselines.lama.loss import coarse_l1, contrast, masked_l1
from baselines.lama.network import VARIANTS, LamaNetwork
from baselines.perceptual import SegmentationFeatures, perceptual, spectral
from baselines.seamless import seamless
from mildbench.errors import UserError, did_you_mean
from mildbench.training.checkpoint import write_tensors
from mildbench.training.examples import erasing
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, Trainer, TrainerInfo
from mildbench.weights import resolve

_ADVERSARIAL, _MATCHING, _R1 = 1.0, 10.0, 1e-5
"""The first two are the authors' over 10, since their weight of the L1 loss, 10, is 1 in `masked_l1`. Their R1 has
1e-3, by which a new critic learns to be flat before it learns to tell pictures apart (75 % of pairs after 120 steps,
not 93 %)."""
_PERCEPTUAL = {
    "known": 1.0,
    "hole": 0.5,
    "coarse": 2.0,
    "content": 0.1,
    "style": 1.0,
    "spectrum": 0.2,
    "contrast": 0.4,
}
"""Weights where a segmentation network looks on. The L1 loss then weighs the hole less than the rest: with more of it,
the mean of all that could be there wins."""
_CRITIC_WIDTHS = {"big": 64, "tiny": 32}


class LamaTrainer(Trainer):
    """LaMa's network (Suvorov et al., WACV 2022), trained to erase people.

    [paper] Non-saturating adversarial loss with R1; feature matching; L1; a perceptual loss on a segmentation network;
    learning rates of 1e-3 and, for the critic, a tenth. [ours] The L1 loss weighs the hole too, since a scene has an
    exact answer there (`masked_l1`); the segmentation network is a small one, and its features' products are compared
    as well (`perceptual`), and with them the power spectrum (`spectral`), the strength of detail from place to place
    (`contrast`) and coarse colours (`coarse_l1`); the variant tiny is judged as the method returns it, its colours
    corrected; holes are people's footprints; AdamW; a critic with group normalisation, which judges the hole alone;
    averaged weights.
    """

    info = TrainerInfo("lama", "LaMa's network, trained to erase people", batch_size=16, lr=1e-3)
    make_example = staticmethod(erasing)
    lr_scales = {"critic": 0.1}  # noqa: RUF012 - read-only

    def __init__(
        self, variant: str = "tiny", adversarial: bool = True, perceptual: bool = False, start: str = ""
    ) -> None:
        """Raises `UserError` for an unknown variant.

        Args:
            variant: `tiny` or `big`.
            adversarial: with the critic's losses; without, at a third of the cost.
            perceptual: with a perceptual and a style loss on DeepLab (`mildbench weights fetch deeplab`, 2 MB), and
                with losses of detail.
            start: weights of the network to go on from, as `load_network` reads them; the critic begins at random.
        """
        if variant not in VARIANTS:
            raise UserError(f"trainer 'lama' has no variant {variant!r}: {did_you_mean(variant, VARIANTS)}")
        self.variant = variant
        self.adversarial = adversarial
        self.perceptual = perceptual
        self.start = Path(start) if start else None

    def load(self, device: str, seed: int) -> None:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            sizes = VARIANTS[self.variant]
            network = LamaNetwork(sizes) if self.start is None else load_network(self.start, sizes)
            self.network = network.to(device).requires_grad_(True)
            self.trained = nn.ModuleDict({"network": self.network})
            self.features = SegmentationFeatures(resolve("deeplab")).to(device) if self.perceptual else None
            if self.adversarial:
                self.critic = PatchCritic(_CRITIC_WIDTHS[self.variant]).to(device)
                self.trained["critic"] = self.critic

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        image, mask, truth = _tensors(batch)
        predicted = self.network.predict(image, mask)
        if self.features is None:
            loss = masked_l1(predicted, truth, mask)
            logs = {"l1": loss}
        else:
            composed = self._composed(predicted, image, mask)
            seen = perceptual(self.features, composed, truth, mask)
            logs = {
                "known": masked_l1(predicted, truth, mask, hole=0.0),
                "hole": masked_l1(composed, truth, mask, known=0.0, hole=1.0),
                "coarse": coarse_l1(composed, truth, mask),
                "content": seen.content,
                "style": seen.style,
                "spectrum": spectral(composed, truth, mask),
                "contrast": contrast(composed, truth, mask),
            }
            loss = torch.stack([weight * logs[name] for name, weight in _PERCEPTUAL.items()]).sum()
        if self.adversarial:
            parts = adversarial(self.critic, predicted, truth, mask)
            loss = (
                loss
                + _ADVERSARIAL * parts.fooling
                + _MATCHING * parts.matching
                + parts.telling
                + _R1 * parts.r1
            )
            logs |= {
                "fooling": parts.fooling,
                "matching": parts.matching,
                "telling": parts.telling,
                "r1": parts.r1,
            }
        return loss, {name: value.detach() for name, value in logs.items()}

    def validate(self, batch: Batch) -> Logs:
        """The L1 loss, and the PSNR in the holes in dB."""
        image, mask, truth = _tensors(batch)
        predicted = self.network.predict(image, mask)
        composed = self._composed(predicted, image, mask).clamp(0, 1)
        error = ((composed - truth).square() * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3))).clamp(min=1)
        return {
            "l1": masked_l1(predicted, truth, mask),
            "hole_psnr": -10 * error.clamp(min=1e-10).log10().mean(),
        }

    def panel(self, batch: Batch) -> np.ndarray:
        """Input, mask, the network's answer, the truth."""
        image, mask, truth = _tensors(batch)
        made = self._composed(self.network.predict(image, mask), image, mask)
        return tile([pictures(image), batch["mask"].cpu().numpy(), pictures(made), pictures(truth)])

    def _composed(self, predicted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        """float32[B, 3, H, W]: as the method puts the prediction together with the image."""
        if VARIANTS[self.variant].seamless:
            return seamless(predicted.float(), image, mask)
        return torch.lerp(image, predicted.float(), mask)

    def save(self, folder: Path) -> None:
        """`model.safetensors`, in half precision, under the authors' names."""
        write_tensors(
            folder / "model.safetensors",
            {
                name: tensor.half() if tensor.is_floating_point() else tensor
                for name, tensor in self.network.state_dict().items()
            },
        )

    def usage(self, folder: Path) -> str:
        return (
            f"mildbench evaluate --method lama:variant={self.variant},weights={folder / 'model.safetensors'}"
        )

    def compiled(self) -> list[nn.Module]:
        """The generator; the critic's second derivatives are beyond the compiler."""
        return [self.network.generator]


def _tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Image and truth float[B, 3, H, W] in [0, 1], mask float[B, 1, H, W]."""
    image, truth = (batch[name].permute(0, 3, 1, 2).float() / 255 for name in ("image", "truth"))
    return image, batch["mask"][:, None].float(), truth
