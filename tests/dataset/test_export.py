"""Exports as the tools they are for read them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from pycocotools.coco import COCO
from typer.testing import CliRunner

from mildbench.cli.export import export
from mildbench.dataset import Dataset
from mildbench.dataset.export import exporter
from mildbench.dataset.index import IndexWriter
from mildbench.dataset.samples import Making, write_scene
from mildbench.dataset.schema import annotation_file
from mildbench.dataset.writers import FolderShard
from mildbench.errors import UserError
from mildbench.images import decode_labels, decode_rgb, decode_rgba, encode_png, read_rgb
from mildbench.scene import Layer, Person, Provenance, Scene
from synth.sources.coco import CocoBackgrounds, CocoPeople


def quiet(count: int) -> None:
    pass


def test_pycocotools_reads_a_coco_export(built: Path, tmp_path: Path) -> None:
    dataset, out = Dataset.open(built), tmp_path / "coco"
    exporter("coco")(dataset, out, quiet)
    for split, count in dataset.info.samples.items():
        for kind in ("person_keypoints", "instances"):
            with contextlib.redirect_stdout(io.StringIO()):
                coco = COCO(out / "annotations" / f"{kind}_{split}.json")
            assert len(coco.imgs) == count
            licences = {item["id"]: item["name"] for item in coco.dataset["licenses"]}
            for image in coco.loadImgs(coco.getImgIds()):
                scene = dataset.scene(image["sample_id"])
                assert all(
                    layer.person.provenance.licence in licences[image["license"]] for layer in scene.layers
                )
                assert np.array_equal(read_rgb(out / split / image["file_name"]), scene.composite())
                people = scene.people()
                annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
                assert len(annotations) == sum(mask.any() for mask in people.visible)
                for item in annotations:
                    visible = people.visible[people.ids.index(item["person_id"])]
                    assert np.array_equal(coco.annToMask(item).astype(bool), visible)
                    assert ("keypoints" in item) == (kind == "person_keypoints")


def posed_scene(size: int = 160) -> Scene:
    """Somebody whole, whose pose is known, and somebody far outside the frame."""
    rgba = np.zeros((100, 40, 4), np.uint8)
    rgba[5:95, 5:35] = (200, 30, 90, 255)
    keypoints = np.array([(17 + k % 3, 8 + k * k / 3.2, 2) for k in range(17)], np.float32)  # upright
    provenance = Provenance("test", "figure", "1" * 64, "CC0-1.0")
    labels = (rgba[..., 3] > 0).astype(np.uint8)
    layers = [
        Layer(rgba, origin, Person(number, keypoints, labels, provenance))
        for number, origin in ((1, (50, 30)), (2, (900, 900)))
    ]
    return Scene("00000000", np.full((size, size, 3), 120, np.uint8), tuple(layers))


def test_our_own_source_takes_people_from_a_coco_export(tmp_path: Path) -> None:
    scene = posed_scene()
    description = {"name": "posed", "source": "scenes", "description": "One scene.", "format": "folder"}
    description |= {"seed": 0, "size": 160, "recipe": {}, "sources": []}
    report = {"rejected_while_building": {}, "unmet_wishes": {}, "visible_ratio": {"asked_for": 0}}
    with (
        IndexWriter(tmp_path / "data", description, ["train"]) as index,
        FolderShard(tmp_path / "data") as shard,
    ):
        entry = write_scene(
            shard,
            scene,
            0,
            Making(
                split="train",
                family="occlusion",
                difficulty=0.5,
                ground="exact",
                background_provenance=Provenance("test", "wall", "2" * 64, "CC-BY-4.0"),
                asked={},
                plan={},
            ),
            composite=scene.composite(),
            jpeg=None,
            background_file=encode_png(scene.background),
        )
        index.add(entry["row"])
        index.annotate("train", entry["image"], entry["annotations"])
        index.add_files(shard.files, shard.shared)
        index.finish(report)
    exporter("coco")(Dataset.open(tmp_path / "data"), tmp_path / "coco", quiet)
    source = CocoPeople(str(tmp_path / "coco"), split="train", min_height=80)
    (person,) = source.people()  # nothing is to be seen of the other
    cutout = source.cutout(person.key)
    assert not source.rejections.counts
    assert cutout.provenance.licence == "CC-BY-4.0; CC0-1.0"
    assert np.count_nonzero(cutout.rgba[..., 3] >= 128) == pytest.approx(90 * 30, rel=0.03)
    backgrounds = CocoBackgrounds(str(tmp_path / "coco"), split="train", min_side=8)
    assert not backgrounds.backgrounds()  # there is somebody in every composite


def test_a_hugging_face_export_holds_pictures_masks_and_truth(built: Path, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    dataset, out = Dataset.open(built), tmp_path / "hf"
    exporter("huggingface")(dataset, out, quiet)
    card = huggingface_hub.DatasetCard.load(out / "README.md")
    (config,) = card.data.to_dict()["configs"]
    assert card.data.pretty_name == "multi-ip"
    seen = 0
    for item in config["data_files"]:
        (path,) = out.glob(item["path"])
        table = pq.read_table(path)
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features.keys() == set(table.column_names)
        assert features["image"] == features["mask"] == features["truth"] == {"_type": "Image"}
        assert features["persons"][0]["rgba"] == {"_type": "Image"}
        assert features["persons"][0]["keypoints"] == [{"dtype": "float32", "_type": "Value"}]
        for row in table.to_pylist():
            triplet = dataset.triplet("erase-all", row["id"])
            scene = dataset.scene(row["id"])
            assert np.array_equal(decode_rgb(row["image"]["bytes"], "image"), triplet.image)
            assert np.array_equal(decode_rgb(row["truth"]["bytes"], "truth"), triplet.truth)
            assert np.array_equal(decode_labels(row["mask"]["bytes"], "mask") > 127, triplet.mask)
            for person, layer in zip(row["persons"], scene.layers, strict=True):
                assert np.array_equal(decode_rgba(person["rgba"]["bytes"], "layer"), layer.rgba)
            assert row["image"]["path"] == f"{row['id']}.composite.png"
            seen += 1
    assert seen == 20


def test_a_hugging_face_export_is_cut_into_files(
    datasets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mildbench.dataset.export.huggingface.FILE_ROWS", 4)
    monkeypatch.setattr("mildbench.dataset.export.huggingface.GROUP_ROWS", 2)
    dataset = Dataset.open(datasets["folder"])
    exporter("huggingface")(dataset, tmp_path / "hf", quiet)
    for split, count in dataset.info.samples.items():
        files = sorted((tmp_path / "hf" / "data").glob(f"{split}-*"))
        number = -(-count // 4)
        assert [path.name for path in files] == [
            f"{split}-{n:05d}-of-{number:05d}.parquet" for n in range(number)
        ]
        ids = [name for path in files for name in pq.read_table(path, columns=["id"])["id"].to_pylist()]
        assert ids == [row["id"] for row in dataset.rows(["id", "split"]) if row["split"] == split]


@pytest.mark.parametrize("target", ["webdataset", "huggingface", "coco"])
def test_an_export_is_there_whole_or_not_at_all(
    datasets: dict[str, Path], copied: Callable[[Path], Path], tmp_path: Path, target: str
) -> None:
    broken = copied(datasets["folder"])
    next((broken / "train" / "composite").glob("*.png")).unlink()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("precious")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="is missing"):
        exporter(target)(Dataset.open(broken), tmp_path / "out", quiet)
    with pytest.raises(UserError, match="exists already"):
        exporter(target)(Dataset.open(datasets["folder"]), tmp_path / "taken", quiet)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("target", ["webdataset", "coco"])
def test_missing_annotations_are_said(
    datasets: dict[str, Path], copied: Callable[[Path], Path], tmp_path: Path, target: str
) -> None:
    broken = copied(datasets["folder"])
    path = broken / annotation_file("test")
    content = json.loads(path.read_text())
    del content["images"][2]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="has no annotations: mildbench validate says more"):
        exporter(target)(Dataset.open(broken), tmp_path / "out", quiet)


def test_the_command(datasets: dict[str, Path], tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(export)
    data, out = str(datasets["folder"]), tmp_path / "out"
    done = CliRunner().invoke(app, [data, "--to", "webdataset", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "20 samples as webdataset" in done.output
    done = CliRunner().invoke(app, [data, "--to", "hugginface", "--out", str(tmp_path / "x")])
    assert isinstance(done.exception, UserError)
    assert "did you mean 'huggingface'" in str(done.exception)


def test_a_damaged_data_set_is_not_exported(
    built: Path, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Also where the damage is in a file that the format leaves out."""
    app = typer.Typer()
    app.command()(export)
    root = copied(built)
    victim = sorted(path for path in root.rglob("*") if path.suffix in (".png", ".tar"))[-1]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    for to in ("webdataset", "huggingface", "coco"):
        done = CliRunner().invoke(app, [str(root), "--to", to, "--out", str(tmp_path / "out")])
        assert isinstance(done.exception, UserError)
        assert f"{victim.relative_to(root)}: changed since the build" in str(done.exception)
        assert not (tmp_path / "out").exists()
