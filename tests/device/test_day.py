"""The day on a GPU, with small commands in place of its own: what is done stays done, what fails stops nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from day import Day, Piece, carry_out, main
from typer.main import get_command

from mildbench.cli import commands


@pytest.mark.parametrize("rehearse", [False, True])
def test_every_piece_is_a_command_of_today_after_what_it_needs(rehearse: bool, tmp_path: Path) -> None:
    before: set[str] = set()
    for piece in Day(tmp_path, ["ccp:somewhere"], ["folder:somewhere"], rehearse=rehearse).pieces():
        assert set(piece.needs) <= before, piece.name
        before.add(piece.name)
        first, *others = piece.command
        if others and others[0] == "mildbench":
            command = get_command(commands())
            with command.make_context("mildbench", others[1:]) as context:
                name, found, options = command.resolve_command(context, others[1:])
                found.make_context(name, options, parent=context)  # raises for an option that is not there
        else:
            assert first == "-m" or Path(first).is_file()


@dataclass(frozen=True)
class Small(Day):
    """Three pieces that count how often they run, and two of which one fails."""

    def pieces(self) -> Iterator[Piece]:
        count = "import sys; open(sys.argv[1], 'a').write('.')"
        yield Piece("one", ["-c", count, str(self.out / "one.txt")])
        yield Piece("training", ["-c", count, str(self.out / "training.txt")], ("one",), "weights")
        yield Piece("fails", ["-c", "raise SystemExit('no memory')"])
        yield Piece("after", ["-c", count, str(self.out / "after.txt")], ("fails",))
        yield Piece("last", ["-c", count, str(self.out / "last.txt")])


def test_what_is_done_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = Small(tmp_path)
    assert not carry_out(day)
    printed = capsys.readouterr().out
    assert "failed, exit status 1" in printed
    assert "left out: fails not done" in printed
    assert "goes on with the next call" in printed
    assert json.loads((tmp_path / "done.json").read_text()).keys() == {"one", "last"}
    (tmp_path / "weights").mkdir()
    assert not carry_out(day)
    assert (tmp_path / "one.txt").read_text() == "."
    assert (tmp_path / "training.txt").read_text() == ".."
    assert not (tmp_path / "after.txt").exists()
    assert "no memory" in (tmp_path / "README.md").read_text()
    assert carry_out(day, ["one", "training", "last"])


def test_a_piece_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Day):
        def pieces(self) -> Iterator[Piece]:
            yield Piece("hangs", ["-c", "import time; time.sleep(600)"])

    monkeypatch.setattr("day.PATIENCE", 0.5)
    assert not carry_out(Hanging(tmp_path, minutes=0))
    assert not (tmp_path / "done.json").exists()


def test_a_day_without_a_gpu_says_how_to_rehearse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["day.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--rehearse" in capsys.readouterr().err
