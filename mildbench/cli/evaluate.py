"""`mildbench evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mildbench.evaluation.summary import RunSummary

DEFAULT_DATASET = Path("data/demo")


def evaluate(
    method: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:OPTION=VALUE,... (mildbench ls methods); repeatable."),
    ] = None,
    dataset: Annotated[Path, typer.Option(help="Folder of the data set.")] = DEFAULT_DATASET,
    task: Annotated[
        list[str] | None,
        typer.Option(help="mildbench ls tasks; repeatable. [default: erase-all]"),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    limit: Annotated[
        int | None, typer.Option(help="Only the first N samples; run again without it to do the rest.")
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="Score the pictures in this folder, <sample id>.png; repeatable."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="mildbench ls metrics; repeatable. [default: all but lpips-vgg]"),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures at a time; never changes a result.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the methods' generators.")] = 0,
    paste_dilation: Annotated[
        int, typer.Option(help="Pixels by which the mask is grown for the 'pasted' scores.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
) -> None:
    """Run methods on a data set, score them, and print the table.

    What is on disk already is not made again: interrupted, the same command resumes; other metrics score the
    predictions that are there.
    """
    from rich.console import Console

    from mildbench.dataset import Dataset
    from mildbench.errors import UserError
    from mildbench.evaluation import table
    from mildbench.evaluation.compare import Comparison
    from mildbench.evaluation.run import read_model, task_folder
    from mildbench.evaluation.runner import evaluate as run
    from mildbench.method import MethodSpec

    specs = [MethodSpec.parse(text) for text in method or []]
    for folder in predictions or []:
        if not folder.is_dir():
            raise UserError(f"predictions folder not found: {folder}")
        specs.append(MethodSpec("precomputed", {"directory": str(folder)}))
    if not specs:
        raise UserError("nothing to evaluate: give --method NAME (mildbench ls methods) or --predictions DIR")
    if not dataset.exists():
        remedy = (
            "mildbench build-dataset"
            if dataset == DEFAULT_DATASET
            else f"mildbench build-dataset --out {dataset}"
        )
        raise UserError(f"data set not found: {dataset}: make it with: {remedy}")
    opened = Dataset.open(dataset)
    tasks = list(dict.fromkeys(task or ["erase-all"]))
    for name in tasks:
        opened.task_ids(name, split)  # a typing error in the last task is told before hours of the first
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a log has no width of its own; 80 columns would break the table
    lost: list[RunSummary] = []
    for name in tasks:
        summaries = run(
            opened,
            name,
            split,
            specs,
            out=out,
            metrics=metric or (),
            device=device,
            batch_size=batch_size,
            limit=limit,
            seed=seed,
            paste_dilation=paste_dilation,
            progress=True,
        )
        folder = task_folder(out, opened, name)
        comparison = read_model(Comparison, folder / "comparison.json", "comparison")
        console.print(table.build(summaries, comparison, console.width))
        lost += [summary for summary in summaries if summary.scored == 0]
        for summary in summaries:
            console.print(f"{folder / summary.run}", markup=False, highlight=False, soft_wrap=True)
    if lost:
        first = lost[0]
        raise UserError(
            f"nothing of {first.label} could be scored on {first.task}: {first.failures[0].reason} "
            f"({first.failures[0].sample_id}); predictions are named <sample id>.png"
        )
