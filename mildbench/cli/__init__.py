"""The command line. Each command lives in its own module and imports what is heavy when it runs."""

from __future__ import annotations

import errno
import sys
from functools import cache
from typing import Any

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
        help=_HELP,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    listed: tuple[tuple[str, Any, str], ...] = (
        ("build-dataset", build_dataset.build_dataset, "Make a data set of scenes with exact truth."),
        ("import", import_pairs.app, "Make a data set of pictures that others made."),
        ("validate", validate.validate, "Check that a data set is what it says."),
        ("fingerprint", fingerprint.fingerprint, "Compute a data set's identity from its pixels."),
        ("export", export.export, "Write a data set as other tools read it."),
        ("annotate", annotate.annotate, "Find poses, parsing and segments in its pictures."),
        (
            "evaluate-annotations",
            evaluate_annotations.evaluate_annotations,
            "Measure annotators by the truth.",
        ),
        ("segment", segment.segment, "Segment photos of your own, for backgrounds."),
        ("erase", erase.erase, "Erase people from your own photos."),
        ("evaluate", evaluate.evaluate, "Run methods, score them, print the table."),
        ("report", report.report, "Write one page of runs: tables, plots, pictures."),
        ("figure", figure.figure, "Draw what runs made of samples, for a paper."),
        ("browse", browse.browse, "Look at runs or a data set in the FiftyOne app."),
        ("leaderboard", leaderboard.app, "Publish results, and check published ones."),
        ("study", study.app, "Ask people which outputs they prefer."),
        ("train", train.train, "Train a method's weights."),
        ("ablate", ablate.ablate, "Train the variants of a method and compare them."),
        ("ls", ls.ls, "List methods, metrics, sources and so on."),
        ("weights", weights.app, "List, fetch and verify published weights."),
        ("doctor", doctor.doctor, "Say what works here, and what is missing."),
    )
    for name, command, short in listed:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, short_help=short)
            for inner in command.registered_commands:
                assert inner.callback is not None
                inner.callback = local(inner.callback)
        else:
            app.command(name, short_help=short)(local(command))
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
