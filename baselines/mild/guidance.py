"""Human Morphology Guidance (HMG): what is known of a body and of who stands around it, as a T2I-Adapter sees it.

[paper] A plug-and-play module brings pose, parsing and spatial relations into the diffusion. [ours] The
channels, and the encoder: a T2I-Adapter (Mou et al., AAAI 2024) with zero convolutions (Zhang et al., ControlNet,
ICCV 2023) after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
import torch
from torch import nn

from baselines.diffusion.canvas import Canvas
from baselines.mild.pathways import Pathway
from baselines.people import joint_heatmaps
from mildbench.errors import UserError, did_you_mean
from mildbench.labels import KEYPOINTS, PARSING, SKELETON

PARTS = {"pose": len(KEYPOINTS) + 1, "parsing": len(PARSING), "relations": 5}
"""The parts of the guidance in the order of their channels, and how many each has."""

CHANNELS = sum(PARTS.values())

_RESNETS = 2
"""Residual layers a resolution, as in T2I-Adapter."""

JOINT = 1 / 64
"""Standard deviation of a joint's heatmap and thickness of a limb, in longer sides of the canvas."""

FAR = 1 / 8
"""Distance to the mask, in longer sides of the canvas, beyond which it no longer matters."""


def parts_of(method: str, option: str) -> frozenset[str]:
    """Parts from an option such as `pose+parsing`, or `none`; raises `UserError` for an unknown one."""
    if option == "none":
        return frozenset()
    names = option.split("+")
    for name in names:
        if name not in PARTS:
            raise UserError(
                f"method {method!r}: hmg={option}: no part {name!r}, {did_you_mean(name, [*PARTS, 'none'])}"
            )
    return frozenset(names)


def channels(pathway: Pathway, canvas: Canvas, parts: Collection[str]) -> np.ndarray:
    """float32[CHANNELS, h, w] on the canvas: 17 joints, limbs; 20 parsing classes; five relations.

    Joints are Gaussians of height 1, whether seen or hidden; unknown ones are absent. Parsing is one-hot where
    the pathway's own content is visible. The relations: the visible mask, the people in front and those behind
    who touch, the signed distance to the erase mask (positive outside, clipped to [-1, 1] at `FAR`), and the
    depth rank. Parts that are not in `parts` are zero.
    """
    found = np.zeros((CHANNELS, *canvas.padded), np.float32)
    pose, parsing, relations = np.split(found, np.cumsum(list(PARTS.values()))[:-1])
    if "pose" in parts:
        for person in pathway.poses:
            np.maximum(pose, _pose(canvas.points(person), canvas.padded), out=pose)
    if "parsing" in parts:
        # Labels move up by one, so that neither the padding nor an unknown pixel becomes a class.
        shown = canvas.labels((pathway.parsing + np.uint8(1)).astype(np.uint8))
        parsing[:] = shown == np.arange(1, len(PARSING) + 1, dtype=np.uint8)[:, None, None]
    if "relations" in parts:
        relations[0] = canvas.coverage(pathway.visible)
        relations[1] = canvas.coverage(pathway.in_front)
        relations[2] = canvas.coverage(pathway.behind)
        relations[3] = _signed_distance(canvas.hole(pathway.mask))
        relations[4] = pathway.rank
    return found


def _pose(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32[18, h, w]: heatmaps and limbs of one person, from float32[17, 3] on the canvas."""
    sigma = JOINT * max(size)
    known = points[:, 2] > 0
    limbs = np.zeros(size, np.uint8)
    for one, other in SKELETON:
        if known[one] and known[other]:
            start, end = (tuple(np.rint(points[joint, :2]).astype(int).tolist()) for joint in (one, other))
            cv2.line(limbs, start, end, 255, max(1, round(sigma)), cv2.LINE_AA)
    return np.concatenate([joint_heatmaps(points, size, sigma), limbs[None] / np.float32(255)])


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """float32[h, w] in [-1, 1]: to the edge of bool[h, w], positive outside; 1 everywhere without a mask."""
    if not mask.any() or mask.all():  # OpenCV leaves the distance to nothing undefined
        return np.where(mask, np.float32(-1), np.float32(1))
    outside, inside = (
        cv2.distanceTransform(plane.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for plane in (~mask, mask)
    )
    # OpenCV's last bits depend on where the array lies in memory; squares of true distances are whole numbers.
    exact = np.sqrt(np.rint(outside**2)) - np.sqrt(np.rint(inside**2))
    return np.clip(exact / np.float32(FAR * max(mask.shape)), -1, 1)


class GuidanceEncoder(nn.Module):
    """Guidance channels to what is added within the network; a fresh one adds nothing.

    Args:
        entries: see `Backbone.entries`.
        factor: pixels to a latent, in each direction.
    """

    def __init__(self, entries: Sequence[tuple[int, int]], factor: int) -> None:
        from diffusers.models.adapter import AdapterBlock

        super().__init__()
        width, place = entries[0]
        side = factor * place
        self.stem = nn.Sequential(nn.PixelUnshuffle(side), nn.Conv2d(CHANNELS * side**2, width, 3, padding=1))
        # T2I-Adapter's own arrangements fit the UNets of SD-1.x and SDXL only.
        self.blocks = nn.ModuleList(
            AdapterBlock(into, out, _RESNETS, down=place > last)
            for (into, last), (out, place) in zip([entries[0], *entries[:-1]], entries, strict=True)
        )
        self.gates = nn.ModuleList(nn.Conv2d(width, width, 1) for width, _ in entries)
        for gate in self.gates:
            for parameter in gate.parameters():
                nn.init.zeros_(parameter)

    def forward(self, guidance: torch.Tensor) -> list[torch.Tensor]:
        """float[P, CHANNELS, H, W] -> one float[P, C, h, w] an entry."""
        features, found = self.stem(guidance), []
        for block, gate in zip(self.blocks, self.gates, strict=True):
            features = block(features)
            found.append(gate(features))
        return found
