"""Run as a script: `mildbench` as it is where only the core is installed, `pip install .` without extras.

Modules that the core does not bring, named in the variable `LOST`, cannot be found, here and in worker processes.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import metadata
from typing import Any

VARIABLE = "LOST"


def core() -> set[str]:
    """The distributions that the core needs, and all that those need, by canonical name."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    left = ["mildbench"]
    while left:
        name = canonicalize_name(left.pop())
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                left.append(wanted.name)
    return found


@cache
def lost() -> frozenset[str]:
    """Top-level modules of all other distributions that are installed."""
    from packaging.utils import canonicalize_name

    allowed = core()
    return frozenset(
        module
        for module, distributions in metadata.packages_distributions().items()
        if not allowed.intersection(map(canonicalize_name, distributions))
    )


class _Without:
    """A finder that does not find some modules."""

    def __init__(self, finder: Any, modules: set[str]) -> None:
        self._finder = finder
        self._modules = modules

    def find_spec(self, name: str, *rest: Any) -> Any:
        return None if name.partition(".")[0] in self._modules else self._finder.find_spec(name, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def lose(modules: set[str]) -> None:
    """Let nothing find the modules from now on; those that are loaded are forgotten."""
    for name in list(sys.modules):
        if name.partition(".")[0] in modules:
            del sys.modules[name]
    sys.meta_path[:] = [_Without(finder, modules) for finder in sys.meta_path]


if __name__ in ("__main__", "__mp_main__"):
    lose(set(os.environ[VARIABLE].split(",")))
if __name__ == "__main__":
    from mildbench.cli import main

    main()
