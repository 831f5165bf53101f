"""Everything in a picture: SAM asked at a grid of points, and its answers sifted (Kirillov et al. 2023)."""

from __future__ import annotations

import torch
from torch.nn import functional

from mildbench import extras
from mildbench.metrics.networks import Sam

extras.expect("torchvision")  # it brings torch's compiler, seconds of import: only who segments pays

POINTS = 32
"""Points at a side of the grid."""
_ASKED = 64
"""Points, or masks, worked on at a time."""
EXPECTED, STABLE, OFFSET, SAME_BOX = 0.88, 0.95, 1.0, 0.7
"""SAM's defaults: the IoU that it expects of a mask, the IoU of the mask at logits of +-OFFSET, and that of two boxes
of which only the one expected to be better stays."""
SAME, CONTAINED = 0.8, 0.9
"""IoU with a larger mask, and share inside it, above which CFD drops a mask."""


def segments(network: Sam, picture: torch.Tensor) -> torch.Tensor:
    """bool[M, H, W] of float64[3, H, W] in 0 to 255: SAM's automatic masks with their published defaults.

    The most certain come first. Waits for the device a few times a picture: how many masks remain is up to it.
    """
    from torchvision.ops import masks_to_boxes, nms

    height, width = picture.shape[1:]
    size = network.size(height, width)
    resized = functional.interpolate(picture[None], size=size, mode="bilinear", antialias=True)[0]
    features = network.features(network.padded(resized)[None])[0]
    answers = [network.ask(features, some) for some in _points(size, picture.device).split(_ASKED)]
    logits = torch.cat([masks.flatten(0, 1) for masks, _ in answers])
    expected = torch.cat([ious.flatten() for _, ious in answers])
    likely = expected > EXPECTED
    logits, expected = logits[likely], expected[likely]
    found, stable = [], []
    for some in logits.split(_ASKED):
        full = functional.interpolate(some[:, None], size=(network.side, network.side), mode="bilinear")
        full = functional.interpolate(full[..., : size[0], : size[1]], size=(height, width), mode="bilinear")[
            :, 0
        ]
        core, rim = ((full > level).sum(dim=(1, 2)) for level in (OFFSET, -OFFSET))
        found.append(full > 0)
        stable.append(core >= STABLE * rim.clamp(min=1))
    if not found:
        return torch.zeros((0, height, width), dtype=torch.bool, device=picture.device)
    kept = torch.cat(stable)
    masks, expected = torch.cat(found)[kept], expected[kept]
    return masks[nms(masks_to_boxes(masks), expected, SAME_BOX)]


def distinct(masks: torch.Tensor) -> torch.Tensor:
    """bool[K, H, W] of bool[M, H, W]: CFD's choice, the largest first.

    A mask goes that is nearly the same as a larger one that stays, or lies nearly all inside it.
    """
    flat = masks.flatten(1).to(torch.float32)  # counts are exact up to 2^24 pixels
    together = flat @ flat.T
    areas = together.diagonal()
    shared = together / (areas[:, None] + areas - together)
    inside = together / areas[:, None]
    covered = ((shared > SAME) | (inside > CONTAINED)).cpu()
    stay: list[int] = []
    for index in areas.argsort(descending=True, stable=True).tolist():
        if not covered[index, stay].any():
            stay.append(index)
    return masks[stay]


def _points(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """float32[POINTS^2, 2]: x and y of the grid's points in a resized picture of the size (h, w), by rows."""
    steps = (torch.arange(POINTS, device=device, dtype=torch.float64) + 0.5) / POINTS
    y, x = torch.meshgrid(steps * size[0], steps * size[1], indexing="ij")
    return torch.stack([x, y], dim=2).flatten(0, 1).to(torch.float32)
