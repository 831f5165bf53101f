"""OpenCV's two classical inpainters, the floor that a learned method has to clear.

Whole frames: on 512x512 with 29 % of the pixels masked a call takes about 40 ms on one core, so cropping
to the mask's surroundings would save little and cost a proof that the result is the same.
"""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


class _Inpaint(EraseMethod):
    """`cv2.inpaint` sample by sample. Pixels outside the mask are returned as they came."""

    flag: ClassVar[int]

    def __init__(self, radius: float = 3.0) -> None:
        """`radius`: in pixels, of the neighbourhood that fills a pixel (3 as in OpenCV's tutorial)."""
        least, most = 1, 100  # OpenCV moves others there, and says nothing
        if not least <= radius <= most:
            raise UserError(f"{self.info.name}: the radius is {radius}: give {least} to {most} pixels")
        self.radius = radius

    def erase(self, batch: EraseBatch) -> EraseResult:
        """Fill the mask from its edge inwards."""
        holes = batch.masks.astype(np.uint8)
        # RGB as it is: the fill treats the three channels alike, so their order does not matter.
        pairs = zip(batch.images, holes, strict=True)
        return EraseResult(
            np.stack([cv2.inpaint(image, hole, self.radius, self.flag) for image, hole in pairs])
        )


class Telea(_Inpaint):
    """Fast marching: a pixel is a weighted mean of its known neighbours, extended along their gradients."""

    flag = cv2.INPAINT_TELEA
    info = MethodInfo(
        "telea",
        "control",
        "fast-marching inpainting (OpenCV)",
        paper="Telea, An image inpainting technique based on the fast marching method, 2004",
        licence="Apache-2.0",
        revision=1,
    )


class NavierStokes(_Inpaint):
    """Fluid dynamics: isophotes are carried into the hole."""

    flag = cv2.INPAINT_NS
    info = MethodInfo(
        "navier-stokes",
        "control",
        "Navier-Stokes inpainting (OpenCV)",
        paper="Bertalmio et al., Navier-Stokes, fluid dynamics, and image and video inpainting, CVPR 2001",
        licence="Apache-2.0",
        revision=1,
    )
