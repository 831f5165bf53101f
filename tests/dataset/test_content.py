"""The fingerprint is what a data set holds: the same however it is stored, another for every change of content."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import invoke
from PIL import Image
from small import draw_sources, small_recipe

from mildbench.dataset import Dataset
from mildbench.dataset.content import Fingerprint, contents
from mildbench.dataset.pairfiles import Folder, find_pairs
from mildbench.dataset.pairs import About, import_pairs
from mildbench.dataset.schema import INFO, SAMPLE_SCHEMA, SAMPLES, annotation_file
from mildbench.dataset.validate import validate
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.recipe_files import check

Copy = Callable[[Path], Path]


def recomputed(root: Path) -> str:
    found = Fingerprint()
    for _, content_sha256 in contents(Dataset.open(root)):
        found.add(content_sha256)
    return found.hexdigest()


def by_pillow(data: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
        picture.save(stream, "PNG", compress_level=9)
    return stream.getvalue()


def by_opencv(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def rewrite_rows(root: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    rows = list(Dataset.open(root).rows())
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), root / SAMPLES)


def test_both_formats_have_the_fingerprint_of_their_contents(built: Path, datasets: dict[str, Path]) -> None:
    assert (
        recomputed(built) == Dataset.open(built).fingerprint == Dataset.open(datasets["folder"]).fingerprint
    )


@pytest.mark.parametrize("compress", [by_pillow, by_opencv])
def test_pictures_compressed_anew_are_the_same_data_set(
    datasets: dict[str, Path], copied: Copy, compress: Callable[[bytes], bytes]
) -> None:
    root = copied(datasets["folder"])
    for path in root.rglob("*.png"):
        before = path.read_bytes()
        path.write_bytes(compress(before))
        assert path.read_bytes() != before
    assert recomputed(root) == Dataset.open(root).fingerprint


def test_rows_written_anew_are_the_same_data_set(datasets: dict[str, Path], copied: Copy) -> None:
    """With other compression, and with another last digit of what was computed from floats."""
    root = copied(datasets["folder"])

    def last_digit(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["difficulty"] = float(np.nextafter(row["difficulty"], 2))

    rewrite_rows(root, last_digit)
    assert recomputed(root) == Dataset.open(root).fingerprint


@pytest.mark.parametrize("part", ["composite", "background", "instances", "parsing", "rgba", "labels"])
def test_one_changed_pixel_is_another_data_set(datasets: dict[str, Path], copied: Copy, part: str) -> None:
    root = copied(datasets["folder"])
    row = Dataset.open(root).row("00000003")
    path = root / (row[part] if part in row else row["persons"][0][part])
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] ^= 1
    cv2.imwrite(str(path), pixels)
    assert recomputed(root) != Dataset.open(root).fingerprint
    problems = [problem for found in validate(Dataset.open(root)) for problem in found]
    assert any(problem.startswith("00000003: pixels, labels, row or annotations") for problem in problems)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[2]["persons"][0]["keypoints"].__setitem__(0, 7.25),
        lambda rows: rows[2]["persons"][0]["origin"].__setitem__(0, -3),
        lambda rows: rows[2]["persons"][0].update(category="dog"),
        lambda rows: rows[2].update(family="camouflage"),
        lambda rows: rows[2].update(difficulty=0.123),
        lambda rows: rows.reverse(),
        lambda rows: rows.pop(),
    ],
)
def test_another_row_is_another_data_set(
    datasets: dict[str, Path], copied: Copy, change: Callable[[list[dict[str, Any]]], object]
) -> None:
    root = copied(datasets["folder"])
    rewrite_rows(root, change)
    try:
        found = recomputed(root)
    except UserError:  # out of step with the annotations: nothing to be taken for this data set either
        return
    assert found != Dataset.open(root).fingerprint


def test_another_annotation_is_another_data_set(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])
    path = root / annotation_file("test")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, indent=1))
    assert recomputed(root) == Dataset.open(root).fingerprint
    content["annotations"][0]["keypoints"][0] += 1
    path.write_text(json.dumps(content))
    assert recomputed(root) != Dataset.open(root).fingerprint


def test_where_pictures_come_from_is_not_what_they_are(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])

    def elsewhere(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["plan"] = "{}"
            row["background_provenance"] |= {"source": "elsewhere", "sha256": "0" * 64}

    rewrite_rows(root, elsewhere)
    assert recomputed(root) == Dataset.open(root).fingerprint


def test_a_training_split_in_jpeg_is_what_readers_decode(tmp_path: Path) -> None:
    recipe = check(
        small_recipe(*draw_sources(tmp_path)).model_dump() | {"train_jpeg": 85, "count": 6}, "lossy"
    )
    built = build(recipe, 0, tmp_path / "lossy", SerialExecutor(1), lambda count: None)
    assert recomputed(tmp_path / "lossy") == built.fingerprint
    whole = recipe.model_copy(update={"train_jpeg": None})
    assert (
        build(whole, 0, tmp_path / "whole", SerialExecutor(1), lambda count: None).fingerprint
        != built.fingerprint
    )


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[[str, int], Path]:
    """Import one pair, its files of this kind, the input's first value this."""

    def take(suffix: str, first: int) -> Path:
        out = tmp_path / f"pairs{suffix}{first}"
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        image, mask = truth.copy(), np.zeros((20, 30), np.uint8)
        mask[5:9, 5:9], image[5:9, 5:9], image[0, 0, 0] = 255, 3, first
        folders = []
        for name, pixels in (("input", image), ("mask", mask), ("truth", truth)):
            folders.append(Folder(name, out / name))
            (out / name).mkdir(parents=True)
            cv2.imwrite(str(out / name / f"a{suffix}"), pixels)
        import_pairs(
            find_pairs(*folders), out / "data", About("x", "y", "Pairs."), advance=lambda count: None
        )
        return out / "data"

    return take


def test_pairs_are_their_pictures(pairs: Callable[[str, int], Path]) -> None:
    png, bmp, other = pairs(".png", 1), pairs(".bmp", 1), pairs(".png", 2)
    assert recomputed(png) == Dataset.open(png).fingerprint == Dataset.open(bmp).fingerprint
    assert Dataset.open(other).fingerprint != Dataset.open(png).fingerprint
    assert not any(validate(Dataset.open(png)))


def test_the_command_prints_what_is_stored_now(
    datasets: dict[str, Path], copied: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(datasets["folder"])
    said = Dataset.open(root).fingerprint
    assert invoke("fingerprint", root) == 0
    assert capsys.readouterr().out.split() == [said]
    content = json.loads((root / INFO).read_text())
    (root / INFO).write_text(json.dumps(content | {"fingerprint": "0" * 64}))
    assert invoke("fingerprint", root) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [said]
    assert f"dataset.json has {'0' * 64}" in printed.err
    problems = [problem for found in validate(Dataset.open(root)) for problem in found]
    assert problems == ["the fingerprint in dataset.json is not that of the samples"]


def test_a_data_set_of_an_older_version_says_so(datasets: dict[str, Path], copied: Copy) -> None:
    root = copied(datasets["folder"])
    content = json.loads((root / INFO).read_text())
    (root / INFO).write_text(json.dumps(content | {"schema_version": 1}))
    with pytest.raises(UserError, match="schema version 1, this mildbench reads 4: build or import it again"):
        Dataset.open(root)
