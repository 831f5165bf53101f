"""Data sets in the formats that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mildbench.dataset.export import triplets
from mildbench.dataset.export.coco import export_coco
from mildbench.dataset.export.huggingface import export_huggingface
from mildbench.dataset.export.webdataset import export_webdataset
from mildbench.dataset.reader import Dataset
from mildbench.errors import UserError, did_you_mean

Exporter = Callable[[Dataset, Path, Callable[[int], None]], Any]

EXPORTERS: dict[str, Exporter] = {
    "coco": export_coco,
    "huggingface": export_huggingface,
    "webdataset": export_webdataset,
}


def exporter(name: str) -> Exporter:
    """`exporter(name)(dataset, out, advance)` makes the folder `out`, whole or not at all.

    All formats but triplets, which are of tasks and not of scenes.

    `advance` is called with the number of samples just done. Raises `UserError` for an unknown name; the
    exporters raise it for an `out` that is taken and for data that the format has no place for.
    """
    if name not in EXPORTERS:
        raise UserError(f"nothing exports to {name!r}: {did_you_mean(name, [triplets.NAME, *EXPORTERS])}")
    return EXPORTERS[name]
