"""A user's own photo: its people erased at its own resolution, with a method that works at a smaller size.

Where the photo is larger than that size, the method sees one crop around each group of people: at full resolution
if the crop fits, else scaled down. Pixels outside the (dilated) masks are the photo's own, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, sample_seed

_CONTEXT = 1.6
"""Side of a crop over the longer side of what is erased in it: the method needs to see where it happened."""
_DILATION = 0.03
"""Growth of a person's mask as a share of the longer side of their box: found outlines miss hair and shoe soles."""
_FEATHER = 1.5
"""Sigma of the seam in pixels; it lies inside the dilated mask."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person of a photo."""

    mask: np.ndarray
    """bool[H, W], not empty."""
    keypoints: np.ndarray | None = None
    """float32[17, 3]: x, y, COCO visibility."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a photo."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def place(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.right - self.left, self.bottom - self.top)


def number_people(masks: np.ndarray) -> list[int]:
    """Indices into bool[K, H, W] from left to right: person N of the panel is the N-th."""
    columns = np.arange(masks.shape[2])
    centres = [float((mask.any(axis=0) * columns).sum() / mask.any(axis=0).sum()) for mask in masks]
    return sorted(range(len(masks)), key=centres.__getitem__)


def dilated(mask: np.ndarray, share: float = _DILATION) -> np.ndarray:
    """The mask grown by `share` of the longer side of its box, at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    radius = max(round(share * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown: np.ndarray = cv2.dilate(mask.view(np.uint8), kernel) > 0
    return grown


def erase_people(
    method: EraseMethod,
    photo: np.ndarray,
    people: Sequence[Person],
    targets: Sequence[int],
    parsing: np.ndarray | None = None,
    *,
    name: str,
    size: int,
    seed: int = 0,
) -> np.ndarray:
    """The photo without the people in `targets`.

    Args:
        method: loaded.
        photo: uint8[H, W, 3], RGB.
        people: everybody who is known to be in it.
        targets: indices into `people`.
        parsing: uint8[H, W] CIHP-20 labels, or None.
        name: of the photo; the method's random numbers follow from it and `seed`.
        size: pixels of the longer side that the method is shown at once.

    Returns:
        uint8[H, W, 3]; equal to the photo outside the targets' dilated masks and wherever somebody who stays is seen.

    Raises:
        UserError: the method failed.
    """
    # Whoever stands lower in the picture is nearer: methods expect people back to front.
    order = sorted(range(len(people)), key=lambda k: int(np.flatnonzero(people[k].mask.any(axis=1))[-1]))
    staying = np.zeros(photo.shape[:2], dtype=bool)
    for k in order:
        if k not in targets:
            staying |= people[k].mask
    holes = {k: dilated(people[k].mask) & ~staying for k in targets}
    remaining = np.zeros_like(staying)
    for hole in holes.values():
        remaining |= hole
    canvas = photo.copy()
    for number, (window, group) in enumerate(_windows(holes, size, photo.shape[:2])):
        hole = np.zeros_like(staying)
        for k in group:
            hole |= holes[k]
        seen = _batch(canvas, remaining, people, order, targets, parsing, window, size)
        batch = replace(seen, sample_ids=(name,), seeds=(sample_seed(seed, f"{name}\0{number}"),))
        (outcome,) = method.run(batch)
        if outcome.image is None:
            raise UserError(f"method {method.info.name!r} failed on {name}: {outcome.error}")
        _paste(canvas[window.place], outcome.image, hole[window.place])
        remaining &= ~hole
    return canvas


def _windows(
    holes: dict[int, np.ndarray], size: int, shape: tuple[int, int]
) -> list[tuple[Window, list[int]]]:
    """Windows and the targets erased in each. Targets whose windows overlap by half share one, if that fits."""
    height, width = shape
    everybody = [k for k, hole in holes.items() if hole.any()]
    if max(shape) <= size:
        return [(Window(0, 0, width, height), everybody)] if everybody else []
    groups = [[k] for k in everybody]
    merged = True
    while merged:
        merged = False
        for one in range(len(groups)):
            for other in range(one + 1, len(groups)):
                both = groups[one] + groups[other]
                alone = max(_window(holes, groups[g], size, shape).side for g in (one, other))
                # Sharing a crop costs no detail if it is no larger than the larger of the two.
                if _window(holes, both, size, shape).side <= max(alone, size):
                    groups[one] = both
                    del groups[other]
                    merged = True
                    break
            if merged:
                break
    return [(_window(holes, group, size, shape), group) for group in groups]


def _window(holes: dict[int, np.ndarray], group: Sequence[int], size: int, shape: tuple[int, int]) -> Window:
    """The crop for a group: a square with context around it, at least `size`, moved and cut to fit the photo."""
    rows = np.flatnonzero(np.any([holes[k].any(axis=1) for k in group], axis=0))
    columns = np.flatnonzero(np.any([holes[k].any(axis=0) for k in group], axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = max(round(float(extent) * _CONTEXT), size)

    def span(first: int, last: int, whole: int) -> tuple[int, int]:
        length = min(side, whole)
        start = min(max((first + last + 1 - length) // 2, 0), whole - length)
        return start, start + length

    top, bottom = span(int(rows[0]), int(rows[-1]), shape[0])
    left, right = span(int(columns[0]), int(columns[-1]), shape[1])
    return Window(left, top, right, bottom)


def _batch(
    canvas: np.ndarray,
    remaining: np.ndarray,
    people: Sequence[Person],
    order: Sequence[int],
    targets: Sequence[int],
    parsing: np.ndarray | None,
    window: Window,
    size: int,
) -> EraseBatch:
    """The batch of one for a window, its id and seed still to be set; people who are not in it are left out.

    Whoever has been erased already is gone from the canvas, and so from the list.
    """
    scale = min(size / window.side, 1.0)
    image = canvas[window.place]
    shape = (round(image.shape[1] * scale), round(image.shape[0] * scale))

    def small(plane: np.ndarray, how: int) -> np.ndarray:
        return plane if scale == 1 else cv2.resize(plane, shape, interpolation=how)

    hole = small(remaining[window.place].astype(np.uint8) * 255, cv2.INTER_AREA) > 0
    present, masks, keypoints = [], [], []
    for k in order:
        gone = k in targets and not (people[k].mask & remaining)[window.place].any()
        mask = small(people[k].mask[window.place].astype(np.uint8) * 255, cv2.INTER_AREA) > 127
        if mask.any() and not gone:
            present.append(k)
            masks.append(mask)
            keypoints.append(_moved(people[k].keypoints, window, scale))
    known = [points for points in keypoints if points is not None]
    return EraseBatch(
        sample_ids=("",),
        images=small(image, cv2.INTER_AREA)[None],
        masks=hole[None],
        seeds=(0,),
        instances=(np.array(masks, dtype=bool).reshape(-1, *hole.shape),),
        targets=(tuple(place for place, k in enumerate(present) if k in targets),),
        keypoints=(np.stack(known),) if known and len(known) == len(keypoints) else None,
        parsing=None if parsing is None else small(parsing[window.place], cv2.INTER_NEAREST_EXACT)[None],
    )


def _moved(keypoints: np.ndarray | None, window: Window, scale: float) -> np.ndarray | None:
    """Keypoints in the pixels of a scaled window; those outside it become unknown."""
    if keypoints is None:
        return None
    moved = keypoints.copy()
    moved[:, :2] = (moved[:, :2] - (window.left, window.top) + 0.5) * scale - 0.5
    limits = ((window.right - window.left) * scale - 0.5, (window.bottom - window.top) * scale - 0.5)
    inside = ((moved[:, :2] > -0.5) & (moved[:, :2] < limits)).all(axis=1)
    moved[~inside] = 0
    return moved


def _paste(photo: np.ndarray, result: np.ndarray, hole: np.ndarray) -> None:
    """Lay `result`, scaled up, over the window `photo` in place, inside `hole` only."""
    height, width = hole.shape
    if result.shape[:2] != hole.shape:
        result = cv2.resize(result, (width, height), interpolation=cv2.INTER_CUBIC)
    inner = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    weight = np.clip(inner / (2 * _FEATHER), 0, 1)[..., None].astype(np.float32)
    mixed = result * weight + photo * (1 - weight)
    photo[hole] = np.rint(mixed).astype(np.uint8)[hole]


def panel(
    photo: np.ndarray, people: Sequence[Person], targets: Sequence[int], result: np.ndarray
) -> np.ndarray:
    """uint8: the photo with everybody numbered from the left (red: erased), and the result beside it."""
    shown = photo.copy()
    for k, person in enumerate(people):
        colour = np.array((230, 40, 40) if k in targets else (40, 200, 60), np.float32)
        shown[person.mask] = (shown[person.mask] * 0.6 + colour * 0.4).astype(np.uint8)
    height = photo.shape[0]
    for k, person in enumerate(people):
        rows, columns = np.flatnonzero(person.mask.any(axis=1)), np.flatnonzero(person.mask.any(axis=0))
        place = (int(columns.mean()), int(rows[0] + 0.3 * (rows[-1] - rows[0])))
        size = max(height / 500, 0.5)
        for ink, thickness in (((0, 0, 0), 6), ((255, 255, 255), 2)):
            cv2.putText(
                shown,
                str(k + 1),
                place,
                cv2.FONT_HERSHEY_SIMPLEX,
                size,
                ink,
                max(round(thickness * size), 1),
                cv2.LINE_AA,
            )
    gap = np.full((height, max(height // 50, 2), 3), 255, np.uint8)
    return np.hstack([shown, gap, result])
