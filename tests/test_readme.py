"""README's promises: the Python it shows runs as shown, and the method is as short as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pages import ROOT, blocks

from mildbench.method import EraseBatch, EraseMethod

README = ROOT / "README.md"


def shown() -> list[str]:
    """The Python that README shows."""
    return [block.text for block in blocks("README.md", "python")]


def test_the_lines_in_readme_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, lines = shown()
    assert len(lines.splitlines()) == 10
    (tmp_path / "data").mkdir()
    (tmp_path / "data/demo").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, Any] = {}
    exec(lines, names)
    printed = capsys.readouterr().out
    assert re.search(r"^psnr +[0-9]", printed, re.MULTILINE)
    assert re.search(r"^ssim +[0-9]", printed, re.MULTILINE)
    assert set(names["found"].table.index) == {"telea", "lama:variant=tiny"}
    picture = cv2.imread("psnr.png")
    assert picture is not None
    assert picture.std() > 0


def test_the_method_in_readme_runs() -> None:
    code, _ = shown()
    assert len(code.splitlines()) < 25
    names: dict[str, type[EraseMethod]] = {}
    exec(code, names)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 21, 30, 3), dtype=np.uint8)
    masks = rng.random((2, 21, 30)) < 0.3
    outcomes = names["Smear"]().run(EraseBatch(("a", "b"), images, masks, (1, 2)))
    for outcome, image, mask in zip(outcomes, images, masks, strict=True):
        assert outcome.image is not None
        assert np.array_equal(outcome.image[~mask], image[~mask])


def test_readme_shows_pictures_that_are_there() -> None:
    for name in re.findall(r"\]\((docs/[^)]+)\)", README.read_text()):
        assert (README.parent / name).is_file(), name


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 180
