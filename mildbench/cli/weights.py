"""`mildbench weights`: what the cache holds, and how to fill it with or without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mildbench.cli.terminal import Wide, console

if TYPE_CHECKING:
    from mildbench.weights import AnyEntry, Status

app = typer.Typer(
    help="List, fetch, add and verify the weights that methods and metrics read. "
    "They lie in $MILDBENCH_CACHE/weights, else in ~/.cache/mildbench/weights.",
    no_args_is_help=True,
)


@app.command("list")
def list_(wide: Wide = False) -> None:
    """Show all known weights, whether they are here (sizes only; `verify` hashes), and what they are held to.

    \b
    mildbench weights list --wide
    """
    from mildbench import weights

    _print_table(f"weights in {weights.cache_dir()}", weights.overview(), wide=wide)


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="names from `mildbench weights list`")
    ],
    offline: Annotated[bool, typer.Option("--offline", help="fail rather than use the network")] = False,
) -> None:
    """Download weights into the cache, verified; what is already there is kept.

    \b
    mildbench weights fetch lpips-alex inception-tf
    """
    from mildbench import weights

    for name in names:
        weights.entry(name)  # a misspelt last name is said before the first download, not after it
    for name in names:
        # A checkpoint comes through huggingface_hub, which shows bars of its own.
        bar = nullcontext() if name in weights.checkpoints() else _progress(name)
        with bar as progress:
            path = weights.fetch(name, offline=offline, progress=progress)
        typer.echo(f"{name}: {path}")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a name from `mildbench weights list`")],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="the file, or a checkpoint's folder, downloaded elsewhere")
    ],
) -> None:
    """Put weights that you have into the cache, after checking them: for machines without a network.

    \b
    mildbench weights add lama-big downloads/big-lama.pt
    """
    from mildbench import weights

    with _progress(name) as progress:
        place = weights.add(name, path, progress=progress)
    typer.echo(f"{name}: {place}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="all when none is given")
    ] = None,
    wide: Wide = False,
) -> None:
    """Hash what is in the cache and compare; exits with 2 if something is wrong or a named one is missing.

    \b
    mildbench weights verify
    """
    from mildbench import weights
    from mildbench.errors import UserError

    states = weights.verify(names or ())
    _print_table(f"weights in {weights.cache_dir()}, hashed", states, wide=wide)
    bad = [s.entry.name for s in states if s.state == "wrong" or (names and s.state == "missing")]
    if bad:
        raise UserError(f"weights missing or wrong: mildbench weights fetch {' '.join(bad)}")


def _print_table(title: str, states: Iterable[Status], *, wide: bool) -> None:
    from rich.table import Table

    table = Table("name", "state", title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("MB", justify="right", no_wrap=True)
    for heading in ("used for", *(("held to", "licence") if wide else ())):
        table.add_column(heading)
    for status in states:
        state = status.state if status.problem is None else f"wrong: {status.problem}"
        entry = status.entry
        size = f"{entry.size / 1e6:,.1f}" if entry.size else "?"
        more = (_held_to(entry), entry.licence) if wide else ()
        table.add_row(entry.name, state, size, entry.used_for, *more)
    console(wide=wide).print(table)


def _held_to(entry: AnyEntry) -> str:
    """What the weights must be: all known beforehand, or in part whatever was fetched first."""
    from mildbench.weights import HubCheckpoint

    if not isinstance(entry, HubCheckpoint):
        return "sha256"
    known = sum(file.sha256 is not None for file in entry.files)
    if known == len(entry.files):
        return f"sha256 of {known} files"
    return f"sha256 of {known} of {len(entry.files)} files; the others to what was fetched first"


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on stderr, shown once it moves; yields the callback that moves it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
