"""A COCO folder, as COCO publishes its own: `SPLIT/` with the pictures, `annotations/` with what is in them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from mildbench.dataset.annotations import AnnotationReader, AnnotationWriter
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.reader import Dataset
from mildbench.dataset.schema import annotation_file
from mildbench.errors import UserError
from mildbench.files import write_bytes

_KEYPOINT_FIELDS = {"keypoints", "num_keypoints"}


def export_coco(dataset: Dataset, out: Path, advance: Callable[[int], None]) -> None:
    """Write composites, `person_keypoints_SPLIT.json` and `instances_SPLIT.json`, all splits side by side.

    The annotations keep this project's extensions (`mildbench.dataset.coco`). People of whom nothing is visible
    are left out: other readers take an empty mask for an error.
    """
    if dataset.info.source == "pairs":
        raise UserError(
            f"data set {dataset.root}: people are unknown in an imported data set: COCO annotates people"
        )
    with new_folder(out) as folder, ExitStack() as stack:
        (folder / "annotations").mkdir()
        readers, writers = {}, {}
        for split in dataset.info.samples:
            (folder / split).mkdir()
            readers[split] = AnnotationReader(dataset.root / annotation_file(split))
            writers[split] = [
                stack.enter_context(
                    AnnotationWriter(
                        folder / "annotations" / f"{kind}_{split}.json", dataset.info.description
                    )
                )
                for kind in ("person_keypoints", "instances")
            ]
        for row in dataset.rows():
            split, name = row["split"], f"{row['id']}{PurePosixPath(row['composite']).suffix}"
            image, people = readers[split].of(row["id"])
            if image is None:
                raise UserError(
                    f"data set {dataset.root}: {row['id']} has no annotations: mildbench validate says more"
                )
            write_bytes(folder / split / name, dataset.storage.read(row["composite"]))
            seen = [item for item in people if item["area"] > 0]
            ids = {item["id"] for item in seen}
            edges = [edge for edge in image["occlusion"] if ids.issuperset(edge[:2])]
            with_keypoints, _ = writers[split]
            for writer in writers[split]:
                licence = writer.licence(_licence(row))
                items = seen if writer is with_keypoints else [_without_keypoints(item) for item in seen]
                writer.add(image | {"file_name": name, "occlusion": edges, "license": licence}, items)
            advance(1)


def _licence(row: dict[str, Any]) -> str:
    """The terms of everything that went into a composite."""
    terms = {row["background_provenance"]["licence"]}
    terms |= {person["provenance"]["licence"] for person in row["persons"]}
    return "; ".join(sorted(terms))


def _without_keypoints(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _KEYPOINT_FIELDS}
