"""Writes the pages that follow from the code: `python docs/mkdocs/reference.py`, or `make pages`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import typer.main

from mildbench.cli import commands as command_line
from mildbench.cli.ls import with_options
from mildbench.metrics.base import EFFECT, METRICS, REGIONS
from mildbench.options import options_of
from synth.recipe import Recipe

DOCS = Path(__file__).resolve().parents[1]
WRITTEN = "<!-- Written by `make pages` from the code: change it there. -->"

HEADED = {
    "method": ("Methods", "`--method NAME:OPTION=VALUE,...`"),
    "trainer": ("Trainers", "`mildbench train NAME:OPTION=VALUE,...`"),
    "annotator": ("Annotators", "`--pose`, `--people` and the like: `NAME:OPTION=VALUE,...`"),
    "metric": ("Metrics", "`--metric NAME:OPTION=VALUE,...`"),
    "people source": ("People", "`--people 'NAME:PATH?OPTION=VALUE&...'`"),
    "background source": ("Backgrounds", "`--backgrounds 'NAME:PATH?OPTION=VALUE&...'`"),
    "source of segmented pictures": ("Segmented pictures", "`--backgrounds` of the family `olrd`, likewise"),
}
"""Kind -> a title, and what its options are written behind."""


def metrics() -> str:
    """Every metric: the id, what is computed, and how to read it."""
    lines = [
        "# Metrics",
        WRITTEN,
        "The exact definitions. A number is comparable with another of the same id, region and variant. "
        "[Read the table](table.md) says what each metric rewards.",
    ]
    for name in METRICS.names():
        info = METRICS.load(name).info
        facts = {
            "id": f"`{info.id}`",
            "better": f"{'higher' if info.higher_is_better else 'lower'}{f', in {info.unit}' if info.unit else ''}",
            "regions": ", ".join(f"`{region}`" for region in info.regions)
            + (f", and `{EFFECT}` where it is known" if info.regions == REGIONS else ""),
            "where no metric is named": info.unasked,
            "weights": ", ".join(f"`{weights}`" for weights in info.weights),
            "note": info.note,
            "the truth need not come first": info.blind,
        }
        lines += [f"## {name}", info.definition, "\n".join(f"- {k}: {v}" for k, v in facts.items() if v)]
    return "\n\n".join(lines) + "\n"


def commands() -> str:
    """Every command: what it does, an example, its arguments and options."""
    lines = [
        "# Command line",
        WRITTEN,
        "`mildbench COMMAND --help` shows the same in the terminal. Every command that takes long can be "
        "interrupted; the same command goes on where it stopped. A mistake is one line, with exit code 2.",
    ]
    for name, command in leaves(typer.main.get_command(command_line()), "mildbench"):
        lines += [f"## {name}", *_paragraphs(command.help)]
        rows = [
            f"| {_written(param)} | {_escaped(param.help or '')}{_default(param)} |"
            for param in command.params
            if "--help" not in param.opts
        ]
        if rows:
            lines.append("\n".join(["| argument or option | what it does |", "| --- | --- |", *rows]))
    return "\n\n".join(lines) + "\n"


def options() -> str:
    """The options of every plug-in that has some, and the keys of a recipe."""
    lines = [
        "# Options",
        WRITTEN,
        "Of every plug-in that has some; `mildbench ls methods lama` shows the same in the terminal. One without "
        "a default is empty unless it is given. Commands have [a page of their own](commands.md).",
    ]
    for registry in chain.from_iterable(with_options().values()):
        title, how = HEADED[registry.kind]
        lines += [f"## {title}", how]
        for name in registry.names():
            if found := options_of(registry.load(name)):
                rows = [(option.name, option.default, option.meaning) for option in found]
                lines += [f"### {name}", _table(("option", "default", "what it is"), rows)]
    lines += [
        "## Keys of a recipe",
        "`build-dataset --recipe FILE.yaml`; only `name`, `description` and `backgrounds` must be given. A range is "
        "drawn from evenly.",
        _table(("key", "default", "what it is"), [*_keys()]),
    ]
    return "\n\n".join(lines) + "\n"


def _keys() -> Iterator[tuple[str, str, str]]:
    for name, field in Recipe.model_fields.items():
        default = "" if field.is_required() else Recipe.model_construct().model_dump(mode="json")[name]
        yield name, "" if default == "" else json.dumps(default), field.description or ""


def _table(header: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> str:
    body = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {_escaped(meaning)} |"
        for name, default, meaning in rows
    ]
    return "\n".join([f"| {' | '.join(header)} |", "| --- | --- | --- |", *body])


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The commands that do something, each with all its words."""
    groups = getattr(command, "commands", None)
    if groups is None:
        yield name, command
        return
    for word, below in groups.items():
        yield from leaves(below, f"{name} {word}")


def _paragraphs(text: str) -> Iterator[str]:
    """A help text; what is not to be wrapped, an example, as code."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield f"```text\n{paragraph[2:]}\n```"
        else:
            yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Text as Markdown that says just that, in a table too; what stands between backticks is code already."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([*_\\])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts).replace("|", "\\|")


def _written(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`"
    return ", ".join(f"`{text}`" for text in (*param.opts, *param.secondary_opts))


def _default(param: Any) -> str:
    if param.required:
        return " **Required.**" if param.param_type_name == "option" else ""
    shown = param.default is not None and not isinstance(param.default, bool | list) and param.default != ""
    return f" [default: {param.default}]" if shown else ""


def main() -> None:
    """Write the pages."""
    (DOCS / "metrics.md").write_text(metrics())
    (DOCS / "commands.md").write_text(commands())
    (DOCS / "options.md").write_text(options())


if __name__ == "__main__":
    main()
