"""Stage one: run the method on every sample that has no prediction yet.

Samples are shared out in shards, `mildbench.longwork`. Predictions are written one file a sample, each whole or not at
all, and after all else that the method returned for it, so whatever stops the run (Ctrl-C, a full disk, a lost machine)
the same command goes on from there, in the middle of a shard too. A sample that fails is noted, and tried again next
time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

import mildbench
from mildbench import device
from mildbench.dataset.source import TripletSource
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import Buckets, as_batch
from mildbench.evaluation.painted import kept
from mildbench.evaluation.run import Run
from mildbench.executors import HERE, Executor, Spec
from mildbench.images import write_png
from mildbench.longwork import LongWork, Made, Maker
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
_BATCHES = 4
"""In a shard: enough that a worker is seldom between two, few enough that none idles for long at the end."""


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
    executor: Executor = HERE,
) -> None:
    """Run the method on the samples `ids`: predictions, `failures.json`, and a session a worker in `run.json`.

    Only one process at a time may do this for a run, whatever workers it has: see `RunFolder.claimed`. Each worker
    loads the method once.

    However it ends (Ctrl-C included), what the method has returned by then is on disk, and so are the sessions. Of
    one that is killed there is what was noted last.
    Raises `UserError` from the data set, the method or the engine, and OSError for a disk that is full or read-only.
    """
    # Every time anew: what a prediction is says the folder, and which are there say the files.
    token = secrets.token_hex(8)
    maker = _Maker(run, record, dataset, batch_size)
    work = LongWork(run.folder.path, run.folder.predicting, token, maker)
    _note_failures(run.folder, work)  # those of a process that was killed
    work.claim()
    try:
        work.run(executor, _shards(ids, _BATCHES * batch_size), advance)
        run.folder.remove_leftovers()
    finally:
        _note_failures(run.folder, work)


def _shards(ids: Sequence[str], size: int) -> Iterable[Spec]:
    for number, start in enumerate(range(0, len(ids), size)):
        names = list(ids[start : start + size])
        yield {"number": number, "size": len(names), "ids": names}


def _note_failures(folder: RunFolder, work: LongWork) -> None:
    """Take into `failures.json` what the shards that are done say, and forget these."""
    failures = folder.read_failures()
    for made in work.found():
        for name in made.result["ids"]:
            failures.pop(name, None)
        failures |= made.result["failures"]
    folder.write_failures(failures)
    work.remove()


class _Maker(Maker):
    """Runs the method on shards, all in one session."""

    def __init__(self, run: Run, record: RunRecord, dataset: TripletSource, batch_size: int) -> None:
        self._run = run
        self._record = record
        self._dataset = dataset
        self._batch_size = batch_size

    def open(self) -> None:
        # An instance of its own, gone afterwards: of several big methods only one is in memory at a time.
        self._run = replace(self._run, method=self._run.spec.create(self._run.method.device))
        self._run.method.load()
        device.reset_peak_memory(self._run.method.device)
        self._work = _Work(self._run, self._record, self._batch_size)

    def make(self, spec: Spec, advance: Advance) -> Made:
        run, work, config = self._run, self._work, self._run.config
        with_truth = "truth" in run.method.info.capabilities
        attentive = "attention" in run.method.info.capabilities
        corruption = Corruption.parse(config.corruption)
        work.begin()

        def read(name: str) -> EraseBatch:
            triplet = self._dataset.triplet(config.task, name, mask=config.mask)
            if attentive and triplet.people is not None:
                work.answers[name] = contents(triplet.people, triplet.targets)
            return corruption.apply(as_batch(name, triplet, config.seed, with_truth=with_truth))

        buckets = Buckets(self._batch_size)
        # What an earlier try at this shard has made, if a worker was lost, is there.
        ids = spec["ids"] if run.copies_files else pending(run, spec["ids"])
        with device.one_thread(run.method.device), ThreadPoolExecutor(_THREADS) as pool:
            try:
                for sample in read_ahead(pool, read, ids, depth=2 * self._batch_size):
                    if batch := buckets.add(sample.kind, sample):
                        work.do(pool, collate(batch), advance)
                for batch in buckets.rest():
                    work.do(pool, collate(batch), advance)
            finally:
                try:
                    work.finish()
                finally:
                    work.note(ended=True)
        return Made({"ids": spec["ids"], "failures": work.failures}, work.files)


class _Work:
    """A session: batches done, their times, and the writes still under way."""

    def __init__(self, run: Run, record: RunRecord, batch_size: int) -> None:
        self.answers: dict[str, np.ndarray] = {}
        """Sample id -> what the answer shows where, of samples that are read and not yet written."""
        self.failures: dict[str, str] = {}
        """Of this shard: sample id -> why there is no prediction."""
        self.files: dict[str, str] = {}
        """Of this shard: prediction -> sha256."""
        self._run = run
        self._record = record
        self._batch_size = batch_size
        self._session = secrets.token_hex(8)
        self._failed = 0
        self._times: list[tuple[int, float]] = []
        self._writes: list[Future[tuple[str, str]]] = []
        self._written = 0

    def begin(self) -> None:
        """A shard begins."""
        self.answers, self.failures, self.files = {}, {}, {}
        self.note()

    def note(self, *, ended: bool = False) -> None:
        """Put the session as it stands into `run.json`; between two shards it may well have ended."""
        self._noted = time.monotonic()
        self._run.folder.note_session(self._record, self._as_session(ended))

    def do(self, pool: ThreadPoolExecutor, batch: EraseBatch, advance: Advance) -> None:
        """Run one batch and hand its images to the writers."""
        start = time.perf_counter()
        outcomes = self._run.method.run(batch)
        self._times.append((len(batch), time.perf_counter() - start))
        # The writers may be one batch behind, not more: memory stays bounded and a full disk is noticed.
        self.finish()
        erased: Sequence[tuple[int, ...]] = batch.targets or [()] * len(batch)
        for outcome, targets in zip(outcomes, erased, strict=True):
            answer = self.answers.pop(outcome.sample_id, None)
            if outcome.image is None:
                self.failures[outcome.sample_id] = outcome.error or "no reason given"
                self._failed += 1
                _clear(self._run.folder, outcome.sample_id)
            else:
                self._writes.append(pool.submit(_write, self._run, outcome, outcome.image, targets, answer))
        advance(len(batch))
        if time.monotonic() - self._noted > _NOTE_EVERY:
            self.note()

    def finish(self) -> None:
        """Wait for every write, so that a failed one loses none of the others; then raise the first error."""
        writes, self._writes = self._writes, []
        errors = [error for write in writes if (error := write.exception()) is not None]
        self.files |= dict(write.result() for write in writes if write.exception() is None)
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
) -> tuple[str, str]:
    """Write all that there is of one sample; the prediction, which says that it is done, last.

    Returns the prediction's name in the run's folder, and its sha256.
    """
    if not run.copies_files:  # else there is nothing but the picture, which another process may be scoring
        _clear(run.folder, outcome.sample_id)
    for person, layer in outcome.layers.items():
        write_png(run.folder.layers(outcome.sample_id) / f"{person}.png", layer)
    if outcome.attention is not None:
        recorded = attention.Recorded(kept(outcome.attention, answer), targets)
        attention.write_part(run.folder, outcome.sample_id, recorded)
    path = run.folder.prediction(outcome.sample_id)
    return path.relative_to(run.folder.path).as_posix(), write_png(path, image)


def _clear(folder: RunFolder, sample_id: str) -> None:
    """Remove what an earlier try left of a sample."""
    for path in (
        folder.prediction(sample_id),
        folder.attention_part(sample_id),
        *folder.layers(sample_id).glob("*.png"),
    ):
        path.unlink(missing_ok=True)
