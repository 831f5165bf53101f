"""Templates to pages: self-contained, escaped, strict about names that are not there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mildbench import extras
from mildbench.errors import UserError
from mildbench.files import write_bytes

SHARED = Path(__file__).with_name("templates")
"""What pages share: `base.html.j2`, `base.css`, `table.js`."""


_BEGINNING = b"<!doctype html>"


@dataclass(frozen=True)
class Cell:
    """A cell of a table that can be sorted."""

    text: str
    small: str = ""
    """Below the text."""
    order: float | None = None
    """What it is sorted by; None comes last, whichever way."""
    best: bool = False


@dataclass(frozen=True)
class TableColumn:
    """A column of such a table."""

    title: str
    about: str
    """Below the title."""
    better: str
    """An arrow, or empty."""


def write(path: Path, folder: Path, template: str, values: Mapping[str, Any]) -> None:
    """Write a page, as `render` makes it, atomically; raises `UserError` rather than replace what is no page."""
    check_free(path)
    write_bytes(path, render(folder, template, values).encode())


def check_free(path: Path) -> None:
    """Raise `UserError` where a file lies that is no page."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_BEGINNING)).lower() not in (b"", _BEGINNING):
                raise UserError(f"{path} is there already, and no page: choose another --out")


def render(folder: Path, template: str, values: Mapping[str, Any]) -> str:
    """Render a template of `folder`, which may extend and include those in `SHARED`.

    Values are escaped; `| safe` in a template is for what this package has drawn itself. Raises `UserError` where
    jinja2 is not installed.
    """
    extras.require("jinja2", "an HTML page")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["inf"] = math.inf
    return environment.get_template(template).render(values)
