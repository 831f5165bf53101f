"""The page on adding something: its package, installed as shown, does what its commands say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from small import draw_sources

from baselines import shipped
from mildbench.dataset import Dataset

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extend.md"


def blocks(language: str) -> list[str]:
    """The page's blocks of code of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read; the package lies under `site` as pip leaves it there."""
    folder = tmp_path_factory.mktemp("extending")
    info = folder / "site" / "my_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    (points,) = blocks("toml")
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in found.items())
            for group, found in tomllib.loads(points)["project"]["entry-points"].items()
        )
    )
    (info.parent / "my_package").mkdir()
    for code in blocks("python"):
        name = re.match(r"# (my_package/\w+\.py)\n", code)
        assert name, code
        (info.parent / name[1]).write_text(code)
    (recipe,) = blocks("yaml")
    (folder / "queue.yaml").write_text(recipe)
    _, backgrounds = draw_sources(folder / "drawn")
    (folder / "places").symlink_to(backgrounds)
    (folder / "data").mkdir()
    (folder / "data/demo").symlink_to(data)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/mine").symlink_to(shipped.folder("backbone"))
    return folder


ONE_BY_ONE = """
import shlex, sys
from mildbench.cli import main
for command in sys.argv[1:]:
    sys.argv = shlex.split(command)
    assert sys.argv[0] == "mildbench", command
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""
"""In one process, where the package is installed: each of its own would load torch anew."""


@pytest.fixture(scope="module")
def ran(place: Path) -> Path:
    """The folder, after all commands of the page in their order."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, *COMMANDS],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


def scores(folder: Path, task: str, method: str) -> pd.DataFrame:
    """Of all runs of a method, a row a sample."""
    found = [pd.read_parquet(path) for path in folder.glob(f"runs/*/{task}/{method}*/scores.parquet")]
    assert found, method
    return pd.concat(found)


def test_the_method_is_scored_by_the_metric(ran: Path) -> None:
    filled, untouched = (scores(ran, "erase-all", name) for name in ("surround", "copy"))
    assert filled["tint.mask.raw"].notna().all()
    assert filled["tint.mask.raw"].mean() < untouched["tint.mask.raw"].mean()
    assert (filled["tint.outside.pasted"].dropna() == 0).all()


def test_people_of_the_source_are_in_the_scenes(ran: Path) -> None:
    people = [p for row in Dataset.open(ran / "data/paper").rows() for p in row["persons"]]
    assert {person["provenance"]["source"] for person in people} == {"paper?count=60"}


def test_the_task_asks_for_whoever_is_behind_and_knows_the_answer(ran: Path) -> None:
    told, untouched = (scores(ran, "erase-rear", name) for name in ("oracle", "copy"))
    assert (told["psnr.mask.raw"] == float("inf")).all()
    assert (untouched["psnr.mask.raw"] < float("inf")).all()


def test_the_familys_scenes_are_called_after_it(ran: Path) -> None:
    samples = Dataset.open(ran / "data/queue").samples
    assert set(samples["family"]) == {"queue"}


def test_the_backbone_in_a_folder_erases(ran: Path) -> None:
    assert len(scores(ran, "erase-all", "sd-inpaint")) == 1
