"""Read a large JSON file item by item: COCO files of a million scenes do not fit in memory.

Not by ijson: it refuses NaN, which Python's own writer leaves in such files, and takes 1.15 times as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mildbench.errors import UserError

_CHUNK = 1 << 20
_LARGEST = 1 << 26
"""Characters; a longer item is refused, as a file without an end to its first value would be."""
_SPACE = " \t\r\n"
_AFTER = frozenset(",:]}" + _SPACE)
"""What can follow a value."""


def items(path: Path, key: str, what: str) -> Iterator[Any]:
    """The items of the array under a top-level `key`, one at a time; any layout of the file is fine.

    Raises `UserError` naming `what` when the file is missing, is no JSON object, or has no such array.
    """
    if not path.is_file():
        raise UserError(f"{what} not found: {path}")
    try:
        with path.open(encoding="utf-8") as stream:
            yield from _Parser(stream).array(key)
    except (ValueError, RecursionError) as error:  # json's and Unicode's errors are ValueErrors too
        raise UserError(f"{what} {path} cannot be read ({error}): restore or rebuild it") from None


class _Parser:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0

    def array(self, key: str) -> Iterator[Any]:
        self._expect("{")
        while True:
            name = self._value()
            self._expect(":")
            if self._peek() == "[":
                for item in self._items():
                    if name == key:
                        yield item
                if name == key:
                    return
            else:
                self._value()
            if self._expect(",}") == "}":
                raise ValueError(f"it has no list {key!r}")

    def _items(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._expect("]")
            return
        while True:
            yield self._value()
            if self._expect(",]") == "]":
                return

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number may go on in the next chunk: its first digits are a number too.
                if self._text[end : end + 1] in _AFTER or not self._more():
                    self._at = end
                    return value
            except json.JSONDecodeError:
                if not self._more():
                    raise

    def _peek(self) -> str:
        """The next character that is not white space; raises ValueError at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("it ends too early")

    def _expect(self, characters: str) -> str:
        found = self._peek()
        if found not in characters:
            raise ValueError(f"{found!r} where one of {characters!r} should be")
        self._at += 1
        return found

    def _more(self) -> bool:
        if len(self._text) - self._at > _LARGEST:
            raise ValueError("it has an item without end")
        chunk = self._stream.read(_CHUNK)
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)
