"""What makes the rows of `samples.parquet` sound: no reader behind this check meets a null or a wild number."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mildbench.dataset.schema import DatasetInfo

_NULL_IN_SCENES = {
    "mask",
    "effect",
    "name",
    "group",
    "background_provenance.annotation",
    "distance_percentile",
    "persons.shadow",
    "persons.reflection",
    "persons.asked_visible_ratio",
    "persons.provenance.annotation",
}
_FILLED_IN_PAIRS = {
    "id",
    "split",
    "width",
    "height",
    "mask_share",
    "composite",
    "background",
    "mask",
    "name",
    "content_sha256",
}
_NO_ID = r"[\x00-\x1f\x7f/\\]|^\.|^$"
"""Ids become part of file names."""
MOST_PEOPLE = 255
"""People are numbered from 1 up to this: the values of the instance map."""


def check_rows(table: pa.Table, info: DatasetInfo) -> None:
    """Raise ValueError, which names the row, unless all rows can be used; only columns that are there are looked at.

    Args:
        table: rows of a data set with some or all columns of `SAMPLE_SCHEMA`.
        info: the data set's description.
    """
    for name in table.column_names:
        column = table[name].combine_chunks()
        _check(name, column, np.arange(len(table)), table, info)
    if "id" in table.column_names:
        _refuse(pc.match_substring_regex(table["id"], _NO_ID), table, "id that is no part of a file name")
    if "split" in table.column_names:
        known = pa.array(list(info.samples), pa.string())
        _refuse(pc.invert(pc.is_in(table["split"], known)), table, "split that dataset.json does not have")


def _check(path: str, column: pa.Array, rows: np.ndarray, table: pa.Table, info: DatasetInfo) -> None:
    """One column, or what is inside of one; `rows[i]` is the row that its value i belongs to."""
    if column.null_count:
        if not _may_be_null(path, info):
            raise _Unsound(table, rows[_first(column.is_null())], f"{path} is null")
        rows, column = rows[column.is_valid().to_numpy(zero_copy_only=False)], column.drop_null()
    kind = column.type
    if pa.types.is_struct(kind):
        for field in kind:
            _check(f"{path}.{field.name}", column.field(field.name), rows, table, info)
    elif pa.types.is_list(kind):
        _check(path, column.flatten(), rows[pc.list_parent_indices(column).to_numpy()], table, info)
    elif pa.types.is_fixed_size_list(kind):
        _check(path, column.flatten(), np.repeat(rows, kind.list_size), table, info)
    elif pa.types.is_floating(kind):
        _refuse(pc.invert(pc.is_finite(column)), table, f"{path} is no number", rows)
    elif pa.types.is_string(kind):
        _refuse(pc.match_substring(column, "\0"), table, f"{path} holds a NUL character", rows)
    if path == "persons.id":
        ids = column.to_numpy()
        wild = (ids < 1) | (ids > MOST_PEOPLE)
        _refuse(pa.array(wild), table, f"person id outside 1..{MOST_PEOPLE}", rows)
        _, first = np.unique(rows * (MOST_PEOPLE + 1) + ids, return_index=True)
        twice = np.ones(len(ids), bool)
        twice[first] = False
        _refuse(pa.array(twice), table, "person id that another person of the scene has", rows)


def _may_be_null(path: str, info: DatasetInfo) -> bool:
    if info.source == "pairs":
        return path not in _FILLED_IN_PAIRS
    return path in _NULL_IN_SCENES


def _refuse(
    bad: pa.Array | pa.ChunkedArray, table: pa.Table, why: str, rows: np.ndarray | None = None
) -> None:
    if pc.any(bad).as_py():
        place = _first(bad)
        raise _Unsound(table, place if rows is None else rows[place], why)


def _first(bad: pa.Array | pa.ChunkedArray) -> int:
    return int(pc.index(bad, True).as_py())


class _Unsound(ValueError):
    def __init__(self, table: pa.Table, row: int, why: str) -> None:
        name = f", {table['id'][row].as_py()!r}" if "id" in table.column_names else ""
        super().__init__(f"row {row}{name}: {why}")
