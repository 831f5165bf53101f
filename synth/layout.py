"""Who stands where while a scene is planned, on the actual masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mildbench.scene import clip
from synth.plan import PlannedPerson


@dataclass
class Standing:
    """Somebody already placed."""

    person: PlannedPerson
    amodal_area: int
    """Pixels inside the frame."""
    visible: np.ndarray
    """bool[size, size]."""
    visible_area: int
    asked: float | None = None
    """The visible ratio asked for, which later people must leave as it is."""

    def visible_ratio(self) -> float:
        return self.visible_area / max(self.amodal_area, 1)


class Layout:
    """The people placed so far, back to front, in a square frame."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.standing: list[Standing] = []

    def clip(self, mask: np.ndarray, origin: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """The window of the frame that a mask at `origin` covers, and the part of the mask inside it."""
        window, part = clip(origin, mask.shape, (self.size, self.size))
        return window, mask[part]

    def ratio_behind(self, mask: np.ndarray, origin: tuple[int, int], victim: Standing) -> float:
        """The victim's visible ratio if `mask` stood in front at `origin`."""
        window, part = self.clip(mask, origin)
        hidden = int(np.count_nonzero(victim.visible[window] & part))
        return (victim.visible_area - hidden) / max(victim.amodal_area, 1)

    def add(self, person: PlannedPerson, mask: np.ndarray) -> None:
        """Put somebody in front of everybody."""
        window, part = self.clip(mask, person.origin)
        for other in self.standing:
            other.visible[window] &= ~part
            other.visible_area = int(np.count_nonzero(other.visible))
        visible = np.zeros((self.size, self.size), dtype=bool)
        visible[window] = part
        area = int(np.count_nonzero(part))
        self.standing.append(Standing(person, area, visible, area))

    def offset_for(
        self, mask: np.ndarray, row: int, victim: Standing, ratio: float, side: int
    ) -> tuple[int, int] | None:
        """The origin at which `mask` leaves the victim nearest to `ratio`, from right in front to clear of them.

        Bisection on the horizontal distance (`side` is -1 or 1), for the share hidden falls with it. None when
        even right in front the mask hides too little.
        """
        columns = np.flatnonzero(victim.visible.any(axis=0))
        if columns.size == 0:
            return None
        start = int(columns.mean()) - mask.shape[1] // 2

        def reached(distance: int) -> float:
            return self.ratio_behind(mask, (start + side * distance, row), victim)

        near, far = 0, (mask.shape[1] + self.size) // 2
        if reached(near) > ratio:
            return None
        while far - near > 1:
            middle = (near + far) // 2
            if reached(middle) < ratio:
                near = middle
            else:
                far = middle
        best = min((near, far), key=lambda distance: abs(reached(distance) - ratio))
        return start + side * best, row
