"""`mildbench train` as a user meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from command_line import invoke
from processes import PATIENCE, started, until
from small import small_dataset

ARGUMENTS = [
    "--validation-split",
    "test",
    "--size",
    "64",
    "--batch-size",
    "2",
    "--workers",
    "0",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("small"))


def train(*arguments: str, cwd: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    return started(
        [sys.executable, "-m", "mildbench", "train", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_ctrl_c_then_the_same_command(dataset: Path, tmp_path: Path) -> None:
    command = [
        "lama:adversarial=false",
        "--dataset",
        str(dataset),
        *ARGUMENTS,
        "--save-every",
        "3",
        "--out",
        "run",
    ]
    checkpoints = tmp_path / "run/checkpoints"
    with train(*command, "--steps", "100000", "--schedule", "constant", cwd=tmp_path) as process:
        until(lambda: list(checkpoints.glob("0*")), "a checkpoint", alive=process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "mildbench: interrupted: the same command resumes where it stopped"
    assert "Traceback" not in errors
    done = max(int(path.name) for path in checkpoints.iterdir())

    command[0] = "lama:variant=tiny,adversarial=no"  # the same, with a default written out
    with train(*command, "--steps", str(done + 2), "--schedule", "constant", cwd=tmp_path) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert f"run: {done + 2} of {done + 2} steps, done" in output
    assert "mildbench evaluate --method lama:variant=tiny,weights=run/weights/model.safetensors" in output
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert [session["first_step"] for session in record["sessions"]] == [0, done]
    assert str(dataset) not in (tmp_path / "run/run.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lamma"], "did you mean 'lama'"),
        (["lama:varaint=tiny"], "did you mean 'variant'"),
        (["lama", "--dataset", "nowhere"], "data set not found: nowhere"),
        (["lama", "--dataset", "DATA"], "no scenes with people in the split 'val'"),
        (["lama", "--dataset", "DATA", "--recipe", "train"], "--dataset goes without"),
        (["lama", "--dataset", "DATA", "--scene-seed", "3"], "--dataset goes without"),
        (["lama", "--dataset", "DATA", "--validation-split", "train"], "not trained on"),
        (["lama", "--recipe", "tran"], "did you mean 'train'"),
        (["lama", "--size", "100"], "--size 100: give a multiple of 32"),
        (["lama", "--precision", "fp8"], "--precision fp8: give auto, fp32 or bf16"),
        (["lama", "--steps", "0"], "--steps 0: give 1 or more"),
        (["lama", "--seed", "9" * 20], f"--seed {'9' * 20}: give a number of at most 64 bits"),
        (["lama", "--dataset", "DATA", *ARGUMENTS, "--accumulate", "3"], "--batch-size 2 cannot be divided"),
        (["backbone"], "mildbench train backbone-vae"),
    ],
)
def test_a_mistake_is_one_line(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("train", *(dataset if word == "DATA" else word for word in arguments)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "training").exists()


def test_help_and_listing_load_nothing_heavy() -> None:
    code = (
        "import sys, mildbench.cli\nsys.argv = ['mildbench', 'train', '--help']\n"
        "try:\n    mildbench.cli.main()\nexcept SystemExit:\n    pass\n"
        "import mildbench.training.trainer\n"
        "print([name for name in ('torch', 'accelerate', 'diffusers', 'matplotlib', 'synth') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("[]")
    assert "--save-every" in shown
