"""Label maps: planes whose values number what they mark, told from soft masks, and mended where they are smeared.

A label's area is flat. What lies between black and white in a soft mask is a slope, or bands of which each lies inside
the next darker one. A label map that was resized, or that went through a JPEG, has slivers of other values along its
edges, or noise on its areas: they belong to the nearest label.
"""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.errors import UserError

_VOID = 255
"""What PASCAL VOC, Cityscapes and others give to edges, and to what nobody labelled."""
_SMALL = 100
"""Labels up to here are numbers, beside which 255 is void."""
_FEW = 16
"""Values beyond which some may be slivers and noise."""
_OWN = 0.3
"""Share of a label's pixels, at least, that have its value all around, or lie in a square of 2 x 2 with it: edges and
slivers are lines."""
_SPECKS, _NOISY = 64, 0.05
"""Pixels from which a value of which less than this share is flat is noise, or a line."""
_NESTED = 0.05
"""Share of the bands' borders, but for the darkest one's, that lie on the ground, below which they are a soft mask."""
_CLOSE = 8
"""Levels by which noise moves a label."""
_PLATEAU, _BETWEEN = 0.3, 0.1
"""Of a mask with losses: how much of its middle has one value, and how much of it is middle, if it is a label map."""


def numbered(plane: np.ndarray, *, indexes: bool) -> tuple[np.ndarray, str] | None:
    """uint8[H, W], 0 where nothing is and 1 .. K what each pixel is part of, and the rule; None for a soft mask.

    Args:
        plane: uint8 or uint16[H, W] with more than two values, the least of them 0, of a file without losses.
        indexes: the values are indexes of a palette: never a soft mask.
    """
    levels, places = np.unique(plane, return_inverse=True)
    places = places.reshape(plane.shape)
    if not indexes and _climbs(levels, places):
        return None
    areas = np.bincount(places.ravel())
    kernel = np.ones((3, 3), np.uint8)
    flats = np.bincount(places[cv2.dilate(plane, kernel) == cv2.erode(plane, kernel)], minlength=len(levels))
    wide = np.bincount(places[_in_squares(plane)], minlength=len(levels))
    sure = wide if _counts(levels) else flats
    if not indexes and len(levels) > _FEW and np.median(wide[1:] / areas[1:]) < _OWN:
        labels = _plateaus(levels, areas, flats)
    elif not indexes and sure[1:-1].sum() < _OWN * areas[1:-1].sum():
        return None  # between black and white there are edges alone
    else:
        noise = (areas >= _SPECKS) & (flats < _NOISY * areas)
        noise[0] = False
        labels = np.where(noise, -1, np.cumsum(~noise) - 1)
    rule = "a label map, every label but 0"
    void = levels[-1] == _VOID and levels[-2] <= _SMALL
    if void and not indexes:  # or it is the white of a mask, with specks in its black
        labelled = levels[1] == 1 and areas[1:-1].sum() > _NOISY * areas[-1]
        void = labelled or _thin(plane == _VOID)
    if void:
        labels[-1] = -1
        rule += " and 255, which is void"
    if not 2 - void <= labels.max() <= np.iinfo(np.uint8).max:
        return None
    if labels.min() == 0:
        return labels[places].astype(np.uint8), rule
    return _nearest(labels[places], void_at=places == len(levels) - 1 if void else None), rule


def refuse_smeared(plane: np.ndarray, what: str) -> None:
    """Raise `UserError` for a label map in a file with losses: its darker labels would be taken for a mask's edges."""
    half = int(plane.max()) // 2
    white = int(
        np.bincount(plane[plane > half]).argmax()
    )  # not the largest value, which is ringing at an edge
    marked = int(np.count_nonzero(plane > white // 8))
    middle = plane[(plane > white // 8) & (plane < white * 4 // 5)]
    if middle.size < _BETWEEN * marked:
        return
    windows = np.convolve(np.bincount(middle), np.ones(_CLOSE + 1))
    if windows.max() >= max(_PLATEAU * middle.size, _BETWEEN * marked):
        raise UserError(
            f"{what} looks like a label map in a file with losses, which smear labels: give a PNG, or a mask in black "
            "and white"
        )


def _counts(levels: np.ndarray) -> bool:
    """Whether the values are 0, 1, 2 and so on."""
    return bool(levels[-1] == len(levels) - 1)


def _climbs(levels: np.ndarray, places: np.ndarray) -> bool:
    """Whether each value lies inside the next lower one: bands, or a trimap."""
    if len(levels) <= _FEW and _counts(levels):
        return False
    if len(levels) == 3 and abs(int(levels[1]) - int(levels[2]) / 2) > levels[2] / 16:
        return False
    borders = ground = 0
    for one, other in ((places[1:], places[:-1]), (places[:, 1:], places[:, :-1])):
        higher = np.maximum(one, other)
        seen = (one != other) & (higher > 1)
        borders += int(np.count_nonzero(seen))
        ground += int(np.count_nonzero(seen & (np.minimum(one, other) == 0)))
    return ground < _NESTED * borders


def _plateaus(levels: np.ndarray, areas: np.ndarray, flats: np.ndarray) -> np.ndarray:
    """Of each level its label: 0 for the ground's, -1 for slivers and noise. Flat levels that are close are one."""
    labels = np.full(len(levels), -1)
    label, last = 0, 0
    for place in np.flatnonzero((flats >= _OWN * areas) & (areas >= _SPECKS) | (levels == 0)):
        label += int(levels[place] - last > _CLOSE)
        labels[place], last = label, int(levels[place])
    return labels


def _in_squares(plane: np.ndarray) -> np.ndarray:
    """bool[H, W]: pixels that lie in a square of 2 x 2 of one value."""
    corner = plane[:-1, :-1]
    same = (corner == plane[1:, :-1]) & (corner == plane[:-1, 1:]) & (corner == plane[1:, 1:])
    found = np.zeros(plane.shape, dtype=bool)
    for top, left in ((0, 0), (0, 1), (1, 0), (1, 1)):
        found[top : top + same.shape[0], left : left + same.shape[1]] |= same
    return found


def _reach(plane: np.ndarray) -> int:
    """Pixels over which void is somebody's edge, and no place."""
    return max(3, round(min(plane.shape) / 128))


def _thin(region: np.ndarray) -> bool:
    """Whether a region is nowhere wider than an edge."""
    width = 2 * _reach(region) + 1
    return not cv2.erode(region.view(np.uint8), np.ones((width, width), np.uint8)).any()


def _nearest(labels: np.ndarray, void_at: np.ndarray | None) -> np.ndarray:
    """uint8[H, W]: labels, with the nearest one where there is none (-1); void that is far from any is nothing."""
    unknown = (labels < 0).astype(np.uint8)
    away, nearest = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    found = labels[labels >= 0][nearest - 1]
    if void_at is not None:
        found[void_at & (away > _reach(labels))] = 0
    return found.astype(np.uint8)
