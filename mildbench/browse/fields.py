"""The fields of the FiftyOne data set apart from labels: facts, scores, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import Any

import pandas as pd

from mildbench import statistics
from mildbench.browse.gallery import Gallery
from mildbench.browse.runs import ScoredRun
from mildbench.browse.selection import PREFERRED

FACTS: dict[str, type] = {
    "scene": str,
    "split": str,
    "family": str,
    "people": int,
    "visible_ratio": float,
    "visible_bin": str,
    "mask_share": float,
    "difficulty": float,
}
"""What is known of a sample itself -> its kind."""


@lru_cache(maxsize=1)
def disagreements(gallery: Gallery) -> dict[str, tuple[ScoredRun, ScoredRun]]:
    """Field -> the two runs whose headline PSNR it is the absolute difference of, in dB."""
    able = [run for run in gallery.contenders if run.headline(PREFERRED) is not None]
    return {f"disagreement_{a.name}_{b.name}": (a, b) for a, b in combinations(able, 2)}


def failure_field(run: ScoredRun) -> str:
    """The field that says why the run has no score."""
    return f"{run.name}_failure"


def score_fields(gallery: Gallery) -> dict[str, type]:
    """The fields that follow from the runs -> their kind."""
    columns: dict[str, type] = {run.field(column): float for run in gallery.runs for column in run.columns}
    failures: dict[str, type] = {failure_field(run): str for run in gallery.runs}
    gaps: dict[str, type] = dict.fromkeys(disagreements(gallery), float)
    return columns | gaps | failures


def facts(gallery: Gallery, sample_id: str) -> dict[str, Any]:
    """The sample's values of `FACTS`; None is unknown."""
    row = {str(key): _plain(value) for key, value in gallery.facts.loc[sample_id].items()}
    people, family = row["people"], row["family"]
    bins = statistics.strata(
        row["visible_ratio"], None if people is None else int(people), row["mask_share"], family, None, None
    )
    return row | {"people": None if people is None else int(people), "visible_bin": bins["visible_ratio"]}


def scores(gallery: Gallery, sample_id: str) -> dict[str, Any]:
    """The sample's values of `score_fields`; None is undefined. An infinite PSNR stays infinite."""
    found: dict[str, Any] = dict(_run_scores(gallery, sample_id))
    for name, (first, second) in disagreements(gallery).items():
        one, other = (found[run.field(run.headline(PREFERRED) or "")] for run in (first, second))
        gap = math.nan if one is None or other is None else abs(one - other)
        found[name] = gap if math.isfinite(gap) else None
    return found


def _run_scores(gallery: Gallery, sample_id: str) -> Iterator[tuple[str, Any]]:
    for run in gallery.runs:
        row = run.scores.loc[sample_id] if sample_id in run.scores.index else None
        for column in run.columns:
            yield run.field(column), None if row is None else _plain(row[column])
        yield failure_field(run), run.failure(sample_id)


def _plain(value: Any) -> Any:
    """None for pandas' ways of saying that there is nothing, Python's own number for NumPy's."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value
