"""`mildbench import`: data sets made by others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mildbench.errors import UserError

app = typer.Typer(help="Make a data set of pictures that others have made.", no_args_is_help=True)


@app.command()
def pairs(
    images: Annotated[Path, typer.Option(help="Folder of the inputs.")],
    masks: Annotated[Path, typer.Option(help="Folder of the masks; above 127 is to be erased.")],
    truth: Annotated[Path, typer.Option(help="Folder of the true answers.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the data set. [default: data/NAME]")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set. [default: that of the folder above the inputs]")
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the pictures, for the card.")] = "not stated",
    images_pattern: Annotated[
        str, typer.Option(help="How inputs are named; * is what partners share, e.g. '*_input'.")
    ] = "*",
    masks_pattern: Annotated[str, typer.Option(help="The same for masks, e.g. '*_mask'.")] = "*",
    truth_pattern: Annotated[str, typer.Option(help="The same for true answers, e.g. 'gt_*'.")] = "*",
) -> None:
    """Import a benchmark that comes as folders of inputs, masks and true answers with the same names.

    People are unknown in it: evaluate it with --task erase-all.
    """
    from rich.console import Console

    from mildbench.dataset.pairs import Folder, find_pairs, import_pairs
    from mildbench.progress import tracking

    found = find_pairs(
        Folder("input", images, images_pattern),
        Folder("mask", masks, masks_pattern),
        Folder("truth", truth, truth_pattern),
    )
    called = name or images.resolve().parent.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", called):
        raise UserError(
            f"the name {called!r} cannot be a folder's: use letters, digits, '.', '_' and '-' (--name)"
        )
    target = out or Path("data") / called
    with tracking("pairs", len(found), show=True) as advance:
        info = import_pairs(found, target, name=called, licence=licence, advance=advance)
    console = Console()
    console.print(f"{target}: {len(found)} pairs", markup=False, highlight=False, soft_wrap=True)
    console.print(f"fingerprint {info.fingerprint[:12]}")
