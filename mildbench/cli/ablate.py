"""`mildbench ablate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mildbench.cli.train import Annotations, BatchSize, Ema, LearningRate, Precision, Seed, Size, Workers

if TYPE_CHECKING:
    from mildbench.dataset.source import TripletSource
    from mildbench.training.settings import TrainingSettings
    from mildbench.training.trainer import Trainer


def ablate(
    study: Annotated[
        str, typer.Argument(help="A name (mildbench ls ablations), or a YAML file.", show_default=False)
    ],
    dataset: Annotated[
        Path, typer.Option(help="Data set to train on: its splits train and val.", show_default=False)
    ],
    test_dataset: Annotated[
        Path | None, typer.Option(help="Data set whose split test is evaluated on. [default: --dataset]")
    ] = None,
    annotations: Annotations = "",
    steps: Annotated[int, typer.Option(help="Optimiser steps of each row.")] = 1000,
    batch_size: BatchSize = None,
    size: Size = None,
    lr: LearningRate = None,
    warmup: Annotated[
        int | None,
        typer.Option(help="Steps over which the learning rate rises. [default: a tenth, 200 at most]"),
    ] = None,
    ema: Ema = 0.999,
    seed: Seed = 0,
    workers: Workers = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Precision = "auto",
    out: Annotated[Path, typer.Option(help="Folder of trainings, runs and results.")] = Path("ablations"),
) -> None:
    """Train the variants of a method alike, compare them on the same samples, and print the table.

    Each score stands beside its paired difference from the first row's, with the 95 % interval. Interrupted, the
    same command resumes. Writes STUDY.md, and STUDY.json with the records of all trainings and runs.

    \b
    mildbench ablate mild --dataset data/train --steps 1000
    """
    from baselines import ablations
    from mildbench import extras
    from mildbench.ablation import study as studies

    for package in ("torch", "accelerate", "matplotlib"):
        extras.require(package, "mildbench ablate")
    from mildbench.ablation.result import markdown
    from mildbench.ablation.run import ablate as run
    from mildbench.annotators.overlay import annotated
    from mildbench.dataset import Dataset
    from mildbench.training.scenes import DatasetScenes
    from mildbench.training.settings import Execution, TrainingSettings

    def settings(trainer: Trainer, share: float) -> TrainingSettings:
        count = max(1, round(steps * share))
        rising = min(200, count // 10) if warmup is None else warmup
        return TrainingSettings.of(
            trainer.info, count, batch_size, size, lr, warmup=rising, seed=seed, ema=ema
        )

    opened = Dataset.open(test_dataset or dataset)
    test: TripletSource = annotated(opened, annotations, "test") if annotations else opened
    chosen = studies.load(study, ablations.FOLDER)
    result = run(
        Path(study).stem,
        chosen,
        DatasetScenes(dataset, seed, annotations),
        test,
        settings,
        Execution(
            device, cast(Any, precision), workers=(os.cpu_count() or 1) if workers is None else workers
        ),
        out,
        progress=True,
    )
    typer.echo(f"{chosen.description}\n\n{markdown(result)}\n\n{out / f'{result.study}.json'}")
