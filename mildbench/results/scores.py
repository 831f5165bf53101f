"""`scores.parquet`: its columns, and the rows of one run as arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mildbench import statistics
from mildbench.results.panel import Panel
from mildbench.results.summary import Estimate

STRATA = ("scene", "split", "family", "people", "visible_ratio", "mask_share", "difficulty", "ground")
"""The keys of `Triplet.meta` that are columns; a missing one is null."""
STRATIFIED = ("visible_ratio", "people", "mask_share", "family", "difficulty", "ground")
"""Columns by which aggregates are split, in the order of `statistics.strata`'s arguments."""


class InputDigests(NamedTuple):
    """What of a run a row was scored from, by sha256; None where there is no such thing, or nothing reads it."""

    prediction_sha256: str | None
    """Of the file."""
    layers_sha256: str | None
    """Of the sample's completed layers together."""
    attention_sha256: str | None
    """Of its attention record."""


FIXED = pa.schema(
    [
        ("id", pa.string()),
        ("scene", pa.string()),
        ("split", pa.string()),
        ("family", pa.string()),
        ("people", pa.int64()),
        ("visible_ratio", pa.float64()),
        ("mask_share", pa.float64()),
        ("difficulty", pa.float64()),
        ("ground", pa.string()),
        ("error", pa.string()),
        *((name, pa.string()) for name in InputDigests._fields),
        ("raw_sha256", pa.string()),
        ("pasted_sha256", pa.string()),
        ("truth_sha256", pa.string()),
    ]
)
"""What every row has before its scores. `error` is null for a scored sample. The first three sha256 are
`InputDigests`, the others are `pixel_sha256`. Scores follow as float64 columns `metric.region.variant`; NaN is
undefined."""


def schema_of(panel: Panel) -> pa.Schema:
    """Of the rows that a panel gives."""
    return pa.schema([*FIXED, *((name, pa.float64()) for name in panel.columns)])


class Scores:
    """Rows of one run, as arrays."""

    def __init__(self, table: pa.Table, panel: Panel) -> None:
        """`panel`: the part of it that is for the run."""
        text = {name: table.column(name).to_pylist() for name in ("id", "scene", "error")}
        self.ids: list[str] = text["id"]
        self.errors: list[str | None] = text["error"]
        self.scenes = [scene or name for name, scene in zip(text["id"], text["scene"], strict=True)]
        self.clusters: np.ndarray = np.unique(np.array(self.scenes), return_inverse=True)[1]
        """int[N]: tasks on one scene share most of their pixels, so scenes are the unit of intervals and tests."""
        self.scored = np.array([error is None for error in self.errors], dtype=bool)
        self.values = {name: table.column(name).to_numpy() for name in panel.columns}
        """Column -> float64[N]; NaN is undefined or failed."""
        self._table = table
        self._panel = panel

    def column(self, name: str) -> list[Any]:
        """The values of any other column; None is unknown."""
        return self._table.column(name).to_pylist()

    def estimate(self, column: str, members: np.ndarray | None = None) -> Estimate:
        """The mean of a score column over the samples of bool[N] `members`; without, over all that are scored."""
        chosen = self.scored if members is None else members
        metric, region, variant = column.split(".")
        found = statistics.mean(
            self.values[column][chosen], self._panel.metric(column), self.clusters[chosen]
        )
        return Estimate.model_validate(
            {"metric": metric, "region": region, "variant": variant, **vars(found)}
        )
