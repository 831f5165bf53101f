"""`mildbench evaluate`: what a user sees, and the exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_fakes import Calls, FakeDataset, Watcher

from mildbench.images import write_png

Command = Callable[..., int]


def test_prints_tables_and_folders_and_ends_well_without_weights(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = ("--task", "erase-all", "--task", "erase-one")
    assert command("--method", "copy", "--method", "oracle", *tasks) == 0
    told = capsys.readouterr().out
    assert "erase-all on fake (test, 6 samples of 6 scenes)" in told
    assert "erase-one on fake (test, 12 samples of 6 scenes)" in told
    assert "lacking: n/a (weights missing: mildbench weights fetch lpips-alex)" in told
    folders = [line for line in told.splitlines() if line.startswith("runs/")]
    assert len(folders) == 4
    assert all(Path(folder, "summary.json").is_file() for folder in folders)


def test_scores_a_folder_of_predictions(
    command: Command, dataset: FakeDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("s000", "s001"):
        write_png(Path("mine") / f"{name}.png", dataset.triplet("erase-all", name).truth)
    assert command("--predictions", "mine", "--metric", "psnr") == 0
    told = capsys.readouterr().out
    assert "incomplete: 4 failed" in told
    assert "no prediction for s002" in told


def test_interrupted_says_how_to_go_on(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    Calls.interrupt_at = "s003"
    assert command("--method", "noise", "--batch-size", "1") == 130
    assert "resumes" in capsys.readouterr().err
    Calls.clear()
    assert command("--method", "noise") == 0
    assert Calls.erased == ["s003", "s004", "s005"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to evaluate"),
        (("--method", "nois"), "did you mean 'noise'"),
        (("--method", "copy", "--metric", "psnrr"), "did you mean 'psnr'"),
        (("--method", "copy", "--split", "nope"), "no split 'nope'"),
        (("--predictions", "nowhere"), "predictions folder not found: nowhere"),
        (("--method", "copy", "--dataset", "nowhere"), "mildbench build-dataset --out nowhere"),
        (("--method", "copy", "--corrupt", "pose=x"), "'x' is not a number"),
        (("--method", "copy", "--method", "telea", "--backbone", "tiny"), "(copy, telea)"),
        (("--predictions", ".", "--backbone", "tiny"), "leave it out"),
        (("--method", "nois", "--backbone", "tiny"), "did you mean 'noise'"),
    ],
)
def test_mistakes_are_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert command(*arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not Path("runs").exists()


def test_corrupt_on_the_command_line(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    corrupt = ("--corrupt", "pose=0.3", "--corrupt", "mask=hull")
    assert command("--method", "watcher", "--metric", "psnr", *corrupt) == 0
    assert "watcher (corrupt pose=0.3 mask=hull)" in capsys.readouterr().out


def test_backbone_goes_to_the_methods_that_have_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    monkeypatch.setattr(Watcher, "load", lambda self: loaded.append(self.backbone))
    methods = ("--method", "watcher", "--method", "watcher:backbone=own", "--method", "telea")
    assert command(*methods, "--metric", "psnr", "--backbone", "sd/other") == 0
    assert sorted(loaded) == ["own", "sd/other"]
    assert len(list(Path("runs").glob("*/*/telea@*"))) == 1


def test_importing_the_command_is_cheap() -> None:
    heavy = "{'torch', 'pandas', 'pyarrow', 'cv2', 'pydantic'}"
    check = f"import sys, mildbench.cli.evaluate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
