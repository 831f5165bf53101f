"""The questions of a task as a sequence: decoded one by one, when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

from mildbench import notebook
from mildbench.dataset.source import TripletSource
from mildbench.marking import FOOTPRINT
from mildbench.scene import Triplet

_SHOWN = 3
"""Triplets that a notebook shows."""


@dataclass(frozen=True, eq=False, repr=False)
class Triplets(Sequence[Triplet]):
    """Triplets of one task of a data set, by position or by id."""

    source: TripletSource
    task: str
    ids: tuple[str, ...]
    """In the data set's order."""
    mask: str = FOOTPRINT
    """What methods are shown of what is to be erased, one of `mildbench.marking.MARKINGS`."""

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int | str) -> Triplet: ...

    @overload
    def __getitem__(self, place: slice) -> Triplets: ...

    def __getitem__(self, place: int | str | slice) -> Triplet | Triplets:
        """A triplet, read from disk now, or a part of the sequence.

        Raises IndexError for a position beyond the end, and `UserError` for an unknown id and a damaged file.
        """
        if isinstance(place, slice):
            return replace(self, ids=self.ids[place])
        name = place if isinstance(place, str) else self.ids[place]
        return self.source.triplet(self.task, name, self.mask)

    def __repr__(self) -> str:
        return f"{len(self)} triplets of {self.task} on {self.source.name}"

    def _repr_html_(self) -> str:
        shown = {triplet.id: triplet.panel for triplet in self[:_SHOWN]}
        return notebook.line(repr(self)) + notebook.pictures(shown)
