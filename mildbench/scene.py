"""The scene: a clean background and K person layers, back to front. Everything true follows from it.

Erasing any subset S of the people has an exact answer, the composite without S. Visible and amodal masks,
occlusion, hidden keypoints and parsing are derived from the z-order, never estimated.

Conventions: images are RGB uint8, alpha is straight, pixel centres lie at integer coordinates, x points right
and y down. Labels come from the binary mask (`Person.parsing > 0`), never from the soft alpha.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np


def over(canvas: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Composite `colour` over `canvas` in place: `round((a * colour + (255 - a) * canvas) / 255)`.

    The one definition of the operator, in exact integer arithmetic, so that a scene recomposes bit for bit.

    Args:
        canvas: uint8[h, w, 3].
        colour: uint8[h, w, 3], straight (not premultiplied).
        alpha: uint8[h, w].
    """
    rows = np.flatnonzero(alpha.any(axis=1))  # a shadow or a padded layer leaves most rows as they are
    if rows.size == 0:
        return
    band = slice(rows[0], rows[-1] + 1)
    canvas, colour, alpha = canvas[band], colour[band], alpha[band]
    weight = cv2.merge((alpha, alpha, alpha))
    behind = cv2.multiply(canvas, cv2.bitwise_not(weight), dtype=cv2.CV_16U)
    mixed: np.ndarray = cv2.add(cv2.multiply(colour, weight, dtype=cv2.CV_16U), behind)
    # Exact rounded division by 255 of any value up to 255 * 255 without leaving 16 bits.
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    canvas[...] = mixed


def clip(
    origin: tuple[int, int], shape: tuple[int, int], frame: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a patch inside a frame, as (rows, columns) of the frame and of the patch; empty where none is.

    Args:
        origin: (x, y) in the frame of the patch's top left pixel; may lie outside.
        shape: height and width of the patch.
        frame: height and width of the frame.
    """
    x, y = origin
    h, w = shape
    height, width = frame
    top, bottom = max(y, 0), max(min(y + h, height), max(y, 0))
    left, right = max(x, 0), max(min(x + w, width), max(x, 0))
    in_frame = (slice(top, bottom), slice(left, right))
    in_patch = (slice(top - y, bottom - y), slice(left - x, right - x))
    return in_frame, in_patch


@dataclass(frozen=True)
class Provenance:
    """Where a cut-out comes from; it follows the person into every data set and card."""

    source: str
    """The source as the recipe named it, without machine paths, e.g. `coco?split=train2017`."""
    file: str
    """The file inside the source, or the seed of a procedural figure."""
    sha256: str
    """Of the source file (of the pixels, for a procedural figure)."""
    licence: str
    annotation: str | None = None
    """The annotation's id inside the source."""


@dataclass(frozen=True, eq=False)
class Person:
    """One person, in the pixel coordinates of their layer."""

    id: int
    """1 .. 255, unique in the scene: the value in the instance map."""
    keypoints: np.ndarray
    """float32[17, 3]: x, y in layer pixels and COCO visibility as the source knows it (0, 1, 2)."""
    parsing: np.ndarray
    """uint8[h, w], the *whole* person: CIHP-20 labels, 255 for a pixel of the layer without a class, 0 outside.
    `parsing > 0` is the person's binary amodal mask."""
    provenance: Provenance
    category: str = "person"
    """What the layer shows: a person, or (OLRD) an object of this name."""
    carried: tuple[str, ...] = ()
    """Names of the objects (bag, bicycle ...) that are part of the layer; their pixels have no parsing class."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A person as pixels. The origin may lie outside the canvas: what lies outside is clipped, never shifted."""

    rgba: np.ndarray
    """uint8[h, w, 4], straight alpha."""
    origin: tuple[int, int]
    """(x, y) on the canvas of the layer's top left pixel."""
    person: Person
    shadow: np.ndarray | None = None
    """uint8[h, w] or None: opacity of the black shadow the person casts on everything behind."""
    reflection: np.ndarray | None = None
    """uint8[h, w, 4] or None: what glossy ground mirrors of the person, straight alpha, on everything behind."""

    def __post_init__(self) -> None:
        shape = self.rgba.shape[:2]
        if self.rgba.dtype != np.uint8 or self.rgba.ndim != 3 or self.rgba.shape[2] != 4:
            raise ValueError(
                f"layer rgba is {self.rgba.dtype}{list(self.rgba.shape)}, expected uint8[h, w, 4]"
            )
        planes = (
            ("parsing", self.person.parsing, shape),
            ("shadow", self.shadow, shape),
            ("reflection", self.reflection, (*shape, 4)),
        )
        for name, plane, wanted in planes:
            if plane is not None and (plane.dtype != np.uint8 or plane.shape != wanted):
                raise ValueError(
                    f"layer {name} is {plane.dtype}{list(plane.shape)}, expected uint8{list(wanted)}"
                )
        if self.person.keypoints.shape != (17, 3):
            raise ValueError(f"keypoints are {list(self.person.keypoints.shape)}, expected [17, 3]")
        if not 1 <= self.person.id <= 255:
            raise ValueError(f"person id {self.person.id} is outside 1..255")

    @property
    def mask(self) -> np.ndarray:
        """bool[h, w]: the person's binary mask, in layer pixels."""
        return self.person.parsing > 0

    def window(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the layer inside an HxW canvas, as (rows, columns) of the canvas and of the layer."""
        return clip(self.origin, self.person.parsing.shape, (height, width))

    def paint(self, canvas: np.ndarray) -> None:
        """Lay the shadow, the reflection, then the person, over `canvas` (uint8[H, W, 3]) in place."""
        there, here = self.window(*canvas.shape[:2])
        patch = canvas[there]
        if self.shadow is not None:
            over(patch, np.zeros_like(patch), self.shadow[here])
        if self.reflection is not None:
            over(patch, self.reflection[here][..., :3], self.reflection[here][..., 3])
        over(patch, self.rgba[here][..., :3], self.rgba[here][..., 3])


@dataclass(frozen=True, eq=False)
class People:
    """Who is in a picture: K people, back to front, in canvas coordinates."""

    ids: tuple[int, ...]
    visible: np.ndarray
    """bool[K, H, W]: what is seen of each."""
    amodal: np.ndarray
    """bool[K, H, W]: the whole person, clipped by the frame."""
    keypoints: np.ndarray
    """float32[K, 17, 3]: x, y in canvas pixels; 2 seen, 1 hidden, 0 unknown or outside the frame."""
    parsing: np.ndarray
    """uint8[H, W]: CIHP-20 labels of whoever is in front, 255 for a person's pixel without a class."""
    categories: tuple[str, ...]
    """What each is: `person`, or the name of a moved object."""

    def occlusion(self) -> np.ndarray:
        """float64[K, K]: entry [f, b] is the share of b's amodal mask that f, in front of b, covers.

        Shares can overlap: two people in front may cover the same pixel of a third. Zero wherever f is not in
        front of b.
        """
        somebody = self.amodal.sum(axis=0, dtype=np.uint8) > 1
        crossing = self.amodal[:, somebody].astype(np.float32)  # sums stay exact below 2^24 pixels
        shared = crossing @ crossing.T
        area = np.maximum(_areas(self.amodal), 1)
        return np.tril(shared / area[None, :], k=-1).astype(np.float64)

    def visible_ratio(self) -> np.ndarray:
        """float64[K]: visible area over amodal area inside the frame; 1 where nobody is in front."""
        return _areas(self.visible) / np.maximum(_areas(self.amodal), 1)

    def instance_map(self) -> np.ndarray:
        """uint8[H, W]: the id of whoever is seen at a pixel, 0 for the background."""
        ids = np.asarray(self.ids, dtype=np.uint8)[:, None, None]
        return (self.visible * ids).max(axis=0, initial=0).astype(np.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class Triplet:
    """What evaluation reads: the input, what to erase, the exact answer, and who is there (if known)."""

    id: str
    image: np.ndarray
    """uint8[H, W, 3]."""
    mask: np.ndarray
    """bool[H, W]: what to erase. Outside it, `image` and `truth` are equal in a lossless synthetic split."""
    truth: np.ndarray
    """uint8[H, W, 3]; see `truth_known`."""
    people: People | None = None
    targets: tuple[int, ...] = ()
    """Indices into `people` of those to erase."""
    subject: int | None = None
    """Index into `people` of the one person whom erasing the targets uncovers, in a task that asks for one."""
    subject_keypoints: np.ndarray | None = None
    """float32[17, 3], as in `People`: the subject's true ones, also where annotators wrote others into `people`."""
    effect: np.ndarray | None = None
    """bool[H, W]: what goes with what is erased but is not marked (shadow, reflection); None if unknown. Of the
    samples of one data set it is known for all or for none."""
    shown: np.ndarray | None = None
    """bool[H, W]: the mask that a method is shown, where that is another than `mask`: see `mildbench.marking`."""
    background_tag: str | None = None
    """The category of background that covers most of what lies around `mask`; None where nobody has said it."""
    truth_known: bool = True
    """False in a photo of which nobody knows what lies behind whom it shows: then `truth` is `image`, grey in
    `mask`, and nothing but the masks of completed people can be held against the truth."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Strata: scenario family, visible ratio and the like; JSON values."""

    @property
    def mask_shown(self) -> np.ndarray:
        """bool[H, W]: the mask that a method is shown."""
        return self.mask if self.shown is None else self.shown

    @property
    def overlap(self) -> np.ndarray | None:
        """bool[H, W]: where an erased person covers a kept one (the multi-IP zone), or the subject where there is
        one; None if people are unknown.
        """
        if self.people is None:
            return None
        erased = np.zeros(len(self.people.ids), dtype=bool)
        erased[list(self.targets)] = True
        uncovered = ~erased if self.subject is None else [self.subject]
        kept_whole: np.ndarray = np.any(self.people.amodal[uncovered], axis=0)
        seen: np.ndarray = np.any(self.people.visible[erased], axis=0)
        return kept_whole & seen

    @property
    def panel(self) -> np.ndarray:
        """uint8[H, 3W + gaps, 3]: the input, the same with white where a method is to erase, and the truth."""
        hole = np.where(self.mask_shown[..., None], np.uint8(255), self.image)
        gap = np.full((len(hole), max(len(hole) // 50, 2), 3), 255, np.uint8)
        return np.hstack([self.image, gap, hole, gap, self.truth])

    def __repr__(self) -> str:
        height, width = self.mask.shape
        share = f"{self.mask.mean():.1%} to erase"
        people = "" if self.people is None else f", {len(self.targets)} of {len(self.people.ids)} people go"
        return f"triplet {self.id}: {width}x{height}, {share}{people}"

    def _repr_png_(self) -> bytes:
        return _png(self.panel)


@dataclass(frozen=True, eq=False, repr=False)
class Scene:
    """A background and person layers, back to front."""

    id: str
    background: np.ndarray
    """uint8[H, W, 3]."""
    layers: tuple[Layer, ...]
    background_tag: str | None = None
    """The category of background that covers most of what lies around the people; None where nobody has said it."""

    def __post_init__(self) -> None:
        if self.background.dtype != np.uint8 or self.background.ndim != 3 or self.background.shape[2] != 3:
            found = f"{self.background.dtype}{list(self.background.shape)}"
            raise ValueError(f"background is {found}, expected uint8[H, W, 3]")
        ids = [layer.person.id for layer in self.layers]
        if len(set(ids)) != len(ids):
            raise ValueError(f"scene {self.id}: person ids {ids} are not unique")

    def __repr__(self) -> str:
        height, width = self.background.shape[:2]
        return f"scene {self.id}: {width}x{height}, {len(self.layers)} layers"

    def _repr_png_(self) -> bytes:
        return _png(self.composite())

    def composite(self, without: Iterable[int] = ()) -> np.ndarray:
        """uint8[H, W, 3]: the background and all layers except the people whose ids are in `without`."""
        gone = frozenset(without)
        canvas = self.background.copy()
        for layer in self.layers:
            if layer.person.id not in gone:
                layer.paint(canvas)
        return canvas

    def people(self) -> People:
        """Masks, keypoints and parsing of everybody, derived from the z-order."""
        height, width = self.background.shape[:2]
        count = len(self.layers)
        amodal = np.zeros((count, height, width), dtype=bool)
        parsing = np.zeros((height, width), dtype=np.uint8)
        for k, layer in enumerate(self.layers):
            there, here = layer.window(height, width)
            labels = layer.person.parsing[here]
            amodal[k][there] = labels > 0
            np.copyto(parsing[there], labels, where=labels > 0)
        visible = amodal.copy()
        in_front = np.zeros((height, width), dtype=bool)
        keypoints = np.zeros((count, 17, 3), dtype=np.float32)
        for k in range(count - 1, -1, -1):
            visible[k] &= ~in_front
            keypoints[k] = _keypoints_on_canvas(self.layers[k], in_front)
            in_front |= amodal[k]
        ids = tuple(layer.person.id for layer in self.layers)
        categories = tuple(layer.person.category for layer in self.layers)
        return People(ids, visible, amodal, keypoints, parsing, categories)

    def footprint(self, targets: Iterable[int]) -> np.ndarray:
        """bool[H, W]: every pixel that erasing `targets` may change: with soft edges, shadows and reflections."""
        erased = frozenset(targets)
        height, width = self.background.shape[:2]
        changed = np.zeros((height, width), dtype=bool)
        for layer in self.layers:
            there, here = layer.window(height, width)
            alpha = layer.rgba[here][..., 3]
            if layer.person.id in erased:
                changed[there] |= alpha > 0
                if layer.shadow is not None:
                    changed[there] |= layer.shadow[here] > 0
                if layer.reflection is not None:
                    changed[there] |= layer.reflection[here][..., 3] > 0
            else:
                changed[there] &= alpha < 255
        return changed

    def covering(self, person: int) -> frozenset[int]:
        """The ids of those who cover any of the person with this id, inside the frame.

        Raises ValueError for an id that is not in the scene.
        """
        self._check([person])
        place = next(k for k, layer in enumerate(self.layers) if layer.person.id == person)
        height, width = self.background.shape[:2]
        covered = np.zeros((height, width), dtype=bool)
        there, here = self.layers[place].window(height, width)
        covered[there] = self.layers[place].mask[here]
        found = set()
        for layer in self.layers[place + 1 :]:
            there, here = layer.window(height, width)
            if (covered[there] & layer.mask[here]).any():
                found.add(layer.person.id)
        return frozenset(found)

    def erase(self, targets: Iterable[int], *, completing: int | None = None) -> Triplet:
        """The task of erasing the people with these ids, with its exact answer.

        The mask is the targets' `footprint`, so that outside it the image already is the truth. `completing` is the
        id of the one who is to be completed, the triplet's `subject`. Raises ValueError for an id that is not in the
        scene.
        """
        erased = frozenset(targets)
        self._check(erased if completing is None else erased | {completing})
        people = self.people()
        subject = None if completing is None else people.ids.index(completing)
        return Triplet(
            id=self.id,
            image=self.composite(),
            mask=self.footprint(erased),
            truth=self.composite(without=erased),
            people=people,
            targets=tuple(k for k, name in enumerate(people.ids) if name in erased),
            subject=subject,
            subject_keypoints=None if subject is None else people.keypoints[subject],
        )

    def _check(self, persons: Iterable[int]) -> None:
        ids = [layer.person.id for layer in self.layers]
        if unknown := set(persons).difference(ids):
            raise ValueError(f"scene {self.id} has no person {sorted(unknown)}; it has {ids}")


def _png(pixels: np.ndarray) -> bytes:
    """uint8[H, W, 3] as a notebook shows it."""
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def _areas(masks: np.ndarray) -> np.ndarray:
    """int64[K]: pixels of each mask of bool[K, H, W]."""
    return np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)


def _keypoints_on_canvas(layer: Layer, in_front: np.ndarray) -> np.ndarray:
    """float32[17, 3]: moved to the canvas; hidden behind `in_front` becomes v=1, outside the frame v=0."""
    height, width = in_front.shape
    points = layer.person.keypoints.astype(np.float32)
    known = points[:, 2] > 0
    points[known, :2] += layer.origin
    column, row = np.rint(points[:, 0]).astype(int), np.rint(points[:, 1]).astype(int)
    inside = known & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    points[~inside] = 0
    hidden = inside.copy()
    hidden[inside] = in_front[row[inside], column[inside]]
    points[hidden, 2] = 1
    return points
