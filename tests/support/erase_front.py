"""A task as a plug-in writes it: this file and an entry point, nothing else."""

from __future__ import annotations

from mildbench.scene import Scene, Triplet
from mildbench.tasks import Row, Task

_MARK = "-front"


class EraseFront(Task):
    """The one in front of all others is erased."""

    summary = "erase the person in front of all others; one triplet a scene of two people or more"

    def ids(self, row: Row) -> list[str]:
        return [row["id"] + _MARK] if len(row["persons"]) > 1 else []

    def sample_of(self, triplet_id: str) -> str:
        return triplet_id.removesuffix(_MARK)

    def triplet(self, scene: Scene, triplet_id: str) -> Triplet:
        if not triplet_id.endswith(_MARK):
            raise ValueError("the id does not say whom")
        return scene.erase([scene.layers[-1].person.id])
