"""`mildbench browse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

COMMAND = "mildbench browse"


def browse(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN ...|DATASET", help="Folders of runs of one task, or the folder of a data set."
        ),
    ],
    dataset: Annotated[
        Path | None, typer.Option(help="Where the runs' data set lies, if it has been moved.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="What the worst samples are worst by: a metric or a score column; in a data set visible_ratio, "
            "difficulty, people or mask_share. [default: psnr; visible_ratio]"
        ),
    ] = None,
    worst: Annotated[int, typer.Option(help="Number of the worst samples; the runs take turns.")] = 100,
    random: Annotated[int, typer.Option(help="Number of others, drawn at random.")] = 100,
    everything: Annotated[bool, typer.Option("--all", help="All samples.")] = False,
    port: Annotated[int, typer.Option(help="Port of the app.")] = 5151,
    launch: Annotated[bool, typer.Option(help="Start the app.")] = True,
    export_tags: Annotated[
        Path | None,
        typer.Option(
            help="Write the tags and notes that were set in the app to this .csv or .json file, nothing else."
        ),
    ] = None,
) -> None:
    """Look at runs, or at a data set, in the FiftyOne app; Ctrl-C ends it.

    Running it again updates what FiftyOne holds. Samples that you have tagged stay.

    \b
    mildbench browse runs/*/erase-one
    mildbench browse data/demo --sort mask_share
    """
    from rich.console import Console

    from mildbench.browse.app import check_port, serve
    from mildbench.browse.database import connect, watched
    from mildbench.browse.export import export, find, marked
    from mildbench.browse.gallery import Gallery
    from mildbench.browse.selection import choose
    from mildbench.browse.tags import check_target
    from mildbench.browse.tags import export_tags as write_tags

    def tell(text: str) -> None:
        Console().print(text, markup=False, highlight=False, soft_wrap=True)

    gallery = Gallery.open(folders, dataset)
    if export_tags is not None:
        check_target(export_tags)
        count = write_tags(connect(COMMAND), gallery, export_tags)
        tell(f"{export_tags}: {count} pictures with tags or notes")
        return
    ids = choose(gallery, sort=sort, worst=worst, random=random)  # mistakes are told before FiftyOne is up
    if launch:
        check_port(port)
    fo = connect(COMMAND)
    with watched(COMMAND):
        if everything:
            ids = list(gallery.facts.index)
        elif (earlier := find(fo, gallery)) is not None:
            kept = {sample_id for sample_id, _ in marked(earlier)}
            ids = choose(gallery, sort=sort, worst=worst, random=random, kept=kept)
        made = export(fo, gallery, ids, progress=True)
        tell(
            f"{gallery.name}: {len(ids)} of {len(gallery.facts)} samples, {len(made.list_saved_views())} saved views"
        )
        if launch:
            serve(fo, made, port, lambda url: tell(f"{url} (Ctrl-C ends it)"))
