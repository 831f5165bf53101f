"""The page of methods that run elsewhere: pictures go to a program of other conventions and come back as they were."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke
from pages import ROOT, blocks, words
from PIL import Image
from small import small_dataset

import mildbench as mb

PAGE = "docs/elsewhere.md"
ROWS = re.findall(
    r"^\| \[([\w-]+)\].*?\| `(prepare\(.+?\))` \| (.+?) \| `(collect\(.+?\))` \|$",
    (ROOT / PAGE).read_text(),
    re.M,
)
"""What is said of each method: its name, what comes before, its program, what comes after."""
FILL = (200, 30, 60)
NAMES = {"CLIPAway": "{}.jpg", "OmniPaint": "{}_removed.png"}
"""What the programs call their outputs, where it is not as their inputs."""
SIDE = {"ObjectClear": 96, "CLIPAway": 128, "OmniPaint": 160}
"""Side to which the stand-in scales, as those programs do."""


def stand_in(name: str, given: Path, out: Path) -> None:
    """Keeps to a program's conventions, as its code has them; paints the hole in one colour."""
    out.mkdir()
    masked = 0 if name in ("MAT", "Co-Mod") else 255
    ending = ".jpg" if name == "CLIPAway" else ".png"
    for path in sorted((given / "images").iterdir()):
        assert path.suffix == ending
        image = Image.open(path)
        mask = Image.open(given / "masks" / f"{path.stem}.png")
        assert image.mode == "RGB"
        assert mask.mode == "L"
        assert mask.size == image.size
        if name in SIDE:
            size = (SIDE[name], SIDE[name] * image.height // image.width)
            image, mask = image.resize(size), mask.resize(size, Image.Resampling.NEAREST)
        else:
            assert image.width % 512 == image.height % 512 == 0
        hole = mask.point(lambda value: 255 if value == masked else 0)
        made = Image.composite(Image.new("RGB", image.size, FILL), image, hole)
        made.save(out / NAMES.get(name, "{}.png").format(path.stem), quality=100, subsampling=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("elsewhere") / "drawn", ("test",))


def test_all_five_are_on_the_page() -> None:
    assert [name for name, *_ in ROWS] == ["ObjectClear", "CLIPAway", "OmniPaint", "MAT", "Co-Mod"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "before", "program", "after"), ROWS)
def test_what_a_program_makes_is_scored(
    name: str,
    before: str,
    program: str,
    after: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/demo").symlink_to(data)
    export, evaluate = (command for block in blocks(PAGE, "sh") for command in block.commands)
    (code,) = (block.text for block in blocks(PAGE, "python"))
    assert invoke(*words(export)[1:]) == 0
    page: dict[str, Any] = {}
    exec(code, page)
    exec(before, page)
    assert "in" in program
    stand_in(name, Path("in"), Path("out"))
    exec(after, page)

    triplets = list(mb.open("data/demo").triplets("erase-all", "test"))
    assert {path.stem for path in Path("my-outputs").iterdir()} == {triplet.id for triplet in triplets}
    for triplet in triplets:
        found = np.asarray(Image.open(f"my-outputs/{triplet.id}.png"))
        wanted = np.where(triplet.mask[..., None], np.uint8(FILL), triplet.image)
        if name in ("MAT", "Co-Mod"):
            assert np.array_equal(found, wanted)
        else:  # scaled, or JPEG: the same picture, and the hole where it was
            assert np.abs(found.astype(int) - wanted).mean() < 12
            core = np.abs(found.astype(int) - FILL).max(axis=2) < 20
            assert (core & triplet.mask).sum() > 0.7 * triplet.mask.sum()
    assert invoke(*words(evaluate)[1:]) == 0
    (summary,) = Path("runs").rglob("summary.json")
    assert json.loads(summary.read_text())["failures"] == []
