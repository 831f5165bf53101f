"""Small sources on disk: cut-outs, backgrounds and a COCO folder, drawn rather than photographed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from synth.recipe import Recipe, load


def draw_person(rng: np.random.Generator, height: int = 120) -> np.ndarray:
    """uint8[h, w, 4] RGBA: a head and a body of random colour and proportions."""
    width = int(height * rng.uniform(0.3, 0.5))
    rgba = np.zeros((height, width, 4), np.uint8)
    colour = tuple(int(c) for c in rng.integers(20, 235, 3))
    radius = width // 5
    cv2.circle(rgba, (width // 2, radius), radius, (*colour, 255), -1, cv2.LINE_AA)
    cv2.ellipse(
        rgba,
        (width // 2, int(height * 0.6)),
        (width // 2 - 1, int(height * 0.39)),
        0,
        0,
        360,
        (*colour, 255),
        -1,
    )
    return rgba


@pytest.fixture(scope="session")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cutouts")
    rng = np.random.default_rng(1)
    for index in range(12):
        cv2.imwrite(str(folder / f"{index:02d}.png"), draw_person(rng))
    return folder


@pytest.fixture(scope="session")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backgrounds")
    rng = np.random.default_rng(2)
    for index in range(9):
        noise = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
        cv2.imwrite(
            str(folder / f"{index}.png"), cv2.resize(noise, (330, 280), interpolation=cv2.INTER_CUBIC)
        )
    return folder


@pytest.fixture
def recipe(cutouts: Path, backgrounds: Path) -> Recipe:
    changes = {
        "people": [f"folder:{cutouts}"],
        "backgrounds": [f"folder:{backgrounds}"],
        "count": 20,
        "size": 128,
        "splits": {"train": 1, "test": 1},
    }
    return Recipe.model_validate(load("multi-ip").model_dump() | changes)


KEYPOINTS = [
    value
    for x, y in zip(np.linspace(110, 130, 17), np.linspace(60, 200, 17), strict=True)
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
        "categories": [],
    }
    for kind in ("person_keypoints", "instances"):
        (root / "annotations" / f"{kind}_train2017.json").write_text(json.dumps(content))
    return root
