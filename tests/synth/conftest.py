"""Small sources on disk: cut-outs, backgrounds and a COCO folder, drawn rather than photographed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from small import draw_sources, small_recipe

from synth.recipe import Recipe


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return draw_sources(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def cutouts(drawn: tuple[Path, Path]) -> Path:
    return drawn[0]


@pytest.fixture(scope="session")
def backgrounds(drawn: tuple[Path, Path]) -> Path:
    return drawn[1]


@pytest.fixture
def recipe(drawn: tuple[Path, Path]) -> Recipe:
    return small_recipe(*drawn)


KEYPOINTS = [
    value
    for x, y in zip(np.linspace(110, 130, 17), 60 + 140 * np.linspace(0, 1, 17) ** 2, strict=True)
    for value in (x, y, 2)
]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two images: one with a person (annotation 1), one without."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").mkdir()
    rng = np.random.default_rng(3)
    images = []
    for number in (1, 2):
        name = f"{number:012d}.jpg"
        picture = cv2.resize(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8), (320, 280))
        cv2.imwrite(str(root / "train2017" / name), picture)
        images.append({"id": number, "file_name": name, "width": 320, "height": 280, "license": 1})
    person: dict[str, Any] = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": [[100, 50, 140, 50, 140, 210, 100, 210]],
        "area": 40 * 160,
        "bbox": [100, 50, 40, 160],
        "keypoints": list(KEYPOINTS),
        "num_keypoints": 17,
    }
    content = {
        "images": images,
        "annotations": [person],
        "licenses": [{"id": 1, "name": "CC-BY"}],
        "categories": [{"id": 1, "name": "person"}],
    }
    for kind in ("person_keypoints", "instances"):
        (root / "annotations" / f"{kind}_train2017.json").write_text(json.dumps(content))
    return root
