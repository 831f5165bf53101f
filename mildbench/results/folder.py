"""The files of one run: one method with its options on one task of one data set.

    OUT/<data set fingerprint[:12]>/<task>/<method>@<config hash[:8]>/
      run.json            `RunRecord`
      predictions/        <sample id>.png, the raw outputs; a file's presence says that the sample is done
      layers/             <sample id>/<person index>.png, RGBA: who the method completed, on the canvas
      attention.parquet   where its self-attention went, see `mildbench.results.attention`
      attention-parts/    the same, of the samples that have been predicted since
      attention.png       the gap over layers and time
      failures.json       sample id -> why there is no prediction
      parts/              rows of a scoring that was stopped, or of earlier ones with other metrics
      scores.parquet      one row a sample
      features/           what the set metrics compare, by network
      summary.json        aggregates, see `mildbench.results.summary`
      browse/             pictures that `mildbench browse` derives
      .*.lock             see `RunFolder.claimed`
      .predicting/        while there is such work: its `mildbench.longwork`, and `.scoring/` likewise

In a run of more than `FLAT` samples `predictions/`, `layers/` and `attention-parts/` have 256 folders between, called
`mildbench.files.fan_out(sample id)`: 100,000 files in one folder are slow to list, and too many for some file systems.

Beside the runs lie `truth-features/` and `browse/`, which they share, and `comparison.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mildbench.files import fan_out, inside, locked, read_json, remove_leftovers, write_json
from mildbench.records import read_model, write_model
from mildbench.results.record import RunRecord, Session

FLAT = 10_000
"""Samples of a task whose files lie beside each other."""


class RunFolder:
    """Where a run's files are, and its small ones read and written. Nothing of it need exist.

    Args:
        path: the folder.
        samples: of the task, where files are to be made: it decides how they are laid out. Files that are there are
            found wherever they are.
    """

    def __init__(self, path: Path, samples: int = 0) -> None:
        self.path = path
        self._fanned = samples > FLAT
        self.name = path.name
        self.record = path / "run.json"
        self.predictions = path / "predictions"
        self._layers = path / "layers"
        self.attention = path / "attention.parquet"
        self.attention_parts = path / "attention-parts"
        self.attention_plot = path / "attention.png"
        self.failures = path / "failures.json"
        self.parts = path / "parts"
        self.scores = path / "scores.parquet"
        self.features = path / "features"
        self.summary = path / "summary.json"
        self.predicting = path / ".predicting"
        self.scoring = path / ".scoring"
        # Shared by all runs of the task.
        self.truth_features = path.parent / "truth-features"
        self.comparison = path.parent / "comparison.json"

    @classmethod
    def of(cls, out: Path, fingerprint: str, task: str, name: str, samples: int = 0) -> RunFolder:
        """The folder of the run called `name` on a task of the data set with this fingerprint."""
        return cls(out / fingerprint[:12] / task / name, samples)

    def __str__(self) -> str:
        return str(self.path)

    def prediction(self, sample_id: str) -> Path:
        """Where the sample's output lies; raises `UserError` for an id that would leave the folder."""
        return self._place(self.predictions, sample_id, ".png")

    def layers(self, sample_id: str) -> Path:
        """The folder of the sample's completed layers; raises `UserError` like `prediction`."""
        return self._place(self._layers, sample_id, "")

    def attention_part(self, sample_id: str) -> Path:
        """Where the sample's attention record lies at first; raises `UserError` like `prediction`."""
        return self._place(self.attention_parts, sample_id, ".parquet")

    def _place(self, folder: Path, sample_id: str, suffix: str) -> Path:
        flat = inside(folder, f"{sample_id}{suffix}", "sample id")
        fanned = folder / fan_out(sample_id) / f"{sample_id}{suffix}"
        usual, other = (fanned, flat) if self._fanned else (flat, fanned)
        return other if not usual.exists() and other.exists() else usual

    def remove_leftovers(self) -> None:
        """Remove what workers that were killed while they wrote a sample have left; nobody may be predicting."""
        for folder in (self.predictions, self._layers, self.attention_parts):
            remove_leftovers(folder)

    def read_failures(self) -> dict[str, str]:
        """Sample id -> why there is no prediction."""
        return read_json(self.failures, "list of failures") if self.failures.exists() else {}

    def write_failures(self, failures: dict[str, str]) -> None:
        """Replace the list of failures."""
        write_json(self.failures, failures)

    @contextmanager
    def claimed(self, stage: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a stage of the run (`predict`, `score`) against other processes; `waiting` is told if one has it."""
        with locked(self.path / f".{stage}.lock", waiting=waiting):
            yield

    def read_record(self) -> RunRecord | None:
        """`run.json`, or None where nothing has run yet."""
        return read_model(RunRecord, self.record, "run description") if self.record.exists() else None

    def write_record(self, record: RunRecord) -> RunRecord:
        """Replace `run.json`, and return what is in it now: the record with all sessions noted so far."""
        with locked(self.path / ".run.lock"):
            earlier = self.read_record()
            record = record.model_copy(update={"sessions": [] if earlier is None else earlier.sessions})
            write_model(self.record, record)
        return record

    def note_session(self, record: RunRecord, session: Session) -> RunRecord:
        """Put a session into `run.json`, in place of what was noted of it before; returns `record` with all of them."""
        with locked(self.path / ".run.lock"):
            found = self.read_record() or record
            sessions = {other.id: other for other in found.sessions} | {session.id: session}
            record = record.model_copy(update={"sessions": list(sessions.values())})
            write_model(self.record, record)
        return record
