"""Long runs over many pictures: cut into parts, whole or not there, each read ahead and annotated in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from mildbench.annotators.base import Picture
from mildbench.annotators.batches import Annotated, Team, Unannotated, annotate_batch
from mildbench.device import one_thread
from mildbench.executors import Spec
from mildbench.prefetch import read_ahead
from mildbench.progress import Advance

PART = 64
"""Pictures between two completion records: what an interruption costs at most."""
_THREADS = 2

Row = dict[str, Any]
Item = TypeVar("Item")
Context = TypeVar("Context")


def parts(items: Iterable[Any]) -> Iterator[Spec]:
    """The shards of a run over `items`, JSON values, which come in the same order every time."""
    for number, part in enumerate(_batches(items, PART)):
        yield {"number": number, "size": len(part), "items": part}


def numbers(count: int) -> range:
    """Those of the shards of so many items."""
    return range(-(-count // PART))


def annotated(
    items: Iterable[Item],
    read: Callable[[Item], tuple[Context, Picture | Unannotated]],
    team: Team,
    batch_size: int,
    advance: Advance,
) -> Iterator[tuple[Context, Annotated | Unannotated]]:
    """Read pictures ahead and annotate them in batches; what `read` says of each, and its result, in order."""
    with ThreadPoolExecutor(_THREADS) as pool, one_thread(team.device):
        for batch in _batches(read_ahead(pool, read, items, 2 * batch_size), batch_size):
            pictures = [picture for _, picture in batch if isinstance(picture, Picture)]
            results = iter(annotate_batch(team, pictures))
            for context, picture in batch:
                yield context, picture if isinstance(picture, Unannotated) else next(results)
            advance(len(batch))


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
