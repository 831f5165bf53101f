"""Segment a folder of photos: a folder as COCO panoptic is published, with what a model sees instead of the truth.

```
OUT/annotations/panoptic_SPLIT.json  who segmented, with which versions and weights (`info`); written last
OUT/annotations/panoptic_SPLIT/      segment ids: R + 256 G + 65536 B, 0 where nothing was recognised
OUT/SPLIT/                           the photos; those that lie there already are used where they are
OUT/.parts/SPLIT/                    while unfinished: one completion record for every few photos
```

The categories are the model's own, numbered over those that were found; `area` and `bbox` are counted in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mildbench
from mildbench.annotators.base import AnnotatorSpec, Picture
from mildbench.annotators.batches import Annotated, Team, Unannotated
from mildbench.annotators.panoptic import encode_ids, segments_info
from mildbench.annotators.parts import Row, annotated, numbers, parts
from mildbench.annotators.store import PARTS, AnnotatorRecord
from mildbench.errors import UserError
from mildbench.executors import HERE, Executor, Spec
from mildbench.files import fingerprint, read_json, write_bytes, write_json
from mildbench.identity import bytes_sha256
from mildbench.images import decode_rgb
from mildbench.listing import PICTURES, list_pictures
from mildbench.longwork import LongWork, Made, Maker, other_here
from mildbench.progress import Advance


@dataclass(frozen=True)
class Photo:
    """One photo of a folder."""

    id: int
    """From 1."""
    name: str
    """Its path in the folder."""
    path: Path


def find_photos(folder: Path, out: Path) -> list[Photo]:
    """Every picture under a folder, by name.

    Raises `UserError` for a folder that is missing, empty or holds `out`, and for two photos that differ in their
    suffix alone: COCO names a photo's segmentation by its stem.
    """
    if not folder.is_dir():
        raise UserError(f"folder of photos not found: {folder}")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"--out {out} lies in the folder of photos {folder}: give a folder outside of it")
    paths = list_pictures(folder, deep=True).pictures
    if not paths:
        raise UserError(f"{folder} holds no photos ({', '.join(sorted(PICTURES))})")
    stems: dict[Path, Path] = {}
    for path in paths:
        other = stems.setdefault(path.with_suffix(""), path)
        if other != path:
            raise UserError(f"{other} and {path.name} would share one segmentation: rename or remove one")
    return [
        Photo(number, path.relative_to(folder).as_posix(), path) for number, path in enumerate(paths, start=1)
    ]


def segment(
    photos: Sequence[Photo],
    out: Path,
    split: str,
    spec: AnnotatorSpec,
    team: Team,
    *,
    licence: str,
    batch_size: int,
    advance: Advance,
    executor: Executor = HERE,
) -> dict[str, Any]:
    """Segment photos, or finish what was interrupted; a photo that fails is recorded and left out.

    Args:
        photos: as `find_photos` finds them.
        out: the folder to be made.
        split: part of the file names.
        spec: what `team.segments` was created from.
        team: of a loaded annotator of segments alone.
        licence: of the photos.
        batch_size: photos given to the annotator at once; never changes a result on a CPU.
        advance: told how many photos are done.
        executor: what runs it; never changes a result on a CPU. Workers load an annotator of their own.

    Returns:
        The `info` of the annotation file: its `failed` is why each failed photo did, by name.

    Raises:
        UserError: for a split that is no file name, and when the split is there already, segmented by another
            annotator, of other photos, or by people.
    """
    _check_split(split)
    assert team.segments is not None
    source = AnnotatorRecord.of(spec, team.segments)
    content = _head(photos, source, licence)
    identity = fingerprint(content)
    target = out / "annotations" / f"panoptic_{split}.json"
    taken = UserError(
        f"{target} is, or is to be, of other photos, another annotator, version, weights, options or licence: "
        "choose another --split or --out, or delete it"
    )
    if target.is_file():
        if (info := _finished(target, content)) is None:
            raise taken
        advance(len(photos))
        return info

    work = LongWork(out, out / PARTS / split, identity, _Maker(out, split, spec, source, team, batch_size))
    if work.claimant not in (None, identity):
        raise taken
    work.claim()
    items = ({"id": photo.id, "name": photo.name, "path": str(photo.path.absolute())} for photo in photos)
    work.run(executor, parts(items), advance)
    entries = [entry for made in work.records(numbers(len(photos))) for entry in made.result]
    failed = {entry["file_name"]: entry["error"] for entry in entries if entry["error"] is not None}
    content["info"]["failed"] = failed
    write_json(target, content | _merged([entry for entry in entries if entry["error"] is None]), indent=None)
    work.remove()
    return content["info"]


@dataclass(frozen=True, eq=False)
class _Maker(Maker):
    """Segments parts of the photos."""

    out: Path
    split: str
    spec: AnnotatorSpec
    source: AnnotatorRecord
    team: Team
    batch_size: int

    def open(self) -> None:
        assert self.team.segments is not None
        if AnnotatorRecord.of(self.spec, self.team.segments) != self.source:
            raise other_here("versions or weights of the annotators")

    def make(self, spec: Spec, advance: Advance) -> Made:
        photos = (Photo(item["id"], item["name"], Path(item["path"])) for item in spec["items"])
        files: dict[str, str] = {}
        entries = [
            self._store(photo, data, result, files)
            for (photo, data), result in annotated(photos, _read, self.team, self.batch_size, advance)
        ]
        return Made(entries, files)

    def _store(
        self, photo: Photo, data: bytes, result: Annotated | Unannotated, files: dict[str, str]
    ) -> Row:
        """Write a photo and its segmentation; returns what the annotation file needs to know."""
        if isinstance(result, Unannotated):
            return {"id": photo.id, "file_name": photo.name, "error": result.reason}
        segments = result.segments
        assert segments is not None
        drawn = Path(f"annotations/panoptic_{self.split}", photo.name).with_suffix(".png")
        files[drawn.as_posix()] = write_bytes(self.out / drawn, encode_ids(segments.labels))
        place = Path(self.split, photo.name)
        path = self.out / place
        if not (path.exists() and path.samefile(photo.path)):
            files[place.as_posix()] = write_bytes(path, data)
        found = segments_info(segments)
        for info in found:
            label = info.pop("label")
            info |= {"name": segments.names[label], "isthing": int(segments.things[label])}
        height, width = segments.labels.shape
        return {
            "id": photo.id,
            "file_name": photo.name,
            "error": None,
            "width": width,
            "height": height,
            "segments_info": found,
        }


def _check_split(split: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", split):
        raise UserError(
            f"--split {split!r} cannot be part of a file name: use letters, digits, '.', '_' and '-'"
        )


def _head(photos: Sequence[Photo], source: AnnotatorRecord, licence: str) -> dict[str, Any]:
    """What the annotation file says of itself; by this it is known again."""
    return {
        "info": {
            "description": "panoptic segmentation by a model, not by people",
            "mildbench_version": mildbench.__version__,
            "segments": source.model_dump(mode="json"),
            "photos": fingerprint([(photo.name, bytes_sha256(photo.path)) for photo in photos]),
        },
        "licenses": [{"id": 1, "name": licence, "url": ""}],
    }


def _finished(target: Path, head: dict[str, Any]) -> dict[str, Any] | None:
    """The `info` of an annotation file with this head; None where it has another."""
    finished = read_json(target, "panoptic annotations")
    info = finished.get("info") if isinstance(finished, dict) else None
    if not isinstance(info, dict):
        return None
    known = {"info": {key: info.get(key) for key in head["info"]}, "licenses": finished.get("licenses")}
    return info if fingerprint(known) == fingerprint(head) else None


def _read(photo: Photo) -> tuple[tuple[Photo, bytes], Picture | Unannotated]:
    """The photo's bytes and what they show. Reasons name no folder: they are stored."""
    data = b""
    try:
        data = photo.path.read_bytes()
        return (photo, data), Picture(photo.name, decode_rgb(data, photo.name))
    except OSError as error:
        return (photo, data), Unannotated(f"{photo.name}: {error.strerror}")
    except UserError as error:
        return (photo, data), Unannotated(str(error))


def _merged(entries: Sequence[Row]) -> dict[str, Any]:
    """Images, annotations and categories; things come first among these, each kind by name."""
    kinds = {(info["name"], info["isthing"]) for entry in entries for info in entry["segments_info"]}
    numbers = {
        kind: number
        for number, kind in enumerate(sorted(kinds, key=lambda kind: (-kind[1], kind[0])), start=1)
    }
    images = [
        {key: entry[key] for key in ("id", "file_name", "width", "height")} | {"license": 1}
        for entry in entries
    ]
    annotations = [
        {
            "image_id": entry["id"],
            "file_name": str(Path(entry["file_name"]).with_suffix(".png").as_posix()),
            "segments_info": [_segment(info, numbers) for info in entry["segments_info"]],
        }
        for entry in entries
    ]
    categories = [
        {"id": number, "name": name, "isthing": isthing, "supercategory": name}
        for (name, isthing), number in numbers.items()
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _segment(info: Row, numbers: dict[tuple[str, int], int]) -> Row:
    """As COCO has it, its category by number."""
    said = {key: info[key] for key in ("id", "area", "bbox", "iscrowd")}
    return said | {"category_id": numbers[info["name"], info["isthing"]]}
