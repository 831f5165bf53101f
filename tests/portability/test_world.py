"""A CPU with most of its features switched off draws the same people and places."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpu_kinds import AS_IT_IS, NOTHING_BUT_SSE, run

SCRIPT = Path(__file__).with_name("world.py")


@pytest.mark.slow
def test_a_cpu_of_another_kind_draws_the_same_people_and_places() -> None:
    work = ["--digests", "--people", "2", "--places", "3", "--side", "96"]
    here, there = (run(kind, SCRIPT, work) for kind in (AS_IT_IS, NOTHING_BUT_SSE))
    drawn = [pair for pair in here if pair[0].startswith(("person", "place"))]
    assert [name for name, _ in drawn] == ["person 0", "person 1", "place 0", "place 1", "place 2"]
    assert len({digest for _, digest in drawn}) == 5
    assert there == here
