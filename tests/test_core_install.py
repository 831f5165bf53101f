"""`pip install .` without extras: every command does its work, or names in one line the extra that it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
import yaml
from core_install import VARIABLE, core, lost
from small import draw_sources, small_recipe

import mildbench as mb
from mildbench.cli import commands
from mildbench.extras import EXTRA_OF
from mildbench.public import PUBLIC

SCRIPT = Path(__file__).parent / "support" / "core_install.py"

WORKS: dict[str, list[str]] = {
    "build-dataset": [
        *("--recipe", "own.yaml", "--executor", "process", "--workers", "2", "--out", "built"),
    ],
    "doctor": [],
    "erase": ["photo.png", "--people", "mask.png", "--method", "telea", "--out", "erased"],
    "export": ["data", "--to", "webdataset", "--out", "exported"],
    "fingerprint": ["data"],
    "import pairs": ["--images", "in", "--masks", "masks", "--truth", "truth", "--out", "pairs"],
    "import static-camera": ["frames", "--out", "frames-set"],
    "ls": ["metrics"],
    "validate": ["data"],
    "weights list": [],
    "weights verify": [],
}
NEEDS: dict[str, tuple[str, list[str]]] = {
    "ablate": ("torch", ["mild", "--dataset", "data"]),
    "annotate": ("torch", ["data", "--pose", "torchvision"]),
    "browse": ("browse", ["RUN"]),
    "evaluate": ("torch", ["--dataset", "data", "--method", "telea"]),
    "evaluate-annotations": ("diffusion", ["data", "--parsing", "transformers"]),
    "figure": ("metrics", ["RUN"]),
    "leaderboard add": ("torch", ["RUN"]),
    "leaderboard build": ("torch", []),
    "leaderboard readme": ("torch", []),
    "leaderboard verify": ("torch", []),
    "report": ("metrics", ["RUN"]),
    "segment": ("diffusion", ["in", "--with", "transformers", "--out", "segmented"]),
    "study make": ("metrics", ["RUN"]),
    "train": ("torch", ["lama", "--dataset", "data"]),
}
REFUSES: dict[str, tuple[str, list[str]]] = {
    "study ask": ("the study's page nowhere/study.html is not there", ["nowhere", "--model", "some/model"]),
    "study score": ("study not found: nowhere", ["nowhere", "answers.json"]),
    "weights add": ("weights file not found: nowhere", ["lama-big", "nowhere"]),
    "weights fetch": ("--offline forbids the network", ["lama-big", "--offline"]),
    **{f"import {name}": ("nowhere", ["nowhere"]) for name in PUBLIC if name != "static-camera"},
    "import cocoa": ("nowhere", ["nowhere"]),
}
"""Whose work needs a network, or files that are not here: with a plain mistake they come to what they would do."""


@pytest.fixture(scope="module")
def place(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something of everything to work on."""
    folder = tmp_path_factory.mktemp("core")
    recipe = small_recipe(*draw_sources(folder), ("test",)).model_dump(mode="json") | {"count": 4}
    (folder / "own.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "data").symlink_to(data)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:50, 20:40] = 255
    image = np.where(mask[..., None] > 0, np.uint8(90), truth)
    for name, pixels in (("in", image), ("masks", mask), ("truth", truth)):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "one.png"), pixels)
    cv2.imwrite(str(folder / "photo.png"), image)
    cv2.imwrite(str(folder / "mask.png"), mask)
    (folder / "frames").mkdir()
    for number in range(9):
        frame = cv2.GaussianBlur(truth, (0, 0), 3)
        frame[20:50, 5 * number : 5 * number + 12] = 255
        cv2.imwrite(str(folder / "frames" / f"{number}.png"), frame)
    return folder


@pytest.fixture(scope="module")
def run_folder(data: Path, place: Path) -> Path:
    made = mb.evaluate(data, "telea", metrics="psnr", limit=2, device="cpu", out=place / "runs")
    return made.runs[0].folder.path


def core_mildbench(
    folder: Path, *arguments: str, without: Collection[str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`mildbench` there, without the modules that extras bring, or without these."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env={**os.environ, VARIABLE: ",".join(sorted(lost() if without is None else without))},
        capture_output=True,
        text=True,
        check=False,
    )


def names(command: Any, before: tuple[str, ...] = ()) -> list[str]:
    if not hasattr(command, "commands"):
        return [" ".join(before)]
    return [name for key, one in command.commands.items() for name in names(one, (*before, key))]


def test_every_command_is_tried() -> None:
    tried = [*WORKS, *NEEDS, *REFUSES]
    assert sorted(tried) == sorted(names(typer.main.get_command(commands())))


def test_what_is_lost_is_all_that_extras_bring() -> None:
    assert {"numpy", "typer", "pydantic", "mildbench"} <= core()
    assert not {"torch", "jinja2", "matplotlib"} & core()
    installed = {name for name in EXTRA_OF if name in sys.modules or _is_here(name)}
    assert installed <= lost()


def _is_here(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.mark.parametrize("command", WORKS)
def test_it_works(command: str, place: Path) -> None:
    done = core_mildbench(place, *command.split(), *WORKS[command])
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_was_built_there_is_the_same_data_set(place: Path) -> None:
    assert core_mildbench(place, "build-dataset", *WORKS["build-dataset"]).returncode == 0
    told = core_mildbench(place, "fingerprint", "built").stdout
    here = subprocess.run(
        [sys.executable, "-m", "mildbench", "fingerprint", "built"],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"[0-9a-f]{64}", told.strip())
    assert told == here.stdout


@pytest.mark.parametrize("what", ["methods", "trainers", "annotators", "ablations", "sources", "executors"])
def test_what_is_lost_hides_nothing_from_listings(what: str, place: Path) -> None:
    done = core_mildbench(place, "ls", what)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.slow
def test_it_names_a_package_that_methods_import_when_they_are_loaded(place: Path) -> None:
    """With torch, but without a package of the extra `diffusion`: a method is refused before any work."""
    told = "the package 'diffusers', which is not installed: pip install \"mildbench[diffusion]\""
    listed = core_mildbench(place, "ls", "methods", "--wide", without=["diffusers"])
    assert listed.returncode == 0, listed.stderr
    rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
    for name in ("mild", "pipeline", "smarteraser"):
        assert f"method {name!r} needs {told}" in rows[name]
    assert "OpenCV" in rows["telea"]
    asked = ("--dataset", "data", "--method", "mild", "--metric", "psnr")
    done = core_mildbench(place, "evaluate", *asked, without=["diffusers"])
    assert done.returncode == 2
    assert done.stderr == f"mildbench: method 'mild' needs {told}\n"


@pytest.mark.parametrize("command", NEEDS)
def test_it_names_the_extra_in_one_line(command: str, place: Path, run_folder: Path) -> None:
    extra, words = NEEDS[command]
    before = sorted(place.rglob("*"))
    given = [str(run_folder) if word == "RUN" else word for word in words]
    done = core_mildbench(place, *command.split(), *given)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip().endswith(f'pip install "mildbench[{extra}]"')
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("command", REFUSES)
def test_it_comes_as_far_as_it_would(command: str, place: Path) -> None:
    message, words = REFUSES[command]
    done = core_mildbench(place, *command.split(), *words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
