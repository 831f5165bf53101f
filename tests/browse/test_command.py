"""`mildbench browse`: what a user sees, and the exit codes."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke

Command = Callable[..., int]


@pytest.fixture
def command(empty: Any) -> Command:
    """`command(run, "--no-launch")` returns the exit code."""
    return partial(invoke, "browse")


def test_exports_the_worst_and_keeps_what_is_tagged(
    command: Command, empty: Any, runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--no-launch", "--worst", 2, "--random", 1)
    assert command(runs[0], *few) == 0
    assert ": 3 of 35 samples, " in capsys.readouterr().out
    (name,) = empty.list_datasets("mildbench-*")
    made = empty.load_dataset(name)
    last = made.last()
    last.tags.append("look")
    last.save()
    assert command(runs[0], "--no-launch", "--worst", 0, "--random", 0) == 0
    assert ": 1 of 35 samples, " in capsys.readouterr().out
    assert command(runs[0], "--export-tags", tmp_path / "tags.json") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'tags.json'}: 1 pictures with tags or notes\n"
    (row,) = json.loads((tmp_path / "tags.json").read_text())
    assert (row["sample_id"], row["tags"]) == (last["sample_id"], ["look"])


def test_a_mistake_is_one_line_and_exit_code_2(
    command: Command, runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, message in (
            ([tmp_path / "nowhere"], "run not found"),
            ([runs[0], "--sort", "pnsr"], "did you mean 'psnr'"),
            ([runs[0], "--random", -1], "--random is -1"),
            ([runs[0], "--port", 0], "--port is 0: give 1 to 65535"),
            ([runs[0], "--port", port], "give another --port"),
            ([runs[0], "--export-tags", tmp_path / "tags.txt"], "ends in .csv or .json"),
        ):
            assert command(*arguments) == 2
            told = capsys.readouterr()
            assert message in told.err
            assert (told.out, told.err.count("\n")) == ("", 1)
