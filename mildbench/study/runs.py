"""What a study needs of finished runs: whose pictures can be compared, the pictures, and the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.evaluation.features import pixel_sha256
from mildbench.images import read_rgb
from mildbench.regions import paste
from mildbench.results import finished, wording
from mildbench.results.folder import RunFolder
from mildbench.results.record import RunRecord
from mildbench.results.summary import MetricRecord, RunSummary
from mildbench.scene import Triplet


@dataclass(frozen=True, eq=False)
class Contender:
    """A run that takes part."""

    folder: RunFolder
    record: RunRecord
    summary: RunSummary
    shown: Mapping[str, str]
    """Scored sample -> `pixel_sha256` of the output pasted into the input."""
    scenes: Mapping[str, str]
    """Scored sample -> its scene."""
    shares: Mapping[str, float]
    """Scored sample -> the mask's share of the picture."""
    columns: Mapping[str, Mapping[str, float]]
    """Score column -> sample -> score; NaN where it has none. Of what raters see: without the raw columns that have a
    pasted twin."""

    def fills(self, source: TripletSource, samples: Iterable[str]) -> bool:
        """False where its method is shown the answer, or it returned the input for each of these samples."""
        if "truth" in self.record.method.capabilities:
            return False
        return any(pixel_sha256(self.triplet(source, name).image) != self.shown[name] for name in samples)

    def triplet(self, source: TripletSource, sample_id: str) -> Triplet:
        """The sample as its method was shown it."""
        config = self.summary.config
        return source.triplet(config.task, sample_id, mask=config.mask)

    def picture(self, sample_id: str, triplet: Triplet) -> np.ndarray:
        """uint8[H, W, 3]: the output pasted into the input, as it was scored.

        Raises `UserError` where the prediction was cleared away, or is another than the one that was scored.
        """
        again = f"run mildbench evaluate again for {self.folder}"
        path = self.folder.prediction(sample_id)
        output = read_rgb(path, "prediction")
        if output.shape != triplet.image.shape:
            raise UserError(f"prediction {path} has not the size of its input: {again}")
        pasted = paste(output, triplet.image, triplet.mask_shown, self.summary.paste_dilation)
        if pixel_sha256(pasted) != self.shown[sample_id]:
            raise UserError(f"prediction {path} is not the one that was scored: {again}")
        return pasted


def read(path: Path) -> Contender:
    """Read one run; raises `UserError` where it is unfinished or broken."""
    folder = RunFolder(path)
    record, summary, rows = finished.contents(folder)
    table = {name: rows.column(name).to_pylist() for name in ("id", "scene", "error", "pasted_sha256")}
    shares = rows.column("mask_share").to_pylist()
    ids: list[str] = table["id"]
    scored = {
        name: place
        for place, (name, error) in enumerate(zip(ids, table["error"], strict=True))
        if error is None
    }
    known = {item.column for item in summary.estimates}
    columns = {
        item.column: rows.column(item.column).to_pylist()
        for item in summary.estimates
        if item.variant == "pasted" or f"{item.metric}.{item.region}.pasted" not in known
    }
    return Contender(
        folder,
        record,
        summary,
        shown={name: table["pasted_sha256"][place] for name, place in scored.items()},
        scenes={name: table["scene"][place] or name for name, place in scored.items()},
        shares={name: shares[place] for name, place in scored.items()},
        columns={
            column: {
                name: math.nan if values[place] is None else values[place] for name, place in scored.items()
            }
            for column, values in columns.items()
        },
    )


def find(paths: Sequence[Path]) -> dict[str, Path]:
    """The run folders at and below `paths`, by their names."""
    return {folder.name: folder for folder in finished.find(paths)}


def comparable(paths: Sequence[Path]) -> dict[str, Contender]:
    """The runs at and below `paths`, by what tables call them.

    Raises `UserError` for fewer than two, and for runs of several tasks or data sets, or pasted in several ways.
    """
    found = [read(folder) for folder in finished.find(paths)]
    if len(found) < 2:
        raise UserError(f"{found[0].folder} is one run: give at least two to compare")
    kinds = {run.summary.setting for run in found}
    if len(kinds) > 1:
        several = ", ".join(sorted({f"{run.summary.task} on {run.summary.dataset}" for run in found}))
        raise UserError(
            f"these runs cannot be compared ({several}): give runs of one task on one data set, all with the same "
            "mask, corruption and paste dilation"
        )
    names = wording.names([run.summary for run in found])
    if len(names) < len(found):
        raise UserError("one of these runs is given from two places: leave one out")
    return {names[run.summary.run]: run for run in found}


def source_of(run: Contender, dataset: Path | None) -> TripletSource:
    """The data set as the run's method saw it; `dataset` says where it lies, if not where the run found it."""
    return finished.reopen(run.record, dataset)[1]


def metrics_of(runs: Sequence[Contender]) -> dict[str, MetricRecord]:
    """The metrics of all runs, by name; raises `UserError` where two runs were scored by two definitions of one."""
    metrics: dict[str, MetricRecord] = {}
    for run in runs:
        for metric in run.summary.metrics:
            known = metrics.setdefault(metric.name, metric)
            if (known.id, known.identity) != (metric.id, metric.identity):
                raise UserError(
                    f"{metric.name} of {run.folder} was scored by another definition, annotator or other weights "
                    f"than that of {runs[0].folder}: evaluate them together again"
                )
    return metrics
