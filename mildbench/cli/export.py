"""`mildbench export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    dataset: Annotated[str, typer.Argument(help="Folder of the data set, or its address.")],
    to: Annotated[str, typer.Option(help="triplets, webdataset, huggingface or coco.")],
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist, or be empty.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="Of triplets: mildbench ls tasks; repeatable. [default: all that the data set has]"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Of triplets: split of the data set.")] = "test",
    mask: Annotated[
        str | None,
        typer.Option(help="Of triplets: what is marked (mildbench ls masks). [default: footprint]"),
    ] = None,
) -> None:
    """Write a data set in a format that other tools read; pictures keep every bit, checked beforehand.

    triplets: inputs, masks, instance masks and answers of every task, for a method that runs elsewhere; its
    outputs are read back by evaluate --predictions. webdataset: tar files, and still a mildbench data set. huggingface:
    Parquet files and a card, for datasets.load_dataset. coco: pictures with person_keypoints and instances
    annotations.

    \b
    mildbench export data/demo --to triplets --out given
    mildbench export data/demo --to huggingface --out hf
    """
    from rich.console import Console

    from mildbench.dataset import Dataset
    from mildbench.dataset.export import exporter, triplets
    from mildbench.dataset.validate import check_files, checksums
    from mildbench.errors import UserError
    from mildbench.marking import FOOTPRINT
    from mildbench.progress import tracking

    opened = Dataset.open(dataset)
    if to == triplets.NAME:
        tasks = task or opened.tasks(split)
        run: Any = partial(triplets.export_triplets, tasks=tasks, split=split, mask=mask or FOOTPRINT)
        samples = sum(len(opened.task_ids(name, split)) for name in tasks)
    else:
        for option, value in (("--task", task), ("--mask", mask)):
            if value:
                raise UserError(f"{option} is of --to {triplets.NAME}: leave it out")
        run = exporter(to)
        samples = sum(opened.info.samples.values())
    with tracking("files checked", 1 + sum(1 for _ in checksums(opened.root)), show=True) as advance:
        for problems in check_files(opened):
            if problems:
                raise UserError(
                    f"data set {dataset}: {problems[0]}: nothing is exported from a damaged data set; rebuild or "
                    "restore it (mildbench validate lists everything)"
                )
            advance(1)
    with tracking("samples", samples, show=True) as advance:
        run(opened, out, advance)
    Console().print(f"{out}: {samples} samples as {to}", markup=False, highlight=False, soft_wrap=True)
