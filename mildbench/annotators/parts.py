"""Long runs over many pictures: some at a time, each such part whole or not at all, so that they resume."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

from mildbench.annotators.base import Picture
from mildbench.annotators.batches import Annotated, Failure, Team, annotate_batch
from mildbench.errors import UserError
from mildbench.files import read_json, write_bytes, write_json
from mildbench.prefetch import read_ahead
from mildbench.progress import Advance

PART = 64
"""Pictures between two completion records: what an interruption costs at most."""
_THREADS = 2

Row = dict[str, Any]
Item = TypeVar("Item")
Context = TypeVar("Context")


@dataclass(frozen=True)
class Parts:
    """The completion records of a run."""

    folder: Path

    def complete(
        self,
        identity: str,
        taken: UserError,
        items: Iterable[Item],
        make: Callable[[int, Sequence[Item]], list[Row]],
        advance: Advance,
    ) -> None:
        """Make the parts that are not there.

        Args:
            identity: of all that the result depends on.
            taken: raised when the folder holds parts of another identity.
            items: in the same order every time.
            make: does the part of this number and returns what is to be recorded of it, JSON values.
            advance: told of parts that are there already.
        """
        claim = self.folder / "identity"
        if claim.is_file() and claim.read_text() != identity:
            raise taken
        write_bytes(claim, identity.encode())
        for number, part in enumerate(_batches(items, PART)):
            if self._record(number).is_file():
                advance(len(part))
            else:
                write_json(self._record(number), make(number, part), indent=None)

    def entries(self) -> Iterator[list[Row]]:
        """What was recorded of each part, in order."""
        for number in count():
            if not self._record(number).is_file():
                return
            yield read_json(self._record(number), "completion record")

    def remove(self) -> None:
        """The run is finished, and its result is elsewhere."""
        shutil.rmtree(self.folder)

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"


def annotated(
    items: Iterable[Item],
    read: Callable[[Item], tuple[Context, Picture | Failure]],
    team: Team,
    batch_size: int,
    advance: Advance,
) -> Iterator[tuple[Context, Annotated | Failure]]:
    """Read pictures ahead and annotate them in batches; what `read` says of each, and its result, in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch in _batches(read_ahead(pool, read, items, 2 * batch_size), batch_size):
            pictures = [picture for _, picture in batch if isinstance(picture, Picture)]
            results = iter(annotate_batch(team, pictures))
            for context, picture in batch:
                yield context, picture if isinstance(picture, Failure) else next(results)
            advance(len(batch))


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
