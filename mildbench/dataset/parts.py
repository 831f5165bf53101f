"""The pictures of a sample: what each is called, and where a row of `samples.parquet` names its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mildbench.scene import Scene

PLAIN_PARTS = ("composite", "background", "instances", "parsing", "mask", "effect")
"""The columns of a row that name a file."""
LAYER_PARTS = {"rgba": "", "labels": ".labels", "shadow": ".shadow", "reflection": ".reflection"}
"""The fields of a person that name a file -> what the part's name ends in."""


def layer_part(person: int, field: str) -> str:
    """What a file of a person's layer is called: `layer-1`, `layer-1.labels`, `layer-1.shadow` and so on."""
    return f"layer-{person}{LAYER_PARTS[field]}"


def with_files(row: dict[str, Any], move: Callable[[str, str], Any]) -> dict[str, Any]:
    """A copy of a row in which `move(part, name)` replaces the name of every file."""

    def moved(part: str, name: str | None) -> Any:
        return None if name is None else move(part, name)

    persons = row["persons"] and [
        person | {field: moved(layer_part(person["id"], field), person[field]) for field in LAYER_PARTS}
        for person in row["persons"]
    ]
    return row | {part: moved(part, row[part]) for part in PLAIN_PARTS} | {"persons": persons}


def scene_parts(
    scene: Scene, composite: np.ndarray, instances: np.ndarray, parsing: np.ndarray
) -> dict[str, np.ndarray]:
    """Part -> its pixels as a reader decodes them: uint8[h, w], [h, w, 3] RGB or [h, w, 4] RGBA."""
    parts = {
        "composite": composite,
        "background": scene.background,
        "instances": instances,
        "parsing": parsing,
    }
    for layer in scene.layers:
        planes = {
            "rgba": layer.rgba,
            "labels": layer.person.parsing,
            "shadow": layer.shadow,
            "reflection": layer.reflection,
        }
        parts |= {
            layer_part(layer.person.id, field): plane for field, plane in planes.items() if plane is not None
        }
    return parts
