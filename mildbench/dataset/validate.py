"""Check that a data set is what it says: checksums, exact recomposition, truth, annotations, splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.dataset.coco import person_annotations
from mildbench.dataset.reader import Dataset
from mildbench.dataset.schema import CHECKSUMS, annotation_file
from mildbench.errors import UserError
from mildbench.files import file_sha256, inside, read_json
from mildbench.images import read_labels, read_rgb


def validate(dataset: Dataset) -> Iterator[list[str]]:
    """Yield, file group by file group and sample by sample, the problems found there (mostly none)."""
    yield _checksums(dataset)
    yield _shared_sources(dataset)
    annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
    images: dict[str, dict[str, Any]] = {}
    for split in dataset.info.samples:
        content = read_json(dataset.root / annotation_file(split), "annotations")
        for image in content["images"]:
            images[image["sample_id"]] = image
        for item in content["annotations"]:
            annotations[item["image_id"]].append(item)
    for sample_id in dataset.samples["id"]:
        yield _sample(dataset, sample_id, images.get(sample_id), annotations)


def read_checksums(root: Path) -> dict[str, str]:
    """File name -> sha256, from `checksums.txt` (the format of `sha256sum`)."""
    try:
        lines = (root / CHECKSUMS).read_text().splitlines()
    except FileNotFoundError:
        raise UserError(f"data set {root} has no {CHECKSUMS}: rebuild it") from None
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def _checksums(dataset: Dataset) -> list[str]:
    problems = []
    if file_sha256(dataset.root / CHECKSUMS) != dataset.fingerprint:
        problems.append(f"{CHECKSUMS} is not the one that dataset.json was written with")
    for name, sha256 in read_checksums(dataset.root).items():
        path = inside(dataset.root, name, CHECKSUMS)
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif file_sha256(path) != sha256:
            problems.append(f"{name}: changed since the build (sha256 differs)")
    return problems


def _shared_sources(dataset: Dataset) -> list[str]:
    """Source images that occur in two splits."""
    splits: dict[tuple[str, str], set[str]] = defaultdict(set)
    for split, background, persons in zip(
        *(dataset.samples[column] for column in ("split", "background_provenance", "persons")), strict=True
    ):
        for role, item in [("background", background), *(("person", p["provenance"]) for p in persons)]:
            splits[role, item["sha256"]].add(split)
    return [
        f"{role} with sha256 {sha256[:12]} is in the splits {', '.join(sorted(found))}"
        for (role, sha256), found in splits.items()
        if len(found) > 1
    ]


def _sample(
    dataset: Dataset,
    sample_id: str,
    image: dict[str, Any] | None,
    annotations: dict[int, list[dict[str, Any]]],
) -> list[str]:
    row = dataset.row(sample_id)
    try:
        scene = dataset.scene(sample_id)
        people = scene.people()
        stored = read_rgb(dataset.root / row["composite"], "composite")
        instances = read_labels(dataset.root / row["instances"])
        parsing = read_labels(dataset.root / row["parsing"])
    except (UserError, ValueError) as error:
        return [f"{sample_id}: {error}"]
    problems = []
    if not np.array_equal(scene.composite(), stored):
        problems.append("background + layers do not recompose the composite")
    if not np.array_equal(people.instance_map(), instances):
        problems.append("the instance map does not follow from the layers")
    if not np.array_equal(people.parsing, parsing):
        problems.append("the parsing map does not follow from the layers")
    if image is None or image["file_name"] != row["composite"]:
        problems.append("no image record in the COCO annotations")
    else:
        expected = person_annotations(image["id"], people)
        found = sorted(annotations[image["id"]], key=lambda item: item["z"])
        if found != expected:
            problems.append("the COCO annotations do not follow from the layers")
        for item in found:
            if int(coco_mask.decode(item["segmentation"]).sum()) != item["area"]:
                problems.append(f"annotation {item['id']}: area differs from its mask")
    return [f"{sample_id}: {problem}" for problem in problems]
