"""Terminals of all kinds: poor in characters, closed early, interrupted; and a machine without memory."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest
from command_line import invoke
from processes import PATIENCE, started
from rich.console import Console
from rich.table import Table

from mildbench.cli.ls import WIDE
from mildbench.cli.terminal import spell_what_cannot_be_shown

LISTINGS = (
    "methods",
    "metrics",
    "sources",
    "recipes",
    "families",
    "tasks",
    "annotators",
    "trainers",
    "blends",
    "executors",
)


@contextmanager
def ascii_terminal() -> Iterator[io.BytesIO]:
    """What arrives at a terminal that knows ASCII alone."""
    raw = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(raw, encoding="ascii", write_through=True)) as terminal:
        yield raw
        terminal.flush()


def test_a_table_stays_in_line_where_its_characters_cannot_be_shown() -> None:
    table = Table("PSNR \N{UPWARDS ARROW}", "s/image \N{DOWNWARDS ARROW}", box=None)
    table.add_row("19.17 \N{PLUS-MINUS SIGN}0.47", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    with ascii_terminal() as shown:
        spell_what_cannot_be_shown()
        Console(width=60).print(table)
        head, row = shown.getvalue().decode("ascii").splitlines()
    assert (head.split(), row.split()) == (["PSNR", "^", "s/image", "v"], ["19.17", "~0.47", "Zo?"])
    assert head.index("s/image") == row.index("Zo?")


@pytest.mark.parametrize("what", LISTINGS)
def test_listings_are_shown_by_an_ascii_terminal(what: str) -> None:
    with ascii_terminal() as shown:
        assert invoke("ls", what) == 0
        assert shown.getvalue().count(b"\n") > 3


@pytest.mark.parametrize("what", LISTINGS)
def test_a_listing_fits_80_characters_and_has_all_columns_when_asked(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert invoke("ls", what) == 0
    few = capsys.readouterr().out
    assert max(map(len, few.splitlines())) <= 80
    assert "…" not in few
    assert invoke("ls", what, "--wide") == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert all(title in heading for title in (*few.splitlines()[0].split(), *WIDE.get(what, ())))


def test_the_command_itself_under_lang_c(tmp_path: Path) -> None:
    plain = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "mildbench", "ls", "\N{LATIN SMALL LETTER E WITH ACUTE}"]
    done = subprocess.run(command, capture_output=True, env=plain, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"mildbench: the name '")
    assert b"LC_ALL=C.UTF-8" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["ls", "methods"], ["weights", "list"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mildbench", *arguments]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    finally:
        os.close(write)
    assert done.stderr == b""


def test_without_a_home(tmp_path: Path) -> None:
    homeless = {name: value for name, value in os.environ.items() if name not in ("HOME", "MILDBENCH_CACHE")}
    command = [sys.executable, "-m", "mildbench", "weights", "list"]
    done = subprocess.run(command, capture_output=True, env=homeless, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("mildbench.cli.ls._tasks", full)
    assert invoke("ls", "tasks") == 2
    assert capsys.readouterr().err.startswith("mildbench: out of memory (Unable to allocate 9 TiB): ")


def test_a_broken_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is imported where it is used, so that no plug-in's loading can tell."""

    def broken(*_: object) -> None:
        from json import no_such_name  # type: ignore[attr-defined]  # noqa: F401

    monkeypatch.setattr("mildbench.cli.ls._tasks", broken)
    assert invoke("ls", "tasks") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "mildbench: an installed package cannot be imported (cannot import name 'no_such_name'"
    )


LOADING = (
    "import sys, time, mildbench.registry as registry\n"
    "def slowly(self, name):\n    print('loading', flush=True)\n    while True: time.sleep(0.01)\n"
    "registry.Registry.load = slowly\n"
    "from mildbench.cli import main; main()"
)


@pytest.mark.parametrize(
    "arguments",
    [["ls", "methods"], ["build-dataset", "--dry-run"], ["train", "lama"]],
)
def test_ctrl_c_at_any_time_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with started([sys.executable, "-c", LOADING, *arguments], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert told.strip() == "mildbench: interrupted: the same command resumes where it stopped"
