"""`mildbench import`: data sets made by others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mildbench.errors import UserError
from mildbench.public import COCOA, PUBLIC, PublicSet, Published

if TYPE_CHECKING:
    from mildbench.dataset.pairs import About, FoundPairs
    from mildbench.dataset.schema import DatasetInfo

app = typer.Typer(
    help="Make a data set of pictures that others have made: a public set by its name, or any as pairs.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="Folder of the set.", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="Folder of the data set. [default: data/NAME]")]


@app.command()
def pairs(
    images: Annotated[Path, typer.Option(help="Folder of the inputs.")],
    masks: Annotated[
        Path, typer.Option(help="Folder of the masks: white, or any label but 0, is to be erased.")
    ],
    truth: Annotated[Path, typer.Option(help="Folder of the true answers.")],
    effect_masks: Annotated[
        Path | None,
        typer.Option(help="Folder of masks of all that changes, shadows too; scored as the region effect."),
    ] = None,
    out: Out = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set. [default: that of the folder above the inputs]")
    ] = None,
    licence: Annotated[str, typer.Option(help="Terms of the pictures, for the card.")] = "not stated",
    images_pattern: Annotated[
        str, typer.Option(help="How inputs are named; * is what partners share, e.g. '*_input'.")
    ] = "*",
    masks_pattern: Annotated[
        str,
        typer.Option(
            help="The same for masks, e.g. '*_mask'; # are digits where a picture has several: '*_mask#'."
        ),
    ] = "*",
    truth_pattern: Annotated[str, typer.Option(help="The same for true answers, e.g. 'gt_*'.")] = "*",
    effect_masks_pattern: Annotated[str, typer.Option(help="The same for effect masks.")] = "*",
    group: Annotated[
        str | None,
        typer.Option(
            help="Pattern of a sample's name whose * is its camera or place, e.g. '*_F#'; intervals resample groups."
        ),
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="The masks, and the effect masks, mark what stays.")
    ] = False,
    skip_incomplete: Annotated[
        bool, typer.Option("--skip-incomplete", help="Leave out what lacks a partner or has an empty mask.")
    ] = False,
) -> None:
    """Import a benchmark that comes as folders of inputs, masks and true answers with the same names.

    People are unknown in it: evaluate it with --task erase-all.

    \b
    mildbench import pairs --images set/input --masks set/mask --truth set/gt
    """
    from mildbench.dataset.pairfiles import Folder, find_pairs
    from mildbench.dataset.pairs import About

    found = find_pairs(
        Folder("input", images, (images_pattern,)),
        Folder("mask", masks, (masks_pattern,)),
        Folder("truth", truth, (truth_pattern,)),
        Folder("effect mask", effect_masks, (effect_masks_pattern,)) if effect_masks else None,
        group=group,
        skip_incomplete=skip_incomplete,
    )
    called = name or images.resolve().parent.name
    about = About(
        called, licence, f"{len(found.pairs)} pairs of pictures with and without what their masks mark."
    )
    _import(found, out, about, invert=invert, skip_empty=skip_incomplete)


def _import(found: FoundPairs, out: Path | None, about: About, *, invert: bool, skip_empty: bool) -> None:
    from mildbench.dataset.pairs import import_pairs
    from mildbench.progress import tracking

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", about.name):
        raise UserError(
            f"the name {about.name!r} cannot be a folder's: use letters, digits, '.', '_' and '-' (--name)"
        )
    target = out or Path("data") / about.name
    with tracking("pairs", len(found.pairs), show=True) as advance:
        info = import_pairs(found, target, about, invert=invert, skip_empty=skip_empty, advance=advance)
    _tell(target, info, "pairs")


def _tell(target: Path, info: DatasetInfo, what: str) -> None:
    from rich.console import Console

    from mildbench.dataset.card import import_remarks

    console = Console()
    lines = [
        f"{target}: {sum(info.samples.values())} {what}",
        *import_remarks(info),
        f"fingerprint {info.fingerprint[:12]}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _command(known: PublicSet) -> Callable[..., None]:
    def make(folder: Path, beside: Path | None, out: Path | None) -> None:
        found = known.find(known, folder, beside)
        _import(found, out, known.about, invert=known.inverted, skip_empty=True)

    def plain(folder: Folder, out: Out = None) -> None:
        make(folder, None, out)

    def with_truth(
        folder: Folder,
        truth: Annotated[
            Path | None, typer.Option(help="Folder of the true answers: the set comes without.")
        ] = None,
        out: Out = None,
    ) -> None:
        make(folder, truth, out)

    def with_masks(
        folder: Folder,
        masks: Annotated[
            Path | None, typer.Option(help="Folder of masks, for frames. [default: by difference]")
        ] = None,
        out: Out = None,
    ) -> None:
        make(folder, masks, out)

    commands: dict[str | None, Callable[..., None]] = {None: plain, "truth": with_truth, "masks": with_masks}
    return commands[known.takes]


def _help(known: Published) -> str:
    """With an example, as every command has one."""
    return f"{known.summary} Layout: {known.layout}.\n\n\b\nmildbench import {known.name} /data/{known.name}"


for _known in PUBLIC.values():
    app.command(_known.name, help=_help(_known))(_command(_known))


@app.command(COCOA.name, help=_help(COCOA))
def cocoa(
    folder: Folder,
    out: Out = None,
) -> None:
    from mildbench.dataset.amodal import import_amodal
    from mildbench.dataset.cocoa import find_photos
    from mildbench.progress import tracking

    found = find_photos(folder)
    target = out or Path("data") / COCOA.name
    with tracking("photos", len(found.photos), show=True) as advance:
        info = import_amodal(found, target, COCOA.about, COCOA.notes, advance=advance)
    _tell(target, info, "photos")
