"""A user's own photo: its people erased at its own resolution, with a method that works at a smaller size.

Where the photo is larger than that size, the method sees one crop around each group of people: at full resolution
if the crop fits, else scaled down. Pixels outside the (dilated) masks are the photo's own, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.method import EraseBatch, EraseMethod, sample_seed

_CONTEXT = 1.6
"""Side of a crop over the longer side of what is erased in it: the method needs to see where it happened."""
_DILATION = 0.03
"""Growth of a person's mask as a share of the longer side of their box: found outlines miss hair and shoe soles."""
_FOLLOWED = 0.02
"""The same of an outline that follows the photo's colours (`mildbench.fringe`) and misses less."""
_FEATHER = 3
"""Pixels over which the photo passes into what was made, inside the outer edge of all that is erased."""


@dataclass(frozen=True, eq=False)
class BoxedMask:
    """A mask of a photo, kept as the part in its box: a large photo has many, and most of each is empty."""

    window: Box
    part: np.ndarray
    """bool[h, w]: the window's part of the mask."""

    @classmethod
    def of(cls, mask: np.ndarray) -> BoxedMask:
        """Of bool[H, W], not empty."""
        window = Box.around(mask)
        return cls(window, np.ascontiguousarray(mask[window.place]))

    @classmethod
    def joined(cls, cuts: Sequence[BoxedMask]) -> BoxedMask:
        """Of all of them, at least one."""
        window = cuts[0].window
        for cut in cuts[1:]:
            window = window.joined(cut.window)
        return cls(window, np.any([cut.within(window) for cut in cuts], axis=0))

    def draw(self, plane: np.ndarray, window: Box | None = None) -> None:
        """Set a plane, bool[H, W] of the photo or of a `window` of it, where the mask is."""
        left, top = (0, 0) if window is None else (window.left, window.top)
        height, width = plane.shape
        here = self.window
        y, x = max(here.top, top), max(here.left, left)
        y_end, x_end = min(here.bottom, top + height), min(here.right, left + width)
        if y < y_end and x < x_end:
            part = self.part[y - here.top : y_end - here.top, x - here.left : x_end - here.left]
            plane[y - top : y_end - top, x - left : x_end - left] |= part

    def within(self, window: Box) -> np.ndarray:
        """bool[h, w]: what of the mask lies in a window of the photo."""
        plane = np.zeros((window.height, window.width), dtype=bool)
        self.draw(plane, window)
        return plane

    def dilated(self, shape: tuple[int, ...], share: float = _DILATION) -> BoxedMask:
        """Grown by `share` of the longer side of its box, at least one pixel, in a photo of `shape`."""
        radius = max(round(share * self.window.side), 1)
        window = self.window.grown(radius, shape)
        away = cv2.distanceTransform(
            (~self.within(window)).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        return BoxedMask(window, away <= radius)


@dataclass(frozen=True, eq=False)
class PhotoPerson:
    """One person of a photo."""

    cut: BoxedMask
    """Where they are seen."""
    keypoints: np.ndarray | None = None
    """float32[17, 3]: x, y, COCO visibility."""
    attached: BoxedMask | None = None
    """What goes when they go: what they carry, their shadow. None where there is nothing."""
    fringe: BoxedMask | None = None
    """`cut` and what beside it is theirs by its colours, which is filled with them; None where nobody looked."""


def dilated(mask: np.ndarray, share: float = _DILATION) -> np.ndarray:
    """bool[H, W]: a mask, not empty, grown by `share` of the longer side of its box, at least one pixel."""
    grown = np.zeros_like(mask)
    BoxedMask.of(mask).dilated(mask.shape, share).draw(grown)
    return grown


def number_people(cuts: Sequence[BoxedMask]) -> list[int]:
    """Indices from left to right: person N of the panel is the N-th."""

    def centre(k: int) -> float:
        columns = cuts[k].part.sum(axis=0)
        return cuts[k].window.left + float((columns * np.arange(len(columns))).sum() / columns.sum())

    return sorted(range(len(cuts)), key=centre)


def erase_people(
    method: EraseMethod,
    photo: np.ndarray,
    people: Sequence[PhotoPerson],
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
        UserError: the method failed, or nothing of the photo would stay.
    """
    # Whoever stands lower in the picture is nearer: methods expect people back to front.
    order = sorted(range(len(people)), key=lambda k: people[k].cut.window.bottom)
    staying = np.zeros(photo.shape[:2], dtype=bool)
    for k in order:
        if k not in targets:
            people[k].cut.draw(staying)
    holes = {k: hole for k in targets if (hole := _hole(people[k], staying)).part.any()}
    everything = np.zeros_like(staying)
    for hole in holes.values():
        hole.draw(everything)
    if everything.all():
        raise UserError(
            f"all of {name} would go: nothing is left to go on from: turn its mask round if that is inverted, or "
            "erase fewer people"
        )
    canvas, remaining = photo.copy(), everything.copy()
    for number, (window, group) in enumerate(_windows(holes, size, photo.shape[:2])):
        seen = _batch(canvas, remaining, people, order, targets, parsing, window, size)
        batch = replace(seen, sample_ids=(name,), seeds=(sample_seed(seed, f"{name}\0{number}"),))
        (outcome,) = method.run(batch)
        if outcome.image is None:
            raise UserError(f"method {method.info.name!r} failed on {name}: {outcome.error}")
        # Whole holes, hard: between two of them there is no photo to pass into.
        _paste(canvas, outcome.image, window, [holes[k] for k in group])
        for k in group:
            remaining[holes[k].window.place] &= ~holes[k].part
    _blend_edge(canvas, photo, everything, staying)
    return canvas


def _hole(person: PhotoPerson, staying: np.ndarray) -> BoxedMask:
    """What is filled when a person goes; may be empty."""
    if person.fringe is None:
        hole = person.cut.dilated(staying.shape)
    else:
        hole = person.fringe.dilated(staying.shape, _FOLLOWED)
    if person.attached is not None:
        hole = BoxedMask.joined((hole, person.attached.dilated(staying.shape)))
    return BoxedMask(hole.window, hole.part & ~staying[hole.window.place])


def _windows(
    holes: Mapping[int, BoxedMask], size: int, shape: tuple[int, int]
) -> list[tuple[Box, list[int]]]:
    """Windows and the targets erased in each. Targets whose windows overlap by half share one, if that fits."""
    height, width = shape
    if max(shape) <= size:
        return [(Box(0, 0, width, height), list(holes))] if holes else []
    groups = [([k], hole.window) for k, hole in holes.items()]
    merged = True
    while merged:
        merged = False
        for one in range(len(groups)):
            for other in range(one + 1, len(groups)):
                both = groups[one][1].joined(groups[other][1])
                alone = max(_context(groups[g][1], size, shape).side for g in (one, other))
                # Sharing a crop costs no detail if it is no larger than the larger of the two.
                if _context(both, size, shape).side <= max(alone, size):
                    groups[one] = (groups[one][0] + groups[other][0], both)
                    del groups[other]
                    merged = True
                    break
            if merged:
                break
    return [(_context(box, size, shape), group) for group, box in groups]


def _context(box: Box, size: int, shape: tuple[int, int]) -> Box:
    """The crop for a box: a square with context around it, at least `size`, moved and cut to fit the photo."""
    side = max(round(box.side * _CONTEXT), size)

    def span(first: int, end: int, whole: int) -> tuple[int, int]:
        length = min(side, whole)
        start = min(max((first + end - length) // 2, 0), whole - length)
        return start, start + length

    top, bottom = span(box.top, box.bottom, shape[0])
    left, right = span(box.left, box.right, shape[1])
    return Box(left, top, right, bottom)


def _batch(
    canvas: np.ndarray,
    remaining: np.ndarray,
    people: Sequence[PhotoPerson],
    order: Sequence[int],
    targets: Sequence[int],
    parsing: np.ndarray | None,
    window: Box,
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

    left = remaining[window.place]
    hole = small(left.astype(np.uint8) * 255, cv2.INTER_AREA) > 0
    present, masks, keypoints = [], [], []
    for k in order:
        person = people[k].cut.within(window)
        gone = k in targets and not (person & left).any()
        mask = small(person.astype(np.uint8) * 255, cv2.INTER_AREA) > 127
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


def _moved(keypoints: np.ndarray | None, window: Box, scale: float) -> np.ndarray | None:
    """Keypoints in the pixels of a scaled window; those outside it become unknown."""
    if keypoints is None:
        return None
    moved = keypoints.copy()
    moved[:, :2] = (moved[:, :2] - (window.left, window.top) + 0.5) * scale - 0.5
    limits = (window.width * scale - 0.5, window.height * scale - 0.5)
    inside = ((moved[:, :2] > -0.5) & (moved[:, :2] < limits)).all(axis=1)
    moved[~inside] = 0
    return moved


def _paste(canvas: np.ndarray, result: np.ndarray, window: Box, holes: Sequence[BoxedMask]) -> None:
    """Lay `result`, scaled up to its window of the canvas, over the holes in place."""
    height, width = window.height, window.width
    if result.shape[:2] != (height, width):
        result = cv2.resize(result, (width, height), interpolation=cv2.INTER_CUBIC)
    inside = np.zeros((height, width), dtype=bool)
    for hole in holes:
        hole.draw(inside, window)
    np.copyto(canvas[window.place], result, where=inside[..., None])


def _blend_edge(canvas: np.ndarray, photo: np.ndarray, hole: np.ndarray, staying: np.ndarray) -> None:
    """Let the photo pass into the canvas along the outer edge of the whole hole, in place.

    Not where somebody who stays ends the hole: what the photo has there is the person who went.
    """
    if not hole.any():
        return
    window = Box.around(hole).grown(1, hole.shape)
    inner, kept = hole[window.place], staying[window.place]
    depth = cv2.distanceTransform((inner | kept).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    edge = inner & (depth < _FEATHER)
    weight = (depth[edge] / _FEATHER)[:, None]
    old, new = photo[window.place][edge], canvas[window.place][edge]
    canvas[window.place][edge] = np.rint(new * weight + old * (1 - weight)).astype(np.uint8)
