"""The command line. Each command lives in its own module and imports what is heavy when it runs."""

from __future__ import annotations

import errno
import sys

import typer

from mildbench.errors import UserError

app = typer.Typer(
    name="mildbench",
    help="Build, run and score benchmarks for erasing people from photos, with exact truth.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _register() -> None:
    from mildbench.cli import build_dataset

    app.command("build-dataset")(build_dataset.build_dataset)


def main() -> None:
    """Run the command line: a user's mistake is one line and exit code 2, never a traceback."""
    _register()
    try:
        app()
    except UserError as error:
        _stop(str(error), 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        _stop(f"{error.strerror}{where}: nothing already written is lost; make room, then run the same command", 2)
    except KeyboardInterrupt:
        _stop("interrupted: the same command resumes where it stopped", 130)


def _stop(message: str, code: int) -> None:
    print(f"mildbench: {message}", file=sys.stderr)
    sys.exit(code)
