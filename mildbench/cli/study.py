"""`mildbench study`: people compare methods blindly, and metrics are held against what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from mildbench.study.result import Group, StudyInterval

app = typer.Typer(
    help="Ask people: one offline page of blind pairs, and what their answers say of methods and metrics.",
    no_args_is_help=True,
)


@app.command()
def make(
    run: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders, or folders that hold runs: of one task and data set."
        ),
    ],
    pairs: Annotated[
        int, typer.Option(help="Pairs about the methods; one attention check comes with every ten.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of the pairs, their sides and their order.")] = 0,
    out: Annotated[
        Path, typer.Option(help="A folder, or the page's name (.html); the key goes beside the page.")
    ] = Path("study"),
    dataset: Annotated[
        Path | None, typer.Option(help="Where the data set lies, if not where the runs found it.")
    ] = None,
) -> None:
    """Write a page that shows raters blind pairs of outputs, and the key that tells which method is which.

    Send the page, keep the key. The page needs no network; each rater saves their answers as a file and sends it back.

    \b
    mildbench study make runs/*/erase-one --pairs 100
    """
    from mildbench.study.make import make as make_study

    study, page, key = make_study(run, out, count=pairs, seed=seed, dataset=dataset, show=True)
    typer.echo(
        f"{page}: {page.stat().st_size / 1e6:.1f} MB, {len(study.pairs)} pairs and {len(study.checks)} attention "
        f"checks, pictures at most {study.longest_side} px, WebP {study.webp_quality}: send it to raters"
    )
    typer.echo(f"{key}: tells which method is which: keep it, raters must not see it")


@app.command()
def ask(
    study: Annotated[
        Path, typer.Argument(help="The study's folder, or its page (.html).", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Folder, or hub id in the local cache, of a vision-language model that transformers reads.",
            show_default=False,
        ),
    ],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="The answers. [default: answers-<model>.json beside the page]")
    ] = None,
) -> None:
    """Have a vision-language model answer the page: it sees what people see, and its answers are marked as a model's.

    Each pair is asked twice, with the sides exchanged; a preference that goes with the side is a tie. Interrupted, the
    same command goes on.

    \b
    mildbench study ask study --model Qwen/Qwen2.5-VL-3B-Instruct
    """
    from mildbench.study.ask import answers_path
    from mildbench.study.ask import ask as ask_judge
    from mildbench.study.judge import Judge
    from mildbench.study.make import paths
    from mildbench.study.page import read_page

    place, _ = paths(study)
    page = read_page(place)
    judge = Judge(model, device)
    target = out or answers_path(place, judge.name)
    answers = ask_judge(page, judge, target, show=True)
    ties = sum(answer.choice == "tie" for answer in answers.answers)
    typer.echo(
        f"{target}: {len(answers.answers)} answers of {judge.name}, {ties} ties: for mildbench study score"
    )


@app.command()
def score(
    study: Annotated[
        Path, typer.Argument(help="The study's folder, or its key (.json).", show_default=False)
    ],
    answers: Annotated[
        list[Path],
        typer.Argument(metavar="ANSWERS...", help="The files that raters sent.", show_default=False),
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Where the runs lie, if not where the study found them; folders that hold them will do."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The result as JSON. [default: result.json beside the key]")
    ] = None,
) -> None:
    """Say what raters prefer, how far they agree, and how far each metric agrees with them.

    Raters who failed the attention checks are left out and counted. People and models are never pooled.

    \b
    mildbench study score study answers-*.json
    """
    from rich.console import Console

    from mildbench.records import write_model
    from mildbench.study.make import KEY
    from mildbench.study.records import read_answers, read_study
    from mildbench.study.result import score as score_study

    path = study / KEY if study.is_dir() else study
    key = read_study(path)
    result, lacking = score_study(key, {file: read_answers(file, key) for file in answers}, runs or [])
    target = out or path.with_name("result.json")
    write_model(target, result)
    console = Console()
    for line in lacking:
        typer.echo(f"mildbench: {line}", err=True)
    for group in result.groups:
        parts = [_raters(group)]
        parts += [_methods(group)] if group.strengths else []
        parts += [_metrics(group)] if group.agreements else []
        for part in parts:
            console.print(part)
            console.print()
    for line in result.notes:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    typer.echo(target)


def _raters(group: Group) -> Table:
    from rich.table import Table
    from rich.text import Text

    who = {"person": "people", "model": "models, not people"}[group.kind]
    alpha = "" if group.alpha is None else f", Krippendorff's alpha {group.alpha:.3f}"
    title = f"{who}: {group.answers} answers ({group.ties} ties) to {group.scenes} scenes{alpha}"
    table = Table(
        "rater", "answers", "checks right", "s/pair", "counts", title=title, box=None, title_justify="left"
    )
    for one in group.raters:
        seconds = "-" if one.median_seconds is None else f"{one.median_seconds:.1f}"
        counts = "yes" if one.counts else "no: left out"
        table.add_row(Text(one.rater.name), str(one.answers), f"{one.right} of {one.checks}", seconds, counts)
    return table


def _methods(group: Group) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("method", "strength", "95%", "preferred", "95%", "answers", box=None)
    for one in group.strengths:
        strength, share = one.strength, one.preferred
        table.add_row(Text(one.run), *_cells(strength, "+.2f"), *_cells(share, ".0%"), str(one.answers))
    return table


def _metrics(group: Group) -> Table:
    from rich.table import Table

    table = Table(box=None)
    table.add_column("metric", no_wrap=True)
    for title in ("tau", "95%", "n", "fills", "95%", "n"):
        table.add_column(title)
    for one in group.agreements:
        if one.tau.value is not None:  # else it tells none of the pictures apart
            every, fills = _cells(one.tau, "+.2f"), _cells(one.fills, "+.2f")
            table.add_row(one.column, *every, str(one.answers), *fills, str(one.fill_answers))
    return table


def _cells(found: StudyInterval, form: str) -> tuple[str, str]:
    if found.value is None:
        return "-", ""
    bounds = "" if found.low is None or found.high is None else f"{found.low:{form}} to {found.high:{form}}"
    return format(found.value, form), bounds
