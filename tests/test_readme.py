"""README's promises: the method it shows runs as shown, and is as short as it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mildbench.method import EraseBatch, EraseMethod

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_method_in_readme_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
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
