"""`mildbench build-dataset`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def build_dataset(
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Shipped recipe by name, or a YAML file. [default: demo; multi-ip if sources are given]"
        ),
    ] = None,
    people: Annotated[
        list[str] | None,
        typer.Option(help="People source, SCHEME:PATH?OPTION=VALUE; repeatable. Replaces the recipe's."),
    ] = None,
    backgrounds: Annotated[
        list[str] | None, typer.Option(help="Background source; repeatable. Replaces the recipe's.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Number of scenes. [default: the recipe's]")] = None,
    size: Annotated[
        int | None, typer.Option(help="Width and height in pixels. [default: the recipe's]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other scenes.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the data set. [default: data/RECIPE]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Shards made at a time. [default: the machine's cores]")
    ] = None,
    executor: Annotated[str, typer.Option(help="What runs the shards (mildbench ls executors).")] = "process",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check recipe and sources, say what would be made.")
    ] = False,
) -> None:
    """Make a data set of scenes: people pasted as layers on clean backgrounds, with exact truth.

    Without options: the embedded demo, offline. Interrupted, the same command resumes.
    """
    from rich.console import Console

    from mildbench.executors import EXECUTORS
    from mildbench.progress import tracking
    from synth import recipe as recipes
    from synth.build import build
    from synth.catalogue import Catalogue

    wanted = recipe or ("multi-ip" if people or backgrounds else "demo")
    chosen = recipes.load(wanted)
    changes = {"people": people, "backgrounds": backgrounds, "count": count, "size": size}
    content = chosen.model_dump() | {key: value for key, value in changes.items() if value is not None}
    chosen = recipes.check(content, wanted)
    target = out or Path("data") / chosen.name
    console = Console()
    if dry_run:
        catalogue = Catalogue(chosen, seed)
        for source in catalogue.sources():
            console.print(
                f"{source.role}: {source.name}: {source.items} usable, {sum(source.rejected.values())} rejected"
            )
        for split in chosen.splits:
            console.print(
                f"split {split}: {len(catalogue.people[split])} people, {len(catalogue.backgrounds[split])} backgrounds"
            )
        console.print(f"would make {chosen.count} scenes of {chosen.size} x {chosen.size} in {target}")
        return
    engine = EXECUTORS.load(executor)(workers if workers is not None else os.cpu_count() or 1)
    with tracking("scenes", chosen.count, show=True) as advance:
        info = build(chosen, seed, target, engine, advance)
    scenes = ", ".join(f"{count} {name}" for name, count in info.samples.items())
    console.print(
        f"{target}: {sum(info.samples.values())} scenes ({scenes}), {sum(info.people.values())} people"
    )
    ratio = info.report["visible_ratio"]
    if ratio["asked_for"]:
        console.print(
            f"visible ratios asked for {ratio['asked_for']} people: achieved within {ratio['mean_difference']} on "
            f"average, {ratio['largest_difference']} at most"
        )
    rejected = sum(
        (sum(s.rejected.values()) for s in info.sources), sum(info.report["rejected_while_building"].values())
    )
    if rejected:
        console.print(f"{rejected} inputs rejected; reasons in {target / 'dataset.json'}")
    console.print(f"fingerprint {info.fingerprint[:12]}")
