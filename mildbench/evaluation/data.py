"""A data set's samples as methods and scores need them: facts, batches, and batches of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mildbench.evaluation.features import pixel_sha256
from mildbench.method import EraseBatch, sample_seed
from mildbench.metrics.base import Subject
from mildbench.results.scores import STRATA
from mildbench.scene import Triplet


def facts(sample_id: str, triplet: Triplet) -> dict[str, Any]:
    """What a row of `scores.parquet` says of the sample itself: its id, `STRATA` and the digest of its truth."""
    return {
        "id": sample_id,
        **{key: triplet.meta.get(key) for key in STRATA},
        "mask_share": triplet.meta.get("mask_share", float(triplet.mask.mean())),
        "truth_sha256": pixel_sha256(triplet.truth),
    }


def as_batch(sample_id: str, triplet: Triplet, run_seed: int, *, with_truth: bool) -> EraseBatch:
    """The batch of one that a method is shown for `triplet`."""
    people = triplet.people
    return EraseBatch(
        sample_ids=(sample_id,),
        images=triplet.image[None],
        masks=triplet.mask_shown[None],
        seeds=(sample_seed(run_seed, sample_id),),
        instances=None if people is None else (people.visible,),
        targets=None if people is None else (triplet.targets,),
        keypoints=None if people is None else (people.keypoints,),
        parsing=None if people is None else people.parsing[None],
        truths=triplet.truth[None] if with_truth else None,
        background_tags=(triplet.background_tag,),
        amodal=(people.amodal,) if with_truth and people is not None else None,
    )


def subject_of(triplet: Triplet) -> Subject | None:
    """Whom the task asks to complete; None where it asks for nobody."""
    if triplet.subject is None:
        return None
    people, keypoints = triplet.people, triplet.subject_keypoints
    assert people is not None and keypoints is not None  # noqa: PT018 - a task with a subject knows both
    return Subject(keypoints, people.amodal[triplet.subject])


class Buckets:
    """Collects items until enough of one kind (here: one image shape, and the same facts known) are there for a batch.

    The number held is bounded: where nearly every picture has its own size, the largest bucket goes early.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._most = 8 * size
        self._held: dict[Any, list[Any]] = {}

    def add(self, kind: Any, item: Any) -> list[Any]:
        """Take one item in; returns the batch that is now due, or an empty list."""
        bucket = self._held.setdefault(kind, [])
        bucket.append(item)
        if len(bucket) >= self._size:
            return self._held.pop(kind)
        if sum(map(len, self._held.values())) >= self._most:
            return self._held.pop(max(self._held, key=lambda key: len(self._held[key])))
        return []

    def rest(self) -> Iterator[list[Any]]:
        """The unfinished batches."""
        while self._held:
            yield self._held.pop(next(iter(self._held)))
