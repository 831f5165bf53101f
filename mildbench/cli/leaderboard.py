"""`mildbench leaderboard`: results as reviewed JSON, ranked, shown and checked."""

from __future__ import annotations

import datetime
import fnmatch
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leaderboard.review import Refused, Reviewed
    from leaderboard.schema import Level
    from leaderboard.store import StoredEntry
    from leaderboard.verify import Checked

app = typer.Typer(
    help="Results as reviewed JSON with their scores sample by sample: add a run, build the page, check entries.",
    no_args_is_help=True,
)

Entries = Annotated[
    Path | None, typer.Option(help="Folder of the entries. [default: those that come with mildbench]")
]
Headline = Annotated[
    str | None,
    typer.Option(
        help="Rank by this metric: NAME, NAME.REGION or NAME.REGION.VARIANT. [default: rc-s or lpips in the mask where "
        "all have it, beside psnr]"
    ),
]
DATASET = Path("data/demo")
"""Where the embedded data set lies."""


@app.command()
def add(
    run: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders that hold runs.")
    ],
    entries: Entries = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an entry that is there.")
    ] = False,
    predictions_at: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where the run's predictions/ can be had (https://, hf://, s3://, gs://), so that anybody can score "
            "them again. One run only.",
        ),
    ] = None,
) -> None:
    """Make entries of runs: of all of them, or of none where one does not add up.

    \b
    mildbench leaderboard add runs/*/erase-one/mild*
    """
    _require_packages()
    from leaderboard import consistency, store
    from mildbench.errors import UserError
    from mildbench.results import finished

    paths = finished.find(run)
    if predictions_at is not None and len(paths) != 1:
        raise UserError(f"--predictions-at is of one run, and these are {len(paths)}: add them one by one")
    made = {}
    for path in paths:
        stored, scores = store.make(
            finished.read(path), entries or store.ENTRIES, today=_today(), at=predictions_at
        )
        if differences := consistency.check(stored).differences:
            raise UserError(f"run {path} does not add up ({differences[0]}): run mildbench evaluate again")
        store.check_free(stored, replace=replace)
        if stored.path in made:
            raise UserError(
                f"run {path} and another given here make one entry, {stored.path.stem}: leave one out"
            )
        made[stored.path] = stored, scores
    for stored, scores in made.values():
        store.write(stored, scores, replace=replace)
        typer.echo(stored.path)


@app.command()
def build(
    entries: Entries = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("leaderboard.html"),
    headline: Headline = None,
) -> None:
    """Write the leaderboard as one HTML page that needs no network; entries that do not add up stand apart.

    \b
    mildbench leaderboard build --out leaderboard.html
    """
    from leaderboard import site, store

    reviewed, refused = _review(entries)
    site.build(out, reviewed, refused, store.read_reported(), headline)
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


@app.command()
def readme(
    path: Annotated[Path, typer.Argument(help="A Markdown file.")] = Path("README.md"),
    entries: Entries = None,
    dataset: Annotated[str, typer.Option(help="Name of the data set whose results are shown.")] = "demo",
    headline: Headline = None,
) -> None:
    """Write the results as a table between the marks <!-- leaderboard --> and <!-- /leaderboard -->.

    \b
    mildbench leaderboard readme README.md
    """
    from leaderboard import markdown

    reviewed, _ = _review(entries)
    text = markdown.table(reviewed, dataset, headline)
    typer.echo(f"{path}: {'changed' if markdown.update(path, text) else 'up to date'}")


@app.command()
def verify(
    entry: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ENTRY]...", help="Names, patterns of names, or files. [default: all]"),
    ] = None,
    entries: Entries = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these pictures again: <sample id>.png, or a run's folder.")
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run the method again.")] = False,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the data set: the entries' samples are compared with it, and --predictions and --rerun "
            f"need it. [default: {DATASET}, if it is there]"
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N, for --predictions and --rerun.")
    ] = "auto",
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION=PATH", help="Where a file of the method lies here, e.g. weights=mine.safetensors."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:OPTION=VALUE", help="How a metric can be had here, e.g. where its models are."
        ),
    ] = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Note beside the entries which were rescored or rerun, to be committed."
        ),
    ] = False,
) -> None:
    """Check entries, and say how far: consistent, rescored or rerun.

    Always: whether aggregates follow from the scores, the samples are the data set's, and what is said of methods and
    metrics is what is registered. --predictions scores pictures again; --rerun runs the methods.

    Exit code 1 where anything differs, or could not be done.

    \b
    mildbench leaderboard verify
    mildbench leaderboard verify '*-erase-one-telea-*' --rerun
    mildbench leaderboard verify ENTRY --rerun --file weights=model.safetensors
    """
    _require_packages()
    from leaderboard import store
    from leaderboard import verify as verification
    from leaderboard.schema import LEVELS
    from mildbench.dataset import Dataset
    from mildbench.errors import UserError
    from mildbench.metrics.base import MetricSpec
    from mildbench.progress import tracking

    if predictions is not None and (rerun or len(entry or []) != 1):
        raise UserError("--predictions are of one entry: name it, and leave --rerun out")
    again = rerun or predictions is not None
    if record and not again:
        raise UserError("--record notes what --rerun or --predictions found: give one of them")
    if (file or metric) and not again:
        raise UserError("--file and --metric are for --rerun and --predictions: give one of them")
    metrics = {spec.name: spec for spec in map(MetricSpec.parse, metric or [])}
    for spec in metrics.values():
        spec.create()
    here = verification.Here(
        dict(_pair(text) for text in file or []), {name: spec.text for name, spec in metrics.items()}
    )
    paths = _paths(entry or [], entries or store.ENTRIES)
    step = None
    if again or dataset is not None or DATASET.is_dir():
        data = Dataset.open(dataset or DATASET)
        if predictions is not None:
            step = partial(
                verification.predictions,
                folder=predictions,
                dataset=data,
                device=device,
                today=_today(),
                here=here,
            )
        elif rerun:
            step = partial(verification.rerun, dataset=data, device=device, today=_today(), here=here)
        else:
            step = partial(verification.samples, known=verification.KnownSamples(data))
    else:
        typer.echo(f"note: samples are not compared: no data set at {DATASET} (mildbench build-dataset)")
    reached: Counter[Level] = Counter()
    with tracking("entries", len(paths), show=again) as advance:
        for path in paths:
            if (level := _check(path, step, record)) is not None:
                reached[level] += 1
            advance(1)
    if reached.total() < len(paths):
        bad = len(paths) - reached.total()
        typer.echo(
            f"mildbench: {bad} of {len(paths)} entries are not what they say, or could not be checked",
            err=True,
        )
        raise typer.Exit(1)
    noun = "entry" if len(paths) == 1 else "entries"
    counts = ", ".join(f"{reached[level]} {level}" for level in LEVELS if reached[level])
    typer.echo(f"{len(paths)} {noun}: {counts}")


def _check(path: Path, step: Callable[[StoredEntry], Checked] | None, record: bool) -> Level | None:
    """Check one entry, print what was found, and record it; the level that it reached, None where it differs."""
    from leaderboard import review
    from leaderboard import verify as verification
    from leaderboard.schema import LEVELS
    from mildbench.errors import UserError

    found = review.review(path)
    if isinstance(found, review.Refused):
        _tell_differences(found.name, found.differences)
        return None
    checks = [verification.Checked(found.findings, found.verification)]
    try:
        if step is not None:
            checks.append(step(found.stored))
        if differences := [text for check in checks for text in check.findings.differences]:
            _tell_differences(found.name, differences)
            return None
        if record:
            verification.record(found, checks[-1].verification)
    except UserError as error:  # the other entries can be checked all the same
        typer.echo(f"{found.name}: NOT CHECKED: {error}", err=True)
        return None
    for check in checks:
        for text in check.findings.checked:
            typer.echo(f"{found.name}: {check.level}: {text}")
        for text in check.findings.notes:
            typer.echo(f"{found.name}: note: {text}")
    return max((check.level for check in checks), key=list(LEVELS).index)


def _require_packages() -> None:
    """Entries are held against the metrics' own code."""
    from mildbench import extras

    for package in ("torch", "jinja2"):
        extras.require(package, "mildbench leaderboard")


def _review(entries: Path | None) -> tuple[list[Reviewed], list[Refused]]:
    """All entries; those that are refused are named."""
    _require_packages()
    from leaderboard import review, store

    reviewed, refused = review.review_all(entries or store.ENTRIES)
    for item in refused:
        more = f" (and {len(item.differences) - 1} more)" if len(item.differences) > 1 else ""
        typer.echo(f"mildbench: entry {item.name} is refused: {item.differences[0]}{more}", err=True)
    return reviewed, refused


def _pair(text: str) -> tuple[str, str]:
    from mildbench.errors import UserError

    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--file {text}: write OPTION=PATH, such as weights=mine.safetensors")
    return name, value


def _paths(names: list[str], folder: Path) -> list[Path]:
    """The entries' files, by names, patterns of names or paths; all of the folder when none are given."""
    from leaderboard import store
    from mildbench.errors import UserError, did_you_mean

    known = {path.stem: path for path in store.paths(folder)}
    if not names:
        if not known:
            raise UserError(f"no entries in {folder}: add one with mildbench leaderboard add RUN")
        return list(known.values())
    found: list[Path] = []
    for name in names:
        if matching := fnmatch.filter(known, name):
            found += [known[one] for one in matching]
            continue
        path = Path(name)
        if not path.is_file():
            having = sum(name in one for one in known)
            remedy = f"'*{name}*' are {having} of them" if having else did_you_mean(name, known)
            raise UserError(f"no entry {name!r} in {folder}: {remedy}")
        found.append(path)
    return found


def _tell_differences(name: str, differences: Sequence[str]) -> None:
    for text in differences:
        typer.echo(f"{name}: DIFFERENT: {text}", err=True)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
