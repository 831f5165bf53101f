"""`mildbench figure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def figure(
    run: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders of one task on one data set, or folders that hold them."
        ),
    ],
    sample: Annotated[
        list[str] | None,
        typer.Option(help="Sample id, a row each; repeatable. [default: evenly spread ones]"),
    ] = None,
    count: Annotated[int, typer.Option(help="Rows, where no samples are named.")] = 4,
    out: Annotated[Path, typer.Option(help="The figure to write: .png, .pdf or .svg.")] = Path("figure.png"),
    dataset: Annotated[
        Path | None, typer.Option(help="Where the data set lies, if not where the runs found it.")
    ] = None,
) -> None:
    """Draw samples and what every run made of them, side by side, for a paper.

    Samples that nobody picked: without --sample they are taken at equal distances.

    \b
    mildbench figure runs/*/erase-one --count 6 --out figure.pdf
    """
    from mildbench import extras

    extras.require("matplotlib", "mildbench figure")
    from mildbench.report import figure as figures
    from mildbench.results import finished

    runs = [finished.read(folder) for folder in finished.find(run)]
    figures.write(out, runs, samples=sample or (), count=count, dataset=dataset)
    typer.echo(out)
