"""What evaluation needs of a data set, and nothing more: tests pass a fake, importers their own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from mildbench.marking import FOOTPRINT
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

    def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
        """The sample `id`, and what is shown of it; called from several threads at once.

        Raises `UserError` for a mask (`mildbench.marking.MARKINGS`) that the data do not have.
        """
        ...

    def check_unchanged(self, task: str, ids: Collection[str], /) -> None:
        """Raise `UserError` where what these samples are made of is not what the fingerprint stands for any more."""
        ...
