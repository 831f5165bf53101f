"""From what a pathway made to a completed layer, at the picture's size."""

from __future__ import annotations

import numpy as np

from baselines.mild.pathways import GREY, Pathway

THIN = 0.1
"""Below this share of the person in a pixel its colour is not solved for: the error would be enlarged too much."""


def layer(pathway: Pathway, image: np.ndarray, made: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """One person whole: uint8[H, W, 4], straight alpha.

    Visible pixels are the input's, opaque; a person is nowhere but there and in the hole.

    Args:
        pathway: the person's.
        image: uint8[H, W, 3], the input.
        made: uint8[H, W, 3], the person on grey.
        matte: float32[H, W], 0 to 1.
    """
    share = np.clip(matte, 0, 1)[..., None]
    # The person was made on grey, which shows through where the matte is soft.
    colour = GREY + (made.astype(np.float32) - GREY) / np.maximum(share, THIN)
    found = np.concatenate([np.clip(np.rint(colour), 0, 255), np.rint(share * 255)], axis=2).astype(np.uint8)
    found[~pathway.hole] = 0
    found[pathway.visible, :3] = image[pathway.visible]
    found[pathway.visible, 3] = 255
    return found
