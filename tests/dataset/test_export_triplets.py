"""A method that knows nothing of mildbench takes part in every task, and scores as if it had run here."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from PIL import Image

from mildbench.dataset import Dataset
from mildbench.dataset.export.triplets import export_triplets
from mildbench.errors import UserError
from mildbench.evaluation.runner import evaluate
from mildbench.marking import MARKINGS
from mildbench.method import MethodSpec

OUTSIDER = """
import csv, sys
from pathlib import Path
import numpy as np
from PIL import Image

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir(parents=True)
for row in csv.DictReader((folder / "samples.csv").open()):
    picture = np.array(Image.open(folder / "input" / (row["id"] + ".png")))
    hole = np.array(Image.open(folder / "mask" / (row["id"] + ".png"))) > 127
    picture[hole] = np.rint(picture[~hole].mean(axis=0))
    Image.fromarray(picture).save(out / (row["id"] + ".png"))
"""


def quiet(count: int) -> None:
    pass


@pytest.mark.parametrize(
    ("task", "mask"), [("erase-all", "footprint"), ("erase-one", "person"), ("deocclude", "box")]
)
def test_an_outsider_scores_as_the_same_method_does_here(
    data: Path, tmp_path: Path, task: str, mask: str
) -> None:
    dataset = Dataset.open(data)
    export_triplets(dataset, tmp_path / "given", quiet, tasks=[task], split="test", mask=mask)
    script = tmp_path / "outsider.py"
    script.write_text(OUTSIDER)
    made = tmp_path / "made"
    subprocess.run([sys.executable, script, tmp_path / "given" / task, made], check=True)
    specs = [MethodSpec("precomputed", {"directory": str(made)}), MethodSpec("mean")]
    made = evaluate(dataset, task, "test", specs, metrics=["psnr", "ssim"], out=tmp_path / "runs", mask=mask)
    outside, here = made.summaries
    assert outside.scored == here.scored > 0
    assert outside.estimates == here.estimates


@pytest.mark.parametrize("mask", MARKINGS)
def test_what_is_given_is_what_a_hosted_method_sees(data: Path, tmp_path: Path, mask: str) -> None:
    dataset = Dataset.open(data)
    tasks = dataset.tasks("test")
    counts = export_triplets(dataset, tmp_path / "given", quiet, tasks=tasks, split="test", mask=mask)
    for task in tasks:
        folder = tmp_path / "given" / task
        rows = list(csv.DictReader((folder / "samples.csv").open()))
        assert [row["id"] for row in rows] == dataset.task_ids(task, "test")
        assert len(rows) == counts[task] > 0
        for row in rows:
            triplet = dataset.triplet(task, row["id"], mask=mask)
            read = {
                part: np.array(Image.open(folder / part / f"{row['id']}.png"))
                for part in ("input", "mask", "truth", "instances")
            }
            assert np.array_equal(read["input"], triplet.image)
            assert np.array_equal(read["mask"] > 0, triplet.mask_shown)
            assert np.array_equal(read["truth"], triplet.truth)
            assert triplet.people is not None
            for number, visible in enumerate(triplet.people.visible, start=1):
                assert np.array_equal(read["instances"] == number, visible)
            assert row["erase"] == " ".join(str(target + 1) for target in triplet.targets)
            assert (int(row["height"]), int(row["width"])) == triplet.mask.shape


def test_the_command_writes_all_tasks_and_its_readme_names_the_way_back(data: Path, tmp_path: Path) -> None:
    assert invoke("export", data, "--to", "triplets", "--out", tmp_path / "given") == 0
    text = (tmp_path / "given" / "README.md").read_text()
    assert "--predictions" in text
    for task in Dataset.open(data).tasks("test"):
        assert task in text
        assert (tmp_path / "given" / task / "samples.csv").is_file()


def test_the_mask_is_in_the_readme_and_in_the_way_back(data: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    options = ("--to", "triplets", "--task", "erase-all", "--out", given, "--mask", "person")
    assert invoke("export", data, *options) == 0
    text = (given / "README.md").read_text()
    assert MARKINGS["person"] in text
    assert "--task erase-all --mask person --split test --predictions" in text


def test_a_mask_is_of_triplets_alone(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("export", data, "--to", "coco", "--out", tmp_path / "given", "--mask", "box") == 2
    assert "--mask is of --to triplets" in capsys.readouterr().err


def test_an_unknown_task_writes_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="erase-one"):
        export_triplets(Dataset.open(data), tmp_path / "given", quiet, tasks=["erase-on"], split="test")
    assert not list(tmp_path.iterdir())
