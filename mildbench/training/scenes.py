"""Where scenes come from: an endless stream for each split, addressed by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel

from mildbench.annotators.overlay import described
from mildbench.annotators.store import Annotations, folder_of, record_of
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.method import sample_seed
from mildbench.scene import Scene

_BLOCK = 512
"""Scenes are shuffled in blocks, and the blocks among each other: the reader keeps the rows of some blocks decoded,
and neighbouring scenes of a data set have no more in common than others."""


def generator(seed: int, *key: object) -> np.random.Generator:
    """A generator that depends on seed and key alone."""
    return np.random.Generator(np.random.Philox(key=sample_seed(seed, "\0".join(map(str, key)))))


class SceneSource(Protocol):
    """Scenes by position. Picklable: every worker opens its own."""

    def check(self, split: str) -> None:
        """Raise `UserError` for a split that has no scenes."""
        ...

    def scene(self, split: str, position: int) -> Scene:
        """Scene `position` of the split's endless stream; whatever it raises concerns this scene alone."""
        ...

    def describe(self) -> dict[str, Any]:
        """What identifies the scenes, as JSON values without machine paths; equal for equal streams."""
        ...


class DatasetScenes:
    """The scenes of a built data set, over and over, each time in another order.

    Args:
        root: folder of the data set.
        seed: of the order.
        annotations: name of annotations, empty for none. Their poses are taken where the truth knows none, and
            what their segments say of the background.
    """

    def __init__(self, root: Path, seed: int, annotations: str = "") -> None:
        """Raises `UserError` where there is no data set of scenes."""
        self.root = root
        self.seed = seed
        self.annotations = annotations
        if self._dataset.info.source != "scenes":
            raise UserError(
                f"data set {root} was imported and has no layers, which training needs: "
                "make scenes with mildbench build-dataset"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return DatasetScenes, (self.root, self.seed, self.annotations)

    @cached_property
    def _dataset(self) -> Dataset:
        return Dataset.open(self.root)

    @cached_property
    def _ids(self) -> dict[str, list[str]]:
        """Split -> the scenes with somebody in them."""
        found: dict[str, list[str]] = {}
        for row in self._dataset.rows(["id", "split", "people"]):
            if row["people"]:
                found.setdefault(row["split"], []).append(row["id"])
        return found

    @cached_property
    def _folder(self) -> Path:
        return folder_of(self.root, self.annotations)

    @cached_property
    def _found(self) -> Callable[[str], Annotations]:
        """Split -> its annotations."""
        return cache(lambda split: Annotations.open(self._folder, split, self._dataset.fingerprint))

    @cached_property
    def _order(self) -> Any:
        # The last orders of both splits are kept; workers come upon epochs one after another.
        return lru_cache(maxsize=4)(self._shuffled)

    def _shuffled(self, split: str, epoch: int) -> np.ndarray:
        rng, count = generator(self.seed, "epoch", split, epoch), len(self._ids[split])
        blocks = [np.arange(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
        return np.concatenate([rng.permutation(blocks[place]) for place in rng.permutation(len(blocks))])

    def check(self, split: str) -> None:
        if not self._ids.get(split):
            have = ", ".join(f"{name} ({len(ids)})" for name, ids in self._ids.items())
            raise UserError(
                f"data set {self.root} has no scenes with people in the split {split!r}; it has {have}: "
                "build it from a recipe with that split, or name another one"
            )
        if self.annotations:
            record = self._found(split).record
            if record.pose is None and record.segments is None:
                raise UserError(
                    f"annotations {self.annotations!r} of {self.root} hold no poses and no segments: name others"
                )

    def scene(self, split: str, position: int) -> Scene:
        ids = self._ids[split]
        epoch, place = divmod(position, len(ids))
        name = ids[self._order(split, epoch)[place]]
        scene = self._dataset.scene(name)
        found = self._found(split).of(name) if self.annotations else None
        return scene if found is None else described(scene, found)

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"dataset": self._dataset.name, "fingerprint": self._dataset.fingerprint}
        if self.annotations:
            annotated = [split for split in self._ids if record_of(self._folder, split).is_file()]
            records = [self._found(split).record for split in annotated]
            found["poses"] = _distinct(record.pose for record in records)
            if segments := _distinct(record.segments for record in records):
                found["segments"] = segments
        return found


def _distinct(sources: Iterable[BaseModel | None]) -> list[dict[str, Any]]:
    """As JSON values, in the order in which they first come."""
    made = [source.model_dump(mode="json") for source in sources if source is not None]
    return [source for place, source in enumerate(made) if source not in made[:place]]
