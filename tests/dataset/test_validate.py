"""Validation of both formats: a good data set passes, each kind of damage is named, hostile files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import png

from mildbench.dataset import Dataset
from mildbench.dataset.schema import SAMPLES, annotation_file
from mildbench.dataset.storage import Storage
from mildbench.dataset.tarfiles import read_index, writing
from mildbench.dataset.validate import check_fingerprint, steps, validate
from mildbench.errors import UserError
from mildbench.images import decode_rgb, encode_png

Copy = Callable[[Path], Path]


def problems(root: Path) -> list[str]:
    return [problem for found in validate(Dataset.open(root)) for problem in found]


def rewrite(root: Path, name: str, data: bytes) -> None:
    """Replace a file of a data set, loose or in a tar file."""
    file, bang, member = name.partition("!")
    if not bang:
        (root / file).write_bytes(data)
        return
    storage = Storage(root)
    contents = {other: storage.read(f"{file}!{other}") for other in read_index(root / file)}
    with writing(root / file) as tar:
        for other, content in contents.items():
            tar.add(other, data if other == member else content)


def test_a_good_data_set_has_no_problems_and_as_many_steps_as_said(built: Path) -> None:
    dataset = Dataset.open(built)
    found = list(validate(dataset))
    assert not any(found)
    assert len(found) == steps(dataset)


def test_changed_pixels_are_named(built: Path, copied: Copy) -> None:
    root = copied(built)
    row = Dataset.open(root).row("00000003")
    for column in ("composite", "instances", "parsing"):
        pixels = cv2.imdecode(np.frombuffer(Storage(root).read(row[column]), np.uint8), cv2.IMREAD_UNCHANGED)
        pixels[5, 5] ^= 1
        rewrite(root, row[column], cv2.imencode(".png", pixels)[1].tobytes())
    found = problems(root)
    for message in (
        "00000003: background + layers do not recompose the composite",
        "00000003: the instance map does not follow from the layers",
        "00000003: the parsing map does not follow from the layers",
    ):
        assert message in found
    assert any("sha256 differs" in problem for problem in found)


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda c: c["annotations"][0].update(area=7), ["do not follow from the layers"]),
        (lambda c: c["annotations"].pop(0), ["do not follow from the layers"]),
        (lambda c: c["images"].pop(1), ["no image record", "of no sample"]),
        (lambda c: c["images"].append({"sample_id": "99999999", "id": 10**9}), ["1 records of no sample"]),
        (lambda c: c["annotations"].append({"image_id": 10**9}), ["1 records of no sample"]),
        (lambda c: c["images"][0].update(file_name="../../x.png"), ["no image record"]),
        (lambda c: c["images"].insert(0, "nonsense"), ["of no sample"]),
        (lambda c: c["annotations"].reverse(), ["do not follow", "out of order"]),
        (lambda c: c.pop("images"), ["has no list 'images'", "no image record"]),
    ],
)
def test_damaged_annotations_are_named(
    datasets: dict[str, Path], copied: Copy, harm: Callable[[dict], object], expected: list[str]
) -> None:
    root = copied(datasets["folder"])
    path = root / annotation_file("train")
    content = json.loads(path.read_text())
    harm(content)
    path.write_text(json.dumps(content))
    found = problems(root)
    for message in [*expected, "sha256 differs"]:
        assert any(message in problem for problem in found), found


def test_lost_files_are_named(built: Path, copied: Copy) -> None:
    root = copied(built)
    file = Dataset.open(root).row("00000002")["composite"].partition("!")[0]
    (root / file).unlink()
    (root / annotation_file("test")).unlink()
    found = problems(root)
    assert f"{file}: missing" in found
    assert any(problem.startswith("00000002: ") for problem in found)
    assert any("annotations not found" in problem for problem in found)


def test_a_decompression_bomb_is_refused(built: Path, copied: Copy) -> None:
    root = copied(built)
    row = Dataset.open(root).row("00000001")
    rewrite(root, row["composite"], png(60_000, 60_000))
    rewrite(root, Dataset.open(root).row("00000004")["persons"][0]["labels"], png(60_000, 60_000))
    found = problems(root)
    for sample in ("00000001", "00000004"):
        assert any(
            problem.startswith(sample) and "more than 178956970 pixels; refused" in problem
            for problem in found
        )


def test_paths_that_leave_the_folder_are_refused(built: Path, copied: Copy) -> None:
    root = copied(built)
    (root.parent / "secret.png").write_bytes(encode_png(np.zeros((128, 128, 3), np.uint8)))
    rows = list(Dataset.open(root).rows())
    rows[2]["composite"] = "../secret.png"
    rows[3]["background"] = str(root.parent / "secret.png")
    rows[4]["persons"][0]["rgba"] = "../secret.tar!a"
    schema = pq.read_schema(root / SAMPLES)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), root / SAMPLES)
    with (root / "checksums.txt").open("a") as stream:
        stream.write(f"{'0' * 64}  ../secret.png\n")
    found = problems(root)
    for sample in ("00000002", "00000003", "00000004"):
        assert any(problem.startswith(sample) and "leaves the folder" in problem for problem in found)
    assert any("checksums.txt: the path '../secret.png' leaves the folder" in problem for problem in found)
    assert "checksums.txt is not the one that dataset.json was written with" in found


def test_a_source_in_two_splits_is_named(built: Path, copied: Copy) -> None:
    root = copied(built)
    rows = list(Dataset.open(root).rows())
    first = next(row for row in rows if row["split"] == "train")
    for row in rows:
        if row["split"] == "test":
            row["background_provenance"] = first["background_provenance"]
            row["persons"][0]["provenance"] = first["persons"][0]["provenance"]
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(root / SAMPLES)), root / SAMPLES)
    found = problems(root)
    for role in ("background", "person"):
        assert any(
            problem.startswith(f"{role} with sha256") and "splits test, train" in problem for problem in found
        )


def test_samples_that_are_not_there_are_named(built: Path, copied: Copy) -> None:
    root = copied(built)
    description = json.loads((root / "dataset.json").read_text())
    there = description["samples"]["test"]
    description["samples"] |= {"test": there + 98, "val": 1}
    (root / "dataset.json").write_text(json.dumps(description))
    found = list(check_fingerprint(Dataset.open(root)))
    assert f"dataset.json says {there + 98} samples of the split test, there are {there}" in found
    assert "dataset.json says 1 samples of the split val, there are 0" in found


def test_a_foreign_table_is_refused(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])
    pq.write_table(pa.table({"id": ["a"]}), root / SAMPLES)
    with pytest.raises(UserError, match="other columns"):
        Dataset.open(root)
    (root / SAMPLES).write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="cannot be read"):
        Dataset.open(root)


def test_pictures_of_both_formats_are_the_same_bytes(datasets: dict[str, Path]) -> None:
    row = Dataset.open(datasets["folder"]).row("00000000")
    other = Dataset.open(datasets["webdataset"]).row("00000000")
    for column in ("composite", "background", "instances", "parsing"):
        data = Storage(datasets["folder"]).read(row[column])
        assert data == Storage(datasets["webdataset"]).read(other[column])
    assert decode_rgb(data, "map").shape == (128, 128, 3)
