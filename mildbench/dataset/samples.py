"""A scene as files, a row and annotations, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mildbench.dataset.coco import image_record, person_annotations
from mildbench.dataset.content import sample_sha256
from mildbench.dataset.parts import layer_part, scene_parts
from mildbench.dataset.writers import ShardWriter
from mildbench.images import decode_rgb, encode_jpeg, encode_png
from mildbench.scene import People, Provenance, Scene


@dataclass(frozen=True)
class Making:
    """How a scene was made, as its row tells it."""

    split: str
    """The one it belongs to."""
    family: str
    """Scenario family, a stratum."""
    difficulty: float
    """0..1, in the family's own measure; a stratum."""
    ground: str
    """How it is known where in the background people can stand; a stratum."""
    background_provenance: Provenance
    """Where the background comes from."""
    asked: dict[int, float]
    """Person id -> visible ratio the recipe asked for."""
    plan: dict[str, Any]
    """What the scene was rendered from; JSON values."""
    distance_percentile: float | None = None
    """How near camouflage is to being perfect, among people placed at random; None of other families."""


def write_scene(
    shard: ShardWriter,
    scene: Scene,
    index: int,
    making: Making,
    *,
    composite: np.ndarray,
    jpeg: int | None,
    background_file: bytes,
) -> dict[str, Any]:
    """Write one scene's files.

    Args:
        shard: where to.
        scene: its id is the sample's id.
        index: position in the data set; COCO's image id is `index + 1`.
        making: how the scene was made.
        composite: uint8[H, W, 3], the scene's, which the caller has made while rendering.
        jpeg: quality at which the composite is stored; None: as PNG.
        background_file: the scene's background as a file of the same kind, encoded by the caller, who may use it
            many times.

    Returns:
        A JSON value with `row` (for `samples.parquet`), `image` and `annotations` (for COCO).
    """
    people, split = scene.people(), making.split
    stored, picture, suffix = composite, b"", ".png"
    if jpeg is not None:
        picture, suffix = encode_jpeg(composite, jpeg), ".jpg"
        stored = decode_rgb(picture, "composite")
    parts = scene_parts(scene, stored, people.instance_map(), people.parsing)

    def save(part: str) -> str:
        return shard.add(split, scene.id, part, encode_png(parts[part]))

    persons = _persons(scene, people, making.asked, save)
    files = {
        "composite": shard.add(split, scene.id, "composite", picture or encode_png(composite), suffix),
        "background": shard.add_shared(split, scene.id, "background", background_file, suffix),
        "instances": save("instances"),
        "parsing": save("parsing"),
    }
    shares = people.occlusion()
    row = _row(scene, people, shares, making, files, persons)
    image = image_record(
        index + 1, row["composite"], people, shares, sample_id=scene.id, family=making.family
    )
    annotations = person_annotations(index + 1, people)
    row["content_sha256"] = sample_sha256(row, parts, image, annotations)
    shard.end(row)
    return {"row": row, "image": image, "annotations": annotations}


def _persons(
    scene: Scene, people: People, asked: Mapping[int, float], save: Callable[[str], str]
) -> list[dict[str, Any]]:
    """The row's entry of each person, whose parts are saved."""
    ratios = people.visible_ratio()
    persons = []
    for k, layer in enumerate(scene.layers):
        person = layer.person
        whole = np.count_nonzero(layer.mask)
        persons.append(
            {
                "id": person.id,
                "origin": list(layer.origin),
                "rgba": save(layer_part(person.id, "rgba")),
                "labels": save(layer_part(person.id, "labels")),
                "shadow": None if layer.shadow is None else save(layer_part(person.id, "shadow")),
                "reflection": None if layer.reflection is None else save(layer_part(person.id, "reflection")),
                "keypoints": [float(value) for value in person.keypoints.ravel()],
                "visible_ratio": float(ratios[k]),
                "in_frame_ratio": int(np.count_nonzero(people.amodal[k])) / max(int(whole), 1),
                "asked_visible_ratio": asked.get(person.id),
                "category": person.category,
                "carried": list(person.carried),
                "provenance": asdict(person.provenance),
            }
        )
    return persons


def _row(
    scene: Scene,
    people: People,
    shares: np.ndarray,
    making: Making,
    files: Mapping[str, str],
    persons: list[dict[str, Any]],
) -> dict[str, Any]:
    """The row of `samples.parquet`, but for the digest of all that it tells of."""
    height, width = scene.background.shape[:2]
    return {
        "id": scene.id,
        "split": making.split,
        "family": making.family,
        "difficulty": making.difficulty,
        "ground": making.ground,
        "distance_percentile": making.distance_percentile,
        "width": width,
        "height": height,
        "people": len(persons),
        "min_visible_ratio": float(people.visible_ratio().min(initial=1.0)),
        "occlusion_depth": occlusion_depth(shares),
        "mask_share": float(people.visible.any(axis=0).mean()),
        **files,
        "mask": None,
        "background_provenance": asdict(making.background_provenance),
        "persons": persons,
        "plan": json.dumps(making.plan, separators=(",", ":"), allow_nan=False),
        **dict.fromkeys(("effect", "name", "group")),
    }


def occlusion_depth(shares: np.ndarray) -> int:
    """The longest chain of people each covering a part of the next, from `People.occlusion`; 0 if nobody does."""
    covers = shares > 0
    depth = np.zeros(len(shares), dtype=int)
    for front in range(len(shares)):  # back to front: everyone behind is already known
        behind = np.flatnonzero(covers[front])
        depth[front] = 1 + depth[behind].max() if behind.size else 0
    return int(depth.max(initial=0))
