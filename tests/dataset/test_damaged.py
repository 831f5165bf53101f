"""Data sets that are not what they say: one clear line, nothing hangs, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import PATIENCE, until

from mildbench.dataset import Dataset
from mildbench.dataset.jsonstream import items
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.schema import INFO, SAMPLE_SCHEMA, SAMPLES, annotation_file
from mildbench.dataset.validate import validate
from mildbench.errors import UserError
from mildbench.files import read_json
from synth.recipe_files import load

SUPPORT = str(Path(__file__).parents[1] / "support")
"""Where this file's helpers lie, for a process that imports it."""

Copy = Callable[[Path], Path]
Rows = list[dict[str, Any]]


def read_all(root: Path) -> None:
    """What evaluation and validation do."""
    dataset = Dataset.open(root)
    for split in dataset.info.samples:
        for task in ("erase-all", "erase-one", "deocclude"):
            for triplet in dataset.task_ids(task, split)[:3]:
                dataset.triplet(task, triplet)
    list(validate(dataset))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda rows: rows[3].update(id=None), "row 3, None: id is null"),
        (lambda rows: rows[3].update(id="a\0b"), "id holds a NUL character"),
        (lambda rows: rows[3].update(id="../a"), "id that is no part of a file name"),
        (lambda rows: rows[3].update(id=rows[4]["id"]), "two samples are called '00000004'"),
        (lambda rows: rows[3].update(split=None), "split is null"),
        (
            lambda rows: rows[3].update(split="other"),
            "row 3, '00000003': split that dataset.json does not have",
        ),
        (lambda rows: rows[3].update(persons=None), "persons is null"),
        (lambda rows: rows[3].update(persons=[None]), "persons is null"),
        (lambda rows: rows[3].update(composite=None), "composite is null"),
        (lambda rows: rows[3].update(composite="a\0"), "composite holds a NUL character"),
        (lambda rows: rows[3].update(difficulty=float("nan")), "difficulty is no number"),
        (lambda rows: rows[3].update(background_provenance=None), "background_provenance is null"),
        (lambda rows: rows[3]["persons"][0].update(id=-1), "person id outside 1..255"),
        (lambda rows: rows[3]["persons"][0].update(id=256), "person id outside 1..255"),
        (lambda rows: rows[3]["persons"].append(rows[3]["persons"][0]), "person id that another person"),
        (lambda rows: rows[3]["persons"][0].update(keypoints=None), "persons.keypoints is null"),
        (lambda rows: rows[3]["persons"][0]["keypoints"].__setitem__(4, None), "persons.keypoints is null"),
        (lambda rows: rows[3]["persons"][0].update(origin=None), "persons.origin is null"),
        (lambda rows: rows[3]["persons"][0].update(visible_ratio=float("inf")), "visible_ratio is no number"),
        (lambda rows: rows[3]["persons"][0].update(provenance=None), "persons.provenance is null"),
        (lambda rows: rows[3]["persons"][0]["provenance"].update(licence=None), "provenance.licence is null"),
    ],
)
def test_unsound_rows_are_named(
    datasets: dict[str, Path], copied: Copy, harm: Callable[[Rows], object], message: str
) -> None:
    root = copied(datasets["folder"])
    rows = list(Dataset.open(root).rows())
    harm(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA), root / SAMPLES)
    with pytest.raises(UserError, match=message) as caught:
        read_all(root)
    assert "\n" not in str(caught.value)


def test_broken_pages_are_named(datasets: dict[str, Path], copied: Copy) -> None:
    path = copied(datasets["folder"]) / SAMPLES
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for end in (len(data) - footer, len(data) - 8):  # the pages alone, then what describes them too
        for place in range(8, end, 97):
            data[place] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(UserError, match="restore or rebuild it"):
            read_all(path.parent)


@pytest.mark.parametrize(
    "name", [INFO, SAMPLES, "checksums.txt", annotation_file("test"), "composite", "rgba"]
)
def test_a_pipe_in_a_data_set_is_not_waited_for(datasets: dict[str, Path], copied: Copy, name: str) -> None:
    root = copied(datasets["folder"])
    row = Dataset.open(root).row("00000001")
    path = root / {"composite": row["composite"], "rgba": row["persons"][0]["rgba"]}.get(name, name)
    path.unlink()
    os.mkfifo(path)
    code = "import sys; from test_damaged import read_all; read_all(__import__('pathlib').Path(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), SUPPORT])}
    run = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        timeout=PATIENCE,
        env=environment,
        capture_output=True,
        text=True,
    )
    # What a task needs is refused in one line; what only `validate` reads is among the problems that it lists.
    assert run.returncode == 0 or "UserError" in run.stderr.splitlines()[-1]


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    deep = "[" * 200_000
    (tmp_path / "a.json").write_text(deep)
    (tmp_path / "b.json").write_text('{"images": [' + deep)
    (tmp_path / "c.yaml").write_text("a: " + deep)
    with pytest.raises(UserError, match="is not valid JSON"):
        read_json(tmp_path / "a.json", "file")
    with pytest.raises(UserError, match="cannot be read"):
        list(items(tmp_path / "b.json", "images", "file"))
    with pytest.raises(UserError, match="is not valid YAML"):
        load(str(tmp_path / "c.yaml"))


def test_of_two_that_make_one_folder_the_second_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    slower = new_folder(out)
    (slower.__enter__() / "slow").touch()
    with new_folder(out) as other:
        (other / "fast").touch()
    with pytest.raises(UserError, match="exists already"):
        slower.__exit__(None, None, None)
    assert [path.name for path in out.iterdir()] == ["fast"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mildbench.dataset.newfolder import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as folder: (folder / 'half').touch(); print(flush=True); time.sleep(99)"
    )
    out = tmp_path / "out"
    running = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    (left,) = tmp_path.iterdir()
    with new_folder(out) as folder:
        (folder / "whole").touch()
        assert (left / "half").exists()
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    (out / "whole").unlink()

    def made_anew_is_tidied() -> bool:
        with new_folder(out) as folder:
            (folder / "whole").touch()
        (out / "whole").unlink()
        return not left.exists()

    until(made_anew_is_tidied, "what a killed process left is removed")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
