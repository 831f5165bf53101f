"""`mildbench report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders, or folders that hold runs (runs/, say)."),
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    dataset: Annotated[
        Path | None, typer.Option(help="Where the data set lies, if not where the runs found it.")
    ] = None,
    headline: Annotated[
        str | None,
        typer.Option(
            help="Rank by this metric: NAME, NAME.REGION or NAME.REGION.VARIANT. [default: rc-s or lpips in the mask "
            "where scored, beside psnr]"
        ),
    ] = None,
) -> None:
    """Write one HTML page of runs: tables, plots, and the worst cases side by side.

    It needs no network and no other file: send it to a colleague.

    \b
    mildbench report runs --out report.html
    """
    from mildbench import extras

    for package in ("matplotlib", "jinja2"):
        extras.require(package, "mildbench report")
    from mildbench.report import page
    from mildbench.results import finished

    runs = [finished.read(folder) for folder in finished.find(run)]
    for lacking in page.write(out, runs, dataset, headline=headline):
        typer.echo(f"mildbench: {lacking}", err=True)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
