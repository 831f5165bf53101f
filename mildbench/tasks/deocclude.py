"""The task `deocclude`."""

from __future__ import annotations

from mildbench.scene import Scene, Triplet
from mildbench.tasks.base import PersonTask, Row

LEAST_VISIBLE, MOST_VISIBLE = 0.05, 0.95
"""Visible ratios, bounds included, of the people whom the task asks for. Below, too little is seen to tell who is to
be completed; above, too little is missing."""


class Deocclude(PersonTask):
    """One partly hidden person is completed: exactly those who cover them are erased, and the truth shows them."""

    summary = (
        "complete one partly hidden person: erase those who cover them; one triplet a person of whom 5 % to "
        "95 % is seen"
    )
    completes = True
    columns = ("persons.list.element.id", "persons.list.element.visible_ratio")
    mark = "-d"

    def asks(self, row: Row, person: Row) -> bool:
        """Whether enough is seen of the person, and enough is not."""
        return bool(LEAST_VISIBLE <= person["visible_ratio"] <= MOST_VISIBLE)

    def of(self, scene: Scene, person: int) -> Triplet:
        """The scene without those who cover this person."""
        covering = scene.covering(person)
        if not covering:
            raise ValueError(f"nobody covers person {person}")
        return scene.erase(covering, completing=person)
