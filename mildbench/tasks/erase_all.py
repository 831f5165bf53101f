"""The task `erase-all`."""

from __future__ import annotations

from mildbench.scene import Scene, Triplet
from mildbench.tasks.base import Row, Task


class EraseAll(Task):
    """Everybody is erased: the classic triplet of composite, mask and clean background."""

    summary = "erase everybody; the truth is the clean background (one triplet a scene)"
    keeps = False
    of_pairs = True
    overview = ("psnr.mask.pasted", "ssim.mask.pasted")

    def ids(self, row: Row) -> list[str]:
        """The scene's own id, where anybody is in it."""
        return [row["id"]] if row["persons"] else []

    def triplet(self, scene: Scene, triplet_id: str) -> Triplet:
        """The scene without its people."""
        if not scene.layers:
            raise ValueError("nobody is there")
        return scene.erase(layer.person.id for layer in scene.layers)
