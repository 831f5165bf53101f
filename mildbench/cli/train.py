"""`mildbench train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mildbench.cli.build_dataset import Backgrounds, People

if TYPE_CHECKING:
    from mildbench.training.scenes import SceneSource


Annotations = Annotated[
    str,
    typer.Option(
        help="Annotations of --dataset: poses where its truth knows none, and what its backgrounds are."
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Scenes a step, over all GPUs. [default: the trainer's]")]
Size = Annotated[int | None, typer.Option(help="Pixels of the square scenes. [default: the trainer's]")]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate. [default: the trainer's]")]
Ema = Annotated[float, typer.Option(help="Share of the averaged weights that stays in each step.")]
Seed = Annotated[int, typer.Option(help="Of the fresh weights, the examples and the noise.")]
Workers = Annotated[
    int | None, typer.Option(help="Processes that make examples. [default: the machine's cores]")
]
Precision = Annotated[str, typer.Option(help="auto (bf16 on a GPU), fp32 or bf16.")]


def train(
    method: Annotated[
        str, typer.Argument(help="NAME or NAME:OPTION=VALUE,... (mildbench ls trainers)", show_default=False)
    ],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe whose scenes are rendered while training. [default: train]")
    ] = None,
    people: People = None,
    backgrounds: Backgrounds = None,
    scene_seed: Annotated[
        int,
        typer.Option(
            help="As build-dataset's --seed: the same one divides the people alike over the splits."
        ),
    ] = 0,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Train on this data set instead; the fastest are of format webdataset."),
    ] = None,
    annotations: Annotations = "",
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    validation_split: Annotated[str, typer.Option(help="Split to validate on, never trained on.")] = "val",
    steps: Annotated[int, typer.Option(help="Optimiser steps in all.")] = 10000,
    batch_size: BatchSize = None,
    size: Size = None,
    lr: LearningRate = None,
    schedule: Annotated[
        str, typer.Option(help="cosine (to zero), or constant (may be prolonged).")
    ] = "cosine",
    warmup: Annotated[int, typer.Option(help="Steps over which the learning rate rises.")] = 200,
    ema: Ema = 0.999,
    seed: Seed = 0,
    accumulate: Annotated[int, typer.Option(help="Pieces of a process's batch, to save memory.")] = 1,
    save_every: Annotated[
        int, typer.Option(help="Steps between checkpoints, with validation and panel.")
    ] = 500,
    minutes: Annotated[
        float | None, typer.Option(help="Save and end after so long; the same command continues.")
    ] = None,
    workers: Workers = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda; several GPUs: accelerate launch -m mildbench train ...")
    ] = "auto",
    precision: Precision = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [default: training/METHOD]")] = None,
) -> None:
    """Train a method's weights on scenes whose truth is exact.

    Interrupted, the same command resumes to the same losses. Writes log.csv, curves.png, panels, checkpoints, and
    at the end weights/ with a model card.

    \b
    mildbench train lama --dataset data/train --steps 20000
    """
    from mildbench import extras
    from mildbench.errors import UserError
    from mildbench.training.record import TrainingRecord
    from mildbench.training.settings import Execution, TrainingSettings
    from mildbench.training.trainer import TrainerSpec

    for package in ("torch", "accelerate", "matplotlib"):
        extras.require(package, "mildbench train")
    from accelerate import PartialState

    from mildbench.training.loop import train as run

    spec = TrainerSpec.parse(method)
    trainer = spec.instantiate()
    settings = TrainingSettings.of(
        trainer.info,
        steps,
        batch_size,
        size,
        lr,
        schedule=cast(Any, schedule),
        warmup=warmup,
        seed=seed,
        ema=ema,
    )
    execution = Execution(
        device,
        cast(Any, precision),
        accumulate,
        (os.cpu_count() or 1) if workers is None else workers,
        compile,
        save_every,
        **({} if minutes is None else {"minutes": minutes}),
    )
    if dataset is not None and (recipe or people or backgrounds or scene_seed):
        raise UserError(
            "--dataset goes without --recipe, --people, --backgrounds and --scene-seed: its scenes are made already"
        )
    if annotations and dataset is None:
        raise UserError(f"--annotations {annotations} is of a data set: name it with --dataset")
    source = (
        _built(dataset, seed, annotations)
        if dataset
        else _rendered(recipe, people, backgrounds, settings.size, scene_seed)
    )
    for wanted in (split, validation_split):
        source.check(wanted)
    if split == validation_split:
        raise UserError(f"--validation-split {validation_split}: name one that is not trained on")
    fresh = TrainingRecord.fresh(spec.name, spec.options, source, settings, split, validation_split)
    target = out or Path("training") / spec.name
    outcome = run(trainer, source, fresh, settings, execution, target, progress=True)
    if not PartialState().is_main_process:  # one of several GPUs' processes speaks
        return
    if outcome.skipped:
        typer.echo(f"{outcome.skipped} scenes could not be used and were replaced, e.g. {outcome.example}")
    state = "done" if outcome.finished else "not finished: the same command continues"
    typer.echo(f"{target}: {outcome.step} of {steps} steps, {state}")
    typer.echo(outcome.usage)


def _built(dataset: Path, seed: int, annotations: str) -> SceneSource:
    from mildbench.training.scenes import DatasetScenes

    return DatasetScenes(dataset, seed, annotations)


def _rendered(
    recipe: str | None, people: list[str] | None, backgrounds: list[str] | None, size: int, seed: int
) -> SceneSource:
    from synth import recipe_files as recipes
    from synth.stream import RenderedScenes

    changes = {"people": people, "backgrounds": backgrounds, "size": size}
    return RenderedScenes(recipes.load_with(recipe or "train", changes), seed)
