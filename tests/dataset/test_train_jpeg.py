"""A training split stored as JPEG: scenes stay exact, stored composites are their JPEG, and everybody says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small import draw_sources, small_recipe

from mildbench.dataset import Dataset
from mildbench.dataset.export import exporter
from mildbench.dataset.schema import CARD
from mildbench.dataset.storage import Storage
from mildbench.dataset.validate import validate
from mildbench.dataset.writers import SCENES, Format
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from mildbench.images import decode_rgb, encode_jpeg
from synth.build import build
from synth.recipe import Recipe
from synth.recipe_files import check

QUALITY = 85


def quiet(count: int) -> None:
    pass


def problems(root: Path) -> list[str]:
    return [problem for found in validate(Dataset.open(root)) for problem in found]


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    recipe = small_recipe(*draw_sources(tmp_path_factory.mktemp("drawn")))
    return check(recipe.model_dump() | {"train_jpeg": QUALITY}, "lossy")


@pytest.fixture(scope="module", params=SCENES)
def root(request: pytest.FixtureRequest, lossy: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout: Format = request.param
    out = tmp_path_factory.mktemp("lossy") / layout
    build(lossy, 0, out, SerialExecutor(1), quiet, format=layout)
    return out


def test_only_photos_of_the_training_split_are_jpeg_and_follow_from_the_layers(root: Path) -> None:
    dataset = Dataset.open(root)
    assert dataset.info.jpeg == {"train": QUALITY}
    for row in dataset.rows():
        composite = dataset.scene(row["id"]).composite()
        stored = dataset.picture(row["composite"], "composite")
        suffix = ".jpg" if row["split"] == "train" else ".png"
        assert row["composite"].endswith(suffix)
        assert row["background"].endswith(suffix)
        for person in row["persons"]:
            assert person["rgba"].endswith(".png")
        for name in (row["instances"], row["parsing"]):
            assert name.endswith(".png")
        if row["split"] == "train":
            assert not np.array_equal(stored, composite)
            composite = decode_rgb(encode_jpeg(composite, QUALITY), "composite")
        assert np.array_equal(stored, composite)


def test_validate_accepts_the_loss_and_nothing_beyond_it(root: Path, copied: Callable[[Path], Path]) -> None:
    assert not problems(root)
    assert f"train (quality {QUALITY})" in (root / CARD).read_text()
    if Dataset.open(root).info.format == "folder":
        broken = copied(root)
        row = next(row for row in Dataset.open(broken).rows() if row["split"] == "train")
        picture = Dataset.open(broken).picture(row["composite"], "composite")
        picture[40:60, 40:60] = 255 - picture[40:60, 40:60]
        (broken / row["composite"]).write_bytes(encode_jpeg(picture, 95))
        assert f"{row['id']}: background + layers do not recompose the composite" in problems(broken)


def test_exports_keep_every_byte(root: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(root)
    exporter("webdataset")(dataset, tmp_path / "tar", quiet)
    assert not problems(tmp_path / "tar")
    copy = Dataset.open(tmp_path / "tar")
    assert copy.info.jpeg == dataset.info.jpeg
    exporter("coco")(dataset, tmp_path / "coco", quiet)
    exporter("huggingface")(dataset, tmp_path / "hub", quiet)
    for row in dataset.rows():
        data = Storage(root).read(row["composite"])
        assert Storage(copy.root).read(copy.row(row["id"])["composite"]) == data
        assert (
            tmp_path / "coco" / row["split"] / f"{row['id']}{Path(row['composite']).suffix}"
        ).read_bytes() == data
    assert "stored as JPEG" in (tmp_path / "hub" / CARD).read_text()


def test_other_splits_are_never_lossy(lossy: Recipe) -> None:
    for splits in ({"test": 1}, {"train": 0, "test": 1}):
        with pytest.raises(UserError, match="train_jpeg: there is no split 'train'"):
            check(lossy.model_dump() | {"splits": splits}, "mine.yaml")
