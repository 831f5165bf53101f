"""What evaluation needs of a data set, and nothing more: tests pass a fake, importers their own."""

from __future__ import annotations

from typing import Protocol

from mildbench.scene import Triplet


class TripletSource(Protocol):
    """A data set, as `mildbench.dataset.Dataset` is one."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """64 hex digits that change whenever any sample does."""
        ...

    def task_ids(self, task: str, split: str) -> list[str]:
        """Sample ids, in order; raises `UserError` for an unknown task or split."""
        ...

    def triplet(self, task: str, id: str, /) -> Triplet:
        """The sample `id`; called from several threads at once."""
        ...
