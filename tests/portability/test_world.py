"""A CPU with most of its features switched off draws the same people and places."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("world.py")


@pytest.mark.slow
def test_a_cpu_of_another_kind_draws_the_same_people_and_places() -> None:
    spec = importlib.util.spec_from_file_location("portability_world", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    world = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = world
    spec.loader.exec_module(world)
    here, there = (world.run(kind, ["2", "3", "96"], []) for kind in (world.AS_IT_IS, world.NOTHING_BUT_SSE))
    drawn = [pair for pair in here if pair[0].startswith(("person", "place"))]
    assert [name for name, _ in drawn] == ["person 0", "person 1", "place 0", "place 1", "place 2"]
    assert len({digest for _, digest in drawn}) == 5
    assert there == here
