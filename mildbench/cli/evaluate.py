"""`mildbench evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mildbench.cli.engines import EngineOrSerial, Workers
from mildbench.cli.terminal import Wide, console

if TYPE_CHECKING:
    from mildbench.results.summary import RunSummary


def evaluate(
    method: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:OPTION=VALUE,... (mildbench ls methods); repeatable."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint for every method that has such an option: a name (mildbench weights list), a hub id "
            "or a folder."
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Folder of the data set, or its address, e.g. s3://bucket/folder.")
    ] = "data/demo",
    task: Annotated[
        list[str] | None,
        typer.Option(help="mildbench ls tasks; repeatable. [default: erase-all]"),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    limit: Annotated[
        int | None,
        typer.Option(help="Only N samples, spread over the scenes; run again without it to do the rest."),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="Score the pictures in this folder, <sample id>.png; repeatable."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME or NAME:OPTION=VALUE,...; repeatable. [default: as mildbench ls metrics says under 'unasked']"
        ),
    ] = None,
    headline: Annotated[
        str | None,
        typer.Option(
            help="Rank by this metric: NAME, NAME.REGION or NAME.REGION.VARIANT. [default: rc-s or lpips in the mask "
            "where their weights are here, beside psnr]"
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(help="Pictures at a time; on a CPU it never changes a result.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the methods' generators.")] = 0,
    paste_dilation: Annotated[
        int, typer.Option(help="Pixels by which the mask is grown for the 'pasted' scores.")
    ] = 0,
    mask: Annotated[
        str,
        typer.Option(
            help="What methods are shown of what is to be erased: footprint, person, box or scribble (mildbench ls "
            "masks)."
        ),
    ] = "footprint",
    corrupt: Annotated[
        list[str] | None,
        typer.Option(
            help="Show the methods wrong inputs, score against the true ones: pose=SIGMA, parsing=P, "
            "mask=dilate:N, mask=erode:N, mask=hull or mask=box; repeatable."
        ),
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(
            help="Annotations (mildbench annotate) that guide methods where the truth knows no pose, parsing or "
            "background."
        ),
    ] = None,
    replace_truth: Annotated[
        bool, typer.Option("--replace-truth", help="Let --annotations guide them also where it does.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    workers: Workers = None,
    executor: EngineOrSerial = None,
    wide: Wide = False,
) -> None:
    """Run methods on a data set, score them, and print the table.

    What is on disk already is not made again: interrupted, the same command resumes; other metrics score the
    predictions that are there.

    \b
    mildbench evaluate --method telea --method lama:variant=tiny --task erase-one
    mildbench evaluate --dataset data/demo --predictions my-outputs
    """
    from mildbench import facade
    from mildbench.errors import UserError
    from mildbench.results import table

    opened = facade.source(dataset, split, annotations, replace_truth=replace_truth)
    tasks = list(dict.fromkeys(task or ["erase-all"]))
    for name in tasks:
        opened.task_ids(name, split)  # a typing error in the last task is told before hours of the first
    screen = console(wide=wide)
    lost: list[RunSummary] = []
    for name in tasks:
        made = facade.evaluate(
            opened,
            method or (),
            task=name,
            split=split,
            predictions=predictions or (),
            backbone=backbone,
            metrics=metric or (),
            headline=headline,
            device=device,
            batch_size=batch_size,
            limit=limit,
            seed=seed,
            paste_dilation=paste_dilation,
            mask=mask,
            corrupt=corrupt or (),
            out=out,
            executor=executor,
            workers=workers,
            progress=True,
        )
        screen.print(table.build(made.board, screen.width, wide=wide))
        lost += [summary for summary in made.summaries if summary.scored == 0]
        for finished in made.runs:
            screen.print(f"{finished.folder}", markup=False, highlight=False, soft_wrap=True)
    if lost:
        first = lost[0]
        named = "; predictions are named <sample id>.png" if first.method.name == "precomputed" else ""
        raise UserError(
            f"nothing of {first.label} could be scored on {first.task}: {first.failures[0].reason} "
            f"({first.failures[0].sample_id}){named}"
        )
