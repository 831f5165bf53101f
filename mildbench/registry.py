"""One small lazy registry for everything that can be plugged in.

A plug-in is one class and one entry point; ours are declared in `pyproject.toml` like anybody else's:

    [project.entry-points."mildbench.methods"]
    my-method = "my_package.my_module:MyMethod"

Nothing is imported until a name is loaded.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from mildbench import extras
from mildbench.errors import UserError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Names -> classes of one kind, found through the entry-point group `mildbench.<group>`."""

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = f"mildbench.{group}"

    @cached_property
    def _targets(self) -> dict[str, EntryPoint]:
        targets: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            known = targets.setdefault(point.name, point)
            # The same distribution can be listed twice (an editable install beside a built one).
            if known.value != point.value:
                raise UserError(
                    f"two installed packages register the {self.kind} {point.name!r} "
                    f"({known.value} and {point.value}): uninstall one"
                )
        return targets

    def names(self) -> list[str]:
        """All registered names, sorted; imports nothing."""
        return sorted(self._targets)

    def check(self, name: str) -> None:
        """Raise `UserError`, with a suggestion, for an unknown name; imports nothing."""
        if name not in self._targets:
            raise UserError(f"unknown {self.kind} {name!r}: {did_you_mean(name, self._targets)}")

    def load(self, name: str) -> type[T]:
        """The class registered as `name`; raises `UserError` for an unknown name or a missing extra."""
        self.check(name)
        try:
            target: type[T] = self._targets[name].load()
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in extras.EXTRA_OF:
                raise
            raise extras.missing(error.name, f"{self.kind} {name!r}") from error
        return target
