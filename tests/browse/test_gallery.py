"""What can be looked at, and what is said about what cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from browse_fakes import make_runs

from mildbench.browse.gallery import Gallery
from mildbench.errors import UserError


def test_a_folder_of_runs_stands_for_its_runs(runs: list[Path]) -> None:
    together = Gallery.open([runs[0].parent])
    assert {run.folder.path for run in together.runs} == set(runs)
    assert together.name == Gallery.open(runs).name == Gallery.open(runs[:1]).name


def test_runs_with_one_label_have_names_of_their_own(runs: list[Path], tmp_path: Path) -> None:
    twin = Path(shutil.copytree(runs[0], tmp_path / "twin"))
    record = json.loads((twin / "run.json").read_text())
    (twin / "run.json").write_text(json.dumps(record | {"config_hash": "f" * 64}))
    names = [run.name for run in Gallery.open([runs[0], twin]).runs]
    assert names == [f"noise_{runs[0].name.rpartition('@')[2]}", "noise_ffffffff"]


def test_mistakes_are_explained(runs: list[Path], data: Path, tmp_path: Path) -> None:
    def refused(*paths: Path, dataset: Path | None = None) -> str:
        with pytest.raises(UserError) as error:
            Gallery.open(paths, dataset)
        return str(error.value)

    assert "run not found" in refused(tmp_path / "nowhere")
    assert "holds no run" in refused(tmp_path)
    assert "one data set alone" in refused(runs[0], data)
    assert "one data set alone" in refused(data, dataset=data)
    other = make_runs(data, tmp_path / "other", "erase-all", "oracle")
    assert "one task on one data set at a time" in refused(runs[0], other[0])
    broken = Path(shutil.copytree(runs[0], tmp_path / "broken"))
    (broken / "scores.parquet").write_bytes(b"PAR1")
    assert "are broken" in refused(broken)
    (broken / "scores.parquet").unlink()
    assert "has no scores.parquet" in refused(broken)
    moved = Path(shutil.copytree(runs[0], tmp_path / "moved"))
    record = json.loads((moved / "run.json").read_text())
    record["dataset"]["path"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(record))
    assert "say where with --dataset" in refused(moved)
    assert Gallery.open([moved], data).dataset.root == data
    changed = Path(shutil.copytree(data, tmp_path / "changed"))
    info = json.loads((changed / "dataset.json").read_text())
    (changed / "dataset.json").write_text(json.dumps(info | {"fingerprint": "0" * 64}))
    assert "these runs are of" in refused(moved, dataset=changed)
