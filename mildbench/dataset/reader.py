"""Read a data set: scenes and the tasks that follow from them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from mildbench.dataset.schema import SAMPLE_SCHEMA, SAMPLES, DatasetInfo, read_info
from mildbench.dataset.tasks import TASKS
from mildbench.errors import UserError, did_you_mean
from mildbench.files import inside
from mildbench.images import read_labels, read_rgb, read_rgba
from mildbench.scene import Layer, Person, Provenance, Scene, Triplet

if TYPE_CHECKING:
    import pandas as pd


class Dataset:
    """A finished data set. Open with `Dataset.open(path)`."""

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self.root = root
        self.info = info
        path = root / SAMPLES
        if not path.is_file():
            raise UserError(f"data set {root} has no {SAMPLES}: rebuild it")
        self._table = pq.read_table(path, schema=SAMPLE_SCHEMA)
        if self._table.num_rows == 0:
            raise UserError(f"data set {root} has no samples: rebuild it with --count of at least 1")
        self._rows = {name: i for i, name in enumerate(self._table["id"].to_pylist())}
        # Tasks of one scene come one after another: keep the last few scenes decoded.
        self._scene = lru_cache(maxsize=4)(self._read_scene)

    @classmethod
    def open(cls, path: Path | str) -> Dataset:
        """Open a data set's folder; raises `UserError` when it is missing, unfinished or of another version."""
        root = Path(path)
        return cls(root, read_info(root))

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def fingerprint(self) -> str:
        """64 hex digits: the identity of the files."""
        return self.info.fingerprint

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, as in `samples.parquet`."""
        return self._table.to_pandas()

    def row(self, sample_id: str) -> dict[str, Any]:
        """One row of `samples.parquet`; raises `UserError` for an unknown id."""
        if sample_id not in self._rows:
            raise UserError(f"data set {self.root} has no sample {sample_id!r}")
        return self._table.slice(self._rows[sample_id], 1).to_pylist()[0]

    def scene(self, sample_id: str) -> Scene:
        """The scene as layers; it recomposes the stored composite bit for bit."""
        return self._scene(sample_id)

    def _read_scene(self, sample_id: str) -> Scene:
        row = self.row(sample_id)
        layers = tuple(self._layer(person) for person in row["persons"])
        return Scene(sample_id, read_rgb(self._file(row["background"]), "background"), layers)

    def _layer(self, row: dict[str, Any]) -> Layer:
        rgba = read_rgba(self._file(row["rgba"]), "layer")
        labels = read_labels(self._file(row["labels"]), "layer labels")
        shadow = None if row["shadow"] is None else read_labels(self._file(row["shadow"]), "layer shadow")
        for name, plane in (("labels", labels), ("shadow", shadow)):
            if plane is not None and plane.shape != rgba.shape[:2]:
                raise UserError(
                    f"data set {self.root}: {row[name]} is of another size than {row['rgba']}: rebuild it"
                )
        keypoints = np.asarray(row["keypoints"], dtype=np.float32).reshape(17, 3)
        person = Person(row["id"], keypoints, labels, Provenance(**row["provenance"]), tuple(row["carried"]))
        return Layer(rgba, (row["origin"][0], row["origin"][1]), person, shadow)

    def _file(self, name: str) -> Path:
        return inside(self.root, name, f"data set {self.root}")

    def task_ids(self, task: str, split: str) -> list[str]:
        """The ids of a task's triplets, in the data set's order. Raises `UserError` for an unknown task or split."""
        if task not in TASKS:
            raise UserError(f"unknown task {task!r}: {did_you_mean(task, TASKS)}")
        if split not in self.info.samples:
            have = ", ".join(f"{name} ({count})" for name, count in self.info.samples.items())
            raise UserError(f"data set {self.root} has no split {split!r}; it has {have}")
        columns = self._table.select(["id", "split", "persons"]).to_pylist()
        rows = [row for row in columns if row["split"] == split]
        if task == "erase-all":
            return [row["id"] for row in rows if row["persons"]]
        return [
            f"{row['id']}-p{person['id']}"
            for row in rows
            if len(row["persons"]) > 1
            for person in row["persons"]
        ]

    def triplet(self, task: str, triplet_id: str) -> Triplet:
        """One task: what to erase, and the exact answer. Raises `UserError` for an unknown id."""
        sample_id, _, person = triplet_id.partition("-p")
        scene = self.scene(sample_id)
        everybody = [layer.person.id for layer in scene.layers]
        erased = everybody if task == "erase-all" else [int(person)] if person.isdigit() else []
        if not erased or not set(erased) <= set(everybody):
            raise UserError(f"data set {self.root} has no {task} task {triplet_id!r}")
        triplet = scene.erase(erased)
        row = self.row(sample_id)
        meta = {
            "scene": sample_id,
            "split": row["split"],
            "family": row["family"],
            "people": row["people"],
            "visible_ratio": _hardest_ratio(triplet),
            "mask_share": float(triplet.mask.mean()),
        }
        return Triplet(
            triplet_id, triplet.image, triplet.mask, triplet.truth, triplet.people, triplet.targets, meta
        )


def _hardest_ratio(triplet: Triplet) -> float:
    """The smallest visible ratio among those whom an erased person covers, 1 if they cover nobody.

    With everybody erased that is the most hidden person of the scene; with one erased, the one who must be
    completed most.
    """
    assert triplet.people is not None
    covered = triplet.people.occlusion()[list(triplet.targets)].max(axis=0, initial=0) > 0
    return float(triplet.people.visible_ratio()[covered].min(initial=1.0))
