"""Where data sets are: folders of this machine, or addresses in an object store (`s3://bucket/folder`) through fsspec.

An address is a `upath.UPath`, which reads and writes as a `pathlib.Path` does; `mildbench.files` knows the difference.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from mildbench import extras
from mildbench.errors import UserError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(.+)")
_STROKE = re.compile(r"^([a-z][a-z0-9+.-]+):/(?=[^/])")


def is_address(text: Path | str) -> bool:
    """Whether it is written as an address: `scheme://...`."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


def place(text: Path | str) -> Path:
    """The folder of that name, or what stands for the one at an address.

    Raises `UserError` for an address whose package is not installed or which nobody answers at.
    """
    if not isinstance(text, str):
        return text
    if not is_address(text):
        return Path(text)
    upath = extras.require("upath", f"the address {text}")
    if text.startswith("s3:"):
        extras.require("s3fs", f"the address {text}")
    try:
        # What other processes write meanwhile must be seen, so nothing is listed from memory.
        address: Any = upath.UPath(text, use_listings_cache=False)
        address.exists()
    except (
        Exception
    ) as error:  # every store has errors of its own; where its package is missing, fsspec names it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{text} cannot be reached: {reason}: check the address and your access to it"
        ) from None
    return cast("Path", address)


def folder(given: Path | str, what: str) -> Path:
    """A place on this machine; raises `UserError` for an address, where `what` cannot be."""
    # A `Path` of an address has lost one of its strokes.
    text = _STROKE.sub(r"\1://", str(given)) if isinstance(given, Path) else given
    if is_address(text):
        raise UserError(f"{text}: {what} cannot be at an address: give a place on this machine")
    return Path(given)
