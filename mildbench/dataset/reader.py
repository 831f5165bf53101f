"""Read a data set: scenes, or imported pairs, and the tasks that follow from them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mildbench import extras, notebook
from mildbench.addresses import place
from mildbench.dataset.rows import check_rows
from mildbench.dataset.schema import SAMPLE_SCHEMA, SAMPLES, DatasetInfo, read_info
from mildbench.dataset.storage import Storage, open_table
from mildbench.dataset.triplets import Triplets
from mildbench.errors import UserError
from mildbench.images import decode_labels, decode_rgb, decode_rgba
from mildbench.marking import FOOTPRINT, check, marked
from mildbench.scene import Layer, Person, Provenance, Scene, Triplet
from mildbench.tasks import TASKS, Task, task_of

if TYPE_CHECKING:
    import pandas as pd

    from mildbench.dataset.tensors import TripletTensors

EVERYBODY = "erase-all"
"""The task that a data set answers by itself, as a sequence."""
COMPLETE = "deocclude"
"""The one that imported photos with whole people answer."""
PERSON = "person"
"""The category of people, in a row of `samples.parquet`."""
_UNKNOWN = 128
"""The grey of what no picture shows."""
_GROUPS = 8
"""Row groups of `samples.parquet` that are kept decoded."""


class Dataset:
    """A finished data set. Open with `Dataset.open(path)`; safe to read from several threads at once.

    As a sequence it holds the triplets of `erase-all`, one for each sample in which anybody is; `triplets` gives those
    of other tasks.
    """

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self.root = root
        self.info = info
        self.storage = Storage(root)
        self._table = _open_table(root)
        self._lock = threading.Lock()
        ids = [row["id"] for row in self.rows(["id", "split", "persons.list.element.id"])]
        if not ids:
            raise UserError(f"data set {root} has no samples: rebuild it with --count of at least 1")
        self._places = {name: place for place, name in enumerate(ids)}
        if len(self._places) < len(ids):
            twice = next(name for place, name in enumerate(ids) if self._places[name] != place)
            raise UserError(f"{root / SAMPLES}: two samples are called {twice!r}: restore or rebuild it")
        sizes = [
            self._table.metadata.row_group(group).num_rows for group in range(self._table.num_row_groups)
        ]
        self._starts = [0, *accumulate(sizes)]
        self._group = lru_cache(maxsize=_GROUPS)(self._read_group)
        # Tasks of one scene come one after another: keep the last few scenes decoded.
        self._scene = lru_cache(maxsize=4)(self._read_scene)

    @classmethod
    def open(cls, path: Path | str) -> Dataset:
        """Open a data set's folder, or that at an address (`mildbench.addresses`).

        Raises `UserError` when it is missing, unfinished or of another version.
        """
        root = place(path)
        info = read_info(root)
        kinds = {"scenes": Dataset, "pairs": PairDataset, "amodal": AmodalDataset}
        return kinds[info.source](root, info)

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset.open, (self.root.absolute(),)

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def fingerprint(self) -> str:
        """64 hex digits: the identity of the contents, as they were when they were written."""
        return self.info.fingerprint

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, as in `samples.parquet`, all in memory; `rows` and `row` need little."""
        groups = [self._read_group(group) for group in range(self._table.num_row_groups)]
        return pa.concat_tables(groups).to_pandas()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of `samples.parquet` in order, a few at a time in memory; all columns unless some are named."""
        for group in range(self._table.num_row_groups):
            yield from self._read_group(group, columns).to_pylist()

    def row(self, sample_id: str) -> dict[str, Any]:
        """One row of `samples.parquet`; raises `UserError` for an unknown id."""
        if sample_id not in self._places:
            raise UserError(f"data set {self.root} has no sample {sample_id!r}")
        place = self._places[sample_id]
        group = bisect_right(self._starts, place) - 1
        return self._group(group).slice(place - self._starts[group], 1).to_pylist()[0]

    def row_of(self, task: str | None, triplet_id: str) -> dict[str, Any]:
        """The row of `samples.parquet` that a task's triplet comes from; of a sample itself where `task` is None."""
        return self.row(triplet_id if task is None else task_of(task).sample_of(triplet_id))

    def scene(self, sample_id: str) -> Scene:
        """The scene as layers; it recomposes the stored composite bit for bit.

        In a JPEG training split it recomposes what the stored composite was compressed from.

        Raises `UserError` for an unknown id, and in imported pairs, which have no layers.
        """
        return self._scene(sample_id)

    def tasks(self, split: str) -> list[str]:
        """The names of the tasks of which a split has triplets; raises `UserError` for an unknown split."""
        return [name for name in TASKS.names() if self._answers(task_of(name)) and self.task_ids(name, split)]

    def task_ids(self, task: str, split: str) -> list[str]:
        """The ids of a task's triplets, in the data set's order. Raises `UserError` for an unknown task or split."""
        asked = self._asked(task)
        self.check_split(split)
        return self._task_ids(asked, split)

    def check_split(self, split: str) -> None:
        """Raise `UserError` for a split that there is not."""
        if split not in self.info.samples:
            have = ", ".join(f"{name} ({count})" for name, count in self.info.samples.items())
            raise UserError(
                f"data set {self.root} has no split {split!r}; it has {have}: name one of them (--split)"
            )

    def triplet(self, task: str, triplet_id: str, mask: str = FOOTPRINT) -> Triplet:
        """One question of a task: what to erase, and the exact answer.

        Args:
            task: its name.
            triplet_id: one of `task_ids`.
            mask: what a method is shown of it, one of `mildbench.marking.MARKINGS`.

        Raises:
            UserError: an unknown task, id or mask; a damaged file.
        """
        asked = self._asked(task)
        check(mask)
        sample_id = asked.sample_of(triplet_id)
        scene = self.scene(sample_id)
        try:
            triplet = asked.triplet(scene, triplet_id)
        except ValueError as error:
            raise UserError(f"data set {self.root} has no {task} task {triplet_id!r}: {error}") from None
        row = self.row(sample_id)
        meta = {
            "scene": sample_id,
            "split": row["split"],
            "family": row["family"],
            "difficulty": row["difficulty"],
            "ground": row["ground"],
            "people": row["people"],
            "visible_ratio": _hardest_ratio(triplet),
            "mask_share": float(triplet.mask.mean()),
        }
        return marked(replace(triplet, id=triplet_id, meta=meta), mask)

    def check_unchanged(self, task: str | None, ids: Collection[str]) -> None:
        """Raise `UserError` unless what these triplets of a task are made of is what it was when it was written.

        Of the samples themselves where `task` is None. Reads all of their files.
        """
        from mildbench.dataset.unchanged import require_unchanged

        require_unchanged(self, {self.row_of(task, name)["id"] for name in ids})

    def triplets(self, task: str = EVERYBODY, split: str | None = None, mask: str = FOOTPRINT) -> Triplets:
        """A task's triplets, of one split or of all; raises `UserError` as `task_ids` and `triplet` do."""
        check(mask)
        splits = list(self.info.samples) if split is None else [split]
        return Triplets(
            self, task, tuple(name for part in splits for name in self.task_ids(task, part)), mask
        )

    def torch_dataset(
        self, task: str = EVERYBODY, split: str | None = None, mask: str = FOOTPRINT
    ) -> TripletTensors:
        """The same for a `torch.utils.data.DataLoader`; raises `UserError` where torch is not installed, too."""
        extras.require("torch", "torch_dataset")
        from mildbench.dataset.tensors import TripletTensors

        return TripletTensors(self.triplets(task, split, mask))

    @cached_property
    def _everybody(self) -> Triplets:
        return self.triplets()

    def __len__(self) -> int:
        return len(self._everybody)

    def __iter__(self) -> Iterator[Triplet]:
        return iter(self._everybody)

    @overload
    def __getitem__(self, place: int | str) -> Triplet: ...

    @overload
    def __getitem__(self, place: slice) -> Triplets: ...

    def __getitem__(self, place: int | str | slice) -> Triplet | Triplets:
        return self._everybody[place]

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} ({count})" for split, count in self.info.samples.items())
        return f"data set {self.name} {self.fingerprint[:12]} at {self.root}: {counts}"

    def _repr_html_(self) -> str:
        counts = [
            (split, str(count), ", ".join(self.tasks(split))) for split, count in self.info.samples.items()
        ]
        title = notebook.table((f"{self.name} {self.fingerprint[:12]}", "samples", "tasks"), counts)
        return title + self._everybody._repr_html_()

    def picture(self, name: str, what: str) -> np.ndarray:
        """uint8[H, W, 3]: a file by the name that a row has for it; `what` says in errors what it is."""
        return decode_rgb(self.storage.read(name), self._called(what, name))

    def labels(self, name: str, what: str) -> np.ndarray:
        """uint8[H, W]: the same for a map or mask."""
        return decode_labels(self.storage.read(name), self._called(what, name))

    def _called(self, what: str, name: str) -> str:
        return f"{what} {self.root / name}"

    def _answers(self, task: Task) -> bool:
        """Whether the task can be asked of data of this kind."""
        return True

    def _asked(self, name: str) -> Task:
        """The task of this name; raises `UserError` for one that is unknown or cannot be asked."""
        return task_of(name)

    def _task_ids(self, task: Task, split: str) -> list[str]:
        rows = self.rows(["id", "split", *task.columns])
        return [name for row in rows if row["split"] == split for name in task.ids(row)]

    def _read_group(self, group: int, columns: Sequence[str] | None = None) -> pa.Table:
        try:
            with self._lock:  # a ParquetFile has one position for all threads
                table = self._table.read_row_group(group, columns)
            check_rows(table, self.info)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{self.root / SAMPLES}: {error}: restore or rebuild it") from None
        return table

    def _read_scene(self, sample_id: str) -> Scene:
        row = self.row(sample_id)
        layers = tuple(self._layer(person) for person in row["persons"])
        return Scene(sample_id, self.picture(row["background"], "background"), layers)

    def _layer(self, row: dict[str, Any]) -> Layer:
        rgba = decode_rgba(self.storage.read(row["rgba"]), self._called("layer", row["rgba"]))
        labels = self.labels(row["labels"], "layer labels")
        shadow = None if row["shadow"] is None else self.labels(row["shadow"], "layer shadow")
        reflection = None
        if row["reflection"] is not None:
            reflection = decode_rgba(
                self.storage.read(row["reflection"]), self._called("layer reflection", row["reflection"])
            )
        for name, plane in (("labels", labels), ("shadow", shadow), ("reflection", reflection)):
            if plane is not None and plane.shape[:2] != rgba.shape[:2]:
                raise UserError(
                    f"data set {self.root}: {row[name]} is of another size than {row['rgba']}: rebuild it"
                )
        keypoints = np.asarray(row["keypoints"], dtype=np.float32).reshape(17, 3)
        person = Person(
            row["id"],
            keypoints,
            labels,
            Provenance(**row["provenance"]),
            row["category"],
            tuple(row["carried"]),
        )
        return Layer(rgba, (row["origin"][0], row["origin"][1]), person, shadow, reflection)


class PairDataset(Dataset):
    """Imported inputs, masks and truths. Who is in them is unknown: only tasks `of_pairs` can be asked."""

    def scene(self, sample_id: str) -> Scene:
        raise self._unknown("a scene's layers")

    def triplet(self, task: str, triplet_id: str, mask: str = FOOTPRINT) -> Triplet:
        self._asked(task)
        check(mask)
        if mask != FOOTPRINT:
            raise UserError(
                f"data set {self.root} was imported with one mask a picture, and has no other to show: leave out "
                f"--mask {mask}, or build scenes with mildbench build-dataset"
            )
        row = self.row(triplet_id)
        image, truth = self.picture(row["composite"], "input"), self.picture(row["background"], "truth")
        erased = self.labels(row["mask"], "mask") > 127
        effect = None if row["effect"] is None else self.labels(row["effect"], "effect mask") > 127
        planes = (erased,) if effect is None else (erased, effect)
        if not image.shape == truth.shape or any(plane.shape != image.shape[:2] for plane in planes):
            raise UserError(
                f"data set {self.root}: the files of {triplet_id} differ in size: import it again"
            )
        # Samples of one camera are no more independent than tasks on one scene.
        scene = row["group"] or triplet_id
        meta = {"scene": scene, "split": row["split"], "mask_share": row["mask_share"]}
        beside = None if effect is None else effect & ~erased
        return Triplet(triplet_id, image, erased, truth, effect=beside, meta=meta)

    def row_of(self, task: str | None, triplet_id: str) -> dict[str, Any]:
        return self.row(triplet_id)

    def _answers(self, task: Task) -> bool:
        return task.of_pairs

    def _asked(self, name: str) -> Task:
        task = super()._asked(name)
        if not self._answers(task):
            raise self._unknown(f"the task {name}")
        return task

    def _task_ids(self, task: Task, split: str) -> list[str]:
        return [row["id"] for row in self.rows(["id", "split"]) if row["split"] == split]

    def _unknown(self, what: str) -> UserError:
        return UserError(
            f"data set {self.root}: people are unknown in an imported data set: {what} needs them; "
            "use --task erase-all, or build scenes with mildbench build-dataset"
        )


class AmodalDataset(Dataset):
    """Imported photos whose people are known whole, but for the colours of what is hidden.

    Only tasks in which somebody is completed can be asked, and only of people, never of the things in front of them. As
    a sequence it holds the triplets of `deocclude`.
    """

    def triplet(self, task: str, triplet_id: str, mask: str = FOOTPRINT) -> Triplet:
        triplet = super().triplet(task, triplet_id, mask)
        truth = triplet.image.copy()
        truth[triplet.mask] = _UNKNOWN
        return replace(triplet, truth=truth, truth_known=False)

    @cached_property
    def _everybody(self) -> Triplets:
        return self.triplets(COMPLETE)

    def _answers(self, task: Task) -> bool:
        return task.completes

    def _asked(self, name: str) -> Task:
        task = super()._asked(name)
        if not self._answers(task):
            raise UserError(
                f"data set {self.root}: what lies behind people is unknown in imported photos, and the task {name} "
                f"needs it; use --task {COMPLETE}, or build scenes with mildbench build-dataset"
            )
        return task

    def _task_ids(self, task: Task, split: str) -> list[str]:
        found = []
        for row in self.rows(["id", "split", "persons.list.element.category", *task.columns]):
            if row["split"] == split:
                people = [person for person in row["persons"] if person["category"] == PERSON]
                found += task.ids(row | {"persons": people})
        return found


def _open_table(root: Path) -> pq.ParquetFile:
    path = root / SAMPLES
    if not path.is_file():
        raise UserError(f"data set {root} has no {SAMPLES}: rebuild it")
    try:
        table = open_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore or rebuild it") from None
    if not table.schema_arrow.equals(SAMPLE_SCHEMA):
        raise UserError(f"{path} has other columns than this mildbench reads: rebuild it")
    return table


def _hardest_ratio(triplet: Triplet) -> float:
    """How much is seen of the person who makes the task hard: the subject's visible ratio where there is one.

    With everybody erased, the visible ratio of the most hidden person; otherwise the smallest share of a kept
    person that is not behind what is erased: how much of the one who must be completed most was seen.
    """
    people = triplet.people
    assert people is not None
    if triplet.subject is not None:
        return float(people.visible_ratio()[triplet.subject])
    kept = [k for k in range(len(people.ids)) if k not in triplet.targets]
    if not kept:
        return float(people.visible_ratio().min(initial=1.0))
    erased = people.visible[list(triplet.targets)].any(axis=0)
    shares = (people.amodal[k][erased].sum() / max(int(people.amodal[k].sum()), 1) for k in kept)
    return 1.0 - float(max(shares))
