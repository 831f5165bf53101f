"""The page on the files on disk: a reader who has nothing else gets the scenes back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mildbench.dataset import Dataset
from mildbench.dataset.schema import SAMPLE_SCHEMA

PAGE = Path(__file__).parents[2] / "docs" / "files.md"


def test_the_pages_script_recomposes_every_scene_and_finds_the_footprints(data: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert "mildbench" not in program
    script = tmp_path / "recompose.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, script, data], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    dataset = Dataset.open(data)
    expected = []
    for row in dataset.rows(["id", "people"]):
        scene = dataset.scene(row["id"])
        mask = scene.footprint([layer.person.id for layer in scene.layers])
        expected.append(f"{row['id']} {row['people']} people, {mask.sum()} pixels to erase")
    assert len(expected) > 1
    assert done.stdout.splitlines() == expected


def test_every_column_of_the_table_is_on_the_page() -> None:
    written = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    persons = SAMPLE_SCHEMA.field("persons").type.value_type
    explained = {
        "plan",
        "background_provenance",
        "asked_visible_ratio",
    }  # where a scene came from, not what it is
    assert {*SAMPLE_SCHEMA.names, *(field.name for field in persons)} - explained <= written
