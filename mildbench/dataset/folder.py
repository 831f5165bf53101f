"""The folder format: every file loose, one folder a kind, a background stored once however often it is used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.dataset.coco import image_record, person_annotations
from mildbench.files import write_bytes
from mildbench.images import encode_png
from mildbench.scene import Provenance, Scene


def write_scene(
    root: Path,
    scene: Scene,
    index: int,
    *,
    split: str,
    family: str,
    background_png: bytes,
    background_provenance: Provenance,
    asked: dict[int, float],
    plan: dict[str, Any],
) -> dict[str, Any]:
    """Write one scene's files, atomically each.

    Args:
        root: the data set's folder.
        scene: its id is the sample's id.
        index: position in the data set; COCO's image id is `index + 1`.
        split: the folder under `root`.
        family: scenario family, a stratum.
        background_png: the scene's background as a PNG file, encoded by the caller, who may use it many times.
        background_provenance: where the background comes from.
        asked: person id -> visible ratio the recipe asked for.
        plan: what the scene was rendered from; JSON values.

    Returns:
        A JSON value with `row` (for `samples.parquet`), `image` and `annotations` (for COCO) and `files`
        (relative name -> sha256).
    """
    people = scene.people()
    files: dict[str, str] = {}

    def save(name: str, pixels: np.ndarray) -> str:
        files[name] = write_bytes(root / name, encode_png(pixels))
        return name

    def save_once(data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        # Named by content: whoever writes it writes the same bytes, so workers need not agree who does.
        name = f"{split}/background/{sha256[:20]}.png"
        if not (root / name).exists():
            write_bytes(root / name, data)
        files[name] = sha256
        return name

    persons = []
    ratios, shares = people.visible_ratio(), people.occlusion()
    for k, layer in enumerate(scene.layers):
        person = layer.person
        stem = f"{split}/layers/{scene.id}-{person.id}"
        whole = np.count_nonzero(layer.mask)
        persons.append(
            {
                "id": person.id,
                "origin": list(layer.origin),
                "rgba": save(f"{stem}.png", layer.rgba),
                "labels": save(f"{stem}.labels.png", person.parsing),
                "shadow": None if layer.shadow is None else save(f"{stem}.shadow.png", layer.shadow),
                "keypoints": [float(value) for value in person.keypoints.ravel()],
                "visible_ratio": float(ratios[k]),
                "in_frame_ratio": int(np.count_nonzero(people.amodal[k])) / max(int(whole), 1),
                "asked_visible_ratio": asked.get(person.id),
                "carried": list(person.carried),
                "provenance": asdict(person.provenance),
            }
        )
    height, width = scene.background.shape[:2]
    row = {
        "id": scene.id,
        "split": split,
        "family": family,
        "width": width,
        "height": height,
        "people": len(persons),
        "min_visible_ratio": float(ratios.min(initial=1.0)),
        "occlusion_depth": occlusion_depth(shares),
        "mask_share": float(people.visible.any(axis=0).mean()),
        "composite": save(f"{split}/composite/{scene.id}.png", scene.composite()),
        "background": save_once(background_png),
        "instances": save(f"{split}/instances/{scene.id}.png", people.instance_map()),
        "parsing": save(f"{split}/parsing/{scene.id}.png", people.parsing),
        "background_provenance": asdict(background_provenance),
        "persons": persons,
        "plan": json.dumps(plan, separators=(",", ":"), allow_nan=False),
    }
    image_id = index + 1
    return {
        "row": row,
        "image": image_record(image_id, row["composite"], people, shares, sample_id=scene.id, family=family),
        "annotations": person_annotations(image_id, people),
        "files": files,
    }


def occlusion_depth(shares: np.ndarray) -> int:
    """The longest chain of people each covering a part of the next, from `People.occlusion`; 0 if nobody does."""
    covers = shares > 0
    depth = np.zeros(len(shares), dtype=int)
    for front in range(len(shares)):  # back to front: everyone behind is already known
        behind = np.flatnonzero(covers[front])
        depth[front] = 1 + depth[behind].max() if behind.size else 0
    return int(depth.max(initial=0))
