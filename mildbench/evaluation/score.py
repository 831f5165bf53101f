"""Stage two: a row of scores for every sample, and the features that set metrics compare.

A sample's truth is decoded once for all runs that need it, each prediction once. Samples of one shape share a
batch on the device; what stays behind is one row a sample. Only what is missing or out of date is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch

from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.evaluation.data import Buckets, facts, subject_of
from mildbench.evaluation.features import FeatureStore, pixel_sha256
from mildbench.evaluation.panel import LoadedPanel
from mildbench.evaluation.rows import Row, Rows
from mildbench.evaluation.run import Run
from mildbench.evaluation.workers import Keep, Workers, workers_for
from mildbench.files import file_sha256
from mildbench.images import read_rgba
from mildbench.metrics.base import Pairs, Subject
from mildbench.prefetch import read_ahead
from mildbench.progress import tracking
from mildbench.regions import paste, regions
from mildbench.results.attention import AttentionFile
from mildbench.results.folder import RunFolder
from mildbench.results.scores import Inputs
from mildbench.results.summary import VARIANTS
from mildbench.scene import Triplet

_THREADS = 2
"""Decoders of pictures beside the thread that scores."""


@dataclass(eq=False)
class _Job:
    """One sample of one run that needs scores, features or both."""

    run: int
    row: Row
    images: dict[str, np.ndarray]
    """`pixel_sha256` -> the distinct ones of the raw and the pasted output."""
    score: bool
    left: int = 0
    """Images still to be scored."""


@dataclass(frozen=True, eq=False)
class _Sample:
    """A decoded sample with its jobs."""

    truth: np.ndarray
    truth_sha256: str
    regions: dict[str, np.ndarray]
    subject: Subject | None
    jobs: list[_Job]


@dataclass(frozen=True, eq=False)
class _Unit:
    """One image to score."""

    job: _Job
    key: str
    sample: _Sample


@dataclass(eq=False)
class _State:
    """What the stage knows of one run."""

    folder: RunFolder
    panel: LoadedPanel
    """The part that is for this run."""
    rows: Rows
    failures: dict[str, str]
    attention: AttentionFile
    stores: list[FeatureStore]
    """Features of outputs, one store for each of the panel's extractors."""
    wanted: dict[str, Inputs] = field(default_factory=dict)
    """Sample id -> what there is of it, where there is work."""


def score(
    runs: Sequence[Run],
    dataset: TripletSource,
    ids: Sequence[str],
    every: Sequence[str],
    panel: LoadedPanel,
    *,
    dilation: int,
    batch_size: int,
    device: str,
    show: bool,
) -> list[pa.Table]:
    """Bring `scores.parquet` and `features/` of every run up to date for the samples `ids` of the task's `every`.

    The runs are of one task, and were shown one mask.

    Returns the rows of `ids`, run by run.

    A prediction that is missing, broken or of another size than its input becomes a row with an `error`.
    Killed at any time, it goes on from the parts on disk. Raises `UserError` for broken data, OSError for a
    full disk.
    """
    return _Stage(runs, dataset, panel, dilation, batch_size, device).work(ids, every, show=show)


class _Stage:
    def __init__(
        self,
        runs: Sequence[Run],
        dataset: TripletSource,
        panel: LoadedPanel,
        dilation: int,
        batch_size: int,
        device: str,
    ) -> None:
        self._dataset = dataset
        self._panel = panel
        self._dilation = dilation
        self._device = device
        self._task, self._mask = runs[0].config.task, runs[0].config.mask
        networks = [extractor.key for extractor in panel.extractors]
        self._truths = [FeatureStore(runs[0].folder.truth_features, network) for network in networks]
        self._states = [
            _State(
                folder := run.folder,
                mine := panel.part_for(run),
                Rows(folder, mine, dilation),
                folder.read_failures(),
                AttentionFile(folder.attention),
                [FeatureStore(folder.features, network) for network in networks],
            )
            for run in runs
        ]
        self._to_score = Buckets(batch_size)
        self._to_extract = Buckets(batch_size)
        self._queued: set[tuple[FeatureStore, str]] = set()
        self._batch_size = batch_size

    def work(self, ids: Sequence[str], every: Sequence[str], *, show: bool) -> list[pa.Table]:
        with ThreadPoolExecutor(_THREADS) as pool:
            for state in self._states:
                found = read_ahead(pool, partial(_inputs, state), ids, depth=64)
                for name, inputs in zip(ids, found, strict=True):
                    if not self._up_to_date(state, name, inputs):
                        state.wanted[name] = inputs
            names = [name for name in ids if any(name in state.wanted for state in self._states)]
            total = sum(len(state.wanted) for state in self._states)
            try:
                if names:
                    with tracking("score", total, show=show) as advance, workers_for(self._device) as workers:
                        for sample in read_ahead(pool, self._read, names, depth=2 * self._batch_size):
                            self._take(sample, workers)
                            advance(len(sample.jobs))
                        for batch in self._to_score.rest():
                            workers.start(self._score, batch)
                        for batch in self._to_extract.rest():
                            workers.start(self._extract, batch)
                        workers.finish()
            finally:
                for store in self._stores():
                    store.save()
                for state in self._states:
                    state.rows.save()
        for state in self._states:
            state.rows.merge(ids, every)
        return [state.rows.table(ids) for state in self._states]

    def _stores(self) -> list[FeatureStore]:
        return [*self._truths, *(store for state in self._states for store in state.stores)]

    def _up_to_date(self, state: _State, name: str, inputs: Inputs) -> bool:
        row = state.rows.holding(name, inputs, _why_missing(state.failures, name))
        if row is None:
            return False
        if row["error"] is not None:
            return True
        outputs = {row["raw_sha256"], row["pasted_sha256"]}
        return all(
            row["truth_sha256"] in truths and all(key in store for key in outputs)
            for truths, store in zip(self._truths, state.stores, strict=True)
        )

    def _read(self, name: str) -> _Sample:
        """Decode a sample and the predictions to score; runs in a thread of the pool."""
        triplet = self._dataset.triplet(self._task, name, mask=self._mask)
        known = facts(name, triplet)
        jobs = [
            self._job(number, known, triplet)
            for number, state in enumerate(self._states)
            if name in state.wanted
        ]
        found = regions(triplet.mask, triplet.overlap, triplet.effect)
        return _Sample(triplet.truth, known["truth_sha256"], found, subject_of(triplet), jobs)

    def _job(self, number: int, known: Row, triplet: Triplet) -> _Job:
        state, name = self._states[number], known["id"]
        inputs = state.wanted[name]
        row: Row = {
            **known,
            "error": None,
            **inputs._asdict(),
            **dict.fromkeys(state.panel.columns, np.nan),
        }
        if inputs.prediction_sha256 is None:
            row["error"] = _why_missing(state.failures, name)
            return _Job(number, row, {}, score=True)
        held = state.rows.holding(name, inputs, None)
        try:
            raw = _decode(state.folder.prediction(name), triplet.image.shape)
            if held is None:
                row |= _layer_scores(state, name, triplet) | _attention_scores(state, name)
        except _Unusable as error:
            row["error"] = str(error)
            return _Job(number, row, {}, score=True)
        pasted = paste(raw, triplet.image, triplet.mask_shown, self._dilation)
        row["raw_sha256"], row["pasted_sha256"] = pixel_sha256(raw), pixel_sha256(pasted)
        # Keyed by content: where pasting changes nothing, there is one picture to score, not two.
        images = {row["raw_sha256"]: raw, row["pasted_sha256"]: pasted}
        return _Job(number, row, images, score=held is None)

    def _take(self, sample: _Sample, workers: Workers) -> None:
        """Queue what a decoded sample needs, and start the batches that are full."""
        shape = sample.truth.shape
        for job in sample.jobs:
            rows = self._states[job.run].rows
            if not job.score:
                pass
            elif job.images and self._panel.pair:
                job.left = len(job.images)
                for key in job.images:
                    # Batches are of one shape and of one set of regions.
                    if batch := self._to_score.add((shape, *sample.regions), _Unit(job, key, sample)):
                        workers.start(self._score, batch)
            else:
                rows.add(job.row)
            for number, store in enumerate(self._states[job.run].stores):
                for key, image in job.images.items():
                    self._want_features(number, store, key, image, workers)
            if job.images:
                for number, store in enumerate(self._truths):
                    self._want_features(number, store, sample.truth_sha256, sample.truth, workers)

    def _want_features(
        self, number: int, store: FeatureStore, key: str, image: np.ndarray, workers: Workers
    ) -> None:
        if key in store or (store, key) in self._queued:
            return
        self._queued.add((store, key))
        if batch := self._to_extract.add((number, image.shape), (number, store, key, image)):
            workers.start(self._extract, batch)

    def _score(self, batch: list[_Unit]) -> Keep:
        """Score one batch with every pair metric, in a worker; returns what is left to the main thread."""
        samples = [unit.sample for unit in batch]
        pairs = Pairs(
            outputs=self._to_device([unit.job.images[unit.key] for unit in batch]),
            truths=self._to_device([sample.truth for sample in samples]),
            regions={
                name: self._to_device([sample.regions[name] for sample in samples])
                for name in samples[0].regions
            },
            # One task has one for each of its samples, or for none.
            subjects=tuple(sample.subject for sample in samples if sample.subject is not None) or None,
        )
        with torch.inference_mode():
            tables = [(metric.info.name, metric.score(pairs)) for metric in self._panel.pair]

        def keep() -> None:
            for index, unit in enumerate(batch):
                self._keep(unit, tables, index)

        return keep

    def _keep(self, unit: _Unit, tables: list[tuple[str, dict[str, np.ndarray]]], index: int) -> None:
        """Fill in one image's scores; a sample whose images are all done becomes a row."""
        row = unit.job.row
        for variant in VARIANTS:
            if row[f"{variant}_sha256"] == unit.key:
                for metric, table in tables:
                    for region, values in table.items():
                        row[f"{metric}.{region}.{variant}"] = float(values[index])
        unit.job.left -= 1
        if unit.job.left == 0:
            self._states[unit.job.run].rows.add(row)

    def _extract(self, batch: list[tuple[int, FeatureStore, str, np.ndarray]]) -> Keep:
        """One pass of one network over a batch of outputs and truths, in a worker."""
        extractor = self._panel.extractors[batch[0][0]]
        with torch.inference_mode():
            features = extractor.features(self._to_device([image for *_, image in batch]))

        def keep() -> None:
            for (_, store, key, _), feature in zip(batch, features, strict=True):
                store.add(key, feature)
                self._queued.discard((store, key))

        return keep

    def _to_device(self, arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).to(self._device)


def _why_missing(failures: dict[str, str], name: str) -> str:
    return failures.get(name, "there is no prediction")


class _Unusable(Exception):
    """A file of a prediction that is broken or does not fit; the message names it."""


def _inputs(state: _State, name: str) -> Inputs:
    layers = None
    if state.panel.layers:
        digest = hashlib.sha256()
        for path in sorted(state.folder.layers(name).glob("*.png")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        layers = digest.hexdigest()
    attention = state.attention.sha256(name) if state.panel.attention else None
    return Inputs(_file_sha256(state.folder, name), layers, attention)


def _file_sha256(folder: RunFolder, name: str) -> str | None:
    try:
        return file_sha256(folder.prediction(name))
    except FileNotFoundError:
        return None


def _layer_scores(state: _State, name: str, triplet: Triplet) -> Row:
    """Score column -> value; raises `_Unusable`."""
    if not state.panel.layers:
        return {}
    people, subject = triplet.people, triplet.subject
    assert people is not None and subject is not None  # noqa: PT018 - a task that asks for layers has both
    visible, amodal = people.visible[subject], people.amodal[subject]
    completed = _completed(state.folder.layers(name) / f"{subject}.png", visible)
    return {
        f"{metric.info.name}.{region}.raw": value
        for metric in state.panel.layers
        for region, value in metric.score(completed, visible, amodal).items()
    }


def _completed(path: Path, visible: np.ndarray) -> np.ndarray:
    """bool[H, W]: the subject as the method completed it; whom it left as they were is only seen in part."""
    if not path.exists():
        return visible
    try:
        layer = read_rgba(path, "layer")
    except UserError as error:
        raise _Unusable(f"{error}: {_REMEDY}") from None
    if layer.shape[:2] != visible.shape:
        raise _Unusable(_misfit(path, layer.shape, visible.shape))
    completed: np.ndarray = layer[..., 3] >= 128
    return completed


def _attention_scores(state: _State, name: str) -> Row:
    """Score column -> value; nothing for a sample without a record."""
    if not state.panel.attention or state.attention.sha256(name) is None:
        return {}
    found = state.attention.read(name)
    return {
        f"{metric.info.name}.{metric.info.regions[0]}.raw": metric.score(found.record, found.targets)
        for metric in state.panel.attention
    }


_REMEDY = "delete the prediction to have it made again"


def _misfit(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    sizes = f"{found[1]}x{found[0]}, its input is {expected[1]}x{expected[0]}"
    return f"{path.parent.name}/{path.name} is {sizes}: {_REMEDY}"


def _decode(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """uint8[H, W, 3] of a prediction; raises `_Unusable`."""
    data = np.fromfile(path, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise _Unusable(f"{path.parent.name}/{path.name} is broken or cut off: {_REMEDY}")
    if pixels.shape != shape:
        raise _Unusable(_misfit(path, pixels.shape, shape))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
