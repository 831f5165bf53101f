"""The day on a GPU, with small commands in place of its own: what is done stays done, what fails stops nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from day import ROOT, Day, Piece, carry_out, main
from training_fakes import FakeScenes
from typer.main import get_command

from mildbench.cli import commands
from mildbench.training.record import TrainingRecord, write
from mildbench.training.settings import TrainingSettings


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
        yield Piece("training", ["-c", count, str(self.out / "training.txt")], ("one",), "training")
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
    settings = TrainingSettings(steps=5, batch_size=1, size=32, lr=1.0)
    run = TrainingRecord.fresh("fake", {}, FakeScenes(), settings).model_copy(update={"exported": 3})
    (tmp_path / "training").mkdir()
    write(tmp_path / "training", run)  # out of its minutes: its weights are there, and are not the last
    assert not carry_out(day)
    assert "goes on with the next call" in capsys.readouterr().out
    write(tmp_path / "training", run.model_copy(update={"exported": 5}))
    assert not carry_out(day)
    assert (tmp_path / "one.txt").read_text() == "."
    assert (tmp_path / "training.txt").read_text() == "..."
    assert not (tmp_path / "after.txt").exists()
    assert "no memory" in (tmp_path / "README.md").read_text()
    assert carry_out(day, ["one", "training", "last"])


def test_no_piece_is_begun_that_has_no_time_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not carry_out(Small(tmp_path, total=1))
    assert "left for the next call" in capsys.readouterr().out
    assert not (tmp_path / "one.txt").exists()


def test_a_day_that_is_ended_ends_its_piece(tmp_path: Path) -> None:
    script = """if True:
        import sys, pathlib, day
        class Hanging(day.Day):
            def pieces(self):
                wait = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
                yield day.Piece("hangs", ["-c", wait, str(self.out / "pid")])
        day.Day = Hanging
        sys.argv = ["day.py", "--rehearse", "--out", sys.argv[1]]
        day.main()
    """
    paths = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env=os.environ | {"PYTHONPATH": paths}
    )
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


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
