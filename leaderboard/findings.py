"""What checking an entry found, and when two values are the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NAMED = 5
"""Differences of one kind that are told one by one."""


@dataclass
class Findings:
    """What was checked of one entry."""

    checked: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    """A sentence each; an entry with any is not what it says."""
    notes: list[str] = field(default_factory=list)
    """What could not be checked, or is otherwise worth knowing."""


def same(first: object, second: object, tolerance: float) -> bool:
    """Equal; numbers up to a relative and absolute tolerance, NaN as NaN."""
    if isinstance(first, float) and isinstance(second, float):
        if math.isnan(first) or math.isnan(second):
            return math.isnan(first) and math.isnan(second)
        return bool(np.isclose(first, second, rtol=tolerance, atol=tolerance))
    return first == second


def text(value: object) -> str:
    """A value as differences show it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def disagreements(what: str, found: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """A sentence for every key whose values differ; `what` precedes the key."""
    return [
        f"{what} {key} is {text(found.get(key))}, the entry says {text(said.get(key))}"
        for key in dict.fromkeys((*found, *said))
        if found.get(key) != said.get(key)
    ]
