"""`mildbench validate`."""

from __future__ import annotations

from typing import Annotated

import typer

SHOWN = 20


def validate(dataset: Annotated[str, typer.Argument(help="Folder of the data set, or its address.")]) -> None:
    """Check a data set: checksums, fingerprint, recomposition, truth, annotations, splits without shared sources.

    \b
    mildbench validate data/demo
    """
    from rich.console import Console

    from mildbench.dataset import Dataset
    from mildbench.dataset.validate import steps
    from mildbench.dataset.validate import validate as check
    from mildbench.progress import tracking

    opened = Dataset.open(dataset)
    samples = sum(opened.info.samples.values())
    problems: list[str] = []
    with tracking("files and samples", steps(opened), show=True) as advance:
        for found in check(opened):
            problems += found
            advance(1)
    console = Console()
    for problem in problems[:SHOWN]:
        console.print(f"- {problem}", markup=False)
    if problems:
        if len(problems) > SHOWN:
            console.print(f"... and {len(problems) - SHOWN} more")
        console.print(f"{dataset}: {len(problems)} problems: rebuild it, or restore the files named above")
        raise typer.Exit(2)
    if opened.info.source == "pairs":
        outcome = "can be read and are of one size each"
    else:
        exactly = "" if opened.info.jpeg else " bit for bit"
        outcome = f"recompose{exactly}, truth and annotations agree"
    console.print(f"{dataset}: valid: {samples} samples {outcome}")
    if opened.info.jpeg:
        console.print(opened.info.lossy(), markup=False, highlight=False, soft_wrap=True)
