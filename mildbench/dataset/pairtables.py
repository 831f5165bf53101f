"""Pairs that lie in Parquet files with the pictures inside, as Hugging Face's `datasets` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mildbench.dataset.pairfiles import planes
from mildbench.dataset.pairs import FoundPairs, Pair, Planes
from mildbench.errors import UserError
from mildbench.listing import sample_id

_COLUMNS = {"input": "input", "mask": "object_mask", "truth": "gt", "effect mask": "object_effect_mask"}
"""Role -> column."""
_GROUP = "subset"


def find_pairs(root: Path) -> FoundPairs:
    """The rows of every Parquet file below a folder; each row's subset is its group's prefix in its name.

    Raises `UserError` for a folder without such files, and for files without the columns.
    """
    files = sorted(path for path in root.rglob("*.parquet") if not path.name.startswith("."))
    if not files:
        raise UserError(f"{root} has no Parquet files: give the folder into which the set was downloaded")
    pairs: list[Pair] = []
    skipped: Counter[str] = Counter()
    for path in files:
        table = _open(path)
        read = _reader(table)
        place = 0
        for group in range(table.num_row_groups):
            facts = table.read_row_group(group, [_GROUP])[_GROUP].to_pylist()
            sizes = _filled(table, group)
            for row, (subset, whole) in enumerate(zip(facts, sizes, strict=True)):
                name = f"{path.stem}_{place:06d}"
                place += 1
                if whole:
                    name = f"{subset}_{name}" if subset else name
                    pairs.append(
                        Pair(sample_id(name), name, None, _bound(read, group, row, f"{path} row {place}"))
                    )
                else:
                    skipped["rows without one of the pictures"] += 1
    return FoundPairs(pairs, skipped)


def _open(path: Path) -> pq.ParquetFile:
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): download it again") from None
    lacking = {*_COLUMNS.values(), _GROUP}.difference(table.schema_arrow.names)
    if lacking:
        raise UserError(f"{path} has no column {', '.join(sorted(lacking))}: it is of another set or version")
    return table


def _filled(table: pq.ParquetFile, group: int) -> list[bool]:
    """Whether each row of a group has all pictures; their bytes are not read."""
    columns = [f"{column}.path" for column in _COLUMNS.values()]
    names = table.read_row_group(group, columns)
    return [all(row[column] is not None for column in _COLUMNS.values()) for row in names.to_pylist()]


def _reader(table: pq.ParquetFile) -> Callable[[int], list[dict[str, Any]]]:
    @lru_cache(maxsize=1)  # rows are asked for in order
    def rows(group: int) -> list[dict[str, Any]]:
        return table.read_row_group(group, list(_COLUMNS.values())).to_pylist()

    return rows


def _bound(
    read: Callable[[int], list[dict[str, Any]]], group: int, row: int, where: str
) -> Callable[[], Planes]:
    def pictures() -> Planes:
        found = read(group)[row]
        return planes({role: (where, found[column]["bytes"]) for role, column in _COLUMNS.items()}, where)

    return pictures
