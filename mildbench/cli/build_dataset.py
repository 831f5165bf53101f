"""`mildbench build-dataset`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mildbench.cli.engines import Engine, Workers

if TYPE_CHECKING:
    from mildbench.dataset.schema import DatasetInfo
    from synth.recipe import Recipe

People = Annotated[
    list[str] | None,
    typer.Option(help="People source, SCHEME:PATH?OPTION=VALUE; repeatable. Replaces the recipe's."),
]
Backgrounds = Annotated[
    list[str] | None, typer.Option(help="Background source; repeatable. Replaces the recipe's.")
]


def build_dataset(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Shipped recipe by name, or a YAML file. [default: demo; multi-ip if sources are given]"
        ),
    ] = None,
    people: People = None,
    backgrounds: Backgrounds = None,
    check_people: Annotated[
        str | None,
        typer.Option(
            help="Refuse backgrounds in which this annotator (mildbench ls annotators) finds a person."
        ),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            help="Where photos show few objects of known size, take horizon and camera height from this annotator's "
            "depth of the ground."
        ),
    ] = None,
    allow_ungrounded: Annotated[
        bool,
        typer.Option(
            "--allow-ungrounded",
            help="Use backgrounds whose ground is unknown, too, for people cut by the frame's lower edge.",
        ),
    ] = False,
    count: Annotated[int | None, typer.Option(help="Number of scenes. [default: the recipe's]")] = None,
    size: Annotated[
        int | None, typer.Option(help="Width and height in pixels. [default: the recipe's]")
    ] = None,
    train_jpeg: Annotated[
        int | None,
        typer.Option(help="Store the split train as JPEG of this quality. [default: the recipe's]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other scenes.")] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the data set, or an address, e.g. s3://bucket/folder. [default: data/RECIPE]"
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="folder (loose files) or webdataset (tar files).")] = "folder",
    workers: Workers = None,
    executor: Engine = "process",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check recipe and sources, say what would be made.")
    ] = False,
) -> None:
    """Make a data set of scenes: people pasted as layers on clean backgrounds, with exact truth.

    Without options: the embedded demo, offline. Interrupted, the same command resumes.

    \b
    mildbench build-dataset --people folder:cutouts --backgrounds folder:places
    mildbench build-dataset --recipe crowd --count 100 --out data/crowd
    """
    from mildbench.addresses import place
    from mildbench.dataset.writers import check_format
    from mildbench.executors import engine
    from mildbench.progress import tracking
    from synth import recipe_files as recipes
    from synth.build import build
    from synth.published import verdict

    layout = check_format(format)
    wanted = recipe or ("multi-ip" if people or backgrounds else "demo")
    changes = {
        "people": people,
        "backgrounds": backgrounds,
        "check_people": check_people,
        "depth": depth,
        "allow_ungrounded": allow_ungrounded or None,
        "count": count,
        "size": size,
        "train_jpeg": train_jpeg,
    }
    chosen = recipes.load_with(wanted, changes)
    target = place(out) if out is not None else Path("data") / chosen.name
    if dry_run:
        for line in _preview(chosen, seed):
            typer.echo(line)
        typer.echo(f"would make {chosen.count} scenes of {chosen.size} x {chosen.size} in {target}")
        return
    with tracking("scenes", chosen.count, show=True) as advance:
        info = build(chosen, seed, target, engine(executor, workers), advance, format=layout)
    for line in _account(info, target):
        typer.echo(line)
    if (told := verdict(chosen, info)) is not None:
        typer.echo(told)


def _preview(recipe: Recipe, seed: int) -> Iterator[str]:
    """What the sources hold, split by split."""
    from synth.catalogue import describe
    from synth.planner import open_planner

    catalogue = open_planner(recipe, seed).catalogue
    for source in describe(catalogue):
        reasons = [f"{count} {reason}" for reason, count in (source.rejected | source.left_out).items()]
        counts = f"{sum(source.rejected.values())} rejected, {sum(source.left_out.values())} left out"
        why = f" ({'; '.join(reasons)})" if reasons else ""
        yield f"{source.role}: {source.name}: {source.items} usable, {counts}{why}"
    for split in recipe.splits:
        found = ", ".join(f"{len(pool.by_split[split])} {pool.role}" for pool in catalogue.pools())
        yield f"split {split}: {found}"


def _account(info: DatasetInfo, target: Path) -> Iterator[str]:
    """What was made, and what could not be made as asked."""
    scenes = ", ".join(f"{count} {name}" for name, count in info.samples.items())
    yield f"{target}: {sum(info.samples.values())} scenes ({scenes}), {sum(info.people.values())} people"
    ratio = info.report["visible_ratio"]
    if ratio["asked_for"]:
        yield (
            f"visible ratios: {ratio['asked_for']} asked for, met within {ratio['mean_difference']} on average and "
            f"{ratio['largest_difference']} at most"
        )
        yield f"  from ratio {' '.join(f'{low / 10:4.1f}' for low in range(10))}"
        yield f"  asked for  {_bars(ratio['asked_histogram'])}"
        yield (
            f"  achieved   {_bars(ratio['achieved_histogram'])}  Wasserstein-1 to the wishes "
            f"{ratio['wasserstein_asked_achieved']}, to the recipe {ratio['wasserstein_recipe_achieved']}"
        )
    yield from _framing(info.report["framing"])
    grounds = ", ".join(f"{count} {known}" for known, count in info.report["scenes_by_ground"].items())
    yield f"ground known by: {grounds}"
    for wish, times in info.report["unmet_wishes"].items():
        yield f"{times}x {wish}"
    rejected = [source.rejected for source in info.sources] + [info.report["rejected_while_building"]]
    if total := sum(sum(reasons.values()) for reasons in rejected):
        yield f"{total} inputs rejected; reasons in {target / 'dataset.json'}"
    if total := sum(sum(source.left_out.values()) for source in info.sources):
        yield f"{total} inputs left out by the sources' filters; reasons in {target / 'dataset.json'}"
    if alike := info.report["near_duplicates"]:
        yield f"{len(alike)} sets of nearly equal source pictures kept in one split each, e.g. {', '.join(alike[0])}"
    yield f"fingerprint {info.fingerprint[:12]}"


def _framing(report: dict[str, Any]) -> Iterator[str]:
    """How people are framed, beside how they are in life."""
    from synth.framing import MEASURES

    if not report["people"]:
        return
    cut, in_life = report["cut"], report["cut_table"]
    yield f"framing: {report['people']} people, {cut:.0%} cut by the frame (in life {in_life:.0%}); medians:"
    yield "           in life  asked  achieved  Wasserstein-1 to the wishes, to life"
    for name in MEASURES:
        one = report[name]
        medians = f"{one['median_table']:7.2f}  {one['median_asked']:5.2f}  {one['median_achieved']:8.2f}"
        distances = f"{one['wasserstein_asked_achieved']:27.3f}, {one['wasserstein_table_achieved']:.3f}"
        yield f"  {name:<7}  {medians}  {distances}"


def _bars(counts: list[int]) -> str:
    """Counts in ten bins of [0, 1]; narrow enough for a terminal."""
    return " ".join(f"{count:4d}" for count in counts)
