"""Carrying out an ablation: train each row, evaluate all of them together, keep every record."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mildbench.ablation.result import Ablation, RowResult, markdown
from mildbench.ablation.study import WEIGHTS, AblationPlan, AblationRow
from mildbench.dataset.source import TripletSource
from mildbench.device import resolve_device
from mildbench.errors import UserError, did_you_mean
from mildbench.evaluation import panel
from mildbench.evaluation.runner import Evaluation, evaluate
from mildbench.files import write_bytes
from mildbench.method import MethodSpec
from mildbench.records import write_model
from mildbench.results.panel import Panel
from mildbench.results.record import RunRecord
from mildbench.training.loop import train
from mildbench.training.record import TrainingRecord, read
from mildbench.training.scenes import SceneSource
from mildbench.training.settings import Execution, TrainingSettings
from mildbench.training.trainer import Trainer, TrainerSpec

TRAIN, VALIDATION, TEST = "train", "val", "test"
"""The splits."""

MakeSettings = Callable[[Trainer, float], TrainingSettings]
"""A row's trainer and its share of the steps -> its settings."""


def ablate(
    name: str,
    study: AblationPlan,
    source: SceneSource,
    test: TripletSource,
    settings: MakeSettings,
    execution: Execution,
    out: Path,
    *,
    progress: bool = False,
) -> Ablation:
    """Train and evaluate every row; what is on disk already is not made again.

    Args:
        name: of the study; names its files.
        study: what to compare.
        source: of the scenes to train on; has the splits `TRAIN` and `VALIDATION`.
        test: the data set to evaluate on; its split `TEST` is used.
        settings: alike for all rows, but for what is the trainer's own.
        execution: how to carry out the trainings.
        out: receives `NAME.json`, `NAME.md`, `training/` and `runs/`. Studies in one folder share trainings.
        progress: show bars.

    Raises:
        UserError: mistakes in the study's rows, before anything is trained; else as `train` and `evaluate`.
    """
    specs = [MethodSpec.parse(row.method) for row in study.rows.values()]
    for spec in specs:
        spec.create()  # not loaded: only its options are checked
    for row in study.rows.values():
        _trainer(row)
    _check_columns(name, study, test, execution.device)
    for split in (TRAIN, VALIDATION):
        source.check(split)
    trained = [_trained(row, source, settings, execution, out, progress) for row in study.rows.values()]
    made = evaluate(
        test,
        study.task,
        TEST,
        [_with_weights(spec, folder) for spec, folder in zip(specs, trained, strict=True)],
        out=out / "runs",
        metrics=study.metrics,
        device=execution.device,
        progress=progress,
    )
    result = _result(name, study, trained, made)
    write_model(out / f"{name}.json", result)
    write_bytes(out / f"{name}.md", f"{study.description}\n\n{markdown(result)}\n".encode())
    return result


def _result(name: str, study: AblationPlan, trained: Sequence[Path | None], made: Evaluation) -> Ablation:
    """What the study found: a row's training and its run."""
    return Ablation(
        study=name,
        description=study.description,
        columns=study.columns,
        rows=[
            RowResult(
                name=row,
                training=None if weights is None else read(weights.parent),
                run=_without_path(run.record),
                summary=run.summary.model_copy(update={"strata": []}),
            )
            for row, weights, run in zip(study.rows, trained, made.runs, strict=True)
        ],
        comparison=made.comparison,
    )


def _check_columns(name: str, study: AblationPlan, test: TripletSource, device: str) -> None:
    """Raises `UserError` for a column that no evaluation of the study would have."""
    ids = test.task_ids(study.task, TEST)
    if not ids:
        return  # `evaluate` says so
    first = test.triplet(study.task, ids[0])
    asked, _ = panel.asked_for(study.metrics, resolve_device(device), truth_known=first.truth_known)
    known = Panel.of(asked, effects=first.effect is not None).columns
    for column in study.columns:
        if column not in known:
            raise UserError(f"ablation {name}: there is no column {column!r}: {did_you_mean(column, known)}")


def _trainer(row: AblationRow) -> Trainer | None:
    """The row's trainer, not loaded; raises `UserError` for an unknown one and for its options."""
    return None if row.train is None else TrainerSpec.parse(row.train).instantiate()


def _trained(
    row: AblationRow,
    source: SceneSource,
    settings: MakeSettings,
    execution: Execution,
    out: Path,
    progress: bool,
) -> Path | None:
    """The folder of the row's weights, which are trained unless they are there; None where nothing is trained."""
    trainer = _trainer(row)
    if trainer is None or row.train is None:
        return None
    spec = TrainerSpec.parse(row.train)
    chosen = settings(trainer, row.share)
    words = re.findall(r"[A-Za-z0-9]+", f"{row.train} {chosen.steps} steps")
    run = out / "training" / "-".join(words)
    fresh = TrainingRecord.fresh(spec.name, spec.options, source, chosen, TRAIN, VALIDATION)
    train(trainer, source, fresh, chosen, execution, run, progress=progress)
    return run / "weights"


def _with_weights(spec: MethodSpec, folder: Path | None) -> MethodSpec:
    """The spec with the folder in place of `WEIGHTS`."""
    if folder is None:
        return spec
    return replace(
        spec, options={name: value.replace(WEIGHTS, str(folder)) for name, value in spec.options.items()}
    )


def _without_path(record: RunRecord) -> RunRecord:
    """Where the data set lay is of no use elsewhere."""
    return record.model_copy(update={"dataset": record.dataset.model_copy(update={"path": None})})
