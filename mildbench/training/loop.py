"""The loop: steps, averages, checkpoints, validation, and every way of stopping."""

from __future__ import annotations

import math
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

import mildbench
from mildbench.device import describe, resolve_device
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.images import write_png
from mildbench.method import sample_seed
from mildbench.progress import tracking
from mildbench.training import card, checkpoint, curves, record
from mildbench.training.checkpoint import Checkpoint
from mildbench.training.data import Examples, collate, load, positions, to_device
from mildbench.training.ema import Ema, copy_into, state_of
from mildbench.training.record import Log, Stretch, TrainingRecord
from mildbench.training.scenes import SceneSource
from mildbench.training.settings import Execution, TrainingSettings
from mildbench.training.trainer import Trainer

_LOOK_EVERY = 10
"""Steps between two looks at the losses, for which a GPU has to be waited for, and between processes at a stop."""
_VALIDATION = 16
"""Scenes that are validated on, always the same."""
_PANEL = 4
"""Of these, how many the panel shows."""


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run stands."""

    step: int
    finished: bool
    usage: str
    """The command that uses the weights."""
    skipped: int
    """Scenes that could not be used, in this session."""
    example: str
    """Why not, for one of them."""


def train(
    trainer: Trainer,
    source: SceneSource,
    fresh: TrainingRecord,
    settings: TrainingSettings,
    execution: Execution,
    out: Path,
    *,
    progress: bool = False,
) -> TrainingOutcome:
    """Train, or go on where the run in `out` stopped.

    The losses and weights of a run that was stopped and continued are those of one that was not: bit for bit on a
    CPU, up to the order of sums on GPUs.

    Args:
        trainer: fresh, not yet loaded.
        source: of the scenes.
        fresh: the record of the run as if it were new.
        settings: what decides the result.
        execution: how to carry it out.
        out: folder of the run.
        progress: show a bar.

    Raises:
        UserError: another run in `out`, a loss that is not finite, scene after scene unusable, no memory.
        OSError: a full disk.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint at the step just done.
        The last checkpoint is whole in any case.
    """
    device = resolve_device(execution.device)
    low = execution.precision == "bf16" or (execution.precision == "auto" and device == "cuda")
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if low else "no")
    if settings.batch_size % (accelerator.num_processes * execution.accumulate):
        raise UserError(
            f"--batch-size {settings.batch_size} cannot be divided over {accelerator.num_processes} processes with "
            f"--accumulate {execution.accumulate}: make it a multiple of their product"
        )
    for split in (fresh.split, fresh.validation_split):
        source.check(split)
    known = record.continued(out, fresh)
    accelerator.wait_for_everyone()  # before anybody writes into `out`
    run = _Run(trainer, source, known, settings, execution, out, accelerator)
    try:
        return run.go(progress)
    except torch.OutOfMemoryError:
        raise UserError(
            f"out of GPU memory: the last checkpoint is whole; raise --accumulate above {execution.accumulate}"
        ) from None
    except RuntimeError as error:
        if not (
            execution.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
        ):
            raise
        raise UserError(
            f"torch.compile does not work here ({type(error).__name__}): leave out --compile"
        ) from error


class _Objective(nn.Module):
    """What is wrapped for several GPUs: its parameters are the trained ones, its output the loss."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__()
        self.trained = trainer.trained
        self._loss = trainer.loss

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, logs = self._loss(batch)
        return loss, logs


class _Run:
    """A run in this process."""

    def __init__(
        self,
        trainer: Trainer,
        source: SceneSource,
        known: TrainingRecord,
        settings: TrainingSettings,
        execution: Execution,
        out: Path,
        accelerator: Accelerator,
    ) -> None:
        self._started = time.monotonic()
        self.trainer = trainer
        self.record = known
        self._earlier = known.sessions
        self._ended = False
        self.settings = settings
        self.execution = execution
        self.out = out
        self.accelerator = accelerator
        self.device: torch.device = accelerator.device
        trainer.load(str(self.device), settings.seed)
        self.live = state_of(trainer.trained)
        self.ema = Ema(self.live)
        groups = {
            name: [part for part in module.parameters() if part.requires_grad]
            for name, module in trainer.trained.items()
        }
        self.groups = {name: parts for name, parts in groups.items() if parts}
        self.optimiser = torch.optim.AdamW(
            [{"params": parts, "name": name} for name, parts in self.groups.items()],
            lr=settings.lr,
            weight_decay=settings.weight_decay,
        )
        self.step = self._first = self._resume()
        if execution.compile:
            for module in trainer.compiled():
                module.compile()
        self.model = accelerator.prepare(_Objective(trainer))
        self._examples = {
            split: Examples(source, split, trainer.make_example, settings.size, settings.seed)
            for split in (known.split, known.validation_split)
        }
        self._pending: list[tuple[dict[str, float], dict[str, Tensor]]] = []
        self._validated: dict[str, float] = {}
        self._saved_at: int | None = None
        self._skipped: list[str] = []

    def _resume(self) -> int:
        newest = checkpoint.read_newest(self.out / "checkpoints")
        if newest is None:
            return 0
        if newest.model.keys() != self.live.keys():
            raise UserError(f"{self.out} was trained with other modules: choose another --out")
        copy_into(self.live, newest.model)
        copy_into(self.ema.average, newest.average)
        self.optimiser.load_state_dict(newest.optimiser)
        return newest.step

    def go(self, progress: bool) -> TrainingOutcome:
        """Do what is left to do."""
        main = self.accelerator.is_main_process
        if self.step >= self.settings.steps and self.record.exported == self.step:
            return self._outcome()
        if main:
            self._note_session()
            self._log = Log(self.out / record.LOG, after=self.step)
            self._validation = [self._examples[self.record.validation_split][i] for i in range(_VALIDATION)]
            if self.step == 0:  # what the untrained weights score; and what fails here fails at once
                self._pending.append(({"step": 0}, {}))
                self._validate()
        try:
            with (
                tracking("steps", self.settings.steps, show=progress and main) as advance,
                _Signals() as signals,
            ):
                advance(self._first)
                for _ in self._steps():
                    advance(1)
                    late = (time.monotonic() - self._started) / 60 > self.execution.minutes
                    if self._agreed(bool(signals.received) or late):
                        if self._agreed(bool(signals.received), at_once=True):
                            self._look()
                            self._write_checkpoint()
                            raise KeyboardInterrupt
                        break
                    if self.step % self.execution.save_every == 0:
                        self._save()
        finally:
            if main:
                self._ended = True
                self._note_session()
        if self._saved_at != self.step:
            self._save()
        self._export()
        return self._outcome()

    def _steps(self) -> Iterator[None]:
        """Do the remaining steps, one at each turn."""
        settings, pieces = self.settings, self.accelerator.num_processes * self.execution.accumulate
        mine = [
            piece * self.accelerator.num_processes + self.accelerator.process_index
            for piece in range(self.execution.accumulate)
        ]
        order = positions(range(self.step, settings.steps), settings.batch_size, pieces, mine)
        batches = load(
            self._examples[self.record.split],
            order,
            workers=self.execution.workers,
            pin=self.device.type == "cuda",
        )
        self.trainer.trained.train()
        while self.step < settings.steps:
            if len(self._pending) >= _LOOK_EVERY:
                self._look()
            lr = settings.lr_at(self.step)
            for group in self.optimiser.param_groups:
                group["lr"] = lr * self.trainer.lr_scales.get(group["name"], 1.0)
            measured: dict[str, Tensor] = {}
            for piece in mine:
                batch = next(batches)
                self._skipped += batch.pop("skipped")
                # All randomness of the loss: of the step and the piece, not of what has been drawn before.
                torch.manual_seed(sample_seed(settings.seed, f"step {self.step} piece {piece}"))
                waits = self.accelerator.no_sync(self.model) if piece != mine[-1] else nullcontext()
                with waits:
                    loss, logs = self.model(to_device(batch, self.device))
                    self.accelerator.backward(loss / len(mine))
                for name, value in {"loss": loss, **logs}.items():
                    measured[name] = measured.get(name, 0) + value.detach() / len(mine)
            for name, parts in self.groups.items():
                norm = nn.utils.clip_grad_norm_(parts, settings.clip)
                measured[f"{name}_gradient"] = norm.detach()
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            self.ema.update(settings.ema_at(self.step))
            self.step += 1
            self._pending.append(({"step": self.step, "lr": lr}, measured))
            yield

    def _look(self) -> None:
        """Log the losses since the last look; raises `UserError` if one is not finite."""
        pending, self._pending = self._pending, []
        steps = [measured for _, measured in pending if measured]
        if steps:  # one transfer for all
            values = torch.stack([torch.stack([part.float() for part in step.values()]) for step in steps])
            means = iter(self.accelerator.reduce(values, "mean").tolist())
        rows: list[dict[str, float]] = []
        for row, measured in pending:
            row = row | dict(zip(measured, next(means) if measured else [], strict=True))
            for name, value in row.items():
                if not math.isfinite(value):
                    self._write_rows(rows)
                    raise UserError(
                        f"{name} is {value} at step {row['step']:.0f}: {self._kept()}; start anew with a lower --lr "
                        "and another --out"
                    )
            rows.append(row)
        self._write_rows(rows)

    def _kept(self) -> str:
        newest = checkpoint.found(self.out / "checkpoints")
        return (
            f"the last checkpoint, of step {int(newest[-1].name)}, is whole"
            if newest
            else "no checkpoint yet"
        )

    def _write_rows(self, rows: list[dict[str, float]]) -> None:
        if self.accelerator.is_main_process:
            self._log.add(rows)

    def _save(self) -> None:
        """Validate, log, and write a checkpoint."""
        if self.accelerator.is_main_process:
            self._validate()
        self._look()
        self._write_checkpoint()
        if self.accelerator.is_main_process:
            curves.draw(self.out / record.LOG, self.out / "curves.png")
        self._saved_at = self.step
        self.accelerator.wait_for_everyone()

    def _write_checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            state = Checkpoint(self.step, self.live, self.ema.average, self.optimiser.state_dict())
            checkpoint.write(self.out / "checkpoints", state)
            self._note_session()

    @torch.no_grad()
    def _validate(self) -> None:
        """Losses and a panel of the averaged weights on the validation scenes, into the last pending row."""
        trainer, total = self.trainer, dict[str, float]()
        per_batch = max(1, min(_VALIDATION, self.settings.batch_size))
        groups = [self._validation[i : i + per_batch] for i in range(0, _VALIDATION, per_batch)]
        with self.ema.applied(), self.accelerator.autocast():
            trainer.trained.eval()
            for number, group in enumerate(groups):
                torch.manual_seed(sample_seed(self.settings.seed, f"validation {number}"))
                for name, value in trainer.validate(self._batch(group)).items():
                    total[f"val_{name}"] = (
                        total.get(f"val_{name}", 0.0) + float(value) * len(group) / _VALIDATION
                    )
            torch.manual_seed(sample_seed(self.settings.seed, "panel"))
            panel = trainer.panel(self._batch(self._validation[:_PANEL]))
            trainer.trained.train()
        write_png(self.out / "panels" / f"{self.step:08d}.png", panel)
        self._validated = total
        if self._pending:
            self._pending[-1][0].update(total)

    def _batch(self, made: list[Any]) -> dict[str, Any]:
        batch = collate(made)
        if "lost" in batch:
            raise UserError(
                f"{len(batch['lost'])} validation scenes in a row cannot be used: {batch['lost'][-1]}"
            )
        return to_device(batch, self.device)

    def _export(self) -> None:
        """Write the averaged weights and their card to `weights`, in place of those of an earlier stop."""
        if self.accelerator.is_main_process:
            target, fresh = self.out / "weights", self.out / ".weights.tmp"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            with self.ema.applied():
                self.trainer.save(fresh)
            text = card.render(
                self.trainer,
                self.record,
                self.step,
                sum(part.numel() for parts in self.groups.values() for part in parts),
                self.trainer.usage(Path("weights")),
                self._validated,
            )
            write_bytes(fresh / "README.md", text.encode())
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
            self.record = self.record.model_copy(update={"exported": self.step})
            record.write(self.out, self.record)
        self.accelerator.wait_for_everyone()

    def _note_session(self) -> None:
        """Put this session as it stands into the record: at every checkpoint, so that one that is killed is in it."""
        session = Stretch(
            first_step=self._first,
            steps=self.step - self._first,
            seconds=time.monotonic() - self._started,
            skipped_scenes=len(self._skipped),
            device=self.device.type,
            processes=self.accelerator.num_processes,
            precision={"no": "fp32"}.get(self.accelerator.mixed_precision, self.accelerator.mixed_precision),
            compiled=self.execution.compile,
            mildbench=mildbench.__version__,
            environment={"machine": platform.machine(), **describe(str(self.device))},
            ended=self._ended,
        )
        self.record = self.record.model_copy(update={"sessions": (*self._earlier, session)})
        record.write(self.out, self.record)

    def _agreed(self, stop: bool, *, at_once: bool = False) -> bool:
        """Whether any process wants to stop; asked now and then only, since the others have to be waited for."""
        if self.accelerator.num_processes == 1:
            return stop
        if self.step % _LOOK_EVERY and not at_once:
            return False
        flag = torch.tensor(float(stop), device=self.device)
        return bool(self.accelerator.reduce(flag, "sum").item())

    def _outcome(self) -> TrainingOutcome:
        return TrainingOutcome(
            self.step,
            self.step >= self.settings.steps,
            self.trainer.usage(Path(quote(str(self.out / "weights")))),  # for the shell
            len(self._skipped),
            self._skipped[0] if self._skipped else "",
        )


class _Signals:
    """Ctrl-C and SIGTERM are noted, so that a step is finished; a second one stops at once."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _: object) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
