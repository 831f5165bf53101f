"""The command line. Each command lives in its own module and imports what is heavy when it runs."""

from __future__ import annotations

import errno
import sys
from functools import cache
from importlib import import_module

import typer

from mildbench.cli.local import local
from mildbench.cli.terminal import spell_what_cannot_be_shown
from mildbench.errors import UserError

_HELP = """Build, run and score benchmarks for erasing people from photos, with exact truth.

Two commands to start with; each has --help with an example:

\b
mildbench build-dataset
mildbench evaluate --method telea --method lama:variant=tiny
"""
INTERRUPTED = 130
"""Exit code of a command stopped by Ctrl-C, as shells have it."""


_COMMANDS = {
    "build-dataset": "Make a data set of scenes with exact truth.",
    "import": "Make a data set of pictures that others made.",
    "validate": "Check that a data set is what it says.",
    "fingerprint": "Compute a data set's identity from its pixels.",
    "export": "Write a data set as other tools read it.",
    "annotate": "Find poses, parsing and segments in its pictures.",
    "evaluate-annotations": "Measure annotators by the truth.",
    "segment": "Segment photos of your own, for backgrounds.",
    "erase": "Erase people from your own photos.",
    "evaluate": "Run methods, score them, print the table.",
    "report": "Write one page of runs: tables, plots, pictures.",
    "figure": "Draw what runs made of samples, for a paper.",
    "browse": "Look at runs or a data set in the FiftyOne app.",
    "leaderboard": "Publish results, and check published ones.",
    "study": "Ask people which outputs they prefer.",
    "train": "Train a method's weights.",
    "ablate": "Train the variants of a method and compare them.",
    "ls": "List methods, metrics, sources and so on.",
    "weights": "List, fetch and verify published weights.",
    "doctor": "Say what works here, and what is missing.",
}
"""What each is for, in the order of the help. A module has one as a function of its name, or several as its `app`."""
_MODULES = {"import": "import_pairs"}
"""Those that are not called as their command."""


@cache
def commands() -> typer.Typer:
    """Every command, made once."""
    app = typer.Typer(
        name="mildbench",
        help=_HELP,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, short in _COMMANDS.items():
        module = import_module(f"mildbench.cli.{_MODULES.get(name, name.replace('-', '_'))}")
        inner: typer.Typer | None = getattr(module, "app", None)
        if inner is None:
            app.command(name, short_help=short)(local(getattr(module, name.replace("-", "_"))))
            continue
        app.add_typer(inner, name=name, short_help=short)
        for command in inner.registered_commands:
            assert command.callback is not None
            command.callback = local(command.callback)
    return app


def main() -> None:
    """Run the command line: a user's mistake is one line and exit code 2, never a traceback."""
    spell_what_cannot_be_shown()
    run = commands()
    try:
        for argument in sys.argv[1:]:
            argument.encode()  # told now, not when the first record of that name is written
        run()
    except UserError as error:
        _stop(str(error), 2)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("mildbench", "synth", "baselines", "leaderboard"):
            raise
        _stop(
            f"an installed package cannot be imported ({error}): python -m pip check tells which versions do not fit; "
            "install that package anew",
            2,
        )
    except MemoryError as error:
        _stop(
            f"out of memory ({error or 'no details'}): nothing already written is lost; "
            "ask for less at a time (fewer --workers, a smaller --batch-size, --size or --count)",
            2,
        )
    except UnicodeEncodeError as error:
        if "surrogates" not in error.reason:
            raise
        _stop(
            f"the name {error.object!r} is not text in the terminal's encoding: rename that file or folder, or "
            "set LC_ALL=C.UTF-8",
            2,
        )
    except OSError as error:
        if error.errno is None:
            raise
        where = f" ({error.filename})" if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room" if full else "check that path"
        _stop(
            f"{error.strerror}{where}: nothing already written is lost; {remedy}, then run the same command",
            2,
        )
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has already turned Ctrl-C into this
            _stop("interrupted: the same command resumes where it stopped", INTERRUPTED)
        raise


def _stop(message: str, code: int) -> None:
    print(f"mildbench: {message}", file=sys.stderr)
    sys.exit(code)
