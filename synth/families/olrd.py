"""OLRD: an object of a picture, moved onto the background of the same picture.

After MagicEraser (ECCV 2024, arXiv 2410.10207), whose data sets are triplets of object, mask and clean background
with object and scene from one image. Ours keeps the original object in place and known, moves only whole objects,
and only to where the whole footprint lies on what the panoptic segmentation calls background: never over another
object, never across the frame. People move with what they wear, hold or ride. What stands on the grass stays on the
grass: an object keeps the region of the background it stands on, and its height in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import cv2
import numpy as np

from mildbench.belongings import CARRIED, RIDDEN, Belongings, Thing, share_by_touch, union
from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.labels import UNLABELLED
from mildbench.scene import Provenance
from synth import exact
from synth.cutout import extend_colours, refine
from synth.family import Family
from synth.fit import SizedFigure, fit
from synth.ground import is_ground, panoptic_ground
from synth.material import BackgroundChoice, Cutout, Known, Rejected, Segment, things
from synth.perspective import TYPICAL
from synth.perspective import fit as fit_camera
from synth.plan import AllRejected, Notes, Plan, PlannedPerson, Treatment
from synth.pools import Pool, share_out
from synth.recipe import Recipe
from synth.rng import generator
from synth.sources.base import BACKGROUNDS, SEGMENTED, SegmentedSource, open_source
from synth.splits import split_of_sample
from synth.store import Store
from synth.survey import Survey
from synth.views import Backdrop, Stored, cut_square

PERSON = "person"
"""The category of people, as COCO calls it."""
OBJECT_SHARE = (0.004, 0.2)
"""Area of a movable object, as a share of the frame."""
SOLID = 0.35
"""Least share of its bounding box that a movable object fills: thin or scattered masks are poor cut-outs."""
COARSE = 4
"""Places are searched on a grid of so many pixels, then checked to the pixel."""
PLACES_TRIED = 256
SOLE = 0.05
"""An object stands with what reaches down to this share of its height above its lowest pixel."""
FIRM = 0.8
"""Least share of that which is on the right region at a new place."""
CLIMB = 0.1
"""How far an object may move up or down, as a share of the frame, where there is no telling how fast sizes shrink."""
MISSIZED = 0.05
"""Share by which an object may be too large or too small for its new place, where the horizon is known."""


@dataclass(frozen=True, eq=False)
class _Object:
    """What moves as one."""

    id: int
    """Of its segment; of the person's, where things come along."""
    category: str
    carried: tuple[Thing, ...]
    mask: np.ndarray
    """bool[H, W], with what comes along."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """A crop of a segmented picture at scene size."""

    backdrop: Backdrop
    objects: tuple[_Object, ...]
    """What can be moved: whole, solid things inside the crop that stand on a region of the background."""
    regions: np.ndarray
    """int32[size, size]: the background's region at each pixel, 0 for an object and where nothing is known."""
    horizon: float | None
    """Its row, by the things that stand in the picture; None where they do not tell."""


class PictureCatalogue:
    """A recipe's segmented pictures; the key of what moves in one is `IMAGE/VIEW/SEGMENT`.

    Args:
        recipe: what is asked for.
        seed: of the data set.
        survey: of the pictures, where somebody has looked at them already.
        store: not used: a crop is kept by whoever makes its scene, and nobody else wants it.
    """

    def __init__(
        self, recipe: Recipe, seed: int, survey: Survey | None = None, store: Store | None = None
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        self._sources = [_open(text) for text in recipe.backgrounds]
        choices = [
            BackgroundChoice(i, ref) for i, source in enumerate(self._sources) for ref in source.images()
        ]
        self._pictures = Pool("backgrounds", self._sources, choices)
        self.survey = share_out(recipe, seed, survey, self._pictures)
        self._stored = Stored(recipe, self.backgrounds)
        self._picture = lru_cache(maxsize=32)(self._read_picture)

    @property
    def backgrounds(self) -> dict[str, list[BackgroundChoice]]:
        """By split."""
        return self._pictures.by_split

    def pools(self) -> Sequence[Pool]:
        return (self._pictures,)

    def share(self, store: Store) -> None:
        return

    def view(self, source: int, key: str, number: int) -> Backdrop:
        return self._picture(source, key, number).backdrop

    def picture(self, source: int, key: str, number: int) -> _Picture:
        """Crop `number` of a picture with its objects; raises `Rejected`."""
        return self._picture(source, key, number)

    def known(self, source: int) -> Known:
        """How the ground in a source's pictures is known."""
        return self._sources[source].known

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        return fit(self.cutout(source, key), scale, mirrored, room_for_shadow=shadow)

    def cutout(self, source: int, key: str) -> Cutout:
        """The object as it is in the crop; raises `Rejected`."""
        image_key, view, segment_id = key.rsplit("/", 2)
        picture = self._picture(source, image_key, int(view))
        moved = next(item for item in picture.objects if item.id == int(segment_id))
        margin = max(4, round(np.count_nonzero(moved.mask.any(axis=1)) / 20))
        window = Box.around(moved.mask).grown(margin, moved.mask.shape).place
        rgba = extend_colours(refine(picture.backdrop.image[window], moved.mask[window]))
        parsing = np.where(rgba[..., 3] >= 128, UNLABELLED, 0).astype(np.uint8)
        origin = picture.backdrop.provenance
        carried = tuple(thing.name for thing in moved.carried)
        ids = "+".join([str(moved.id), *(thing.key for thing in moved.carried)])
        annotation = f"segment {ids} ({', '.join((moved.category, *carried))})"
        provenance = Provenance(origin.source, origin.file, origin.sha256, origin.licence, annotation)
        keypoints = np.zeros((17, 3), np.float32)
        return Cutout(rgba, parsing, keypoints, provenance, carried, moved.category)

    def _read_picture(self, source: int, key: str, number: int) -> _Picture:
        origin = self._sources[source]
        segmented = origin.image(key)
        height, width = segmented.image.shape[:2]
        cut = cut_square(generator(self.seed, "view", origin.name, key, number), height, width, self.recipe)
        stored = self._stored.picture(cut.image(segmented.image), source, key)
        backdrop = Backdrop(*stored, segmented.provenance)
        regions = np.zeros(backdrop.image.shape[:2], dtype=np.int32)
        objects, ground = [], set[int]()
        for segment in segmented.segments:
            if not segment.is_thing:
                regions[cut.mask(segment.mask)] = segment.id
                if is_ground(segment.category):
                    ground.add(segment.id)
        for whole in _objects(segmented.segments):
            mask = cut.mask(whole.mask)
            if _movable(mask) and cut.contains(whole.mask):
                objects.append(replace(whole, mask=mask))
        perspective = None
        # What stands in rendered places is as large as was drawn at random: it tells no horizon.
        if origin.known is not Known.EXACT:
            edge = panoptic_ground(segmented.segments, (height, width)).upper_edge
            perspective = fit_camera(things(segmented.segments), height, width, edge)
        horizon = None if perspective is None else cut.row(perspective.horizon)
        # Somebody who ends at a wall or a fence is behind it, and has no feet.
        standing = tuple(
            item
            for item in objects
            if (region := _ground(item.mask, regions)) and (region in ground or not _stands(item.category))
        )
        return _Picture(backdrop, standing, regions, horizon)


def _open(text: str) -> SegmentedSource:
    """A source of segmented pictures; raises `UserError`, for one without segments too."""
    scheme = text.partition(":")[0]
    if scheme in BACKGROUNDS.names() and scheme not in SEGMENTED.names():
        raise UserError(
            f"olrd moves objects of a picture onto its background and needs panoptic segments, which {scheme}: "
            f"does not have: use {' or '.join(f'{name}:' for name in SEGMENTED.names())} "
            "(mildbench segment makes a folder for coco: of photos)"
        )
    return open_source(text, SEGMENTED)


def _objects(segments: Sequence[Segment]) -> list[_Object]:
    """What can be moved of a picture: its things, and people with those of them that are theirs.

    Nobody who leans on a mount or shares it moves, nor does the mount, of which they may hide a part.
    """
    things = [segment for segment in segments if segment.is_thing and not segment.is_crowd]
    people = [segment for segment in things if segment.category == PERSON]
    carried = [
        Thing(str(segment.id), segment.category, segment.mask)
        for segment in things
        if segment.category in CARRIED
    ]
    owned = share_by_touch({str(segment.id): segment.mask for segment in people}, carried)
    taken = {thing.key for belongings in owned.values() for thing in belongings.things}
    in_doubt = any(belongings.lost_ride for belongings in owned.values())
    found = []
    for segment in things:
        belongings = owned.get(str(segment.id), Belongings())
        is_mount = RIDDEN in CARRIED.get(segment.category, ())
        if str(segment.id) not in taken and not belongings.lost_ride and not (in_doubt and is_mount):
            mask = union(segment.mask, belongings.things)
            found.append(_Object(segment.id, segment.category, tuple(belongings.things), mask))
    return found


def _movable(mask: np.ndarray) -> bool:
    share = np.count_nonzero(mask) / mask.size
    if not OBJECT_SHARE[0] <= share <= OBJECT_SHARE[1]:
        return False
    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return False  # cut off by the frame
    box = Box.around(mask)
    parts, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    largest = stats[1:, cv2.CC_STAT_AREA].max() if parts > 1 else 0
    whole = largest >= 0.95 * np.count_nonzero(mask)
    return bool(whole and np.count_nonzero(mask) >= SOLID * box.width * box.height)


class Olrd(Family[PictureCatalogue]):
    """One object of a picture, moved onto the background of the same picture. Difficulty: its share of the frame."""

    name = "olrd"
    opens = PictureCatalogue

    @classmethod
    def problem(cls, recipe: Recipe) -> str | None:
        if not recipe.people:
            return None
        return "people: olrd moves objects of the pictures in backgrounds and pastes nobody: leave people out"

    def plan(self) -> tuple[Plan, Notes]:
        rng, notes = generator(self.catalogue.seed, "olrd", self.index), Notes()
        split = split_of_sample(self.index, self.recipe.splits)
        pool = self.catalogue.backgrounds[split]
        # Other crops and other places may do where the first did not: scarce pictures get more than one try.
        laps = (rng.permutation(len(pool)) for _ in range(self.recipe.background_views))
        for position in chain.from_iterable(laps):
            choice = pool[position]
            number = int(rng.integers(self.recipe.background_views))
            try:
                person = self._moved_object(rng, choice, number)
            except Rejected as rejected:
                notes.rejections.add(rejected)
                continue
            if person is None:
                notes.unmet["a picture passed over: no whole object that fits elsewhere in it"] += 1
                continue
            background: dict[str, Any] = {"source": choice.source, "key": choice.ref.key, "view": number}
            planned, share = person
            ground = str(self.catalogue.known(choice.source))
            return Plan(self.index, split, self.name, round(share, 6), background, ground, [planned]), notes
        raise AllRejected(f"no picture of split {split!r} has an object to move", notes.rejections)

    def _moved_object(
        self, rng: np.random.Generator, choice: BackgroundChoice, number: int
    ) -> tuple[PlannedPerson, float] | None:
        picture = self.catalogue.picture(choice.source, choice.ref.key, number)
        for position in rng.permutation(len(picture.objects)):
            segment = picture.objects[position]
            key = f"{choice.ref.key}/{number}/{segment.id}"
            scale, mirrored = round(float(rng.uniform(0.8, 1.1)), 4), bool(rng.random() < 0.5)
            figure = self.catalogue.figure(choice.source, key, scale, mirrored, False)
            origin = _place(rng, figure, segment.mask, picture, scale)
            if origin is not None:
                share = np.count_nonzero(figure.mask) / picture.regions.size
                return PlannedPerson(1, choice.source, key, scale, mirrored, origin, Treatment()), share
        return None


def _base(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int[n] each: rows and columns of the pixels right below what an object, bool[h, w], stands with."""
    columns = np.flatnonzero(mask.any(axis=0))
    lowest = mask.shape[0] - 1 - mask[::-1, columns].argmax(axis=0)
    stands = lowest >= lowest.max() - SOLE * np.count_nonzero(mask.any(axis=1))
    return lowest[stands] + 1, columns[stands]


def _ground(mask: np.ndarray, regions: np.ndarray) -> int:
    """The region of the background that an object stands on, 0 when that is another object or unknown."""
    under = regions[_base(mask)]
    found, counts = np.unique(under, return_counts=True)
    return int(found[counts.argmax()]) if 2 * counts.max() > counts.sum() else 0


def _stands(category: str) -> bool:
    """Whether things of a category stand on the ground, as far as known."""
    return category in TYPICAL and TYPICAL[category].stands


def _place(
    rng: np.random.Generator, figure: SizedFigure, original: np.ndarray, picture: _Picture, scale: float
) -> tuple[int, int] | None:
    """A random origin at which an object looks at home, or None.

    The whole footprint is inside the frame and on the background; the object stands on the region it stood on, in the
    row at which things of its size stand: by the horizon, toward which sizes shrink, else about as high in the picture
    as before.
    """
    regions = picture.regions
    footprint = figure.rgba[..., 3] > 0
    (height, width), size = footprint.shape, regions.shape[0]
    if height >= size or width >= size:
        return None

    def coarse(mask: np.ndarray) -> np.ndarray:
        size = (max(1, mask.shape[1] // COARSE), max(1, mask.shape[0] // COARSE))
        return exact.resize(mask.astype(np.uint8) * 255, size) // 128

    ground = _ground(original, regions)
    base_rows, base_columns = _base(figure.mask)
    stood = int(_base(original)[0].max())
    # By Fourier transforms in float32, yet exact: it counts cells, and its error is far below half a cell.
    covered = cv2.matchTemplate(coarse(regions == 0), coarse(footprint), cv2.TM_CCORR)
    rows, columns = np.nonzero(covered < 0.5)
    wanted, slack = float(stood), CLIMB * size
    if picture.horizon is not None and picture.horizon < stood:
        wanted = picture.horizon + scale * (stood - picture.horizon)
        slack = MISSIZED * (stood - picture.horizon)
    near = np.abs(rows * COARSE + base_rows.max() - wanted) <= slack
    places = np.column_stack([columns[near], rows[near]]) * COARSE
    for x, y in rng.permutation(places)[:PLACES_TRIED].tolist():
        if y + height >= size or x + width > size:
            continue
        stands = np.count_nonzero(regions[y + base_rows, x + base_columns] == ground)
        under = regions[y : y + height, x : x + width]
        if stands >= FIRM * len(base_rows) and under[footprint].all():
            return x, y
    return None
