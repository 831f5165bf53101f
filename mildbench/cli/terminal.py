"""Terminals: their width, and what they cannot show: it is spelt in ASCII, one character for one, so that tables stay
in line."""

from __future__ import annotations

import codecs
import io
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Wide = Annotated[
    bool, typer.Option("--wide", help="All columns, also those that 80 characters have no room for.")
]

_LOG_WIDTH = 200
"""Characters of a wide table where there is no terminal, which would have a width of its own."""

_SPELT = str.maketrans({"↑": "^", "↓": "v", "±": "~", "–": "-", "—": "-", "…": ".", "×": "x", "·": "-"})


def spell_what_cannot_be_shown() -> None:
    """Let stdout and stderr take any text, whatever their encoding (`LANG=C`, a pipe on an old machine)."""
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")


def console(*, wide: bool) -> Console:
    """Where tables are printed. A log has 80 characters (or $COLUMNS), and room for all columns if `wide`."""
    from rich.console import Console

    found = Console()
    return Console(width=max(_LOG_WIDTH, found.width)) if wide and not found.is_terminal else found


def _spelt(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_SPELT)
    return "".join(character if character.isascii() else "?" for character in text), error.end
