"""What a terminal cannot show is spelt in ASCII, one character for one, so that tables stay in line."""

from __future__ import annotations

import codecs
import io
import sys

_SPELT = str.maketrans({"↑": "^", "↓": "v", "±": "~", "–": "-", "—": "-", "…": ".", "×": "x", "·": "-"})


def spell_what_cannot_be_shown() -> None:
    """Let stdout and stderr take any text, whatever their encoding (`LANG=C`, a pipe on an old machine)."""
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_SPELT)
    return "".join(character if character.isascii() else "?" for character in text), error.end
