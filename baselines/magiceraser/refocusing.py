"""Semantics-aware attention refocusing: erased tokens look at the background, not at people.

Training-free, in self-attention, at early times only [paper]: A' = softmax((Q K^T + M) / sqrt d), where M
raises erased -> background and lowers erased -> look-alike and erased -> erased [paper]. The strengths are not
published; both forms of M below are [ours].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from baselines.diffusion.attention import Attended, Grid, RegionMaps, attend

BACKGROUND, ERASED, LOOK_ALIKE = range(3)
"""The regions: nobody is there, is to be erased, and people who stay, who look like the erased."""
SIGNS = (1.0, -1.0, -1.0)
"""Whether the attention of erased tokens to each region is raised or lowered."""
LOGIT = 1.0
"""Constant form: what is added to the scaled logits; attention to a region changes by a factor of e."""
SHARE, DECAY = 0.3, 5
"""DenseDiffusion form: `SHARE` t^`DECAY` of the way; its authors' values for self-attention."""
QUERIES = 256
"""Rows of explicit attention maps that are in memory at a time."""


class Regions(RegionMaps):
    """The three regions, and which tokens are of the erased one: looked up once a resolution."""

    def __init__(self, maps: torch.Tensor, grid: Grid) -> None:
        super().__init__(maps, grid)
        self._erased: dict[int, tuple[torch.Tensor, ...]] = {}

    def erased(self, tokens: int) -> tuple[torch.Tensor, ...]:
        """Of each pathway int64[E]: the tokens, of N, any part of which is erased. Waits once."""
        if tokens not in self._erased:
            there = self.at(tokens)[..., ERASED] != 0
            rows = there.nonzero()[:, 1]
            self._erased[tokens] = rows.split(there.sum(1).tolist())
        return self._erased[tokens]


def constant(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    labels: torch.Tensor | None,
    regions: Regions,
    amounts: torch.Tensor,
) -> Attended:
    """M is the same for all pairs of tokens of two regions: a region bias, at flash cost.

    Args:
        query, key, value: float[B, heads, N, D].
        labels: as in `baselines.diffusion.attention.attend`, and so is what is returned.
        regions: of the B pathways.
        amounts: float32[B], by how much logits are raised and lowered; 0 does nothing.
    """
    weights = torch.zeros(len(amounts), len(SIGNS), len(SIGNS))
    weights[:, ERASED] = amounts[:, None] * torch.tensor(SIGNS)
    maps = regions.at(query.shape[2])
    return attend(query, key, value, maps=maps, weights=weights.to(query.device), labels=labels)


def densediffusion(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    labels: torch.Tensor | None,
    regions: Regions,
    amounts: torch.Tensor,
) -> Attended:
    """M moves a logit part of its distance to the row's largest (raised) or smallest (lowered).

    After Kim et al., Dense text-to-image generation with attention modulation, ICCV 2023: that part is
    `amounts` times 1 - S, where S is the share of the picture that the erased region covers. M depends on the
    logits: the rows of erased tokens are computed explicitly, `QUERIES` at a time, and the others as ever.
    Arguments and result are those of `constant`. For inference: it writes into its result.
    """
    out, masses = attend(query, key, value, labels=labels)
    signs = torch.tensor(SIGNS, device=query.device)
    maps, tokens = regions.at(query.shape[2]), regions.erased(query.shape[2])
    for pathway, amount in enumerate(amounts.tolist()):
        if not amount:
            continue
        shares, keys, values = (part[pathway].float() for part in (maps, key, value))
        raised, lowered = shares @ signs.clamp(min=0), shares @ -signs.clamp(max=0)
        erased = shares[:, ERASED]
        parts = amount * (1 - erased[regions.grid.text :].mean()) * erased
        for rows in tokens[pathway].split(QUERIES):
            logits = query[pathway, :, rows].float() @ keys.mT * query.shape[-1] ** -0.5
            up = raised * (logits.amax(-1, keepdim=True) - logits)
            down = lowered * (logits - logits.amin(-1, keepdim=True))
            attention = (logits + parts[rows, None] * (up - down)).softmax(-1)
            out[pathway, :, rows] = (attention @ values).to(out.dtype)
            if labels is not None and masses is not None:
                masses[pathway, rows] = (attention.mean(0) @ labels[pathway].float()).to(masses.dtype)
    return out, masses


class Form(NamedTuple):
    """One choice of M."""

    attend: Callable[..., Attended]
    amounts: Callable[[torch.Tensor], torch.Tensor]
    """Times float32[B] -> float32[B]."""


FORMS = {
    "constant": Form(constant, lambda time: torch.full_like(time, LOGIT)),
    "densediffusion": Form(densediffusion, lambda time: SHARE * time**DECAY),
}


@dataclass(frozen=True, eq=False)
class Refocusing:
    """A `Modulation` that refocuses from t = 1 down to `window`, and does nothing afterwards."""

    form: Form
    regions: Regions
    """Of each pathway: background, erased and look-alike, in this order; any of them may be empty."""
    window: float
    """The last time, 0 to 1."""

    def attend(
        self,
        layer: str,
        time: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> Attended:
        """See `Modulation.attend`; every layer is treated alike."""
        amounts = self.form.amounts(time) * (time >= self.window)
        if not amounts.any():
            return attend(query, key, value, labels=labels)
        return self.form.attend(query, key, value, labels, self.regions, amounts)
