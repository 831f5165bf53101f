"""One small lazy registry for everything that can be plugged in.

A plug-in is one class and one entry point; ours are declared in `pyproject.toml` like anybody else's:

    [project.entry-points."mildbench.methods"]
    my-method = "my_package.my_module:MyMethod"

Nothing is imported until a name is loaded.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from mildbench import extras
from mildbench.errors import UserError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Names -> classes of one kind, found through the entry-point group `mildbench.<group>`.

    Args:
        kind: what a message calls one, e.g. `method`.
        group: of the entry points.
        base: what every one derives from.
    """

    def __init__(self, kind: str, group: str, base: type) -> None:
        self.kind = kind
        self.group = f"mildbench.{group}"
        self._base = base

    @cached_property
    def _targets(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    @cached_property
    def _collisions(self) -> dict[str, set[str]]:
        """Names that several packages register -> their targets; an error only for whoever wants that name."""
        values: dict[str, set[str]] = {}
        for point in entry_points(group=self.group):
            # The same distribution can be listed twice (an editable install beside a built one).
            values.setdefault(point.name, set()).add(point.value)
        return {name: found for name, found in values.items() if len(found) > 1}

    def names(self) -> list[str]:
        """All registered names, sorted; imports nothing."""
        return sorted(self._targets)

    def check(self, name: str) -> None:
        """Raise `UserError`, with a suggestion, for an unknown name; imports nothing."""
        if name not in self._targets:
            raise UserError(f"unknown {self.kind} {name!r}: {did_you_mean(name, self._targets)}")
        if found := self._collisions.get(name):
            raise UserError(
                f"two installed packages register the {self.kind} {name!r} ({' and '.join(sorted(found))}): "
                "uninstall one"
            )

    def distribution(self, name: str) -> str | None:
        """Name and version of the distribution that registers `name`; None where an entry point does not say."""
        self.check(name)
        found = self._targets[name].dist
        return None if found is None else f"{found.name} {found.version}"

    def load(self, name: str) -> type[T]:
        """The class registered as `name`.

        Raises `UserError` for an unknown name, a missing extra, and whatever is no class of this kind.
        """
        self.check(name)
        point = self._targets[name]
        try:
            target = point.load()
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.partition(".")[0] in extras.EXTRA_OF:
                raise extras.missing(error.name, f"{self.kind} {name!r}") from error
            raise UserError(self._broken(point, error)) from error
        except Exception as error:  # whatever somebody else's module does when it is imported
            raise UserError(self._broken(point, error)) from error
        if not (isinstance(target, type) and issubclass(target, self._base)):
            raise UserError(self._broken(point, f"it is no class derived from {self._base.__name__}"))
        if lacking := getattr(target, "__abstractmethods__", None):
            raise UserError(self._broken(point, f"it does not define {', '.join(sorted(lacking))}"))
        return cast(type[T], target)

    def _broken(self, point: EntryPoint, why: Exception | str) -> str:
        package = point.dist.name if point.dist else "an installed package"
        reason = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        return (
            f"{self.kind} {point.name!r} of {package} cannot be loaded from {point.value} "
            f"({reason}): repair or uninstall {package}"
        )
