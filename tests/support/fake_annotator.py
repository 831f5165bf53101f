"""An annotator whose answers follow from the picture's size and people alone, and which fails when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mildbench.annotators.base import Annotator, AnnotatorInfo, Found, Objects, Part, Picture, Segments


class FakeAnnotator(Annotator):
    """Keypoints at the box's centre, class 5 (upper-clothes) on every person, two people in every picture.

    Objects: a backpack at the first one's side, and a chair.

    Segments: a kite in the sky of every picture, grass below, the lowest eighth not recognised.

    Depth: a level plane as `camera` sees it by a lens of 0.9 of the longer side.
    """

    info = AnnotatorInfo(
        "fake",
        "for tests",
        frozenset(("pose", "parsing", "people", "objects", "segments", "depth")),
        ("numpy",),
    )
    camera: ClassVar[tuple[float, float]] = (0.4, 1.6)
    """Row of the horizon as a share of the height, and metres above the ground."""
    asked: ClassVar[list[tuple[str, ...]]] = []
    """Ids of the pictures of every call, in order."""

    def __init__(self, broken: str = "", seed: int = 0) -> None:
        self.broken = broken
        self.seed = seed

    def load(self, part: Part) -> None:
        assert part in self.info.parts

    def check(self, part: Part) -> None:
        assert part in self.info.parts

    def weights(self) -> dict[str, str]:
        return {"fake.bin": f"{self.seed:064d}"}

    def _note(self, pictures: Sequence[Picture]) -> None:
        self.asked.append(tuple(picture.id for picture in pictures))
        if any(picture.id == self.broken for picture in pictures):
            raise RuntimeError("out of memory")

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        self._note(pictures)
        results = []
        for picture in pictures:
            centres = (picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2
            poses = np.ones((len(picture.boxes), 17, 3), np.float32)
            poses[..., :2] = centres[:, None]
            results.append(poses)
        return results

    def parsing(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        results = []
        for picture in pictures:
            labels = np.zeros(picture.image.shape[:2], np.uint8)
            if picture.masks is not None:
                labels[picture.masks.any(axis=0)] = 5
            results.append(labels)
        return results

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        results = []
        for picture in pictures:
            masks = np.zeros((2, *picture.image.shape[:2]), dtype=bool)
            masks[0, 10:40, 10:20] = masks[1, 20:60, 30:50] = True
            results.append(Found(masks, np.array([0.9, 0.6], np.float32)))
        return results

    def objects(self, pictures: Sequence[Picture]) -> list[Objects]:
        results = []
        for picture in pictures:
            masks = np.zeros((2, *picture.image.shape[:2]), dtype=bool)
            masks[0, 15:30, 20:26] = masks[1, 50:70, 60:80] = True
            results.append(Objects(masks, ("backpack", "chair")))
        return results

    def segments(self, pictures: Sequence[Picture]) -> list[Segments]:
        self._note(pictures)
        results = []
        for picture in pictures:
            height, width = picture.image.shape[:2]
            labels = np.zeros((height, width), np.int32)
            labels[height // 2 :] = 3
            labels[height // 8 : height // 4, width // 4 : width // 2] = 1
            labels[-(height // 8) :] = -1
            names = ("sky-other-merged", "kite", "nowhere to be seen", "grass-merged")
            results.append(Segments(labels, names, (False, True, True, False)))
        return results

    def depth(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        results = []
        for picture in pictures:
            height, width = picture.image.shape[:2]
            below = np.arange(height) + 0.5 - self.camera[0] * height
            metres = 0.9 * max(height, width) * self.camera[1] / np.where(below > 0, below, np.inf)
            results.append(np.repeat(metres.astype(np.float32)[:, None], width, axis=1))
        return results
