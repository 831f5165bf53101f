"""What a run keeps of itself: `run.json`, and `log.csv` with one row a step."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.records import Strict, read_model, write_model
from mildbench.training.trainer import TrainerSpec

if TYPE_CHECKING:
    from mildbench.training.scenes import SceneSource
    from mildbench.training.settings import TrainingSettings

RECORD, LOG = "run.json", "log.csv"


class Stretch(Strict):
    """One stretch of a run, from start or resume to where it stopped."""

    first_step: int
    steps: int
    seconds: float
    skipped_scenes: int
    device: str
    processes: int
    precision: str
    compiled: bool
    mildbench: str
    environment: dict[str, str]
    ended: bool = True
    """False while it lasts, and for good if it was killed: `steps` are then those up to its last checkpoint."""


class TrainingRecord(Strict):
    """What a run is, and how it has been carried out so far."""

    trainer: str
    options: dict[str, str]
    """As given on the command line."""
    scenes: dict[str, Any]
    split: str
    validation_split: str
    settings: dict[str, Any]
    sessions: tuple[Stretch, ...] = ()
    exported: int | None = None
    """The step whose averaged weights are in `weights/`."""

    @property
    def complete(self) -> bool:
        """Whether the weights are those of the last step."""
        return self.exported == self.settings["steps"]

    @classmethod
    def fresh(
        cls,
        trainer: str,
        options: dict[str, str],
        source: SceneSource,
        settings: TrainingSettings,
        split: str = "train",
        validation_split: str = "val",
    ) -> TrainingRecord:
        """Of a run as if it were new; `options` as given."""
        return cls(
            trainer=trainer,
            options=options,
            scenes=source.describe(),
            split=split,
            validation_split=validation_split,
            settings=settings.identity(),
        )

    def identity(self) -> dict[str, Any]:
        """What must be the same for the run to be continued; an option at its default is one that was not given."""
        try:
            options = TrainerSpec(self.trainer, dict(self.options)).texts
        except UserError:  # the trainer, or that option, is not here
            options = self.options
        return self.model_dump(exclude={"sessions", "exported"}) | {"options": options}


def continued(out: Path, fresh: TrainingRecord) -> TrainingRecord:
    """The record in the folder with its sessions, or `fresh` in a new one; `UserError` if it is of another run."""
    path = out / RECORD
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} exists and is no training run: choose another --out")
        return fresh
    old = read(out)
    for name, value in fresh.identity().items():
        before = old.identity()[name]
        if before != value:
            raise UserError(
                f"{out} holds another run: {_difference(name, before, value)}: choose another --out"
            )
    return old


def read(out: Path) -> TrainingRecord:
    """The record in a run's folder; raises `UserError` for a file that is none."""
    return read_model(TrainingRecord, out / RECORD, "training record", "choose another --out")


def write(out: Path, record: TrainingRecord) -> None:
    write_model(out / RECORD, record)


def _difference(name: str, before: Any, value: Any) -> str:
    """The first thing that differs, in words."""
    if isinstance(before, dict) and isinstance(value, dict):
        for key in before | value:
            if before.get(key) != value.get(key):
                return _difference(f"{name}.{key}", before.get(key), value.get(key))
    return (
        f"its {name} is {before!r}, not {value!r}" if len(f"{before}{value}") < 80 else f"its {name} differs"
    )


class Log:
    """`log.csv`: rows of numbers, one a step, appended as they come."""

    def __init__(self, path: Path, after: int) -> None:
        """Opens the log, and drops the rows that a stopped run wrote after its last checkpoint, at step `after`."""
        self.path = path
        self._columns: list[str] = []
        if path.is_file():
            rows = _cells(path)
            self._columns = list(rows[0]) if rows else []
            write_bytes(
                path, self._text([row for row in rows if float(row["step"]) <= after], header=True).encode()
            )

    def add(self, rows: list[dict[str, float]]) -> None:
        """Append rows; the columns are those of the first call."""
        if not rows:
            return
        header = not self._columns
        if header:
            names = dict.fromkeys(name for row in reversed(rows) for name in row)
            self._columns = sorted(names, key=lambda name: name.startswith("val_"))
        with self.path.open("a", newline="") as stream:
            stream.write(self._text(rows, header=header))

    def _text(self, rows: Sequence[Mapping[str, float | str]], *, header: bool) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows as numbers; NaN where nothing was measured."""
    return [
        {name: float(value) if value else float("nan") for name, value in row.items()} for row in _cells(path)
    ]


def _cells(path: Path) -> list[dict[str, str]]:
    """The rows as text; one that a full disk cut off is left out."""
    with path.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["step"] and None not in row.values()]
