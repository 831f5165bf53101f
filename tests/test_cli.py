"""The command line as a user meets it: mistakes get one line and exit code 2; the main job runs end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from small import small_dataset

from mildbench.cli import main

Done = subprocess.CompletedProcess[str]
PYTHON = [sys.executable, "-m", "mildbench"]


def run(*arguments: str, cwd: Path) -> Done:
    return subprocess.run([*PYTHON, *arguments], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture
def mildbench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The command in a fresh folder and in this process, so that its libraries are loaded once for many."""

    def call(*arguments: str) -> Done:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mildbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        told = capfd.readouterr()
        return Done(arguments, stop.value.code, told.out, told.err)  # type: ignore[arg-type]

    return call


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("cli"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["evaluate", "--method", "telea"],
            "data set not found: data/demo: make it with: mildbench build-dataset",
        ),
        (["evaluate", "--method", "telea", "--dataset", "empty"], "is not a finished data set"),
        (["evaluate", "--method", "tela", "--dataset", "DATA"], "did you mean 'telea'"),
        (["evaluate", "--method", "telea:radios=3", "--dataset", "DATA"], "did you mean 'radius'"),
        (["evaluate", "--method", "telea", "--metric", "pnsr", "--dataset", "DATA"], "did you mean 'psnr'"),
        (
            ["evaluate", "--method", "telea", "--task", "erase-al", "--dataset", "DATA"],
            "did you mean 'erase-all'",
        ),
        (["evaluate", "--method", "telea", "--split", "tset", "--dataset", "DATA"], "it has"),
        (["evaluate", "--method", "telea", "--device", "cuda:99", "--dataset", "DATA"], "cuda"),
        (["evaluate", "--dataset", "DATA"], "nothing to evaluate"),
        (
            ["evaluate", "--method", "lama", "--dataset", "DATA"],
            "mildbench weights fetch lama-big, or take lama:variant=tiny",
        ),
        (["build-dataset", "--recipe", "multi-pi"], "did you mean 'multi-ip'"),
        (["build-dataset", "--recipe", "bad.yaml"], "did you mean 'crowd'"),
        (["build-dataset", "--people", "cocoo:/x"], "did you mean 'coco'"),
        (["build-dataset", "--people", "coco:/does/not/exist"], "does not exist"),
        (["build-dataset", "--people", "mannequin:?count=999999999999"], "give a number from 1 to 1000000"),
        (["build-dataset", "--people", "mannequin:?seed=-1"], "seed=-1 is negative"),
        (
            ["build-dataset", "--backgrounds", "mannequin:?side=1", "--people", "mannequin:"],
            "from 64 to 4096",
        ),
        (
            ["build-dataset", "--count", "1", "--out", "\udcff"],
            "is not text in the terminal's encoding: rename",
        ),
        (["build-dataset", "--executor", "proces"], "did you mean 'process'"),
        (["build-dataset", "--workers", "0"], "not positive"),
        (["build-dataset", "--count", "0"], "count"),
        (["validate", "nowhere"], "data set not found: nowhere"),
        (["erase", "nowhere.jpg", "--people", "litert:models=nowhere"], "photo not found: nowhere.jpg"),
        (["validate", "empty"], "is not a finished data set"),
        (
            ["segment", "nowhere", "--with", "transformers", "--out", "x"],
            "folder of photos not found: nowhere",
        ),
        (["ls", "metods"], "did you mean 'methods'"),
        (["weights", "fetch", "lama-bg"], "did you mean 'lama-big'"),
        (["weights", "fetch", "lama-big", "--offline"], "--offline forbids the network"),
        (["weights", "add", "lama-big", "nowhere"], "weights file not found: nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    built: Path, tmp_path: Path, mildbench: Callable[..., Done], arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.yaml").write_text("crowdd: {1: 1}\n")
    done = mildbench(*(str(built) if word == "DATA" else word for word in arguments))
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("runs/*/*/*/predictions/*"))


@pytest.mark.slow
def test_the_main_job_from_build_to_table(built: Path, tmp_path: Path) -> None:
    assert run("validate", str(built), cwd=tmp_path).returncode == 0
    command = ["evaluate", "--dataset", str(built), "--task", "erase-all", "--task", "erase-one"]
    done = run(*command, "--method", "telea", "--method", "copy", "--method", "oracle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("telea", "copy", "oracle", "PSNR", "weights missing: mildbench weights fetch lpips-alex"):
        assert name in done.stdout
    summaries = list(tmp_path.glob("runs/*/*/*/summary.json"))
    assert len(summaries) == 6


@pytest.mark.slow
def test_predictions_made_elsewhere(built: Path, tmp_path: Path) -> None:
    """A folder with some pictures missing, one of a wrong size and one that is no picture: scored, and said."""
    from mildbench.dataset import Dataset
    from mildbench.images import write_png

    dataset = Dataset.open(built)
    ids = dataset.task_ids("erase-all", "test")
    for sample in ids[:-1]:
        write_png(tmp_path / "mine" / f"{sample}.png", dataset.triplet("erase-all", sample).truth)
    cv2.imwrite(str(tmp_path / "mine" / f"{ids[0]}.png"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "mine" / f"{ids[1]}.png").write_text("<html>")
    done = run("evaluate", "--dataset", str(built), "--predictions", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (failures,) = tmp_path.glob("runs/*/*/*/failures.json")
    assert set(json.loads(failures.read_text())) == {ids[0], ids[1], ids[-1]}
    assert "mine" in done.stdout


def test_listings_and_doctor(mildbench: Callable[..., Done]) -> None:
    for what, expected in (
        ("methods", "telea"),
        ("metrics", "psnr"),
        ("sources", "mannequin:"),
        ("recipes", "multi-ip"),
        ("tasks", "erase-one"),
        ("executors", "process"),
    ):
        done = mildbench("ls", what)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    doctor = mildbench("doctor")
    assert doctor.returncode == 0, doctor.stderr
    assert "device: " in doctor.stdout
    working, missing = doctor.stdout.split("\nmissing")
    assert "method pipeline" in " ".join(missing.split()), "as named it does nothing"
    assert "telea" in working
    assert "weights lama-big" in missing
    assert "mildbench weights fetch lama-big" in missing
    assert all(len(line) <= 80 for line in doctor.stdout.splitlines()[2:])
