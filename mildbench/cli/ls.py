"""`mildbench ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from mildbench.cli.terminal import Wide, console
from mildbench.inventory import Rows, rows_of

WIDE = {"metrics": ("id",), "annotators": ("packages",), "imports": ("layout held against",)}
"""Columns that are shown when asked for."""


def ls(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, trainers, ablations, metrics, annotators, sources, imports, recipes, families, blends, "
            "tasks, masks or executors",
            show_default=False,
        ),
    ],
    wide: Wide = False,
) -> None:
    """List what is installed, plug-ins included.

    \b
    mildbench ls methods
    mildbench ls metrics --wide
    """
    from rich.table import Table
    from rich.text import Text

    listings = {
        "methods": _methods,
        "trainers": _trainers,
        "ablations": _ablations,
        "metrics": _metrics,
        "annotators": _annotators,
        "sources": _sources,
        "imports": _imports,
        "recipes": _recipes,
        "families": _families,
        "blends": _blends,
        "tasks": _tasks,
        "masks": _masks,
        "executors": _executors,
    }
    if what not in listings:
        from mildbench.errors import UserError, did_you_mean

        raise UserError(f"nothing called {what!r} to list: {did_you_mean(what, listings)}")
    header, *rows = listings[what]()
    left_out = () if wide else WIDE.get(what, ())
    shown = [place for place, title in enumerate(header) if title not in left_out]
    table = Table(*(header[place] for place in shown), box=None, pad_edge=False)
    for row in rows:  # one that cannot be loaded has fewer cells
        table.add_row(
            *(Text(row[place]) for place in shown if place < len(row))
        )  # an id's brackets are no markup
    console(wide=wide).print(table)


def _summary(plugin: type) -> tuple[str]:
    """The first paragraph of the class's docstring."""
    return (" ".join((plugin.__doc__ or "").strip().split("\n\n")[0].split()),)


def _methods() -> Rows:
    from mildbench.facade import methods

    return [methods.header, *methods.rows()]


def _trainers() -> Rows:
    from mildbench.training.trainer import TRAINERS

    return [("trainer", "what it trains"), *rows_of(TRAINERS, lambda trainer: (trainer.info.summary,))]


def _ablations() -> Rows:
    from baselines.ablations import FOLDER
    from mildbench.ablation import study

    loaded = [(name, study.load(name, FOLDER)) for name in study.names(FOLDER)]
    return [
        ("ablation", "rows", "what it asks"),
        *((name, str(len(s.rows)), s.description) for name, s in loaded),
    ]


def _metrics() -> Rows:
    import mildbench

    return [mildbench.metrics.header, *mildbench.metrics.rows()]


def _annotators() -> Rows:
    from mildbench.annotators import ANNOTATORS, Annotator

    def describe(annotator: type[Annotator]) -> tuple[str, str, str]:
        info = annotator.info
        return ", ".join(sorted(info.parts)), info.summary, annotator.lacking() or "ready"

    return [("annotator", "finds", "what it is", "packages"), *rows_of(ANNOTATORS, describe)]


def _sources() -> Rows:
    from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED

    found = [
        (f"{name}:", gives, *rest)
        for gives, registry in (
            ("people", PEOPLE),
            ("backgrounds", BACKGROUNDS),
            ("segmented pictures", SEGMENTED),
        )
        for name, *rest in rows_of(registry, _summary)
    ]
    return [("source", "gives", "what it is"), *found]


def _imports() -> Rows:
    from mildbench.public import COCOA, PUBLIC

    found = [(known.name, known.summary, known.layout, known.verified) for known in (*PUBLIC.values(), COCOA)]
    return [("import", "what it is", "layout", "layout held against"), *found]


def _families() -> Rows:
    from synth.family import FAMILIES

    return [("family", "its scenes"), *rows_of(FAMILIES, _summary)]


def _blends() -> Rows:
    from synth.blend import BLENDS

    return [("blend", "what it does"), *rows_of(BLENDS, _summary)]


def _recipes() -> Rows:
    from synth import recipe_files as recipes

    loaded = [recipes.load(name) for name in recipes.names()]
    return [("recipe", "scenes", "what it makes"), *((r.name, str(r.count), r.description) for r in loaded)]


def _tasks() -> Rows:
    from mildbench.tasks import TASKS

    return [("task", "what it asks"), *rows_of(TASKS, lambda task: (task.summary,))]


def _masks() -> Rows:
    from mildbench.marking import MARKINGS

    return [("mask", "what is marked"), *MARKINGS.items()]


def _executors() -> Rows:
    from mildbench.executors import EXECUTORS

    return [("executor", "what it is"), *rows_of(EXECUTORS, _summary)]
