"""Check that a data set is what it says: checksums, contents, exact recomposition, truth, annotations, splits.

Everything is read in the order in which it was written, so the memory needed does not grow with the samples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mildbench.dataset.annotations import AnnotationReader
from mildbench.dataset.coco import person_annotations
from mildbench.dataset.content import Fingerprint, sample_sha256, stored_parts
from mildbench.dataset.schema import CHECKSUMS, annotation_file
from mildbench.errors import UserError
from mildbench.files import file_sha256, inside
from mildbench.images import decode_rgb, encode_jpeg

if TYPE_CHECKING:
    from mildbench.dataset.reader import Dataset

JPEG_SLACK = 2
"""Levels by which two versions of a JPEG library may differ."""
OTHER_CONTENT = "pixels, labels, row or annotations are not those of its content_sha256"


def validate(dataset: Dataset) -> Iterator[list[str]]:
    """Yield the problems found in each of `steps(dataset)` steps (mostly none)."""
    yield from check_files(dataset)
    yield check_fingerprint(dataset)
    if dataset.info.source == "pairs":
        for row in dataset.rows():
            yield _pair(dataset, row)
    else:
        yield _shared_sources(dataset)
        for split in dataset.info.samples:
            yield from _split(dataset, split)


def check_files(dataset: Dataset) -> Iterator[list[str]]:
    """Yield the problems of `checksums.txt` itself, then of each file that it lists: no other byte is looked at."""
    listed = list(checksums(dataset.root))
    if file_sha256(dataset.root / CHECKSUMS) == dataset.info.checksums:
        yield []
    else:
        yield [f"{CHECKSUMS} is not the one that dataset.json was written with"]
    for name, sha256 in listed:
        yield check_file(dataset.root, name, sha256)


def steps(dataset: Dataset) -> int:
    """How many lists `validate` yields."""
    own = 2 if dataset.info.source == "pairs" else 3 + len(dataset.info.samples)
    return sum(1 for _ in checksums(dataset.root)) + sum(dataset.info.samples.values()) + own


def checksums(root: Path) -> Iterator[tuple[str, str]]:
    """File name and sha256, line by line of `checksums.txt` (the format of `sha256sum`)."""
    if not (root / CHECKSUMS).is_file():
        raise UserError(f"data set {root} has no {CHECKSUMS}: rebuild it")
    with (root / CHECKSUMS).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            sha256, _, name = line.rstrip("\n").partition("  ")
            yield name, sha256


def check_file(root: Path, name: str, sha256: str) -> list[str]:
    """The problem of one file that `checksums.txt` lists, if there is one."""
    try:
        path = inside(root, name, CHECKSUMS)
    except UserError as error:
        return [str(error)]
    if not path.is_file():
        return [f"{name}: missing"]
    return [] if file_sha256(path) == sha256 else [f"{name}: changed since the build (sha256 differs)"]


def _shared_sources(dataset: Dataset) -> list[str]:
    """Source images that occur in two splits."""
    splits: dict[tuple[str, str], set[str]] = defaultdict(set)
    columns = ["split", "background_provenance.sha256", "persons.list.element.provenance.sha256"]
    for row in dataset.rows(columns):
        people = (("person", person["provenance"]) for person in row["persons"])
        for role, item in [("background", row["background_provenance"]), *people]:
            splits[role, item["sha256"]].add(row["split"])
    return [
        f"{role} with sha256 {sha256[:12]} is in the splits {', '.join(sorted(found))}"
        for (role, sha256), found in splits.items()
        if len(found) > 1
    ]


def check_fingerprint(dataset: Dataset) -> list[str]:
    """Problems, unless fingerprint and counts are those of the samples, whose digests are checked with each sample."""
    found, counts = Fingerprint(), Counter[str]()
    for row in dataset.rows(["split", "content_sha256"]):
        found.add(row["content_sha256"])
        counts[row["split"]] += 1
    problems = []
    if found.hexdigest() != dataset.fingerprint:
        problems.append("the fingerprint in dataset.json is not that of the samples")
    for split in sorted(counts.keys() | dataset.info.samples.keys()):
        if counts[split] != (said := dataset.info.samples.get(split, 0)):
            problems.append(
                f"dataset.json says {said} samples of the split {split}, there are {counts[split]}"
            )
    return problems


def _pair(dataset: Dataset, row: dict[str, Any]) -> list[str]:
    problems = []
    try:
        triplet = dataset.triplet("erase-all", row["id"])
        if not triplet.mask.any():
            problems.append("the mask is empty")
        if sample_sha256(row, stored_parts(dataset, row)) != row["content_sha256"]:
            problems.append(OTHER_CONTENT)
    except UserError as error:
        problems.append(str(error))
    return [f"{row['id']}: {problem}" for problem in problems]


def _split(dataset: Dataset, split: str) -> Iterator[list[str]]:
    annotations = AnnotationReader(dataset.root / annotation_file(split))
    for row in dataset.rows():
        if row["split"] == split:
            yield _sample(dataset, row, annotations)
    yield annotations.left_over()


def _recomposes(composite: np.ndarray, stored: np.ndarray, jpeg: int | None) -> bool:
    """Whether the stored picture is this composite, or that put through a JPEG of the stated quality."""
    if jpeg is None or stored.shape != composite.shape:
        return np.array_equal(composite, stored)
    compressed = decode_rgb(encode_jpeg(composite, jpeg), "composite")
    return int(cv2.absdiff(compressed, stored).max()) <= JPEG_SLACK


def _sample(dataset: Dataset, row: dict[str, Any], annotations: AnnotationReader) -> list[str]:
    image, found = annotations.of(row["id"])
    try:
        scene = dataset.scene(row["id"])
        people = scene.people()
        parts = stored_parts(dataset, row)
        content = sample_sha256(row, parts, image, found)
    except (UserError, ValueError) as error:
        return [f"{row['id']}: {error}"]
    problems = []
    if content != row["content_sha256"]:
        problems.append(OTHER_CONTENT)
    if not _recomposes(scene.composite(), parts["composite"], dataset.info.jpeg.get(row["split"])):
        problems.append("background + layers do not recompose the composite")
    if not np.array_equal(people.instance_map(), parts["instances"]):
        problems.append("the instance map does not follow from the layers")
    if not np.array_equal(people.parsing, parts["parsing"]):
        problems.append("the parsing map does not follow from the layers")
    if image is None or image.get("file_name") != row["composite"]:
        problems.append("no image record in the COCO annotations")
    elif found != person_annotations(image["id"], people):
        problems.append("the COCO annotations do not follow from the layers")
    return [f"{row['id']}: {problem}" for problem in problems]
