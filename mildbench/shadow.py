"""The shadow that somebody casts on the ground beside their feet: a plain estimate from brightness alone."""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.photo import BoxedMask

_REACH = 0.9
"""How far to each side of a person shadows are looked for, in heights of the person."""
_ABOVE, _BELOW = 0.3, 0.2
"""The same above and below the feet."""
_DARKER = 0.82
"""A shadow is at most so bright as the ground around; lightness of Lab, which is half as bright at 0.76."""
_HUE = 14.0
"""How far its colour may lie from the ground's, in a and b of Lab: what is of another colour is a thing."""
_LARGEST = 1.0
"""A dark region larger than so many times the person is ground."""
_FEET = 0.12
"""The lowest part of a person, as a share of the height: a shadow begins there."""
_GRAIN = 0.01
"""What is finer than this share of the height is texture."""


def shadow_of(photo: np.ndarray, person: BoxedMask, everybody: np.ndarray) -> BoxedMask | None:
    """Where somebody's shadow lies, as far as brightness tells; None where there seems to be none.

    Only soft or hard shadows on ground of one colour are found: no reflections, none on walls, none that begins
    behind something.

    Args:
        photo: uint8[H, W, 3], RGB.
        person: where they are seen.
        everybody: bool[H, W]: all people of the photo, whose own colours are neither ground nor shadow.
    """
    box = person.window
    height = box.height
    left, top = box.left - round(_REACH * height), box.bottom - round(_ABOVE * height)
    right, bottom = box.right + round(_REACH * height), box.bottom + round(_BELOW * height)
    window = Box(max(left, 0), max(top, 0), min(right, photo.shape[1]), min(bottom, photo.shape[0]))
    free = ~everybody[window.place]
    grain = max(1, round(_GRAIN * height))
    smooth = cv2.blur(photo[window.place], (2 * grain + 1, 2 * grain + 1))
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    # The ground is what is brighter than the middle: a large shadow must not count as ground.
    lit = free & (lab[..., 0] >= np.median(lab[free][:, 0])) if free.any() else free
    if not lit.any():
        return None
    ground = np.median(lab[lit], axis=0)
    off = np.hypot(lab[..., 1] - ground[1], lab[..., 2] - ground[2])
    dark = free & (lab[..., 0] <= _DARKER * ground[0]) & (off <= _HUE)
    square = np.ones((2 * grain + 1, 2 * grain + 1), np.uint8)  # separable, so fast at any size
    dark = cv2.morphologyEx(dark.view(np.uint8), cv2.MORPH_OPEN, square) > 0
    feet = person.within(window)
    feet[: max(box.bottom - round(_FEET * height) - window.top, 0)] = False
    touching = cv2.dilate(feet.view(np.uint8), np.ones((4 * grain + 1, 4 * grain + 1), np.uint8))
    _, pieces = cv2.connectedComponents(dark.view(np.uint8))
    cast = np.isin(pieces, np.unique(pieces[(touching > 0) & dark])) & dark
    if not cast.any() or np.count_nonzero(cast) > _LARGEST * np.count_nonzero(person.part):
        return None
    inner = Box.around(cast)
    place = Box(
        window.left + inner.left, window.top + inner.top, window.left + inner.right, window.top + inner.bottom
    )
    return BoxedMask(place, np.ascontiguousarray(cast[inner.place]))
