"""`attention.parquet`: where a method's self-attention went, one row a sample, layer, timestep and pathway.

While the method runs each sample has a part of its own, so a killed run loses none; `merge` makes one file of
them. In it every sample is a row group, so that both writing and reading hold one sample at a time.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mildbench.errors import UserError
from mildbench.files import file_sha256, replacing, write_bytes
from mildbench.method import AttentionRecord, Painted
from mildbench.results.folder import RunFolder

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("people", pa.int16()),
        ("targets", pa.list_(pa.int16())),
        ("layer", pa.string()),
        ("pathway", pa.string()),
        ("timestep", pa.float32()),
        ("masses", pa.list_(pa.float32())),
        ("tokens", pa.list_(pa.int32())),
        ("known", pa.list_(pa.int32())),
    ]
)
"""`people` is K, `targets` who of them is erased, from 0. The other columns are one entry of an
`AttentionRecord`; `masses` is its [K + 1, K + 1] matrix row by row. After a sample's entries come those of `Painted`:
they have `known`, and no timestep."""

_INDEX = b"mildbench.samples"
"""Key of the file's metadata: JSON, sample id -> sha256 of its part, in the order of the row groups."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One sample's record, with what it takes to compute every figure again."""

    record: AttentionRecord
    targets: tuple[int, ...]


class AttentionFile:
    """Reads `attention.parquet`; without the file it holds nothing. Safe to read from several threads at once."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._sha256: dict[str, str] = {}
        if path.exists():
            try:
                self._file = pq.ParquetFile(path)
                self._sha256 = json.loads(self._file.schema_arrow.metadata[_INDEX])
            except (OSError, pa.ArrowInvalid, TypeError, KeyError, ValueError) as error:
                raise UserError(
                    f"attention record {path} is broken ({error}): restore it, or delete the run's folder to "
                    "have it made anew"
                ) from None
        self._groups = {name: group for group, name in enumerate(self._sha256)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._sha256)

    def sha256(self, sample_id: str) -> str | None:
        """Changes with the sample's record; None where there is none."""
        return self._sha256.get(sample_id)

    def rows(self, sample_id: str) -> pa.Table:
        """The sample's rows; raises KeyError where there are none."""
        with self._lock:  # a ParquetFile has one position for all threads
            table = self._file.read_row_group(self._groups[sample_id])
        if "known" in table.column_names:
            return table
        # Recorded before paintings were.
        return table.append_column(SCHEMA.field("known"), pa.nulls(len(table), SCHEMA.field("known").type))

    def read(self, sample_id: str) -> Recorded:
        """The sample's record; raises KeyError where there is none."""
        every = self.rows(sample_id)
        regions = every.column("people")[0].as_py() + 1
        table, painted = (every.filter(mask) for mask in _kinds(every))
        record = AttentionRecord(
            layers=tuple(table.column("layer").to_pylist()),
            pathways=tuple(table.column("pathway").to_pylist()),
            timesteps=table.column("timestep").to_numpy(),
            masses=_flat(table, "masses").reshape(-1, regions, regions),
            tokens=_flat(table, "tokens").reshape(-1, regions),
            painted=Painted(
                layers=tuple(painted.column("layer").to_pylist()),
                pathways=tuple(painted.column("pathway").to_pylist()),
                masses=_flat(painted, "masses").reshape(-1, regions, regions),
                tokens=_flat(painted, "tokens").reshape(-1, regions),
                known=_flat(painted, "known").reshape(-1, regions),
            )
            if len(painted)
            else None,
        )
        return Recorded(record, tuple(table.column("targets")[0].as_py()))


def write_part(run: RunFolder, sample_id: str, recorded: Recorded) -> None:
    """Write one sample's record, atomically; `merge` puts it in the place of an earlier one."""
    record, painted = recorded.record, recorded.record.painted
    none = pa.nulls(len(record.layers), pa.list_(pa.int32()))
    parts = [_rows(sample_id, recorded, record, pa.array(record.timesteps.astype(np.float32)), none)]
    if painted is not None:
        known, nothing = _lists(painted.known.astype(np.int32)), pa.nulls(len(painted.layers), pa.float32())
        parts.append(_rows(sample_id, recorded, painted, nothing, known))
    table = pa.concat_tables(parts)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(run.attention_part(sample_id), buffer.getvalue())


def _rows(
    sample_id: str,
    recorded: Recorded,
    entries: AttentionRecord | Painted,
    timesteps: pa.Array,
    known: pa.Array,
) -> pa.Table:
    count, regions = entries.tokens.shape
    return pa.Table.from_arrays(
        [
            pa.array([sample_id] * count),
            pa.array([regions - 1] * count, pa.int16()),
            pa.array([list(recorded.targets)] * count, pa.list_(pa.int16())),
            pa.array(entries.layers, pa.string()),
            pa.array(entries.pathways, pa.string()),
            timesteps,
            _lists(entries.masses.astype(np.float32)),
            _lists(entries.tokens.astype(np.int32)),
            known,
        ],
        schema=SCHEMA,
    )


def _kinds(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Which rows are entries of the record, and which of `Painted`."""
    entries = table.column("known").is_null()
    return entries, pc.invert(entries)


def merge(run: RunFolder, every: Sequence[str]) -> None:
    """Put all parts into `attention.parquet`, in the order of `every`, the task's samples."""
    if not run.attention_parts.exists():
        return
    parts = {name: path for name in every if (path := run.attention_part(name)).exists()}
    earlier = AttentionFile(run.attention)
    index = {
        name: sha256
        for name in every
        if (sha256 := file_sha256(parts[name]) if name in parts else earlier.sha256(name)) is not None
    }
    schema = SCHEMA.with_metadata({_INDEX: json.dumps(index).encode()})
    with (
        replacing(run.attention) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for name in index:
            writer.write_table(pq.read_table(parts[name]) if name in parts else earlier.rows(name))
    # Only now is everything in its new place.
    shutil.rmtree(run.attention_parts)


def _flat(table: pa.Table, column: str) -> np.ndarray:
    return table.column(column).combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _lists(values: np.ndarray) -> pa.Array:
    """A list array of [N, ...]: each entry flattened."""
    flat = values.reshape(len(values), -1)
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.ravel()))
