"""Files and folders of this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from mildbench.addresses import folder


def local(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, which says so to who gives an address where it takes a `Path`, instead of making a folder `s3:`."""

    @wraps(command)
    def checked(**given: Any) -> Any:
        for name, value in given.items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path):
                    folder(path, name.replace("_", "-"))
        return command(**given)

    return checked
