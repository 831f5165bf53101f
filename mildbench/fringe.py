"""What a found outline leaves of a person: hair, hands, hems. Found again by colour, in a band around the outline.

Models draw outlines coarser than the photo; what stays outside shows as a rim around the filled hole. GrabCut (Rother
et al., SIGGRAPH 2004) tells the band's pixels apart by the colours of the person and of what surrounds them.
"""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.photo import BoxedMask

_BAND = 0.1
"""How far from the outline a person may go on, as a share of the longer side of their box."""
_CORE = 0.05
"""How far inside the outline pixels are the person's for sure: outlines take in some of what is around as well."""
_AROUND = 0.25
"""How far around the box the surroundings' colours are looked at."""
_SIDE = 320
"""Pixels of the longer side at which colours are compared: a hair's strand is smooth there, and it is quick."""
_ROUNDS = 2
_LEAST = 2
"""Side in pixels of that size of the smallest square that is taken: what is finer is noise."""


def with_fringe(photo: np.ndarray, person: BoxedMask) -> BoxedMask:
    """A person's mask, and what beside it has their colours rather than those of the surroundings.

    Nothing is taken away. Where person and surroundings do not both show, the mask stays as it is.

    Args:
        photo: uint8[H, W, 3], RGB.
        person: where they were found.
    """
    side = person.window.side
    window = person.window.grown(round(_AROUND * side) + 2, photo.shape)
    scale = min(_SIDE / window.side, 1.0)
    size = (max(round(window.width * scale), 1), max(round(window.height * scale), 1))
    mask = person.within(window)
    small = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    inside, outside = (
        cv2.distanceTransform(plane.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for plane in (small, ~small)
    )
    labels = np.full(small.shape, cv2.GC_BGD, np.uint8)
    labels[outside <= _BAND * side * scale] = cv2.GC_PR_BGD
    labels[small] = cv2.GC_PR_FGD
    labels[inside > max(_CORE * side * scale, 1)] = cv2.GC_FGD
    if not {cv2.GC_BGD, cv2.GC_FGD} <= set(np.unique(labels).tolist()):
        return person
    colours = cv2.resize(photo[window.place], size, interpolation=cv2.INTER_AREA)
    cv2.setRNGSeed(0)  # its first clusters are drawn
    models = np.zeros((2, 1, 65))
    unused = (0, 0, 1, 1)  # the rectangle: the labels say it
    cv2.grabCut(colours, labels, unused, models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_MASK)
    more = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)) & ~small
    square = np.ones((_LEAST, _LEAST), np.uint8)
    # An even square's opening: dilation goes back to where erosion came from.
    coarse = cv2.dilate(cv2.erode(more.view(np.uint8), square), square, anchor=(0, 0))
    whole = small | (coarse > 0)
    _, pieces = cv2.connectedComponents(whole.view(np.uint8))
    whole &= np.isin(pieces, np.unique(pieces[small]))
    grown = cv2.resize(
        whole.view(np.uint8) * 255, (window.width, window.height), interpolation=cv2.INTER_LINEAR
    )
    both = mask | (grown > 127)
    box = Box.around(both)
    place = Box(*np.add(box, (window.left, window.top, window.left, window.top)).tolist())
    return BoxedMask(place, np.ascontiguousarray(both[box.place]))
