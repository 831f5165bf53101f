"""`mildbench leaderboard`: results as reviewed JSON, ranked, shown and recomputed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leaderboard.verify import Report

app = typer.Typer(
    help="Results as reviewed JSON with their scores sample by sample: add a run, build the page, recompute.",
    no_args_is_help=True,
)

Entries = Annotated[
    Path | None, typer.Option(help="Folder of the entries. [default: those that come with mildbench]")
]


@app.command()
def add(
    run: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders that hold runs.")
    ],
    entries: Entries = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an entry that is there.")
    ] = False,
) -> None:
    """Make entries of runs. Their aggregates are recomputed first."""
    import datetime

    from leaderboard import store, verify
    from mildbench.errors import UserError
    from mildbench.evaluation import finished

    folder = entries or store.ENTRIES
    for path in finished.find(run):
        today = datetime.datetime.now(datetime.UTC).date()
        stored = store.add(finished.read(path), folder, replace=replace, today=today)
        if differences := verify.aggregates(stored).differences:
            stored.attachment.unlink()
            stored.path.unlink()
            raise UserError(f"run {path} does not add up ({differences[0]}): run mildbench evaluate again")
        typer.echo(stored.path)


@app.command()
def build(
    entries: Entries = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("leaderboard.html"),
) -> None:
    """Write the leaderboard as one HTML page that needs no network."""
    from leaderboard import site, store

    site.build(out, store.read_all(entries or store.ENTRIES), store.read_reported())
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


@app.command()
def readme(
    path: Annotated[Path, typer.Argument(help="A Markdown file.")] = Path("README.md"),
    entries: Entries = None,
    dataset: Annotated[str, typer.Option(help="Name of the data set whose results are shown.")] = "demo",
) -> None:
    """Write the results as a table between the marks <!-- leaderboard --> and <!-- /leaderboard -->."""
    from leaderboard import markdown, store

    text = markdown.table(store.read_all(entries or store.ENTRIES), dataset)
    typer.echo(f"{path}: {'changed' if markdown.update(path, text) else 'up to date'}")


@app.command()
def verify(
    entry: Annotated[
        list[str] | None, typer.Argument(metavar="[ENTRY]...", help="Names, or files. [default: all]")
    ] = None,
    entries: Entries = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these pictures again: <sample id>.png, or a run's folder.")
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run the method again.")] = False,
    dataset: Annotated[
        Path, typer.Option(help="Folder of the data set, for --predictions and --rerun.")
    ] = Path("data/demo"),
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N, for --predictions and --rerun.")
    ] = "auto",
) -> None:
    """Recompute entries: aggregates from scores, and scores from pictures or by running the method.

    Exit code 1 where anything differs.
    """
    from leaderboard import store
    from leaderboard import verify as verification
    from mildbench.dataset import Dataset
    from mildbench.errors import UserError

    if predictions is not None and (rerun or len(entry or []) != 1):
        raise UserError("--predictions are of one entry: name it, and leave --rerun out")
    data = Dataset.open(dataset) if rerun or predictions is not None else None
    failed = []
    paths = _paths(entry or [], entries or store.ENTRIES)
    for path in paths:
        try:
            stored = store.read(path)
        except UserError as error:
            failed.append(path.stem)
            _tell(path.stem, verification.Report(differences=[str(error)]))
            continue
        reports = [verification.aggregates(stored)]
        if data is not None and predictions is not None:
            reports.append(verification.predictions(stored, predictions, data, device=device))
        elif data is not None:
            reports.append(verification.rerun(stored, data, device=device))
        for report in reports:
            _tell(stored.entry.name, report)
        if any(report.differences for report in reports):
            failed.append(stored.entry.name)
    if failed:
        typer.echo(f"mildbench: {len(failed)} of {len(paths)} entries are not what they say", err=True)
        raise typer.Exit(1)
    typer.echo(f"{len(paths)} entries verified")


def _paths(names: list[str], folder: Path) -> list[Path]:
    """The entries' files, by names or paths; all of the folder when none are given."""
    from mildbench.errors import UserError, did_you_mean

    known = {path.stem: path for path in sorted(folder.glob("*.json"))}
    if not names:
        if not known:
            raise UserError(f"no entries in {folder}: add one with mildbench leaderboard add RUN")
        return list(known.values())
    found = []
    for name in names:
        path = known.get(name, Path(name))
        if not path.is_file():
            raise UserError(f"no entry {name!r} in {folder}: {did_you_mean(name, known)}")
        found.append(path)
    return found


def _tell(name: str, report: Report) -> None:
    for text in report.checked:
        typer.echo(f"{name}: {'recomputed' if not report.differences else 'differs'}: {text}")
    for text in report.notes:
        typer.echo(f"{name}: note: {text}")
    for text in report.differences:
        typer.echo(f"{name}: DIFFERENT: {text}", err=True)
