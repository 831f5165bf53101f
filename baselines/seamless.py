"""Make a fill meet what surrounds it: the colours of a network's answer are off by little, and the eye sees the seam.

The difference between picture and answer is known around the hole; it is carried into the hole smoothly and added.
That is seamless cloning (Pérez et al., SIGGRAPH 2003), by pyramids as in Farbman et al., SIGGRAPH Asia 2011. Nothing in
it is learnt; a right answer is left as it is.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mildbench.errors import UserError, did_you_mean

_CHOICES = {"auto": None, "true": True, "false": False}


def chosen(method: str, option: str | bool, *, usual: bool) -> bool:
    """What a method's option `seamless` comes to: `auto` is what is `usual`; raises `UserError` for another word."""
    try:
        found = _CHOICES[str(option).lower()]
    except KeyError:
        raise UserError(
            f"method {method!r}: seamless={option}: {did_you_mean(str(option), _CHOICES)}"
        ) from None
    return usual if found is None else found


def seamless_picture(
    made: np.ndarray, shown: np.ndarray, hole: np.ndarray, device: str = "cpu"
) -> np.ndarray:
    """`seamless` of one picture, computed on `device`.

    Args:
        made: uint8[H, W, 3], the answer.
        shown: uint8[H, W, 3], what is around the hole.
        hole: bool[H, W].

    Returns:
        uint8[H, W, 3].
    """
    generated, image = (
        torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(2, 0, 1)[None].float() / 255
        for pixels in (made, shown)
    )
    mask = torch.from_numpy(np.ascontiguousarray(hole)).to(device)[None, None].float()
    pixels = (seamless(generated, image, mask)[0] * 255).round().byte()
    return pixels.permute(1, 2, 0).cpu().numpy()


def seamless(generated: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The answer inside the hole, without a step in colour at its border; the image outside.

    Args:
        generated: float[B, 3, H, W], a whole picture: it is compared with the image outside the hole.
        image: float[B, 3, H, W], RGB in [0, 1]; what is in the hole is not looked at.
        mask: float[B, 1, H, W], 1 in the hole, else 0.

    Returns:
        float[B, 3, H, W] in [0, 1].
    """
    corrected = (generated + pull_push(image - generated, mask)).clamp(0, 1)
    return mask * corrected + (1 - mask) * image


def pull_push(values: Tensor, mask: Tensor) -> Tensor:
    """Carry values into a hole smoothly (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.3).

    They are halved until the hole is gone, each time over what is known; on the way back, what is unknown is taken
    from the level below.

    Args:
        values: float[B, C, H, W]; what is in the hole is not looked at.
        mask: float[B, 1, H, W], 1 in the hole, else 0; between them a share.

    Returns:
        float[B, C, H, W]: the values outside the hole; 0 everywhere if nothing is known at all.
    """
    known = 1 - mask
    height, width = values.shape[-2:]
    if height == width == 1:
        return values * known
    square = min(2, height), min(2, width)
    weighted, share = (F.avg_pool2d(x, square, ceil_mode=True) for x in (values * known, known))
    # One pixel of a square is enough to know the square.
    below = pull_push(weighted / share.clamp(min=1e-6), (1 - 4 * share).clamp(min=0))
    spread = F.interpolate(below, size=(height, width), mode="bilinear", align_corners=False)
    return values * known + spread * mask
