"""A plug-in: a source of people cut out of coloured paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mildbench.labels import UNLABELLED
from mildbench.scene import Provenance
from synth.material import Cutout, PersonRef, Rejections
from synth.sources.base import PeopleSource


class PaperPeople(PeopleSource):
    """Upright rectangles of one colour each.

    Args:
        path: not read.
        count: how many there are.
    """

    licence = "CC0-1.0"

    def __init__(self, path: str, count: int = 12) -> None:
        self.name, self.count = f"paper?count={count}", count
        self.rejections = Rejections()

    def people(self) -> Sequence[PersonRef]:
        return [PersonRef(str(k), f"paper/{k}", height=200) for k in range(self.count)]

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        rgba = np.full((200, 60, 4), 255, np.uint8)
        rgba[..., :3] = 37 * (int(key) + 1) % 256, 80, 120
        parsing = np.full((200, 60), UNLABELLED, np.uint8)
        provenance = Provenance(self.name, key, "0" * 64, self.licence)
        return Cutout(rgba, parsing, np.zeros((17, 3), np.float32), provenance)
