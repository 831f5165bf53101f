"""A scene as files, a row and annotations, whatever the format."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from mildbench.dataset.coco import image_record, person_annotations
from mildbench.dataset.content import sample_sha256
from mildbench.dataset.parts import layer_part, scene_parts
from mildbench.dataset.writers import ShardWriter
from mildbench.images import decode_rgb, encode_jpeg, encode_png
from mildbench.scene import Provenance, Scene


def write_scene(
    shard: ShardWriter,
    scene: Scene,
    index: int,
    *,
    split: str,
    family: str,
    difficulty: float,
    ground: str,
    composite: np.ndarray,
    jpeg: int | None,
    background_file: bytes,
    background_provenance: Provenance,
    asked: dict[int, float],
    plan: dict[str, Any],
) -> dict[str, Any]:
    """Write one scene's files.

    Args:
        shard: where to.
        scene: its id is the sample's id.
        index: position in the data set; COCO's image id is `index + 1`.
        split: the split it belongs to.
        family: scenario family, a stratum.
        difficulty: 0..1, in the family's own measure; a stratum.
        ground: how it is known where in the background people can stand; a stratum.
        composite: uint8[H, W, 3], the scene's, which the caller has made while rendering.
        jpeg: quality at which the composite is stored; None: as PNG.
        background_file: the scene's background as a file of the same kind, encoded by the caller, who may use it
            many times.
        background_provenance: where the background comes from.
        asked: person id -> visible ratio the recipe asked for.
        plan: what the scene was rendered from; JSON values.

    Returns:
        A JSON value with `row` (for `samples.parquet`), `image` and `annotations` (for COCO).
    """
    people = scene.people()
    stored, picture, suffix = composite, b"", ".png"
    if jpeg is not None:
        picture, suffix = encode_jpeg(composite, jpeg), ".jpg"
        stored = decode_rgb(picture, "composite")
    parts = scene_parts(scene, stored, people.instance_map(), people.parsing)

    def save(part: str) -> str:
        return shard.add(split, scene.id, part, encode_png(parts[part]))

    def save_layer(person: int, field: str) -> str:
        return save(layer_part(person, field))

    persons = []
    ratios, shares = people.visible_ratio(), people.occlusion()
    for k, layer in enumerate(scene.layers):
        person = layer.person
        whole = np.count_nonzero(layer.mask)
        persons.append(
            {
                "id": person.id,
                "origin": list(layer.origin),
                "rgba": save_layer(person.id, "rgba"),
                "labels": save_layer(person.id, "labels"),
                "shadow": None if layer.shadow is None else save_layer(person.id, "shadow"),
                "keypoints": [float(value) for value in person.keypoints.ravel()],
                "visible_ratio": float(ratios[k]),
                "in_frame_ratio": int(np.count_nonzero(people.amodal[k])) / max(int(whole), 1),
                "asked_visible_ratio": asked.get(person.id),
                "category": person.category,
                "carried": list(person.carried),
                "provenance": asdict(person.provenance),
            }
        )
    height, width = scene.background.shape[:2]
    row = {
        "id": scene.id,
        "split": split,
        "family": family,
        "difficulty": difficulty,
        "ground": ground,
        "width": width,
        "height": height,
        "people": len(persons),
        "min_visible_ratio": float(ratios.min(initial=1.0)),
        "occlusion_depth": occlusion_depth(shares),
        "mask_share": float(people.visible.any(axis=0).mean()),
        "composite": shard.add(split, scene.id, "composite", picture or encode_png(composite), suffix),
        "background": shard.add_shared(split, scene.id, "background", background_file, suffix),
        "instances": save("instances"),
        "parsing": save("parsing"),
        "mask": None,
        "background_provenance": asdict(background_provenance),
        "persons": persons,
        "plan": json.dumps(plan, separators=(",", ":"), allow_nan=False),
        **dict.fromkeys(("effect", "name", "group")),
    }
    image_id = index + 1
    image = image_record(image_id, row["composite"], people, shares, sample_id=scene.id, family=family)
    annotations = person_annotations(image_id, people)
    row["content_sha256"] = sample_sha256(row, parts, image, annotations)
    shard.end(row)
    return {"row": row, "image": image, "annotations": annotations}


def occlusion_depth(shares: np.ndarray) -> int:
    """The longest chain of people each covering a part of the next, from `People.occlusion`; 0 if nobody does."""
    covers = shares > 0
    depth = np.zeros(len(shares), dtype=int)
    for front in range(len(shares)):  # back to front: everyone behind is already known
        behind = np.flatnonzero(covers[front])
        depth[front] = 1 + depth[behind].max() if behind.size else 0
    return int(depth.max(initial=0))
