"""Check an entry against its data set: its samples, its predictions, or its method run again."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pyarrow as pa

import mildbench
from leaderboard.findings import NAMED, Findings, disagreements, same, text
from leaderboard.review import Reviewed
from leaderboard.schema import Level, Verification
from leaderboard.store import StoredEntry, pictures_sha256, write_verification
from mildbench.annotators.overlay import guided_by
from mildbench.dataset import Dataset
from mildbench.dataset.source import TripletSource
from mildbench.device import describe, resolve_device
from mildbench.errors import UserError
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import facts
from mildbench.evaluation.runner import evaluate, limited
from mildbench.method import MethodSpec
from mildbench.results.finished import FinishedRun
from mildbench.results.scores import FIXED
from mildbench.results.summary import RunSummary

SCORES = 1e-4
"""Relative and absolute: networks give other last digits on other devices."""
_OF_FILES = ("prediction_sha256", "layers_sha256", "attention_sha256")
"""Columns of the scores that are of compressed bytes: files of one picture may differ."""
_OF_PICTURES = ("raw_sha256", "pasted_sha256")


@dataclass(frozen=True, eq=False)
class Checked:
    """What one way of checking found."""

    findings: Findings
    verification: Verification | None = None
    """What can be recorded, if nothing differs; None where nothing was scored."""

    @property
    def level(self) -> Level:
        """How far the entry was checked, if nothing differs."""
        return "consistent" if self.verification is None else self.verification.level


@dataclass(frozen=True)
class Here:
    """Where things lie that an entry knows by what they hold."""

    files: dict[str, str] = field(default_factory=dict)
    """Option of the method -> the file or folder that it names."""
    metrics: dict[str, str] = field(default_factory=dict)
    """Metric -> it with its options, such as the folder of its annotator's models."""


NOTHING = Here()


class KnownSamples:
    """The samples of a data set's tasks, as rows of scores describe them; each task is read once."""

    def __init__(self, dataset: TripletSource) -> None:
        self.dataset = dataset
        self.of = cache(self._read)

    def _read(self, task: str, split: str) -> list[dict[str, Any]]:
        """`facts` of the task's samples, in order; raises `UserError` for an unknown task or split."""
        return [facts(name, self.dataset.triplet(task, name)) for name in self.dataset.task_ids(task, split)]

    def limited(self, task: str, split: str, limit: int | None) -> list[dict[str, Any]]:
        """Those that `mildbench evaluate --limit` takes."""
        taken = set(limited(self.dataset.task_ids(task, split), task, limit))
        return [row for row in self.of(task, split) if row["id"] in taken]


def samples(stored: StoredEntry, known: KnownSamples) -> Checked:
    """Compare what the entry's rows say of their samples with the data set; another data set is only noted."""
    summary, findings = stored.entry.summary, Findings()
    if (guided := _guided(stored, known.dataset)) is not known.dataset:
        known = KnownSamples(guided)
    if known.dataset.fingerprint != summary.config.dataset:
        findings.notes.append(f"its samples are not checked: {_other_data(stored, known.dataset)}")
        return Checked(findings)
    expected = known.limited(summary.task, summary.split, summary.limit)
    found = pa.Table.from_pylist(expected, pa.schema([FIXED.field(name) for name in expected[0]]))
    findings.differences += _row_differences(found, stored.rows, found.column_names)
    if known.dataset.name != summary.dataset:
        findings.differences.append(
            f"the data set is called {known.dataset.name}, the entry says {summary.dataset}"
        )
    findings.checked.append(f"its samples are the data set's {len(found)}")
    return Checked(findings)


def predictions(
    stored: StoredEntry,
    folder: Path,
    dataset: TripletSource,
    *,
    device: str,
    today: datetime.date,
    here: Here = NOTHING,
) -> Checked:
    """Score stored predictions (`<sample id>.png`, or a run's folder) again: they must be the entry's to the bit.

    Raises `UserError` where there are none, or the data set is another.
    """
    if not folder.is_dir():
        raise UserError(f"predictions folder not found: {folder}")
    # A run's own folder as well as the pictures' in it.
    inner = folder / "predictions"
    directory = inner if inner.is_dir() else folder
    spec = MethodSpec("precomputed", {"directory": str(directory)})
    findings = Findings()
    device = resolve_device(device)
    again = _evaluate(stored, spec, Corruption(), dataset, device, here)
    unseen = {metric.info.name for metric in (*stored.panel.layers, *stored.panel.attention)}
    findings.notes += [
        f"{name}: needs more of the method than pictures: use --rerun" for name in sorted(unseen)
    ]
    if pictures_sha256(again.rows) != stored.entry.predictions.sha256:
        findings.differences.append(
            f"predictions: the pictures in {directory} are not those that were scored"
        )
    return _compared(findings, stored, again, "rescored", unseen, device, today)


def rerun(
    stored: StoredEntry,
    dataset: TripletSource,
    *,
    device: str,
    today: datetime.date,
    here: Here = NOTHING,
) -> Checked:
    """Run the method again, as it was: it must be the same method, and give the same scores.

    Pictures must be the same to the bit, unless a network made them: then their scores must be.

    Raises `UserError` where the method cannot be had here, looks pictures up, or the data set is another.
    """
    summary = stored.entry.summary
    if "names" in summary.method.capabilities:
        raise UserError("its pictures were made elsewhere: there is no method to run, use --predictions DIR")
    device = resolve_device(device)
    spec = as_it_ran(summary, device, here)
    corruption = Corruption.parse(summary.config.corruption)
    findings = Findings()
    again = _evaluate(stored, spec, corruption, dataset, device, here)
    findings.differences += disagreements(
        "the method is another here:", again.summary.config.model_dump(), summary.config.model_dump()
    )
    findings.differences += disagreements(
        "method:",
        again.summary.method.model_dump(),
        summary.method.model_copy(update={"options": spec.options}).model_dump(),
    )
    return _compared(findings, stored, again, "rerun", set(), device, today)


def as_it_ran(summary: RunSummary, device: str, here: Here = NOTHING) -> MethodSpec:
    """The method with its options, and with the precision that it computed in where this device's usual one is another.

    Raises `UserError` for a method that cannot be had here, and for a file that the entry does not know.
    """
    if unknown := sorted(here.files.keys() - summary.config.files.keys()):
        known = ", ".join(summary.config.files) or "none"
        raise UserError(f"--file {unknown[0]}: the entry's method read no such file ({known}): leave it out")
    spec = MethodSpec(summary.method.name, summary.method.options | here.files)
    dtype = summary.config.dtype
    if dtype is not None and spec.create(device).dtype != dtype:
        spec.options["dtype"] = dtype
    return spec


def record(reviewed: Reviewed, verification: Verification | None) -> None:
    """Put what was verified beside the entry; a record of more stays.

    Raises `UserError` for predictions that nobody else can have.
    """
    if verification is None:
        return
    if verification.level == "rescored" and reviewed.entry.predictions.at is None:
        raise UserError(
            "the entry does not say where its predictions are, so nobody else can score them: nothing is recorded; add "
            "it anew with --predictions-at ADDRESS"
        )
    if not (reviewed.level == "rerun" and verification.level == "rescored"):
        write_verification(reviewed.stored, verification)


def _evaluate(
    stored: StoredEntry,
    spec: MethodSpec,
    corruption: Corruption,
    dataset: TripletSource,
    device: str,
    here: Here,
) -> FinishedRun:
    """A run like the entry's; its files are gone."""
    summary, dataset = stored.entry.summary, _guided(stored, dataset)
    if dataset.fingerprint != summary.config.dataset:
        raise UserError(f"{_other_data(stored, dataset)}: give its own with --dataset DIR")
    with TemporaryDirectory() as scratch:
        made = evaluate(
            dataset,
            summary.task,
            summary.split,
            [spec],
            out=Path(scratch),
            metrics=[here.metrics.get(metric.name, metric.name) for metric in summary.metrics],
            device=device,
            limit=summary.limit,
            seed=summary.config.seed,
            paste_dilation=summary.paste_dilation,
            corruption=corruption,
            mask=summary.config.mask,
        )
    return made.runs[0]


def _compared(
    findings: Findings,
    stored: StoredEntry,
    again: FinishedRun,
    level: Literal["rescored", "rerun"],
    unseen: set[str],
    device: str,
    today: datetime.date,
) -> Checked:
    """Add every difference between the entry and its like.

    Args:
        findings: what was found before.
        stored: the entry.
        again: the new run.
        level: what was done.
        unseen: metrics that cannot be had from what was scored.
        device: what it was done on.
        today: when it was done.
    """
    rows, lacking = again.rows, again.summary.unavailable
    findings.notes += [f"{item.name}: not recomputed: {item.reason}" for item in lacking]
    left_out = unseen | {item.name for item in lacking}
    if left_out.issuperset(metric.name for metric in stored.entry.summary.metrics):
        findings.differences.append("scores: none of its metrics can be recomputed here")
    skipped = set(_OF_FILES)
    identical = _identical(stored, rows)
    if level == "rerun" and "device" in again.summary.method.capabilities:
        skipped.update(_OF_PICTURES)
        if identical < len(rows):
            findings.notes.append(
                f"{identical} of {len(rows)} pictures are the same to the bit: a network's last digits depend on "
                "the processor"
            )
    scores = [name for name in stored.panel.columns if name.partition(".")[0] not in left_out]
    told = [name for name in FIXED.names if name not in skipped]
    findings.differences += _row_differences(rows, stored.rows, [*told, *scores])
    findings.differences += _set_differences(again.summary, stored.entry.summary, left_out)
    findings.checked.append(f"scores of {len(rows)} samples")
    return Checked(
        findings,
        Verification(
            entry=stored.entry.identity,
            level=level,
            date=today,
            mildbench=mildbench.__version__,
            device=device,
            environment={name: value for name, value in describe(device).items() if name != "platform"},
            pictures=len(rows),
            identical=identical,
            left_out=sorted(left_out),
        ),
    )


def _identical(stored: StoredEntry, rows: pa.Table) -> int:
    """Pictures of the new rows that are the entry's to the bit."""
    mine, theirs = (
        dict(zip(table.column("id").to_pylist(), table.column("raw_sha256").to_pylist(), strict=True))
        for table in (rows, stored.rows)
    )
    return sum(theirs.get(name) == digest for name, digest in mine.items())


def _guided(stored: StoredEntry, dataset: TripletSource) -> TripletSource:
    """The data set with the annotations that guided the entry's method, if any of them did; else as it is."""
    summary = stored.entry.summary
    if dataset.fingerprint == summary.config.dataset or not isinstance(dataset, Dataset):
        return dataset
    return guided_by(dataset, summary.split, summary.config.dataset) or dataset


def _other_data(stored: StoredEntry, dataset: TripletSource) -> str:
    return (
        f"it is of another data set than {dataset.name} ({stored.entry.summary.config.dataset[:12]}, "
        f"not {dataset.fingerprint[:12]})"
    )


def _row_differences(found: pa.Table, said: pa.Table, names: list[str]) -> list[str]:
    """A sentence for every value that differs in these columns, up to `NAMED` a column."""
    ids = said.column("id").to_pylist()
    expected = found.column("id").to_pylist()
    if ids != expected:
        foreign = sorted(set(ids) - set(expected))
        which = (
            f"{len(foreign)} that are not in it, {foreign[0]} for one" if foreign else "some or their order"
        )
        return [f"samples: the entry has others than the data set's task: {which}"]
    differences = []
    for name in names:
        mine, theirs = (table.column(name).to_pylist() for table in (found, said))
        # Failures by their being failures: a missing file tells another story than the method did.
        wrong = [
            (sample, a, b)
            for sample, a, b in zip(ids, mine, theirs, strict=True)
            if not (((a is None) == (b is None)) if name == "error" else same(a, b, SCORES))
        ]
        differences += [
            f"{sample}: {name} is {text(a)}, the entry says {text(b)}" for sample, a, b in wrong[:NAMED]
        ]
        if len(wrong) > NAMED:
            differences.append(f"{name}: {len(wrong) - NAMED} more samples differ")
    return differences


def _set_differences(found: RunSummary, said: RunSummary, left_out: set[str]) -> list[str]:
    again = {(item.metric, item.variant): item for item in found.sets}
    differences = []
    for item in said.sets:
        if item.metric in left_out:
            continue
        mine = again.get((item.metric, item.variant))
        if mine is None or not same(mine.value, item.value, SCORES) or mine.n != item.n:
            value = None if mine is None else mine.value
            differences.append(
                f"{item.metric} ({item.variant}) is {text(value)}, the entry says {text(item.value)}"
            )
    return differences
