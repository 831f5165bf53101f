"""The command line. Each command lives in its own module and imports what is heavy when it runs."""

from __future__ import annotations

import errno
import sys
from functools import cache

import typer

from mildbench.cli.terminal import spell_what_cannot_be_shown
from mildbench.errors import UserError

INTERRUPTED = 130
"""Exit code of a command stopped by Ctrl-C, as shells have it."""


@cache
def commands() -> typer.Typer:
    """Every command, made once."""
    from mildbench.cli import (
        ablate,
        annotate,
        browse,
        build_dataset,
        doctor,
        erase,
        evaluate,
        evaluate_annotations,
        export,
        figure,
        fingerprint,
        import_pairs,
        leaderboard,
        ls,
        report,
        segment,
        study,
        train,
        validate,
        weights,
    )

    app = typer.Typer(
        name="mildbench",
        help="Build, run and score benchmarks for erasing people from photos, with exact truth.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("build-dataset")(build_dataset.build_dataset)
    app.command("annotate")(annotate.annotate)
    app.command("evaluate-annotations")(evaluate_annotations.evaluate_annotations)
    app.command("segment")(segment.segment)
    app.command("validate")(validate.validate)
    app.command("fingerprint")(fingerprint.fingerprint)
    app.command("export")(export.export)
    app.add_typer(import_pairs.app, name="import")
    app.command("erase")(erase.erase)
    app.command("evaluate")(evaluate.evaluate)
    app.command("browse")(browse.browse)
    app.command("report")(report.report)
    app.command("figure")(figure.figure)
    app.add_typer(leaderboard.app, name="leaderboard")
    app.add_typer(study.app, name="study")
    app.command("train")(train.train)
    app.command("ablate")(ablate.ablate)
    app.command("ls")(ls.ls)
    app.add_typer(weights.app, name="weights")
    app.command("doctor")(doctor.doctor)
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
