"""Parquet files with the pictures inside and a card, as Hugging Face's `datasets.load_dataset` reads a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mildbench.dataset import card
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.parts import LAYER_PARTS, PLAIN_PARTS, with_files
from mildbench.dataset.reader import Dataset
from mildbench.dataset.schema import CARD, SAMPLE_SCHEMA, DatasetInfo
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.images import encode_png

FILE_ROWS = 512
"""Samples in a file: some 500 MB of 512 px scenes, what the Hub suggests."""
GROUP_ROWS = 16
"""Samples in a row group, what a reader loads at once."""
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = {"composite": "image", "background": "truth"}
"""Columns that are called here what they are to somebody who erases people."""
_IMAGE_NAMES = {*PLAIN_PARTS, *LAYER_PARTS}
_UNKNOWN_IN_PAIRS = {
    "family",
    "difficulty",
    "ground",
    "distance_percentile",
    "people",
    "min_visible_ratio",
    "occlusion_depth",
    "instances",
    "parsing",
    "persons",
    "plan",
}
_OF_PAIRS = {"effect", "name", "group"}


def export_huggingface(dataset: Dataset, out: Path, advance: Callable[[int], None]) -> None:
    """Write `data/SPLIT-NNNNN-of-NNNNN.parquet` and `README.md`.

    Columns are those of `samples.parquet`, with pictures in place of file names; `image` is the input, `mask`
    what to erase (everybody's footprint), `truth` the answer. Raises `UserError` where no answer is known.
    """
    info = dataset.info
    if info.source == "amodal":
        raise UserError(
            f"data set {dataset.root}: its photos have no true pictures, and the table's column truth needs them: "
            "export it --to webdataset or --to coco"
        )
    fields = [
        field
        for field in SAMPLE_SCHEMA
        if field.name not in {"split", *(_UNKNOWN_IN_PAIRS if info.source == "pairs" else _OF_PAIRS)}
    ]
    columns = {field.name: _with_images(field) for field in fields}
    features = {NAMES.get(name, name): _feature(kind) for name, kind in columns.items()}
    schema = pa.schema(
        [(NAMES.get(name, name), kind) for name, kind in columns.items()],
        # Where `datasets` looks for what a column means; without it a picture is a struct of bytes.
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    with new_folder(out) as folder:
        files = {split: _Files(folder, split, count, schema) for split, count in info.samples.items()}
        with ExitStack() as stack:
            for each in files.values():
                stack.callback(each.close)
            for row in dataset.rows():
                content = _row(dataset, row)
                files[row["split"]].add({NAMES.get(name, name): content[name] for name in columns})
                advance(1)
        write_bytes(folder / CARD, _card(info, features).encode())


class _Files:
    """The Parquet files of one split, written one after another."""

    def __init__(self, folder: Path, split: str, count: int, schema: pa.Schema) -> None:
        self._names = self._paths(folder / "data", split, -(-count // FILE_ROWS))
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._written = 0
        self._writer: pq.ParquetWriter | None = None

    @staticmethod
    def _paths(folder: Path, split: str, count: int) -> Iterator[Path]:
        folder.mkdir(exist_ok=True)
        return (folder / f"{split}-{number:05d}-of-{count:05d}.parquet" for number in range(count))

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == GROUP_ROWS:
            self._write()

    def close(self) -> None:
        if self._rows:
            self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(next(self._names), self._schema)
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._written += len(self._rows)
        self._rows = []
        if self._written == FILE_ROWS:
            self._writer.close()
            self._writer, self._written = None, 0


def _row(dataset: Dataset, row: dict[str, Any]) -> dict[str, Any]:
    def load(part: str, name: str) -> Any:
        return {
            "bytes": dataset.storage.read(name),
            "path": f"{row['id']}.{part}{PurePosixPath(name).suffix}",
        }

    content = with_files(row, load)
    if dataset.info.source == "scenes":
        scene = dataset.scene(row["id"])
        footprint = scene.footprint(layer.person.id for layer in scene.layers)
        png = encode_png(footprint.astype(np.uint8) * 255)
        content["mask"] = {"bytes": png, "path": f"{row['id']}.mask.png"}
    return content


def _with_images(field: pa.Field) -> pa.DataType:
    """A column's type with pictures in place of file names, and no lists of fixed length.

    `datasets` has changed how it writes the latter down; plain lists every version reads.
    """
    kind = field.type
    if field.name in _IMAGE_NAMES and pa.types.is_string(kind):
        return IMAGE
    if pa.types.is_struct(kind):
        return pa.struct([(part.name, _with_images(part)) for part in kind])
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_with_images(kind.value_field))
    return kind


def _feature(kind: pa.DataType) -> Any:
    """The type in the words of `datasets.Features`."""
    if kind.equals(IMAGE):
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {part.name: _feature(part.type) for part in kind}
    if pa.types.is_list(kind):
        return [_feature(kind.value_type)]
    return {"dtype": {"double": "float64", "float": "float32"}.get(str(kind), str(kind)), "_type": "Value"}


def _card(info: DatasetInfo, features: dict[str, Any]) -> str:
    files = [{"split": split, "path": f"data/{split}-*"} for split, count in info.samples.items() if count]
    parts = [
        card.front_matter(info, [{"config_name": "default", "data_files": files}]),
        f"# {info.name}",
        info.description,
        card.counts(info),
        *([info.lossy()] if info.jpeg else []),
        "## Sources",
        card.sources(info),
        "## Columns",
        "`image` is the input, `mask` what to erase, `truth` the exact answer: "
        + ", ".join(f"`{name}`" for name in features)
        + ".",
        f"Exported by mildbench {info.mildbench_version} from the data set with the fingerprint `{info.fingerprint}`.",
    ]
    return "\n\n".join(parts) + "\n"
