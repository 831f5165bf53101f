"""A data set as methods see it when annotators fill in what its truth does not know.

Truth is kept wherever there is any, unless `replace` is asked for: then methods are guided by what the annotators
say even where the truth is known, as they would be on a photo. Images, masks and answers never change. What the
background around a mask is, no truth knows: a panoptic segmentation says it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from mildbench.annotators.panoptic import background_tag
from mildbench.annotators.store import Annotation, Annotations, annotations_of, folder_of
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.geometry import Box
from mildbench.labels import UNLABELLED
from mildbench.marking import FOOTPRINT
from mildbench.scene import Layer, People, Scene, Triplet

SURE = 0.3
"""Score from which a keypoint counts as seen."""
ERASED = 0.5
"""Share of a found person inside the mask from which that person is to be erased."""


class AnnotatedDataset:
    """A `TripletSource` over a data set and the annotations of some of its splits.

    Args:
        dataset: any.
        annotations: of it, one a split.
        replace: let annotations win over known truth.
    """

    def __init__(
        self, dataset: Dataset, annotations: Sequence[Annotations], *, replace: bool = False
    ) -> None:
        self._dataset = dataset
        self._annotations = {found.record.split: found for found in annotations}
        self.replaces_truth = replace
        self.name = dataset.name

    @property
    def root(self) -> Path:
        """The folder of the data set."""
        return self._dataset.root

    @property
    def annotations(self) -> str:
        """The name of the annotations."""
        (name,) = {found.folder.name for found in self._annotations.values()}
        return name

    @property
    def fingerprint(self) -> str:
        """64 hex digits: of the data set, the annotations and how they are used."""
        used = [[found.record.facts(), found.content_sha256] for found in self._annotations.values()]
        return fingerprint([self._dataset.fingerprint, used, self.replaces_truth])

    def task_ids(self, task: str, split: str) -> list[str]:
        """As the data set has them."""
        return self._dataset.task_ids(task, split)

    def check_unchanged(self, task: str, ids: Collection[str], /) -> None:
        """As of the data set. Annotations are what they hold, and part of the fingerprint."""
        self._dataset.check_unchanged(task, ids)

    def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
        """The data set's triplet with people filled in; unchanged where annotating the sample failed."""
        triplet = self._dataset.triplet(task, id, mask)
        annotations = self._annotations.get(triplet.meta["split"])
        found = None if annotations is None else annotations.of(triplet.meta["scene"])
        if found is None:
            return triplet
        if found.segments is not None:
            triplet = replace(triplet, background_tag=background_tag(found.segments, triplet.mask))
        if triplet.people is None:
            return _with_found(triplet, found)
        return replace(triplet, people=_filled(triplet.people, found, self.replaces_truth))


def annotated(dataset: Dataset, name: str, split: str, *, replace: bool = False) -> AnnotatedDataset:
    """The data set with its annotations called `name`; raises `UserError` where the split has none."""
    found = Annotations.open(folder_of(dataset.root, name), split, dataset.fingerprint)
    return AnnotatedDataset(dataset, [found], replace=replace)


def guided_by(dataset: Dataset, split: str, fingerprint: str) -> AnnotatedDataset | None:
    """The data set with those of its annotations, used in that way, which give this fingerprint; None without such."""
    for folder in annotations_of(dataset.root):
        for replacing in (False, True):
            with suppress(UserError):  # of another split, or broken
                found = annotated(dataset, folder.name, split, replace=replacing)
                if found.fingerprint == fingerprint:
                    return found
    return None


def described(scene: Scene, found: Annotation) -> Scene:
    """The scene with poses for those people whose truth knows none, and with what its background is.

    People must be the truth's. What an annotator saw of a person is taken for visible wherever it lies; who hides it
    is the scene's to say.
    """
    if found.segments is not None:
        everybody = scene.footprint(layer.person.id for layer in scene.layers)
        scene = replace(scene, background_tag=background_tag(found.segments, everybody))
    if found.keypoints is None:
        return scene
    poses = dict(zip(found.ids, found.keypoints, strict=True))
    return replace(scene, layers=tuple(_posed(layer, poses.get(layer.person.id)) for layer in scene.layers))


def _posed(layer: Layer, points: np.ndarray | None) -> Layer:
    if points is None or (layer.person.keypoints[:, 2] > 0).any():
        return layer
    keypoints = seen(points)
    keypoints[keypoints[:, 2] > 0, :2] -= layer.origin
    return replace(layer, person=replace(layer.person, keypoints=keypoints))


def _filled(people: People, found: Annotation, instead: bool) -> People:
    keypoints, parsing = people.keypoints.copy(), people.parsing.copy()
    if found.keypoints is not None and found.masks is None:
        for person, points in zip(found.ids, found.keypoints, strict=True):
            k = people.ids.index(person)
            if instead or not (keypoints[k, :, 2] > 0).any():
                keypoints[k] = seen(points)
    if found.parsing is not None:
        # Who is where stays the truth's: annotations say only of what kind a person's pixel is.
        open_to = people.visible.any(axis=0) if instead else parsing == UNLABELLED
        parsing[open_to] = np.where(found.parsing[open_to] == 0, UNLABELLED, found.parsing[open_to])
    return replace(people, keypoints=keypoints, parsing=parsing)


def _with_found(triplet: Triplet, found: Annotation) -> Triplet:
    """A triplet without people gets the found ones; whoever lies mostly inside the mask is to be erased."""
    if found.masks is None:
        return triplet
    lowest = [Box.around(mask).bottom for mask in found.masks]
    order = np.argsort(lowest, kind="stable")  # back to front: whoever stands lower is nearer
    masks = found.masks[order]
    count = len(masks)
    keypoints = np.zeros((count, 17, 3), np.float32)
    if found.keypoints is not None:
        keypoints = np.array([seen(found.keypoints[k]) for k in order], np.float32).reshape(-1, 17, 3)
    anybody = masks.any(axis=0)
    labels = np.full(anybody.shape, UNLABELLED, np.uint8) if found.parsing is None else found.parsing
    parsing = np.where(anybody, np.where(labels == 0, UNLABELLED, labels), 0).astype(np.uint8)
    people = People(tuple(found.ids[k] for k in order), masks, masks, keypoints, parsing, ("person",) * count)
    inside = [np.count_nonzero(mask & triplet.mask) / np.count_nonzero(mask) for mask in masks]
    targets = tuple(k for k, share in enumerate(inside) if share >= ERASED)
    return replace(triplet, people=people, targets=targets)


def seen(keypoints: np.ndarray) -> np.ndarray:
    """float32[17, 3] x, y, score -> x, y, COCO visibility: what is sure is seen, the rest unknown."""
    sure = keypoints[:, 2:] >= SURE
    return np.where(sure, np.concatenate([keypoints[:, :2], np.full((17, 1), 2)], axis=1), 0).astype(
        np.float32
    )
