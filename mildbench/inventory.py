"""What is installed of one kind of plug-in, to look through: in Python, in a notebook, on the command line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from mildbench import notebook
from mildbench.errors import UserError
from mildbench.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

Rows = list[tuple[str, ...]]


def rows_of(registry: Registry[Any], describe: Callable[[type[Any]], tuple[str, ...]]) -> Rows:
    """One row a plug-in, its name first; one that cannot be loaded says what it lacks instead of hiding."""
    rows: Rows = []
    for name in registry.names():
        try:
            rows.append((name, *describe(registry.load(name))))
        except (UserError, AttributeError) as error:  # AttributeError: a class without its `info`
            rows.append((name, str(error)))
    return rows


class Inventory(ABC):
    """The names of a registry, in order; `inventory[name]` is what that plug-in says of itself."""

    registry: ClassVar[Registry[Any]]
    header: ClassVar[tuple[str, ...]]
    """Titles of the columns."""

    @abstractmethod
    def describe(self, plugin: type[Any]) -> tuple[str, ...]:
        """The cells of a plug-in's row, but for its name."""

    def rows(self) -> Rows:
        """One row a plug-in, as `rows_of` makes them."""
        return rows_of(self.registry, self.describe)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a plug-in, by name."""
        import pandas as pd

        full = [(*row, *[""] * (len(self.header) - len(row))) for row in self.rows()]
        return pd.DataFrame(full, columns=list(self.header)).set_index(self.header[0])

    def __iter__(self) -> Iterator[str]:
        return iter(self.registry.names())

    def __len__(self) -> int:
        return len(self.registry.names())

    def __contains__(self, name: object) -> bool:
        return name in self.registry.names()

    def __getitem__(self, name: str) -> Any:
        """The plug-in's `info`; raises `UserError` for an unknown name and for a missing extra."""
        return self.registry.load(name).info

    def __repr__(self) -> str:
        return f"{self.registry.kind}s: {', '.join(self)}"

    def _repr_html_(self) -> str:
        return notebook.table(self.header, self.rows())
