"""Errors that are the user's to mend, told in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend: the command line prints it as one line and exits with code 2.

    The message names the thing, the reason and the remedy.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to an "unknown ..." message; lists what is known when nothing is close."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(choices) or 'none'}"
