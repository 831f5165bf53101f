"""Stage one: run the method on every sample that has no prediction yet.

Predictions are written one file a sample, each whole or not at all, and after all else that the method returned
for it, so whatever stops the run (Ctrl-C, a full disk, a lost machine) the same command goes on from there. A
sample that fails is noted, and tried again next time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np

import mildbench
from mildbench import device
from mildbench.dataset.source import TripletSource
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import Buckets, as_batch
from mildbench.evaluation.painted import kept
from mildbench.evaluation.run import Run
from mildbench.images import write_png
from mildbench.method import EraseBatch, Outcome, collate
from mildbench.prefetch import read_ahead
from mildbench.progress import Advance
from mildbench.regions import contents
from mildbench.results import attention
from mildbench.results.folder import RunFolder
from mildbench.results.record import RunRecord, Session

_NOTE_EVERY = 10.0
"""Seconds between two notes of the session in `run.json`: what is not known of a session that is killed."""
_THREADS = 2
"""Readers and writers of files; a GPU has the next batch ready when it is done with this one."""


def pending(run: Run, ids: Sequence[str]) -> list[str]:
    """The samples that the method has to be run on, in order.

    All of them when the method copies files, which is quick: its folder may have changed.
    """
    if run.copies_files:
        return list(ids)
    return [name for name in ids if not run.folder.prediction(name).exists()]


def predict(
    run: Run,
    record: RunRecord,
    dataset: TripletSource,
    ids: Sequence[str],
    *,
    batch_size: int,
    advance: Advance,
) -> RunRecord:
    """Run the loaded method on the samples `ids`: predictions, `failures.json`, and a session in `run.json`.

    Returns the record with that session. Only one process at a time may do this for a run: see `RunFolder.claimed`.

    However it ends (Ctrl-C included), what the method has returned by then is on disk, and so is the session. Of one
    that is killed there is what was noted last.
    Raises `UserError` from the data set or the method, and OSError for a disk that is full or read-only.
    """
    config = run.config
    with_truth = "truth" in run.method.info.capabilities
    attentive = "attention" in run.method.info.capabilities
    corruption = Corruption.parse(config.corruption)
    answers: dict[str, np.ndarray] = {}

    def read(name: str) -> EraseBatch:
        triplet = dataset.triplet(config.task, name, mask=config.mask)
        if attentive and triplet.people is not None:
            answers[name] = contents(triplet.people, triplet.targets)
        return corruption.apply(as_batch(name, triplet, config.seed, with_truth=with_truth))

    device.reset_peak_memory(run.method.device)
    buckets = Buckets(batch_size)
    work = _Work(run, record, batch_size, answers)
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            for sample in read_ahead(pool, read, ids, depth=2 * batch_size):
                if batch := buckets.add(sample.kind, sample):
                    work.do(pool, collate(batch), advance)
            for batch in buckets.rest():
                work.do(pool, collate(batch), advance)
        finally:
            try:
                work.finish()
            finally:
                record = work.note(ended=True)
    return record


class _Work:
    """Batches done: their times, their failures, and the writes still under way."""

    def __init__(self, run: Run, record: RunRecord, batch_size: int, answers: dict[str, np.ndarray]) -> None:
        """`answers`: sample id -> what the answer shows where, of samples that are read and not yet written."""
        self._answers = answers
        self._run = run
        self._record = record
        self._batch_size = batch_size
        self._session = secrets.token_hex(8)
        self._failures = run.folder.read_failures()
        self._failed = 0
        self._times: list[tuple[int, float]] = []
        self._writes: list[Future[None]] = []
        self._written = 0
        self.note()

    def note(self, *, ended: bool = False) -> RunRecord:
        """Put the session as it stands into `run.json`; returns the record with all sessions."""
        self._noted = time.monotonic()
        return self._run.folder.note_session(self._record, self._as_session(ended))

    def do(self, pool: Executor, batch: EraseBatch, advance: Advance) -> None:
        """Run one batch and hand its images to the writers."""
        start = time.perf_counter()
        outcomes = self._run.method.run(batch)
        self._times.append((len(batch), time.perf_counter() - start))
        # The writers may be one batch behind, not more: memory stays bounded and a full disk is noticed.
        self._settle()
        erased: Sequence[tuple[int, ...]] = batch.targets or [()] * len(batch)
        for outcome, targets in zip(outcomes, erased, strict=True):
            answer = self._answers.pop(outcome.sample_id, None)
            if outcome.image is None:
                self._failures[outcome.sample_id] = outcome.error or "no reason given"
                self._failed += 1
                _clear(self._run.folder, outcome.sample_id)
            else:
                self._failures.pop(outcome.sample_id, None)
                self._writes.append(pool.submit(_write, self._run, outcome, outcome.image, targets, answer))
        advance(len(batch))
        if time.monotonic() - self._noted > _NOTE_EVERY:
            self.note()

    def finish(self) -> None:
        """Wait for the writers, then write the failures."""
        try:
            self._settle()
        finally:
            self._run.folder.write_failures(self._failures)

    def _settle(self) -> None:
        """Wait for every write, so that a failed one loses none of the others; then raise the first error."""
        writes, self._writes = self._writes, []
        errors = [error for write in writes if (error := write.exception()) is not None]
        self._written += len(writes) - len(errors)
        if errors:
            raise errors[0]

    def _as_session(self, ended: bool) -> Session:
        method = self._run.method
        timed = self._times[1:] or self._times
        return Session(
            id=self._session,
            ended=ended,
            mildbench=mildbench.__version__,
            device=method.device,
            batch_size=self._batch_size,
            images=self._written,
            failures=self._failed,
            timed_images=sum(count for count, _ in timed),
            seconds=sum(seconds for _, seconds in timed),
            peak_memory_bytes=device.peak_memory(method.device),
            environment=device.describe(method.device),
        )


def _write(
    run: Run, outcome: Outcome, image: np.ndarray, targets: tuple[int, ...], answer: np.ndarray | None
) -> None:
    """Write all that there is of one sample; the prediction, which says that it is done, last."""
    if not run.copies_files:  # else there is nothing but the picture, which another process may be scoring
        _clear(run.folder, outcome.sample_id)
    for person, layer in outcome.layers.items():
        write_png(run.folder.layers(outcome.sample_id) / f"{person}.png", layer)
    if outcome.attention is not None:
        recorded = attention.Recorded(kept(outcome.attention, answer), targets)
        attention.write_part(run.folder, outcome.sample_id, recorded)
    write_png(run.folder.prediction(outcome.sample_id), image)


def _clear(folder: RunFolder, sample_id: str) -> None:
    """Remove what an earlier try left of a sample."""
    for path in (
        folder.prediction(sample_id),
        folder.attention_part(sample_id),
        *folder.layers(sample_id).glob("*.png"),
    ):
        path.unlink(missing_ok=True)
