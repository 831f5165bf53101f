"""The weights that come with the project: small, whole, and better than nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines import shipped
from mildbench.dataset import Dataset
from mildbench.evaluation.data import as_batch
from mildbench.method import MethodSpec

METHODS = ("lama:variant=tiny", "sd-inpaint", "magiceraser", "deocclusion", "mild")


def test_all_of_them_are_small_and_have_a_card() -> None:
    files = [path for path in shipped.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 48e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md"}
    for folder in shipped.FOLDER.iterdir():
        if folder.is_dir():
            assert (folder / "README.md").is_file(), folder
            assert list(folder.rglob("*.safetensors")), folder


@pytest.mark.slow
@pytest.mark.parametrize("spec", METHODS)
def test_methods_run_on_them_and_erase(spec: str, data: Path) -> None:
    dataset = Dataset.open(data)
    method = MethodSpec.parse(spec).create()
    assert method.info.untrained is None
    assert method.files
    assert all(path.is_relative_to(shipped.FOLDER) and path.exists() for path in method.files.values())
    method.load()
    errors = []
    for sample_id in dataset.task_ids("erase-all", "test")[:8]:
        triplet = dataset.triplet("erase-all", sample_id)
        (outcome,) = method.run(as_batch(sample_id, triplet, 0, with_truth=False))
        assert outcome.error is None
        assert outcome.image is not None
        errors.append(
            [
                np.abs(picture[triplet.mask].astype(float) - triplet.truth[triplet.mask]).mean()
                for picture in (triplet.image, outcome.image)
            ]
        )
    before, after = np.mean(errors, axis=0)
    assert before > 1.5 * after
