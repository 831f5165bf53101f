"""mildbench: build, run and score benchmarks for erasing people from photos, with exact truth.

    import mildbench as mb

    data = mb.open("data/demo")                          a data set
    mb.erase(image, mask, method="telea")                a picture without what the mask marks
    mb.evaluate(data, ["telea", "lama:variant=tiny"])    runs methods, scores them, and holds the tables
    mb.score(output, triplet)                            one picture against the exact answer
    mb.methods, mb.metrics                               what is installed

Importing the package is cheap: it loads no torch, no pandas, no fiftyone, no diffusers; each of these names loads what
it needs when it is used. The ground floor is :mod:`mildbench.scene`; methods subclass
:class:`mildbench.method.EraseMethod`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mildbench.facade import erase as erase
    from mildbench.facade import evaluate as evaluate
    from mildbench.facade import open as open
    from mildbench.facade import score as score
    from mildbench.inventory import Inventory

    methods: Inventory
    metrics: Inventory

__version__ = "0.1.0"

_FACADE = ("erase", "evaluate", "methods", "metrics", "open", "score")


def __getattr__(name: str) -> Any:
    if name not in _FACADE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "metrics":  # a package of this name lists them
        return import_module("mildbench.metrics")
    return getattr(import_module("mildbench.facade"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACADE})
