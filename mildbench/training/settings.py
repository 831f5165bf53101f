"""What decides a run's result, and what only decides how fast it is there."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from mildbench.errors import UserError

if TYPE_CHECKING:
    from mildbench.training.trainer import TrainerInfo

Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True)
class TrainingSettings:
    """With the trainer and the scenes: what decides the result, up to the rounding of another device."""

    steps: int
    batch_size: int
    """Scenes in a step, over all GPUs."""
    size: int
    """Pixels of the square scenes."""
    lr: float
    schedule: Schedule = "cosine"
    """From the warm-up on: down to zero at the last step, or as it is."""
    warmup: int = 200
    """Steps over which the learning rate rises."""
    seed: int = 0
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of a trained module's gradient."""
    ema: float = 0.999
    """How much of the averaged weights stays in each step; less at first."""

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("steps", self.steps >= 1, "1 or more"),
            ("batch-size", self.batch_size >= 1, "1 or more"),
            ("size", self.size >= 32 and self.size % 32 == 0, "a multiple of 32"),
            ("lr", 0 < self.lr < math.inf, "a positive number"),
            ("schedule", self.schedule in ("cosine", "constant"), "cosine or constant"),
            ("warmup", self.warmup >= 0, "0 or more"),
            ("seed", -(2**63) <= self.seed < 2**63, "a number of at most 64 bits"),
            ("ema", 0 <= self.ema < 1, "at least 0 and below 1"),
        ):
            if not good:
                raise UserError(f"--{name} {getattr(self, name.replace('-', '_'))}: give {wanted}")

    @classmethod
    def of(
        cls,
        info: TrainerInfo,
        steps: int,
        batch_size: int | None,
        size: int | None,
        lr: float | None,
        **others: Any,
    ) -> TrainingSettings:
        """Where None is given, what the trainer says of itself."""
        return cls(
            steps,
            info.batch_size if batch_size is None else batch_size,
            info.size if size is None else size,
            info.lr if lr is None else lr,
            **others,
        )

    def lr_at(self, step: int) -> float:
        """The learning rate of step `step`, the first is 0."""
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "constant":
            return self.lr * rising
        done = max(0, step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * rising * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def ema_at(self, step: int) -> float:
        """How much of the averaged weights stays in step `step`: the first steps' weights are soon forgotten."""
        return min(self.ema, (1 + step) / (10 + step))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be continued. With a constant rate, it may be prolonged."""
        values = asdict(self)
        if self.schedule == "constant":
            del values["steps"]
        return values


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; may change whenever it is continued."""

    device: str = "auto"
    """`auto`, `cpu` or `cuda`. Several GPUs: `accelerate launch --num_processes N -m mildbench train ...`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the forward pass; weights are float32. `auto` is bf16 on a GPU, fp32 on a CPU."""
    accumulate: int = 1
    """Pieces into which a process divides its batch, to save memory."""
    workers: int = 0
    """Processes that make examples; 0: this one."""
    compile: bool = False
    """Use `torch.compile`."""
    save_every: int = 500
    """Steps between checkpoints, each with a validation and a panel."""
    minutes: float = math.inf
    """After so long the run saves and ends; the same command continues it."""

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("device", self.device in ("auto", "cpu", "cuda"), "auto, cpu or cuda"),
            ("precision", self.precision in ("auto", "fp32", "bf16"), "auto, fp32 or bf16"),
            ("accumulate", self.accumulate >= 1, "1 or more"),
            ("workers", self.workers >= 0, "0 or more"),
            ("save-every", self.save_every >= 1, "1 or more"),
            ("minutes", self.minutes > 0, "a positive number"),
        ):
            if not good:
                raise UserError(f"--{name} {getattr(self, name.replace('-', '_'))}: give {wanted}")
