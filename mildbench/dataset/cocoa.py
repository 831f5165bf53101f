"""COCO amodal (COCOA): regions drawn whole, in depth order, of COCO 2014's photos.

As its authors' API reads it, `COCO_amodal_SPLIT.json` has `images` (as in COCO) and `annotations`, one a photo and
annotator: `regions`, front to back, each with a free `name`, the outline of the whole as one flat polygon
(`segmentation`) and the share that is hidden (`occlude_rate`); and `depth_constraint`, text such as `1-2,1-3`: region 1
is in front of 2 and of 3.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.dataset.amodal import AmodalPhoto, FoundPhotos, Unusable, Whole, visible
from mildbench.dataset.reader import PERSON
from mildbench.dataset.rows import MOST_PEOPLE
from mildbench.errors import UserError
from mildbench.files import below, file_sha256, read_json
from mildbench.images import read_rgb
from mildbench.listing import sample_id

_PERSON_WORDS = (
    "person man woman boy girl child kid baby toddler infant lady guy gentleman adult teenager human male "
    "female player batter catcher pitcher umpire surfer skier snowboarder skater skateboarder rider biker "
    "cyclist pedestrian swimmer spectator driver worker chef waiter waitress bride groom policeman"
)
_PEOPLE = frozenset(_PERSON_WORDS.split())
"""What annotators call one person. Words for several (people, crowd) are left out: nobody told those apart."""
_FURTHER = re.compile(
    r"\b(?:in|on|with|at|by|near|behind|holding|wearing|riding|sitting|standing|of|from)\b.*|[^a-z' ]"
)
"""What follows the word for what a name is of, and numbers."""
_TOLERANCE = 0.1
"""By how much the hidden share that order and outlines give may differ from the annotated one."""


def find_photos(root: Path) -> FoundPhotos:
    """The annotated photos of the one `COCO_amodal_*.json` in a folder, or in its folder `annotations`.

    Raises `UserError` for a folder without such a file or with several, and for a file of another kind.
    """
    if not root.is_dir():
        raise UserError(f"folder not found: {root}")
    files = sorted(
        path for folder in (".", "annotations") for path in (root / folder).glob("COCO_amodal_*.json")
    )
    if len(files) != 1:
        listed = ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"{root} has to have one COCO_amodal_*.json, itself or in annotations/, and has {listed}: give a folder "
            "with that of one split beside the folder of its photos"
        )
    content = read_json(files[0], "COCOA annotations")
    known, drawn = (
        content.get(part) if isinstance(content, dict) else None for part in ("images", "annotations")
    )
    if not isinstance(known, list) or not isinstance(drawn, list):
        raise UserError(f"{files[0]} is not COCOA's: it has no lists 'images' and 'annotations'")
    split = files[0].stem.removeprefix("COCO_amodal_")
    images = {_key(record): record for record in known if isinstance(record, dict)}
    photos: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    skipped: Counter[str] = Counter()
    for item in drawn:
        record = images.get(str(item.get("image_id"))) if isinstance(item, dict) else None
        if record is None or not isinstance(record.get("file_name"), str):
            skipped["annotations of no known photo"] += 1
            continue
        name = sample_id(Path(record["file_name"]).stem)
        drawings = photos.setdefault(name, (record, []))[1]
        if drawings:
            skipped["annotations of a photo that has another"] += 1
        drawings.append(item)
    found = [(name, partial(_first_usable, root, split, *known)) for name, known in photos.items()]
    return FoundPhotos(found, _kind(split), skipped)


def is_person(name: str) -> bool:
    """Whether a region's free name is of one person: `man in white`, `tennis player 2`; not `baby stroller`."""
    if re.search(r"[,&+/]|\band\b", name.lower()):
        return False
    words = _FURTHER.sub(" ", name.lower()).split()
    return bool(words) and words[-1] in _PEOPLE


def front_to_back(count: int, constraints: str) -> list[int]:
    """Places 0 .. count - 1, front first: as listed, unless `depth_constraint` (from 1) says otherwise.

    Raises `Unusable` for text of another form, for places that are not there, and for an order in a circle.
    """
    sorter = TopologicalSorter[int](dict.fromkeys(range(count), ()))
    for pair in filter(None, constraints.replace(" ", "").split(",")):
        fit = re.fullmatch(r"([0-9]{1,6})-([0-9]{1,6})", pair)
        front, back = (int(number) - 1 for number in fit.groups()) if fit else (-1, -1)
        if not (0 <= front < count and 0 <= back < count):
            raise Unusable("depth constraint that names no two regions")
        sorter.add(back, front)
    try:
        sorter.prepare()
    except CycleError:
        raise Unusable("depth constraints in a circle") from None
    order: list[int] = []
    ready: list[int] = []
    while sorter:
        for place in sorter.get_ready():
            heapq.heappush(ready, place)
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
    return order


def _kind(split: str) -> str:
    """`train2014` -> `train`."""
    return sample_id(split.rstrip("0123456789")) or "test"


def _key(record: dict[str, Any]) -> str:
    return str(record.get("id"))


def _first_usable(
    root: Path, split: str, record: dict[str, Any], items: Sequence[dict[str, Any]]
) -> AmodalPhoto:
    """Several annotators drew a photo, and one answer is as good as the other. Raises what is wrong with the first."""
    reason = None
    for item in items:
        try:
            return _read(root, split, record, item)
        except Unusable as error:
            reason = reason or error
    assert reason is not None
    raise reason


def _read(root: Path, split: str, record: dict[str, Any], item: dict[str, Any]) -> AmodalPhoto:
    file = record["file_name"]
    regions, constraints = item.get("regions"), item.get("depth_constraint") or ""
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise Unusable("without regions")
    if not isinstance(constraints, str):
        raise Unusable("depth constraint that names no two regions")
    if not any(is_person(str(region.get("name"))) for region in regions):
        raise Unusable("without people")
    order = front_to_back(len(regions), constraints)[::-1]
    path = below(root, f"{split}/{file}", "COCOA photo")
    if not path.is_file():
        raise Unusable("without their photo")
    try:
        image = read_rgb(path)
    except UserError:
        raise Unusable("with an unreadable photo") from None
    if image.shape[:2] != (record.get("height"), record.get("width")):
        raise Unusable("with a photo of another size than was annotated")
    wholes = [_whole(regions[place], f"{item.get('id')}:{place + 1}", image.shape) for place in order]
    _agree(wholes, [regions[place] for place in order])
    wholes = _people_and_covers(wholes)
    if len(wholes) > MOST_PEOPLE:
        raise Unusable(f"with more than {MOST_PEOPLE} regions before or of people")
    return AmodalPhoto(image, tuple(wholes), f"{split}/{file}", file_sha256(path))


def _whole(region: dict[str, Any], annotation: str, shape: tuple[int, ...]) -> Whole:
    outline, name = region.get("segmentation"), str(region.get("name") or "thing").strip()
    try:
        points = np.asarray(outline if isinstance(outline, list) else [], dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
        raise Unusable("with an outline that is no polygon")
    height, width = shape[:2]
    # What is drawn beyond the frame counts up to it. pycocotools takes integers only within 32 bits.
    points[0::2], points[1::2] = points[0::2].clip(0, width), points[1::2].clip(0, height)
    mask = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([points.tolist()], height, width)))
    if not mask.any():
        raise Unusable("with an empty outline")
    return Whole(mask.astype(bool), PERSON if is_person(name) else name, annotation)


def _agree(wholes: list[Whole], regions: list[dict[str, Any]]) -> None:
    """Raise `Unusable` where a person's hidden share is not as annotated: then order or photo is another."""
    for whole, seen, region in zip(wholes, visible([whole.mask for whole in wholes]), regions, strict=True):
        stated = region.get("occlude_rate")
        if whole.category != PERSON or not isinstance(stated, int | float):
            continue
        if abs(1 - np.count_nonzero(seen) / np.count_nonzero(whole.mask) - stated) > _TOLERANCE:
            raise Unusable("whose depth order contradicts how much is said to be hidden")


def _people_and_covers(wholes: list[Whole]) -> list[Whole]:
    """Of wholes, back to front: people, what covers any of them, and what covers that."""
    kept: list[Whole] = []
    wanted = np.zeros(wholes[0].mask.shape, dtype=bool)
    for whole in wholes:
        if whole.category == PERSON or (whole.mask & wanted).any():
            kept.append(whole)
            wanted |= whole.mask
    return kept
