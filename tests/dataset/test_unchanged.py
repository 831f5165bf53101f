"""Nothing is computed from a data set whose contents are not what its fingerprint stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import invoke

from mildbench.dataset import Dataset
from mildbench.dataset.schema import CHECKSUMS, SAMPLES, annotation_file
from mildbench.errors import UserError

Copy = Callable[[Path], Path]
NAME, OTHER = "00000003", "00000001"


def change_a_pixel(root: Path, part: str) -> None:
    row = Dataset.open(root).row(NAME)
    path = root / (row[part] if part in row else row["persons"][0][part])
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] ^= 1
    cv2.imwrite(str(path), pixels)


def test_what_was_built_is_unchanged(built: Path) -> None:
    Dataset.open(built).check_unchanged(None, [NAME, OTHER])


@pytest.mark.parametrize("part", ["composite", "background", "instances", "parsing", "rgba", "labels"])
def test_a_changed_pixel_matters_to_whoever_uses_it(
    datasets: dict[str, Path], copied: Copy, part: str
) -> None:
    root = copied(datasets["folder"])
    change_a_pixel(root, part)
    dataset = Dataset.open(root)
    with pytest.raises(UserError, match=f"sample {NAME} is another one: it was changed"):
        dataset.check_unchanged(None, [OTHER, NAME])
    shared = part == "background" and dataset.row(NAME)[part] == dataset.row(OTHER)[part]
    if not shared:
        dataset.check_unchanged(None, [OTHER])


def test_a_tar_file_whose_pictures_were_changed_is_told(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["webdataset"])
    path = next(root.glob("test/*.tar"))
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError):
        Dataset.open(root).check_unchanged(None, [row["id"] for row in Dataset.open(root).rows()])


def test_files_compressed_anew_are_the_same(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])
    for path in root.rglob("*.png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    pq.write_table(pq.read_table(root / SAMPLES), root / SAMPLES, compression="gzip")
    Dataset.open(root).check_unchanged(None, [NAME, OTHER])
    (root / CHECKSUMS).write_text("")
    Dataset.open(root).check_unchanged(None, [NAME, OTHER])
    (root / CHECKSUMS).unlink()
    Dataset.open(root).check_unchanged(None, [NAME, OTHER])


def test_annotations_count(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])
    path = root / annotation_file("test")
    path.write_text(path.read_text().replace('"iscrowd":0', '"iscrowd":1'))
    with pytest.raises(UserError, match="is another one"):
        Dataset.open(root).check_unchanged(None, [NAME])


def test_no_score_is_of_another_picture_than_the_fingerprint_says(
    datasets: dict[str, Path], copied: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(datasets["folder"])
    command = [
        "evaluate",
        "--dataset",
        root,
        "--method",
        "copy",
        "--metric",
        "psnr",
        "--out",
        tmp_path / "runs",
    ]
    assert invoke(*command) == 0
    (scores,) = (tmp_path / "runs").rglob("scores.parquet")
    before = scores.read_bytes()
    row = next(Dataset.open(root).rows())
    path = root / row["background"]
    picture = path.read_bytes()
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    for out in ("runs", "others"):
        assert invoke(*command[:-1], tmp_path / out) == 2
        assert "was changed after it was made" in capsys.readouterr().err
    assert scores.read_bytes() == before
    path.write_bytes(picture)
    assert invoke(*command) == 0
    np.testing.assert_array_equal(
        np.frombuffer(scores.read_bytes(), np.uint8), np.frombuffer(before, np.uint8)
    )
