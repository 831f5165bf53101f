"""What a sample and a data set are, however they are stored: digests over pixels, labels, rows and annotations.

A sample's digest is the sha256 of canonical JSON (sorted keys) of three things:

- its row of `samples.parquet`, with the sha256 of the decoded pixels (`mildbench.identity.pixels_sha256`) in place of
  every file name. Pixels are those that a reader decodes: where a split is stored as JPEG, those of libjpeg's integer
  transform, the same on every CPU. Layers count with all four channels, for a layer that is resized mixes in the
  colours under alpha 0.
- its image record in the COCO annotations, without the file's name, and
- its annotations, back to front.

Numbers with a fraction are rounded, so that the last digit of a CPU's arithmetic changes nothing: keypoints to
hundredths of a pixel, as COCO's are, all others to six decimals.

Reflections and the percentile of camouflage are left out where they are null: without them, a sample is what it was
before there were any.

Left out is also what moves no result: where pixels come from (provenance and licences), what they were rendered from
(the plan), what a recipe asked for. `checksums.txt` covers these.

A data set's fingerprint is the sha256 of its samples' digests in the order of `samples.parquet`. So a folder and its
copy in tar files have the same one, and so has a copy whose pictures were compressed anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mildbench.dataset.annotations import AnnotationReader
from mildbench.dataset.parts import scene_parts, with_files
from mildbench.dataset.schema import annotation_file
from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.identity import pixels_sha256

if TYPE_CHECKING:
    from mildbench.dataset.reader import Dataset

_LEFT_OUT = {"content_sha256", "background_provenance", "plan"}
_LEFT_OUT_OF_PERSONS = {"provenance", "asked_visible_ratio"}
_LEFT_OUT_IF_NULL = {"distance_percentile", "reflection"}
_DECIMALS = 6
_KEYPOINT_DECIMALS = 2


class Fingerprint:
    """A data set's fingerprint, one sample after the other."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(b"mildbench data set 2\n")

    def add(self, content_sha256: str) -> None:
        """The digest of the next sample."""
        self._digest.update(f"{content_sha256}\n".encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


def sample_sha256(
    row: dict[str, Any],
    parts: Mapping[str, np.ndarray],
    image: dict[str, Any] | None = None,
    annotations: Sequence[dict[str, Any]] = (),
) -> str:
    """A sample's digest, 64 hex digits.

    Args:
        row: of `samples.parquet`.
        parts: the pixels of every file that the row names, by part (`mildbench.dataset.parts`).
        image: its record in the COCO annotations; None for a pair.
        annotations: its people there, back to front.
    """
    seen = with_files(row, lambda part, name: pixels_sha256(parts[part]))
    content = _counted(seen, _LEFT_OUT | {"persons"})
    content["persons"] = seen["persons"] and [_person(person) for person in seen["persons"]]
    record = image and {key: value for key, value in image.items() if key != "file_name"}
    return fingerprint({"row": content, "image": record, "annotations": list(annotations)})


def _person(person: dict[str, Any]) -> dict[str, Any]:
    kept = _counted(person, _LEFT_OUT_OF_PERSONS)
    return kept | {"keypoints": [_rounded(value, _KEYPOINT_DECIMALS) for value in person["keypoints"]]}


def _counted(values: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    """The values that count, rounded."""
    return {
        key: _rounded(value)
        for key, value in values.items()
        if key not in left_out and not (value is None and key in _LEFT_OUT_IF_NULL)
    }


def _rounded(value: Any, decimals: int = _DECIMALS) -> Any:
    return round(value, decimals) + 0.0 if isinstance(value, float) else value  # + 0.0: no -0.0


def stored_parts(dataset: Dataset, row: dict[str, Any]) -> dict[str, np.ndarray]:
    """The pixels of every file that a row names, decoded; raises `UserError` when one is missing or broken."""
    composite = dataset.picture(row["composite"], "composite")
    if dataset.info.source == "pairs":
        masks = {
            part: dataset.labels(row[part], part) for part in ("mask", "effect") if row[part] is not None
        }
        return {"composite": composite, "background": dataset.picture(row["background"], "truth"), **masks}
    return scene_parts(
        dataset.scene(row["id"]),
        composite,
        dataset.labels(row["instances"], "instance map"),
        dataset.labels(row["parsing"], "parsing map"),
    )


def contents(dataset: Dataset, samples: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """Each sample's id and digest in order, computed from what is stored now; only of `samples` (ids) if given.

    Raises `UserError` when a picture or the annotations cannot be read.
    """
    readers = {
        split: AnnotationReader(dataset.root / annotation_file(split)) for split in dataset.info.people
    }
    for row in dataset.rows():
        if samples is not None and row["id"] not in samples:
            continue
        parts = stored_parts(dataset, row)
        if (annotations := readers.get(row["split"])) is None:
            yield row["id"], sample_sha256(row, parts)
        else:
            image, people = annotations.of(row["id"])
            if image is None:
                raise UserError(
                    f"data set {dataset.root}: {row['id']} has no annotations: mildbench validate says more"
                )
            yield row["id"], sample_sha256(row, parts, image, people)
    for annotations in readers.values() if samples is None else ():
        if problems := annotations.left_over():
            raise UserError(f"data set {dataset.root}: {problems[0]}: mildbench validate says more")
