"""Loose files or tar files: the same samples, and what WebDataset's own reader makes of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mildbench.dataset import Dataset
from mildbench.dataset.export import exporter
from mildbench.dataset.parts import with_files
from mildbench.dataset.writers import SCENES, check_format
from mildbench.errors import UserError
from mildbench.images import decode_rgb


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def quiet(count: int) -> None:
    pass


def test_both_formats_hold_the_same_scenes(datasets: dict[str, Path]) -> None:
    folder, tars = (Dataset.open(datasets[name]) for name in ("folder", "webdataset"))
    assert folder.info.samples == tars.info.samples
    assert folder.fingerprint == tars.fingerprint
    nameless = lambda row: with_files(row, lambda part, name: part)  # noqa: E731
    assert list(map(nameless, folder.rows())) == list(map(nameless, tars.rows()))
    for sample_id in folder.samples["id"]:
        for of in (Dataset.scene, lambda dataset, name: dataset.triplet("erase-all", name)):
            ours, theirs = of(folder, sample_id), of(tars, sample_id)
            for field in ("background", "image", "mask", "truth"):
                if hasattr(ours, field):
                    assert np.array_equal(getattr(ours, field), getattr(theirs, field))
    assert folder.task_ids("erase-one", "test") == tars.task_ids("erase-one", "test")


def test_exporting_a_folder_is_building_tar_files(datasets: dict[str, Path], tmp_path: Path) -> None:
    """Byte for byte; and exporting tar files once more changes nothing."""
    exporter("webdataset")(Dataset.open(datasets["folder"]), tmp_path / "once", quiet)
    assert tree(tmp_path / "once") == tree(datasets["webdataset"])
    exporter("webdataset")(Dataset.open(tmp_path / "once"), tmp_path / "twice", quiet)
    assert tree(tmp_path / "twice") == tree(datasets["webdataset"])


def test_the_webdataset_library_reads_the_tar_files(datasets: dict[str, Path]) -> None:
    webdataset = pytest.importorskip("webdataset")
    dataset = Dataset.open(datasets["webdataset"])
    seen = 0
    for split, count in dataset.info.samples.items():
        shards = sorted(str(path) for path in (dataset.root / split).glob("*.tar"))
        samples = list(webdataset.WebDataset(shards, shardshuffle=False))
        assert len(samples) == count
        for sample in samples:
            row = json.loads(sample["json"])
            assert row == json.loads(json.dumps(dataset.row(sample["__key__"])))
            composite = decode_rgb(sample["composite.png"], "composite")
            assert np.array_equal(composite, dataset.scene(row["id"]).composite())
            assert {"background.png", "instances.png", "parsing.png"} <= sample.keys()
            assert all(f"layer-{p['id']}.labels.png" in sample for p in row["persons"])
            seen += 1
    assert seen == 20


def test_anybody_can_check_the_files(built: Path) -> None:
    """`sha256sum -c` passes, and every file is listed but the description, which has the list's own hash."""
    subprocess.run(["sha256sum", "--quiet", "-c", "checksums.txt"], cwd=built, check=True)
    listed = {line[66:] for line in (built / "checksums.txt").read_text().splitlines()}
    assert tree(built).keys() - listed == {"checksums.txt", "dataset.json"}


def test_many_threads_read_at_once(built: Path) -> None:
    dataset = Dataset.open(built)
    ids = list(dataset.samples["id"]) * 4
    expected = {name: dataset.scene(name).composite() for name in set(ids)}
    dataset = Dataset.open(built)  # with empty caches
    with ThreadPoolExecutor(8) as pool:
        for name, triplet in zip(
            ids, pool.map(lambda name: dataset.triplet("erase-all", name), ids), strict=True
        ):
            assert np.array_equal(triplet.image, expected[name])


def test_a_row_is_found_in_any_row_group(
    datasets: dict[str, Path], copied: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mildbench.dataset.index.ROWS", 3)
    exporter("webdataset")(Dataset.open(datasets["folder"]), tmp_path / "groups", quiet)
    grouped, whole = Dataset.open(tmp_path / "groups"), Dataset.open(datasets["webdataset"])
    assert [grouped.row(name) for name in grouped.samples["id"]] == list(whole.rows())


def test_an_unknown_format_or_sample_is_named(datasets: dict[str, Path]) -> None:
    assert [check_format(name) for name in SCENES] == list(SCENES)
    with pytest.raises(UserError, match="did you mean 'webdataset'"):
        check_format("webdatset")
    with pytest.raises(UserError, match="has no sample 'x'"):
        Dataset.open(datasets["folder"]).scene("x")
