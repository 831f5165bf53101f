"""What a task is: which questions a scene holds, and the exact answer to each.

A plug-in is one class in one file, and one entry point:

    [project.entry-points."mildbench.tasks"]
    erase-pair = "my_package.erase_pair:ErasePair"

What mask a method is shown of what is to be erased is another choice: see `mildbench.marking`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from mildbench.errors import UserError
from mildbench.registry import Registry
from mildbench.scene import Scene, Triplet

Row = Mapping[str, Any]
"""A row of `samples.parquet`, as far as somebody asked for its columns."""


class Task(ABC):
    """Base of every task. A plug-in sets `summary`, and writes `ids` and `triplet`."""

    summary: ClassVar[str]
    """What it asks, and how many triplets that makes; for listings."""
    keeps: ClassVar[bool] = True
    """Whether anybody may stay in the picture. Where nobody does, the truth is the clean background."""
    completes: ClassVar[bool] = False
    """Whether each triplet has a `subject`: then completed layers are scored."""
    of_pairs: ClassVar[bool] = False
    """Whether imported pairs answer it, of whose people nothing is known: each with the one triplet that it is."""
    columns: ClassVar[tuple[str, ...]] = ("persons.list.element.id",)
    """The columns of `samples.parquet` that `ids` reads, beside `id` and `split`; as Parquet names them."""
    overview: ClassVar[tuple[str, ...]] = ()
    """Score columns that stand for it in a table of several tasks; without any it is not in one."""

    @abstractmethod
    def ids(self, row: Row) -> list[str]:
        """The ids of the triplets that a row gives, in order: none, one or several, each unique in the data set."""

    @abstractmethod
    def triplet(self, scene: Scene, triplet_id: str) -> Triplet:
        """The triplet of this id; whoever calls gives it its id and its strata.

        Raises ValueError, which says why, for an id that the scene does not have.
        """

    def sample_of(self, triplet_id: str) -> str:
        """The id of the row that a triplet comes from."""
        return triplet_id


class PersonTask(Task):
    """A task with one triplet for each of some people, called `<sample id><mark><person id>`."""

    mark: ClassVar[str]
    """What stands between the two, e.g. `-p`."""

    @abstractmethod
    def asks(self, row: Row, person: Row) -> bool:
        """Whether the row has a triplet of this person, one of its `persons`."""

    @abstractmethod
    def of(self, scene: Scene, person: int) -> Triplet:
        """The triplet of the person with this id; raises ValueError where the scene has none."""

    def ids(self, row: Row) -> list[str]:
        """One for each person whom the task asks for, back to front."""
        return [
            f"{row['id']}{self.mark}{person['id']}" for person in row["persons"] if self.asks(row, person)
        ]

    def triplet(self, scene: Scene, triplet_id: str) -> Triplet:
        """`of` the person whom the id names."""
        _, mark, person = triplet_id.rpartition(self.mark)
        if not (mark and person.isdecimal()):
            raise ValueError("the id names no person")
        return self.of(scene, int(person))

    def sample_of(self, triplet_id: str) -> str:
        """What stands before the mark."""
        sample_id, mark, _ = triplet_id.rpartition(self.mark)
        return sample_id if mark else triplet_id


TASKS: Registry[Task] = Registry("task", "tasks", Task)
"""Entry points of the group `mildbench.tasks`."""


def task_of(name: str) -> Task:
    """The task of this name; raises `UserError` for an unknown one."""
    return TASKS.load(name)()


def keeps(name: str) -> bool:
    """`Task.keeps`; True for a task whose plug-in is not installed here, of which only results are read."""
    try:
        return task_of(name).keeps
    except UserError:
        return True
