"""Stage two: a row of scores for every sample, and the features that set metrics compare.

Samples are shared out in shards, `mildbench.longwork`; only those with a number that is missing or out of date. A
sample's truth is decoded once for all runs that need it, each prediction once. Samples of one shape share a batch on
the device; what stays behind is one row a sample.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import torch

from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.evaluation import features
from mildbench.evaluation.data import Buckets, facts, subject_of
from mildbench.evaluation.features import pixel_sha256
from mildbench.evaluation.panel import LoadedPanel
from mildbench.evaluation.rows import Row, Rows, write_part
from mildbench.evaluation.run import Run
from mildbench.evaluation.workers import Keep, Workers, workers_for
from mildbench.executors import HERE, Executor, Spec
from mildbench.files import file_sha256
from mildbench.images import read_rgba
from mildbench.longwork import LongWork, Made, Maker
from mildbench.metrics.base import Pairs, Subject
from mildbench.prefetch import read_ahead
from mildbench.progress import Advance, tracking
from mildbench.regions import paste, regions
from mildbench.results.attention import AttentionFile
from mildbench.results.folder import RunFolder
from mildbench.results.scores import InputDigests
from mildbench.results.summary import VARIANTS
from mildbench.scene import Triplet

_SHARD = 32
"""Samples that a killed worker loses at most."""
_THREADS = 2
"""Decoders of pictures beside the threads that score."""
_TRUTH = -1
"""Stands among the runs for the truths."""


class _Asked(NamedTuple):
    """What is wanted of one sample of one run; JSON values, as a shard has them."""

    run: int
    inputs: list[str | None]
    """`InputDigests`."""
    missing: str
    """Why there is no prediction, where there is none."""
    score: bool
    """False: its row holds, and only features are missing."""


@dataclass(frozen=True, eq=False)
class _Target:
    """A run that is scored, as workers need it."""

    folder: RunFolder
    layers: bool
    attention: bool
    """Which metrics are for it."""
    schema: pa.Schema
    first_part: int
    features: tuple[tuple[Path, ...], ...]
    """By network, the files of features that were there before."""


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


@dataclass(frozen=True, eq=False)
class _State:
    """What a worker knows of one run."""

    folder: RunFolder
    panel: LoadedPanel
    """The part that is for this run."""
    attention: AttentionFile
    known: list[set[str]]
    """Pictures whose features were there before, by network."""


@dataclass(eq=False)
class _Found:
    """What a shard has found so far."""

    rows: list[list[Row]]
    """By run."""
    outputs: list[list[dict[str, np.ndarray]]]
    """By run and network: features."""
    truths: list[dict[str, np.ndarray]]
    """By network."""
    to_score: Buckets
    to_extract: Buckets
    queued: set[tuple[int, int, str]] = field(default_factory=set)
    """Pictures whose features are on their way: run or `_TRUTH`, network, key."""


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
    executor: Executor = HERE,
    show: bool,
) -> list[pa.Table]:
    """Bring `scores.parquet` and `features/` of every run up to date for the samples `ids` of the task's `every`.

    The runs are of one task, and were shown one mask. What is scored anew does not depend on the executor.

    Returns the rows of `ids`, run by run.

    A prediction that is missing, broken or of another size than its input becomes a row with an `error`.
    Killed at any time, it goes on from the parts on disk. Raises `UserError` for broken data, OSError for a
    full disk.
    """
    parts = [panel.part_for(run) for run in runs]
    rows = [Rows(run.folder, part, dilation) for run, part in zip(runs, parts, strict=True)]
    networks = [extractor.key for extractor in panel.extractors]
    shared = runs[0].folder
    truths = [tuple(features.files(shared.truth_features, network)) for network in networks]
    targets = [
        _Target(
            run.folder,
            layers=bool(part.layers),
            attention=bool(part.attention),
            schema=own.schema,
            first_part=own.next_part,
            features=tuple(tuple(features.files(run.folder.features, network)) for network in networks),
        )
        for run, part, own in zip(runs, parts, rows, strict=True)
    ]
    wanted: dict[str, list[_Asked]] = {}
    known_truths = [features.keys(paths) for paths in truths]
    for number, (target, part, own) in enumerate(zip(targets, parts, rows, strict=True)):
        known = [features.keys(paths) for paths in target.features]
        for asked in _asked(
            number, target.folder, part, own, ids, list(zip(known_truths, known, strict=True))
        ):
            wanted.setdefault(asked[0], []).append(asked[1])
    names = [name for name in ids if name in wanted]
    if names:
        maker = _Maker(
            dataset,
            runs[0],
            panel,
            targets,
            truths,
            dilation,
            batch_size,
            device,
            # Workers beside each other are the parallelism.
            threads=(os.cpu_count() or 1) if executor.workers == 1 else 1,
        )
        # What a killed process has done is in its place: records and claim are of this time alone.
        work = LongWork(shared.path.parent, shared.scoring, secrets.token_hex(8), maker)
        work.remove()
        work.claim()
        with tracking("score", sum(map(len, wanted.values())), show=show) as advance:
            work.run(executor, _shards(names, wanted), advance)
        for made in work.records(range(-(-len(names) // _SHARD))):
            for number, name in made.result:
                rows[number].take(shared.path.parent / name)
        work.remove()
    for own in rows:
        own.merge(ids, every)
    return [own.table(ids) for own in rows]


def _asked(
    number: int,
    folder: RunFolder,
    panel: LoadedPanel,
    rows: Rows,
    ids: Sequence[str],
    known: Sequence[tuple[set[str], set[str]]],
) -> Iterator[tuple[str, _Asked]]:
    """The samples of a run with work. `known`: by network, truths and outputs whose features are there."""
    failures, attention = folder.read_failures(), AttentionFile(folder.attention)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = read_ahead(pool, partial(_inputs, folder, panel, attention), ids, depth=64)
        for name, inputs in zip(ids, found, strict=True):
            missing = failures.get(name, "there is no prediction")
            row = rows.holding(name, inputs, missing)
            if row is not None and (row["error"] is not None or _has_features(row, known)):
                continue
            yield name, _Asked(number, list(inputs), missing, row is None)


def _has_features(row: Row, known: Sequence[tuple[set[str], set[str]]]) -> bool:
    outputs = {row["raw_sha256"], row["pasted_sha256"]}
    return all(row["truth_sha256"] in truths and outputs <= own for truths, own in known)


def _shards(names: Sequence[str], wanted: Mapping[str, Sequence[_Asked]]) -> Iterator[Spec]:
    for number, start in enumerate(range(0, len(names), _SHARD)):
        samples = {name: wanted[name] for name in names[start : start + _SHARD]}
        yield {"number": number, "size": sum(map(len, samples.values())), "samples": samples}


class _Maker(Maker):
    """Scores shards."""

    def __init__(
        self,
        dataset: TripletSource,
        run: Run,
        panel: LoadedPanel,
        targets: Sequence[_Target],
        truths: Sequence[tuple[Path, ...]],
        dilation: int,
        batch_size: int,
        device: str,
        threads: int,
    ) -> None:
        self._dataset = dataset
        self._task, self._mask = run.config.task, run.config.mask
        self._panel = panel
        self._targets = targets
        self._truth_files = truths
        self._dilation = dilation
        self._batch_size = batch_size
        self._device = device
        self._threads = threads

    def open(self) -> None:
        self._known_truths = [features.keys(paths) for paths in self._truth_files]
        self._states = [
            _State(
                target.folder,
                self._panel.part(layers=target.layers, attention=target.attention),
                AttentionFile(target.folder.attention),
                [features.keys(paths) for paths in target.features],
            )
            for target in self._targets
        ]

    def make(self, spec: Spec, advance: Advance) -> Made:
        samples = {name: [_Asked(*asked) for asked in wanted] for name, wanted in spec["samples"].items()}
        networks = range(len(self._panel.extractors))
        self._found = _Found(
            rows=[[] for _ in self._states],
            outputs=[[{} for _ in networks] for _ in self._states],
            truths=[{} for _ in networks],
            to_score=Buckets(self._batch_size),
            to_extract=Buckets(self._batch_size),
        )
        with ThreadPoolExecutor(_THREADS) as pool, workers_for(self._device, self._threads) as workers:
            for sample in read_ahead(pool, self._read, samples.items(), depth=2 * self._batch_size):
                self._take(sample, workers)
                advance(len(sample.jobs))
            for batch in self._found.to_score.rest():
                workers.start(self._score, batch)
            for batch in self._found.to_extract.rest():
                workers.start(self._extract, batch)
            workers.finish()
        return self._written(spec["number"])

    def _written(self, number: int) -> Made:
        """Put what was found in its place; the result says which run each part is of."""
        found, root = self._found, self._targets[0].folder.path.parent
        files: dict[str, str] = {}
        parts = []

        def note(path: Path, sha256: str) -> str:
            name = path.relative_to(root).as_posix()
            files[name] = sha256
            return name

        for network, extractor in enumerate(self._panel.extractors):
            stores = [
                (target.folder.features, found.outputs[run][network])
                for run, target in enumerate(self._targets)
            ]
            for folder, known in (*stores, (self._targets[0].folder.truth_features, found.truths[network])):
                if known:
                    note(*features.write(folder, extractor.key, known))
        for run, target in enumerate(self._targets):
            if found.rows[run]:
                part = write_part(target.folder, target.schema, target.first_part + number, found.rows[run])
                parts.append([run, note(*part)])
        return Made(parts, files)

    def _read(self, item: tuple[str, list[_Asked]]) -> _Sample:
        """Decode a sample and the predictions to score; runs in a thread of the pool."""
        name, wanted = item
        triplet = self._dataset.triplet(self._task, name, mask=self._mask)
        known = facts(name, triplet)
        jobs = [self._job(asked, known, triplet) for asked in wanted]
        found = regions(triplet.mask, triplet.overlap, triplet.effect)
        return _Sample(triplet.truth, known["truth_sha256"], found, subject_of(triplet), jobs)

    def _job(self, asked: _Asked, known: Row, triplet: Triplet) -> _Job:
        state, name = self._states[asked.run], known["id"]
        inputs = InputDigests(*asked.inputs)
        row: Row = {
            **known,
            "error": None,
            **inputs._asdict(),
            **dict.fromkeys(state.panel.columns, np.nan),
        }
        if inputs.prediction_sha256 is None:
            row["error"] = asked.missing
            return _Job(asked.run, row, {}, score=True)
        try:
            raw = _decode(state.folder.prediction(name), triplet.image.shape)
            if asked.score:
                row |= _layer_scores(state, name, triplet) | _attention_scores(state, name)
        except _Unusable as error:
            row["error"] = str(error)
            return _Job(asked.run, row, {}, score=True)
        pasted = paste(raw, triplet.image, triplet.mask_shown, self._dilation)
        row["raw_sha256"], row["pasted_sha256"] = pixel_sha256(raw), pixel_sha256(pasted)
        # Keyed by content: where pasting changes nothing, there is one picture to score, not two.
        images = {row["raw_sha256"]: raw, row["pasted_sha256"]: pasted}
        return _Job(asked.run, row, images, score=asked.score)

    def _take(self, sample: _Sample, workers: Workers) -> None:
        """Queue what a decoded sample needs, and start the batches that are full."""
        shape = sample.truth.shape
        for job in sample.jobs:
            if not job.score:
                pass
            elif job.images and self._panel.pair:
                job.left = len(job.images)
                for key in job.images:
                    # Batches are of one shape and of one set of regions.
                    if batch := self._found.to_score.add((shape, *sample.regions), _Unit(job, key, sample)):
                        workers.start(self._score, batch)
            else:
                self._found.rows[job.run].append(job.row)
            for network, known in enumerate(self._states[job.run].known):
                for key, image in job.images.items():
                    self._want_features(job.run, network, key, image, known, workers)
            if job.images:
                for network, known in enumerate(self._known_truths):
                    self._want_features(_TRUTH, network, sample.truth_sha256, sample.truth, known, workers)

    def _want_features(
        self, run: int, network: int, key: str, image: np.ndarray, known: set[str], workers: Workers
    ) -> None:
        if key in known or (run, network, key) in self._found.queued:
            return
        self._found.queued.add((run, network, key))
        if batch := self._found.to_extract.add((network, image.shape), (run, network, key, image)):
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
            self._found.rows[unit.job.run].append(row)

    def _extract(self, batch: list[tuple[int, int, str, np.ndarray]]) -> Keep:
        """One pass of one network over a batch of outputs and truths, in a worker."""
        extractor = self._panel.extractors[batch[0][1]]
        with torch.inference_mode():
            found = extractor.features(self._to_device([image for *_, image in batch]))

        def keep() -> None:
            for (run, network, key, _), feature in zip(batch, found, strict=True):
                owner = self._found.truths if run == _TRUTH else self._found.outputs[run]
                owner[network][key] = feature

        return keep

    def _to_device(self, arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).to(self._device)


class _Unusable(Exception):
    """A file of a prediction that is broken or does not fit; the message names it."""


def _inputs(folder: RunFolder, panel: LoadedPanel, attention: AttentionFile, name: str) -> InputDigests:
    layers = None
    if panel.layers:
        digest = hashlib.sha256()
        for path in sorted(folder.layers(name).glob("*.png")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        layers = digest.hexdigest()
    recorded = attention.sha256(name) if panel.attention else None
    return InputDigests(_file_sha256(folder, name), layers, recorded)


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
