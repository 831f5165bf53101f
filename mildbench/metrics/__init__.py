"""Metrics: how far an erased picture is from the exact answer. `base` is what a plug-in implements.

The package itself lists those that are installed: `mildbench.metrics["psnr"].definition`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from mildbench.inventory import Inventory
from mildbench.metrics.base import METRICS, Metric


class _Package(ModuleType, Inventory):
    """A module that is an inventory as well."""

    registry = METRICS
    header = ("metric", "id", "better", "unasked", "definition")

    def describe(self, plugin: type[Metric]) -> tuple[str, ...]:
        info = plugin.info
        return info.id, "higher" if info.higher_is_better else "lower", info.unasked, info.definition

    __repr__: Any = Inventory.__repr__


sys.modules[__name__].__class__ = _Package
