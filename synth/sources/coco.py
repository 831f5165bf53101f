"""`coco:FOLDER?split=train2017`: people and clean backgrounds from a COCO folder.

Layout as published: `FOLDER/annotations/person_keypoints_SPLIT.json`, `instances_SPLIT.json`, and the images
in `FOLDER/SPLIT/`.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.belongings import (
    CARRIED,
    RIDDEN,
    TOUCH,
    Belongings,
    SeenBody,
    Thing,
    share_out,
    stands_on,
    tilted,
    union,
)
from mildbench.errors import UserError
from mildbench.posture import childs_metres, feet, hidden_leg, seated, stands, top_heavy, upright
from mildbench.scene import Provenance
from synth.ground import in_open_air, panoptic_ground, panoptic_sheen
from synth.material import (
    ADULT_METRES,
    Background,
    BackgroundRef,
    Cutout,
    LeftOut,
    PersonRef,
    Rejected,
    Rejections,
    SeenObject,
    things,
)
from synth.sources.base import BackgroundSource, PeopleSource
from synth.sources.coco_content import Content, Item, is_crowd
from synth.sources.coco_folder import (
    CocoFolder,
    Instances,
    box_of,
    check_box,
    check_segmentation,
    decode,
    group_of,
)
from synth.sources.crop import cut_out, without_specks
from synth.sources.names import called, in_order, means_people, plain
from synth.sources.panoptic import PanopticImages

BORDER = 2
"""A box within so many pixels of the image border counts as cut by it."""
FACE = slice(0, 5)
"""Nose, eyes and ears among the keypoints."""
FACE_POINTS = 2
"""So many visible of them are a face."""
REACH, POINTS_NEAR = 0.1, 0.5
"""At least that share of the keypoints lies in the person's box, grown by `REACH` of its longer side."""
IN_ONE_PIECE = 0.97
"""Smallest share of a person in one piece; a bar, a table or another person cuts others in two."""


class CocoPeople(PeopleSource):
    """People with keypoints, filtered to those that can stand alone, with what they wear, hold or ride.

    Args:
        path: the COCO folder.
        split: part of the file names, e.g. `train2017`.
        min_height: smallest person taken, in source pixels.
        min_keypoints: fewest labelled keypoints; an occluded or cropped person has few.
        carried: cut out bags, rackets, bicycles and the like along with their person; needs
            `instances_SPLIT.json`.
        label: the category of people, in any case.
    """

    slow_to_list = True

    def __init__(
        self,
        path: str,
        split: str = "train2017",
        min_height: int = 96,
        min_keypoints: int = 8,
        carried: bool = True,
        label: str = "person",
    ) -> None:
        self._folder = CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.label = label
        self.min_height = min_height
        self.min_keypoints = min_keypoints
        self.carried = carried
        self.rejections = Rejections()
        self._broken_things: set[tuple[str, str]] = set()
        # The people of an image follow each other, and all of them are needed to share out its things.
        self._belongings = lru_cache(maxsize=8)(self._share_out)

    @cached_property
    def _content(self) -> Content:
        return self._folder.read("person_keypoints")

    @cached_property
    def _annotations(self) -> dict[str, Item]:
        """The annotations of people, by key: the id, with a number behind it where others have the same one."""
        categories = self._content.categories
        where = str(self._folder.annotation_file("person_keypoints"))
        people = called(self.label, (item["name"] for item in categories.values()), where)
        found: dict[str, Item] = {}
        twins = defaultdict[str, list[Item]](list)
        outlines = set[tuple[str | None, int]]()
        for place, item in enumerate(self._content.annotations):
            number, category = item["id"], item["category_id"]
            if category not in categories:
                self.rejections.add(Rejected("annotation without a known category", _name(number, place)))
            elif categories[category]["name"] not in people:
                continue
            elif number is None:
                self.rejections.add(Rejected("annotation without an id", _name(number, place)))
            elif item in twins[number] or (outline := _outline(item)) in outlines:
                self.rejections.add(Rejected("the same annotation twice", _name(number, place)))
            else:
                twins[number].append(item)
                if outline is not None:
                    outlines.add(outline)
                count = len(twins[number])
                found[number if count == 1 else f"{number}#{count}"] = item
        return found

    @cached_property
    def _keys_of(self) -> dict[str, list[str]]:
        """Image id -> keys of its single people."""
        keys = defaultdict[str, list[str]](list)
        for key, item in self._annotations.items():
            if not is_crowd(item):
                keys[item["image_id"] or ""].append(key)
        return keys

    @cached_property
    def _things(self) -> dict[str, list[Item]]:
        """Image id -> annotations of things of a carried kind."""
        if not self.carried:
            return {}
        return {
            image: kept
            for image, items in self._folder.instances(self.label).things.items()
            if (kept := [item for item in items if item["name"] in CARRIED])
        }

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        self.left_out.update(self._called_otherwise())
        for problem in self._content.problems:
            self.rejections.add(problem)
        found: list[PersonRef] = []
        for key, item in self._annotations.items():
            found += self.checked(self._check, key, item)
        return sorted(found, key=lambda ref: in_order(ref.key))

    def photo(self, key: str) -> Path:
        return self._folder.photo(self._record(self._annotations[key], f"annotation {key}"))

    def annotation(self, key: str) -> Any:
        """Of everybody and everything in the image: its things are shared out between all of its people."""
        item = self._annotations[key]
        record, image_id = self._record(item, f"annotation {key}"), item["image_id"] or ""
        people = [self._annotations[other] for other in self._keys_of[image_id]]
        return [self._folder.facts(record, self._content.licences), people, self._things.get(image_id)]

    def _called_otherwise(self) -> Counter[str]:
        """Annotations of people whose category is not the one that is asked for."""
        names = {key: str(category["name"]) for key, category in self._content.categories.items()}
        others = {
            key: name
            for key, name in names.items()
            if means_people(name, self.label) and plain(name) != plain(self.label)
        }
        found = Counter(item["category_id"] for item in self._content.annotations)
        return Counter(
            {f"called {name}, not {self.label}": found[key] for key, name in others.items() if found[key]}
        )

    def _check(self, key: str, item: Item) -> PersonRef:
        """The person; raises `LeftOut` if merely unsuitable, `Rejected` for a broken annotation."""
        if is_crowd(item):
            raise LeftOut("a crowd")
        where = f"annotation {key}"
        record = self._record(item, where)
        width, height = record["width"], record["height"]
        if not item.get("keypoints") and not item.get("num_keypoints"):
            raise LeftOut("no labelled keypoints")
        points = _keypoints(item, where)
        known = points[:, 2] > 0
        x, y = points[known, 0], points[known, 1]
        if ((x < -1) | (x > width + 1) | (y < -1) | (y > height + 1)).any():
            raise Rejected("keypoint outside the image", where)
        if not known.any():
            raise LeftOut("no labelled keypoints")
        check_segmentation(item.get("segmentation"), width, height, where)
        left, top, w, h = box_of(item["segmentation"], height, width, where)
        cut_at_bottom = top + h >= height - BORDER
        if h < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        if left <= BORDER or top <= BORDER or left + w >= width - BORDER:
            raise LeftOut("cut by the image's border")
        if known.sum() < self.min_keypoints:
            raise LeftOut(f"fewer than {self.min_keypoints} labelled keypoints")
        reach = REACH * max(w, h)
        near = (x > left - reach) & (x < left + w + reach) & (y > top - reach) & (y < top + h + reach)
        if near.mean() < POINTS_NEAR:
            raise Rejected("keypoints elsewhere than the mask", where)
        # Legs hidden by a table look cut off anywhere but at the frame's lower edge.
        if not cut_at_bottom and feet(points) == 0:
            raise LeftOut("no foot seen")
        mask, belongings = self._cut_mask(key, item)
        _check_whole(mask, belongings, points, h, cut_at_bottom)
        if self._company(key, item, mask, points):
            raise LeftOut("somebody else in the cut-out")
        whole = upright(points) if cut_at_bottom else None
        return PersonRef(
            key,
            group_of(record),
            round(h),
            cut_at_bottom,
            carries=bool(belongings.things),
            whole=None if whole is None else max(round(whole[1]), round(h)),
            area=int(np.count_nonzero(mask)),
            metres=self._metres(key, item, points, belongings),
        )

    def _metres(self, key: str, item: Item, points: np.ndarray, belongings: Belongings) -> float:
        """How tall a person is; raises `LeftOut` where that of somebody who stands cannot be told."""
        if belongings.rides:
            return ADULT_METRES
        child = childs_metres(points)
        if child is None and top_heavy(points, self._mask(item, item["image_id"] or "", f"annotation {key}")):
            raise LeftOut("a child, or no upright adult: of unknown size")
        return child or ADULT_METRES

    def _company(self, key: str, item: Item, mask: np.ndarray, points: np.ndarray) -> bool:
        """Whether the face of somebody else is in the cut-out, bool[H, W]: the outline goes around two people."""
        own = points[FACE]
        for other in self._keys_of[item["image_id"] or ""]:
            if other == key:
                continue
            with contextlib.suppress(Rejected):
                face = _keypoints(self._annotations[other], other)[FACE]
                seen = face[face[:, 2] == 2, :2]
                column, row = np.rint(seen).astype(int).T
                inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
                if (
                    inside.any()
                    and mask[row[inside], column[inside]].sum() >= FACE_POINTS
                    and not _same(own, face)
                ):
                    return True
        return False

    def _record(self, item: Item, where: str) -> Item:
        record = self._content.records.get(item["image_id"] or "")
        if record is None:
            raise Rejected("annotation without an image", where)
        return record

    def _cut_mask(self, key: str, item: Item) -> tuple[np.ndarray, Belongings]:
        """bool[H, W]: what is cut out for this person, and the things in it."""
        image_id, where = item["image_id"], f"annotation {key}"
        mask = self._mask(item, image_id, where)
        if not mask.any():
            raise Rejected("empty mask", where)
        belongings = self._belongings(image_id).get(key) if image_id in self._things else None
        belongings = belongings or Belongings()
        return union(mask, belongings.things), belongings

    def _share_out(self, image_id: str) -> dict[str, Belongings]:
        """By key, the belongings of those people of an image who may have any."""
        boxes = {}
        for key in self._keys_of[image_id]:
            # A person with a broken annotation is counted where the person is looked at.
            with contextlib.suppress(Rejected):
                boxes[key] = self._box(self._annotations[key], image_id, key)
        things, beside = [], set[str]()
        for place, item in enumerate(self._things[image_id]):
            where = f"annotation {item['id'] or f'{place} of things in image {image_id}'}"
            try:
                box = self._box(item, image_id, where)
                near = {key for key, other in boxes.items() if _near(box, other)}
                if near:
                    mask = self._mask(item, image_id, where)
                    things.append(Thing(item["id"] or "?", item["name"], mask))
                    beside |= near
            except Rejected as rejected:
                reason = f"carried object: {rejected.reason}"
                if (reason, where) not in self._broken_things:
                    self._broken_things.add((reason, where))
                    self.rejections.add(Rejected(reason, where))
        bodies = []
        for key in boxes.keys() & beside:
            item = self._annotations[key]
            with contextlib.suppress(Rejected):
                mask = self._mask(item, image_id, key)
                bodies.append(SeenBody(key, mask, _keypoints(item, key), boxes[key][3]))
        return share_out(sorted(bodies, key=lambda body: in_order(body.key)), things)

    def _mask(self, item: Item, image_id: str, where: str) -> np.ndarray:
        """bool[H, W] of one annotation; raises `Rejected`."""
        return decode(*self._drawn(item, image_id, where), where)

    def _box(self, item: Item, image_id: str, where: str) -> tuple[float, float, float, float]:
        """x, y, width and height of one annotation's mask; raises `Rejected`."""
        return box_of(*self._drawn(item, image_id, where), where)

    def _drawn(self, item: Item, image_id: str, where: str) -> tuple[Any, int, int]:
        """One annotation's segmentation, checked, and the height and width of its image; raises `Rejected`."""
        record = self._content.records[image_id]
        height, width = record["height"], record["width"]
        check_segmentation(item.get("segmentation"), width, height, where)
        return item["segmentation"], height, width

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        item = self._annotations[key]
        record = self._record(item, f"annotation {key}")
        image, sha256 = self._folder.image(record)
        mask, belongings = self._cut_mask(key, item)
        *_, height = self._box(item, item["image_id"], f"annotation {key}")
        crop = cut_out(image, without_specks(mask, height), scale=scale)
        points = crop.keypoints(_keypoints(item, f"annotation {key}"))
        licence = self._folder.licence_of(record, self._content.licences)
        annotation = "+".join([key, *(thing.key for thing in belongings.things)])
        provenance = Provenance(self.name, record["file_name"], sha256, licence, annotation)
        carried = tuple(thing.name for thing in belongings.things)
        return Cutout(crop.rgba, crop.parsing, points, provenance, carried, scale=crop.scale)


class CocoBackgrounds(BackgroundSource):
    """Images without a person: by `instances_SPLIT.json`, in which crowd regions count as people, or, where there is
    none, by `panoptic_SPLIT.json`, as `mildbench segment` makes it.

    A panoptic segmentation tells the ground, where there is one; instances, or else its things, tell the scale.

    Args:
        path: the COCO folder.
        split: part of the file names.
        min_side: smallest image taken, in pixels of the shorter side.
        label: the category of people, in any case. Whatever else is a word for people counts as well.
    """

    def __init__(
        self, path: str, split: str = "train2017", min_side: int = 256, label: str = "person"
    ) -> None:
        self._folder = CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_side = min_side
        self.label = label
        self.rejections = Rejections()
        has = {kind: self._folder.annotation_file(kind).is_file() for kind in ("instances", "panoptic")}
        self._segmented = PanopticImages(path, split, min_side) if has["panoptic"] else None
        self._by_segments = self._segmented if not has["instances"] else None

    @property
    def _instances(self) -> Instances:
        return self._folder.instances(self.label)

    def backgrounds(self) -> Sequence[BackgroundRef]:
        if self._by_segments is not None:
            return self._unpeopled(self._by_segments)
        instances = self._instances
        if instances.doubt is not None:
            raise UserError(instances.doubt)
        for problem in instances.problems:
            self.rejections.add(problem)
        self.left_out.clear()
        found = []
        for key in sorted(instances.records, key=in_order):
            record = instances.records[key]
            if key in instances.peopled:
                self.left_out["a person in it"] += 1
            elif key in instances.doubtful:
                self.rejections.add(Rejected("image with something of no known category", f"image {key}"))
            elif min(record["width"], record["height"]) < self.min_side:
                self.left_out[f"smaller than {self.min_side} px"] += 1
            else:
                found.append(BackgroundRef(key, group_of(record)))
        return found

    def _unpeopled(self, pictures: PanopticImages) -> Sequence[BackgroundRef]:
        """The segmented pictures in which no segment is of a person.

        Raises `UserError` where no category is: then nobody knows in which pictures nobody is.
        """
        pictures.check_people(self.label)
        found, people = [], 0
        for ref in pictures.images():
            if any(means_people(name, self.label) for name in pictures.categories(ref.key)):
                people += 1
            else:
                found.append(ref)
        self.rejections = pictures.rejections
        self.left_out.clear()
        self.left_out.update(pictures.left_out)
        if people:
            self.left_out["a person in it"] = people
        return found

    def photo(self, key: str) -> Path:
        if self._by_segments is not None:
            return self._by_segments.photo(key)
        return self._folder.photo(self._instances.records[key])

    def files(self, key: str) -> Sequence[Path]:
        segmented = self._segmentation_of(key)
        return [self.photo(key)] if segmented is None else segmented.files(key)

    def annotation(self, key: str) -> Any:
        segmented = self._segmentation_of(key)
        segments = None if segmented is None else segmented.annotation(key)
        if self._by_segments is not None:
            return segments
        facts = self._folder.facts(self._instances.records[key], self._instances.licences)
        return [facts, [[item.category, item.box] for item in self._seen(key)], segments]

    def background(self, key: str) -> Background:
        segmented = self._segmentation_of(key)
        if segmented is None:
            record = self._instances.records[key]
            image, sha256 = self._folder.image(record)
            licence = self._folder.licence_of(record, self._instances.licences)
            provenance = Provenance(self.name, record["file_name"], sha256, licence)
            return Background(image, provenance, objects=self._seen(key))
        picture = segmented.image(key)
        ground = panoptic_ground(picture.segments, picture.image.shape[:2], segmented.known)
        return Background(
            picture.image,
            replace(picture.provenance, source=self.name, annotation=None),
            ground=ground.mask,
            known=segmented.known,
            open_air=in_open_air(picture.segments),
            objects=self._seen(key) if self._by_segments is None else things(picture.segments),
            sheen=panoptic_sheen(picture.segments, picture.image.shape[:2]),
        )

    def _segmentation_of(self, key: str) -> PanopticImages | None:
        segmented = self._segmented
        return segmented if segmented is not None and key in segmented else None

    def _seen(self, key: str) -> tuple[SeenObject, ...]:
        """What the instances say is in an image; a broken box says nothing."""
        found = []
        for item in self._instances.things.get(key, ()):
            with contextlib.suppress(Rejected):
                found.append(SeenObject(item["name"], check_box(item.get("bbox"), key)))
        return tuple(found)


def _check_whole(
    mask: np.ndarray, belongings: Belongings, points: np.ndarray, height: float, cut_at_bottom: bool
) -> None:
    """Raises `LeftOut` unless a person of `height` pixels looks complete, cut out by `mask` with these belongings."""
    rides = belongings.rides
    # Somebody who ends at the lower border may carry a bag that ends there too; a wheel may not.
    cut_thing = any(thing.cut_by_border for thing in belongings.things)
    if belongings.lost_ride:
        raise LeftOut("rides what another person has")
    if cut_thing and (rides or not cut_at_bottom):
        raise LeftOut("carries something that the border cuts")
    # A rider's other foot is behind the wheel, and a rider sits on what comes along.
    if not rides and not cut_at_bottom and feet(points) < 2:
        raise LeftOut("a foot out of sight")
    if not rides and seated(points):
        raise LeftOut("seated")
    if not rides and not cut_at_bottom and not stands(points, mask):
        raise LeftOut("leans on something or is in the air")
    if stands_on(points, height, belongings.things):
        raise LeftOut("on skis or a board: needs snow, water or a rink")
    if any(RIDDEN in CARRIED[thing.name] and tilted(thing.mask) for thing in belongings.things):
        raise LeftOut("rides in the air or on a slope")
    if hidden_leg(points, mask, height):
        raise LeftOut("a leg behind something")
    if without_specks(mask, height).sum() < IN_ONE_PIECE * mask.sum():
        raise LeftOut("in pieces")


def _same(face: np.ndarray, other: np.ndarray) -> bool:
    """Whether two annotations are of one face, float64[5, 3]: somebody annotated twice."""
    both = (face[:, 2] > 0) & (other[:, 2] > 0)
    return bool(both.any() and np.abs(face[both, :2] - other[both, :2]).max() < 2)


def _outline(item: Item) -> tuple[str | None, int] | None:
    """The same for annotations of one person, whatever their ids; None without a segmentation."""
    segmentation = item.get("segmentation")
    return (item["image_id"], hash(repr(segmentation))) if segmentation else None


def _name(number: str | None, place: int) -> str:
    """An annotation for a message, by its place in the file: its id may be none, or another's."""
    return f"annotation {number or '?'}, number {place} of the file"


def _keypoints(item: Item, where: str) -> np.ndarray:
    """float64[17, 3]; raises `Rejected`."""
    try:
        numbers = np.asarray(item.get("keypoints"), dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (51,) or not np.isfinite(numbers).all():
        raise Rejected("keypoints broken or not finite", where)
    points = numbers.reshape(17, 3)
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise Rejected("keypoints whose visibility is not 0, 1 or 2", where)
    return points


def _near(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Can things in these boxes (x, y, w, h) touch?"""
    return all(a[i] <= b[i] + b[i + 2] + TOUCH and b[i] <= a[i] + a[i + 2] + TOUCH for i in (0, 1))
