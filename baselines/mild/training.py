"""Training MILD: its adapters, guidance, modulation and alpha head, on a frozen backbone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.diffusion.training import base
from baselines.diffusion.training.base import DiffusionTrainer, to_hole, to_model
from baselines.diffusion.training.noise import noise_losses
from baselines.mild import examples, guidance
from baselines.mild.modules import Conditions, Modules
from mildbench.errors import UserError
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, TrainerInfo

_ALPHA = 0.1
"""Weight of the alpha loss, where that of the noise loss is 1."""


class MildTrainer(DiffusionTrainer):
    """MILD (Yu et al., 2025). All but the noise loss is [ours], since the authors' training is not public.

    An example is two pathways of one scene: the background, and a person whom an erased one may hide; where there
    is none, the background of another task. Both come from the functions that the method uses. Targets are exact:
    the scene's background, and the person's whole layer on grey.

    The loss is the mean noise loss of the pathways plus `_ALPHA` times the alpha loss of the instances: binary
    cross-entropy and Dice on the matte in the hole, decoded from the estimated clean latent, at whatever time it was
    estimated.

    With a single path, an example is the one pathway that inpaints the mask, and there is no alpha loss. With dual
    pathways it is the background, and all who stay.
    """

    info = TrainerInfo("mild", "MILD's adapters, guidance, modulation and alpha head", batch_size=16, lr=3e-4)
    lr_scales = {"modulation": 10.0, "alpha": 3.0}  # noqa: RUF012 - read-only

    def __init__(
        self,
        backbone: str = "tiny",
        hmg: str = "pose+parsing+relations",
        sma: bool = True,
        single_path: bool = False,
        dual: bool = False,
        lora_routing: bool = True,
        start: str = "",
        alpha_only: bool = False,
    ) -> None:
        """Raises `UserError` for an unknown part of the guidance, and for options that exclude each other.

        Args:
            backbone: see `DiffusionTrainer`.
            hmg: this and the next four as the method `mild` takes them.
            sma: with Spatially-Modulated Attention.
            single_path: one pathway that inpaints the mask, without layers.
            dual: one pathway for all who stay.
            lora_routing: an adapter for each kind of pathway.
            start: a folder of trained modules to go on from.
            alpha_only: train the alpha head alone, on the instances, and leave all else as the start has it. A step
                then costs far less.
        """
        super().__init__(backbone)
        self.parts = guidance.parts_of(self.info.name, hmg)
        if single_path and dual:
            raise UserError("trainer 'mild': a single path cannot be dual: give one of the two")
        self.hmg, self.sma, self.lora_routing = hmg, sma, lora_routing
        self.single_path, self.dual = single_path, dual
        if alpha_only and (single_path or not start):
            raise UserError(
                "trainer 'mild': alpha_only=true needs start=FOLDER, modules of pathways that have an alpha head"
            )
        self.start, self.alpha_only = start, alpha_only

    def load(self, device: str, seed: int) -> None:
        """Raises `UserError` for a start that lacks a file, or does not fit the backbone or the options."""
        super().load(device, seed)
        several = examples.dual_pathways_of if self.dual else examples.two_pathways
        self.make_example = partial(
            examples.single_pathway if self.single_path else several,
            parts=self.parts,
            edge=self.backbone.factor,
        )
        if self.alpha_only:
            self.make_example = partial(examples.instance_alone, two=self.make_example)
        self.modules = Modules.fresh(
            self.backbone,
            routed=self.lora_routing and not self.single_path,
            guided=bool(self.parts),
            modulated=self.sma,
            layered=not self.single_path,
            seed=seed,
        )
        if self.start:
            self.modules.load(Path(self.start))
        # Of the UNet only the adapters require a gradient.
        self.trained = nn.ModuleDict({"lora": self.backbone.network, **self.modules.parts()})
        if self.alpha_only:
            self.trained.requires_grad_(False)
            self.trained["alpha"].requires_grad_(True)

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        conditions = self._conditions(batch)
        shown = conditions.pathways
        with self.modules.applied(conditions) as (residuals, modulated):
            made = noise_losses(
                self.backbone,
                to_model(_flat(batch, "target")),
                shown.pictures,
                shown.holes,
                shown.prompts,
                residuals=residuals,
                modulation=modulated,
            )
        loss = made.losses.mean()
        if self.modules.alpha is None:
            return loss, {}
        # All pathways, though only instances count: the head then has a gradient in every step.
        logits = self.modules.mattes(conditions, made.clean, list(range(len(shown))))
        mattes = to_hole(_flat(batch, "matte")) / 255
        instance = conditions.domains.float()
        # Sampling in S steps reads the head once, on the estimate of its last step, made at the time 1/S: of pure
        # noise with one step, of nearly the picture with many. All times count alike, so that any S is served.
        alpha = _mean(matte_losses(logits.float(), mattes, shown.holes), instance)
        logs = {
            "background": _mean(made.losses, 1 - instance),
            "instance": _mean(made.losses, instance),
            "alpha": alpha,
        }
        return loss + _ALPHA * alpha, {name: value.detach() for name, value in logs.items()}

    def panel(self, batch: Batch) -> np.ndarray:
        """Of each pathway: what is known, what is made, the matte (black for a background), the truth."""
        conditions = self._conditions(batch)
        shown = conditions.pathways
        with self.modules.applied(conditions) as (residuals, modulated):
            latents = denoise(
                self.backbone,
                replace(shown, residuals=residuals),
                Settings(steps=base.PANEL_STEPS),
                modulation=modulated,
            )
        columns = [shown.pictures * (1 - shown.holes), self.backbone.decode(latents)]
        if self.modules.alpha is not None:
            logits = self.modules.mattes(conditions, latents, list(range(len(shown))))
            found = logits.sigmoid() * shown.holes * conditions.domains.view(-1, 1, 1, 1)
            columns.append(found.expand(-1, 3, -1, -1) * 2 - 1)
        columns.append(to_model(_flat(batch, "target")))
        count = batch["hole"].shape[1]
        return tile([pictures((column[path::count] + 1) / 2) for path in range(count) for column in columns])

    def _conditions(self, batch: Batch) -> Conditions:
        """As `Mild.conditions`, of examples."""
        samples, count = batch["hole"].shape[:2]
        return Conditions(
            Pathways(
                to_model(_flat(batch, "picture")),
                to_hole(_flat(batch, "hole")),
                self.backbone.text([""] * (samples * count)),
                [sample for sample in range(samples) for _ in range(count)],
            ),
            _flat(batch, "instance").long(),
            to_hole(_flat(batch, "visible")),
            _flat(batch, "guidance").float() / examples.LEVELS,
            _flat(batch, "regions").float(),
        )

    def save(self, folder: Path) -> None:
        self.modules.save(folder)

    def usage(self, folder: Path) -> str:
        switches = {
            "sma": self.sma,
            "single_path": self.single_path,
            "dual": self.dual,
            "lora_routing": self.lora_routing,
        }
        given = [f"hmg={self.hmg}", *(f"{name}={str(value).lower()}" for name, value in switches.items())]
        return (
            "mildbench evaluate --method "
            f"mild:backbone={self.backbone_name},weights={folder},{','.join(given)}"
        )


def matte_losses(logits: Tensor, mattes: Tensor, holes: Tensor) -> Tensor:
    """Binary cross-entropy plus the Dice loss (Milletari et al., 3DV 2016), in the holes; float[P].

    `logits`, `mattes` in [0, 1] and `holes` of 0 and 1 are float[P, 1, H, W].
    """
    over = (1, 2, 3)
    entropy = F.binary_cross_entropy_with_logits(logits, mattes, reduction="none") * holes
    found, wanted = logits.sigmoid() * holes, mattes * holes
    # One pixel more above and below: where nobody is hidden and nobody is found, the loss is 0.
    dice = (2 * (found * wanted).sum(over) + 1) / ((found + wanted).sum(over) + 1)
    return entropy.sum(over) / holes.sum(over).clamp(min=1) + 1 - dice


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Of float[P], over those whose weight is 1; 0 where there is none."""
    return (values * weights).sum() / weights.sum().clamp(min=1)


def _flat(batch: Batch, name: str) -> Tensor:
    """[B, N, ...] -> [B * N, ...]: samples' pathways one after another."""
    return batch[name].flatten(0, 1)
