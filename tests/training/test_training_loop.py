"""Whatever stops a run, its last checkpoint is whole, and the same command goes on to the same weights."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training_fakes import FakeScenes, LinearTrainer

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.training import checkpoint
from mildbench.training.loop import TrainingOutcome
from mildbench.training.record import TrainingRecord, read_log
from mildbench.weights import load_state_dict

Run = Callable[..., TrainingOutcome]


def log(folder: Path) -> str:
    return (folder / "log.csv").read_text()


def exported(folder: Path) -> dict[str, torch.Tensor]:
    return load_state_dict(folder / "weights" / "model.safetensors")


def assert_equal(one: Path, other: Path) -> None:
    """Two runs came to the same: losses as text, trained and averaged weights bit for bit."""
    assert log(one) == log(other)
    first, second = exported(one), exported(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    states = [checkpoint.read_newest(run / "checkpoints") for run in (one, other)]
    assert states[0] is not None
    assert states[1] is not None
    assert all(torch.equal(states[0].model[name], states[1].model[name]) for name in states[0].model)


def fail() -> float:
    raise RuntimeError("killed")


def interrupt() -> float:
    os.kill(os.getpid(), signal.SIGINT)
    return 0.0


@pytest.mark.parametrize("step", [3, 6, 12])
def test_killed_and_continued_equals_unbroken(run: Run, tmp_path: Path, unbroken: Path, step: int) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(LinearTrainer(step, fail))
    assert [path.name for path in checkpoint.found(tmp_path / "run/checkpoints")] == [
        f"{done:08d}" for done in (4, 8) if done < step
    ]
    leftover = tmp_path / "run/checkpoints/.00000008.0123.tmp"
    leftover.mkdir(parents=True)
    run()
    assert not leftover.exists()
    assert_equal(tmp_path / "run", unbroken)


def test_ctrl_c_saves_the_step_that_was_done(run: Run, tmp_path: Path, unbroken: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(LinearTrainer(6, interrupt))
    assert signal.getsignal(signal.SIGINT) is handler
    assert [path.name for path in checkpoint.found(tmp_path / "run/checkpoints")] == ["00000004", "00000006"]
    run()
    assert_equal(tmp_path / "run", unbroken)


def test_out_of_time_exports_what_there_is(run: Run, tmp_path: Path, unbroken: Path) -> None:
    outcome = run(minutes=1e-9)
    assert (outcome.step, outcome.finished) == (1, False)
    partial = exported(tmp_path / "run")
    assert run().finished
    assert any(not torch.equal(partial[name], weight) for name, weight in exported(tmp_path / "run").items())
    same, other = (
        {row["step"]: row["loss"] for row in read_log(folder / "log.csv") if row["step"]}
        for folder in (tmp_path / "run", unbroken)
    )
    assert same == other


@pytest.mark.slow
def test_workers_change_nothing(run: Run, tmp_path: Path, unbroken: Path) -> None:
    run(workers=2)
    assert_equal(tmp_path / "run", unbroken)


def test_pieces_see_the_same_scenes(run: Run, tmp_path: Path) -> None:
    """Without randomness in the loss, a batch in pieces has the mean of their losses and gradients."""

    class Plain(LinearTrainer):
        def load(self, device: str, seed: int) -> None:
            super().load(device, seed)
            network = self.trained["network"]
            self.trained = torch.nn.ModuleDict({"network": torch.nn.Sequential(network[0], network[3])})

        def loss(self, batch):  # type: ignore[no-untyped-def]
            made, truth = self._predict(batch)
            return (made - truth).square().mean(), {}

    run(Plain(), out="whole")
    run(Plain(), out="pieces", accumulate=2)
    whole, pieces = (read_log(tmp_path / name / "log.csv") for name in ("whole", "pieces"))
    np.testing.assert_allclose([row["loss"] for row in whole], [row["loss"] for row in pieces], rtol=1e-4)


def test_a_session_is_in_the_record_from_its_start_and_at_every_checkpoint(run: Run, tmp_path: Path) -> None:
    noted = []

    def look() -> float:  # what a kill at this moment would leave
        record = TrainingRecord.model_validate_json((tmp_path / "run" / "run.json").read_bytes())
        noted.append([(session.ended, session.first_step, session.steps) for session in record.sessions])
        return 0.0

    for step in (3, 6):
        with pytest.raises(RuntimeError, match="killed"):
            run(LinearTrainer(step, lambda: [look(), fail()]))
    assert noted == [[(False, 0, 0)], [(True, 0, 2), (False, 0, 4)]]
    run(LinearTrainer())
    record = TrainingRecord.model_validate_json((tmp_path / "run" / "run.json").read_bytes())
    assert [session.ended for session in record.sessions] == [True] * 3


@pytest.mark.parametrize("step", [2, 7])
def test_a_loss_that_is_not_a_number_stops(run: Run, tmp_path: Path, step: int) -> None:
    kept = "the last checkpoint, of step 4, is whole" if step > 4 else "no checkpoint yet"
    with pytest.raises(UserError, match=f"loss is nan at step {step}: {kept}"):
        run(LinearTrainer(step, lambda: float("nan")))
    newest = checkpoint.read_newest(tmp_path / "run/checkpoints")
    assert (newest is None) == (step < 4)
    if newest is not None:
        assert all(torch.isfinite(tensor).all() for tensor in newest.model.values())
    assert max(row["step"] for row in read_log(tmp_path / "run/log.csv")) == step - 1


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    run: Run, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write_bytes

    def full(path: Path, data: bytes) -> str:
        if path.name == "optimiser.pt" and "00000008" in str(path):
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            run()
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["00000004"]
    run()
    assert_equal(tmp_path / "run", unbroken)


def test_a_broken_scene_is_replaced_and_counted(run: Run, tmp_path: Path) -> None:
    outcome = run(source=FakeScenes(broken=range(5, 7)))
    assert (outcome.finished, outcome.skipped) == (True, 2)
    assert "scene 5 is gone" in outcome.example
    record = TrainingRecord.model_validate_json((tmp_path / "run/run.json").read_bytes())
    assert [session.skipped_scenes for session in record.sessions] == [2]


def test_scene_after_scene_broken_stops(run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"8 scenes in a row cannot be used, the last one because: OSError: .*gone"
    ):
        run(source=FakeScenes(broken=range(20, 2**60)))
    assert [path.name for path in checkpoint.found(tmp_path / "run/checkpoints")] == ["00000004"]


def test_another_run_is_not_overwritten(run: Run, tmp_path: Path, unbroken: Path) -> None:
    (tmp_path / "other").symlink_to(unbroken)
    with pytest.raises(UserError, match=r"its settings.lr is 0.01, not 0.02"):
        run(out="other", lr=0.02)
    with pytest.raises(UserError, match=r"its scenes.count is 1000, not 7"):
        run(out="other", source=FakeScenes(7))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").touch()
    with pytest.raises(UserError, match="is no training run"):
        run(out="mine")


def test_a_constant_rate_may_be_prolonged(run: Run, tmp_path: Path) -> None:
    run(out="long", schedule="constant")
    run(schedule="constant", steps=8)
    run(schedule="constant", steps=12)
    assert_equal(tmp_path / "run", tmp_path / "long")


def test_a_finished_run_is_left_alone(run: Run, tmp_path: Path, unbroken: Path) -> None:
    (tmp_path / "run").symlink_to(unbroken)
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    trainer = LinearTrainer()
    assert run(trainer).finished
    assert trainer.calls == 0
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before


def test_the_command_that_is_told_can_be_pasted(run: Run, tmp_path: Path, unbroken: Path) -> None:
    (tmp_path / "my run").symlink_to(unbroken)
    command = shlex.split(run(out="my run").usage)
    assert command[-1] == f"linear:weights={tmp_path / 'my run' / 'weights'}"


def test_what_a_run_leaves(unbroken: Path) -> None:
    rows = read_log(unbroken / "log.csv")
    assert [row["step"] for row in rows] == list(range(13))
    assert rows[-1]["loss"] < 0.8 * rows[1]["loss"]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    assert [row["step"] for row in rows if np.isfinite(row["val_loss"])] == [0, 4, 8, 12]
    assert sorted(path.name for path in (unbroken / "panels").iterdir()) == [
        f"{n:08d}.png" for n in (0, 4, 8, 12)
    ]
    assert read_rgb(unbroken / "panels/00000012.png").shape == (4 * 36, 2 * 36, 3)
    assert read_rgb(unbroken / "curves.png").std() > 5
    card = (unbroken / "weights/README.md").read_text()
    assert card.startswith("---\npretty_name: linear, 12 steps\n")
    for fact in ("linear:weights=weights", "| batch_size | 4 |", "count: 1000", "torch 2.", "| loss |"):
        assert fact in card


def test_averaged_weights_are_shipped_and_trained_ones_continue(unbroken: Path) -> None:
    newest = checkpoint.read_newest(unbroken / "checkpoints")
    assert newest is not None
    weights = exported(unbroken)
    assert all(torch.equal(weights[name], newest.average[name]) for name in weights)
    assert not torch.equal(newest.model["network.0.weight"], newest.average["network.0.weight"])


def test_a_damaged_checkpoint_names_the_remedy(run: Run, tmp_path: Path, unbroken: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(LinearTrainer(10, fail))
    damaged = tmp_path / "run/checkpoints/00000008/optimiser.pt"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(UserError, match="delete that folder to go on from the one before") as error:
        run()
    assert "\n" not in str(error.value)
    for file in damaged.parent.iterdir():
        file.unlink()
    damaged.parent.rmdir()
    run()
    assert_equal(tmp_path / "run", unbroken)


def test_compiled_modules_are_saved_alike(
    run: Run, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile = torch.nn.Module.compile
    captured = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        captured.append(graph)
        return graph.forward

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile(self, backend=backend))
    run(compile=True)
    assert captured
    assert_equal(tmp_path / "run", unbroken)


def test_a_compiler_that_fails_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    compile = torch.nn.Module.compile

    def backend(*_: object) -> None:
        raise OSError("no C++ compiler")

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile(self, backend=backend))
    with pytest.raises(UserError, match="leave out --compile"):
        run(compile=True)


def test_weights_that_could_not_be_written_are_written_next_time(
    run: Run, tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(minutes=1e-9)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(LinearTrainer, "save", full)
        with pytest.raises(OSError, match="No space left"):
            run()
    trainer = LinearTrainer()
    assert run(trainer).finished
    assert trainer.calls == 0
    weights = exported(unbroken)
    assert all(torch.equal(weights[name], weight) for name, weight in exported(tmp_path / "run").items())
