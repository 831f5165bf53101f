"""The task `erase-one`."""

from __future__ import annotations

from mildbench.scene import Scene, Triplet
from mildbench.tasks.base import PersonTask, Row


class EraseOne(PersonTask):
    """One person is erased, and the people behind them must be completed."""

    summary = "erase one person, keep the others; one triplet a person, in scenes of two people or more"
    overview = (
        "psnr.mask.pasted",
        "ssim.mask.pasted",
        "kept-logodds.attention.raw",
    )
    mark = "-p"

    def asks(self, row: Row, person: Row) -> bool:
        """Whether somebody stays."""
        return len(row["persons"]) > 1

    def of(self, scene: Scene, person: int) -> Triplet:
        """The scene without this person."""
        return scene.erase([person])
