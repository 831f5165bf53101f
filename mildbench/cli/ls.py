"""`mildbench ls`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mildbench.cli.terminal import Wide, console
from mildbench.inventory import Rows, rows_of
from mildbench.registry import Registry

if TYPE_CHECKING:
    from rich.table import Table

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
    name: Annotated[str, typer.Argument(help="One of them, with its options.", show_default=False)] = "",
    wide: Wide = False,
) -> None:
    """List what is installed, plug-ins included; or what one of them is, and its options.

    \b
    mildbench ls methods
    mildbench ls methods lama
    mildbench ls metrics --wide
    """
    shown_on = console(wide=wide)
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
    if name:
        for title, (header, *rows) in _options(what, name.rstrip(":")):
            shown_on.print(title, markup=False, highlight=False)
            if rows:
                shown_on.print(_table(header, rows))
        return
    header, *rows = listings[what]()
    left_out = () if wide else WIDE.get(what, ())
    shown = [place for place, title in enumerate(header) if title not in left_out]
    # A plug-in that cannot be loaded has fewer cells.
    rows = [tuple(row[place] for place in shown if place < len(row)) for row in rows]
    shown_on.print(_table(tuple(header[place] for place in shown), rows))


def _table(header: tuple[str, ...], rows: Rows) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # an id's brackets are no markup
    return table


def with_options() -> dict[str, list[Registry[Any]]]:
    """The registries whose plug-ins have options, by what is listed."""
    from mildbench.annotators import ANNOTATORS
    from mildbench.method import METHODS
    from mildbench.metrics.base import METRICS
    from mildbench.training.trainer import TRAINERS
    from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED

    return {
        "methods": [METHODS],
        "trainers": [TRAINERS],
        "annotators": [ANNOTATORS],
        "metrics": [METRICS],
        "sources": [PEOPLE, BACKGROUNDS, SEGMENTED],
    }


def _options(what: str, name: str) -> Iterator[tuple[str, Rows]]:
    """Of each plug-in of this name, what it is, and a table of its options; a source of one name may be two."""
    from mildbench.errors import UserError, did_you_mean
    from mildbench.options import options_of

    kinds = with_options()
    if what not in kinds:
        raise UserError(f"{what} have no options: say mildbench ls {what}; options have {', '.join(kinds)}")
    known = sorted({one for registry in kinds[what] for one in registry.names()})
    if name not in known:
        raise UserError(f"nothing called {name!r} among {what}: {did_you_mean(name, known)}")
    for registry in kinds[what]:
        if name in registry.names():
            plugin = registry.load(name)
            rows = [tuple(option) for option in options_of(plugin)]
            yield (
                f"{registry.kind} {name}: {_summary(plugin)[0]}",
                [("option", "default", "what it is"), *rows],
            )


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
