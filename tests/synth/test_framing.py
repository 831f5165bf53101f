"""Framing: what is drawn is framed as the table's people are, and distances are the reference's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS
from mildbench.posture import LEVELS
from synth.framing import HEIGHTS, Framing, Framings, Table, load, table_of, wasserstein
from synth.framing_survey import framing_of
from synth.rng import generator

samples = st.lists(st.floats(-2, 2), min_size=1, max_size=40).map(np.array)
shares = st.floats(0, 1, exclude_max=True)


@pytest.fixture(scope="module")
def coco() -> Table:
    return load("coco")


def crowd(seed: int, count: int) -> list[Framing]:
    """People of many sizes, a few of them cut."""
    rng = np.random.default_rng(seed)
    heights = np.clip(np.exp(rng.normal(-1.5, 0.8, count)), 0.06, 1.4)
    return [
        Framing(
            float(tall), float(rng.uniform(0, 0.9) * (1 - tall) if tall < 1 else 0.1), float(rng.random())
        )
        for tall in heights
    ]


@given(samples, samples)
def test_the_distance_is_scipys(one: np.ndarray, other: np.ndarray) -> None:
    assert wasserstein(one, other) == pytest.approx(wasserstein_distance(one, other), abs=1e-9)


def test_nothing_has_no_distance() -> None:
    with pytest.raises(ValueError, match="empty"):
        wasserstein(np.array([]), np.array([1.0]))


@settings(max_examples=200)
@given(which=shares, height=shares, place=shares, side=shares)
def test_whatever_is_drawn_can_be_framed(
    coco: Table, which: float, height: float, place: float, side: float
) -> None:
    framing = coco.at(which, height, place, side)
    assert HEIGHTS[0] <= framing.height <= HEIGHTS[1]
    assert 0 <= framing.centre <= 1
    assert framing.foot > 0
    assert framing.head < 1


def test_the_same_key_draws_the_same_people(coco: Table) -> None:
    one, other = generator(1, "framing"), generator(1, "framing")
    assert [coco.draw(one) for _ in range(20)] == [coco.draw(other) for _ in range(20)]
    assert one.random() == other.random()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_a_table_draws_the_people_it_was_made_of(seed: int) -> None:
    people = crowd(seed, 400)
    table, rng = table_of(people, "drawn"), generator(seed)
    drawn = [table.draw(rng) for _ in range(800)]
    for name in ("height", "head", "foot", "centre"):
        true, told = (np.array([getattr(one, name) for one in each]) for each in (people, drawn))
        assert wasserstein(true, told) < 0.05
        assert wasserstein(true, told + 0.2) > 0.1
    assert np.mean([one.cut for one in drawn]) == pytest.approx(
        np.mean([one.cut for one in people]), abs=0.05
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(least=st.floats(0.05, 0.9), seed=st.integers(0, 10**6))
def test_taller_people_are_those_of_the_table_who_are(coco: Table, least: float, seed: int) -> None:
    rng, other = generator(seed), generator(seed, "all")
    tall = np.array([coco.taller(least).draw(rng).height for _ in range(300)])
    every = np.array([coco.draw(other).height for _ in range(6000)])
    assert tall.min() >= least - 1e-9
    if (every >= least).sum() > 200:
        assert wasserstein(tall, every[every >= least]) < 0.09


def test_nobody_is_taller_than_everybody(coco: Table) -> None:
    with pytest.raises(ValueError, match="nobody"):
        coco.taller(5)


def test_the_report_sees_what_placing_did(coco: Table) -> None:
    rng, kept, shrunk = generator(3), Framings(), Framings()
    assert kept.report(coco)["height"]["wasserstein_table_achieved"] is None
    for _ in range(600):
        one = coco.draw(rng)
        kept.add(one, one)
        shrunk.add(one, Framing(one.height / 2, one.head, one.centre))
    well, badly = kept.report(coco), shrunk.report(coco)
    assert well["height"]["wasserstein_asked_achieved"] == 0
    assert well["height"]["wasserstein_table_achieved"] < 0.03
    assert badly["height"]["wasserstein_asked_achieved"] == pytest.approx(
        badly["height"]["median_asked"] / 2, abs=0.1
    )
    assert badly["height"]["wasserstein_table_achieved"] > 3 * well["height"]["wasserstein_table_achieved"]
    assert well["cut"] == pytest.approx(well["cut_table"], abs=0.03)
    json.dumps(well)


def test_the_shipped_table_says_whose_people_it_holds(coco: Table) -> None:
    assert "COCO" in coco.source
    assert coco.people > 100
    assert sum(column.weight for column in coco.columns) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"people": 0}, "people"),
        ({"extra": 1}, "extra"),
        ({"centre": [0.5]}, "centre"),
        ({"columns": []}, "columns"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, coco: Table, change: dict[str, Any], part: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(coco.model_dump() | change))
    with pytest.raises(UserError, match=rf"mine\.json: {part}"):
        load(str(file))


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(UserError, match="did you mean 'coco'"):
        load("cocoo")
    with pytest.raises(ValueError, match="nobody"):
        table_of([], "drawn")


RECORD = {"width": 400, "height": 500}


def person(head: float, tall: float) -> dict[str, Any]:
    """An upright person as COCO annotates them, cut by a frame 500 px high."""
    points = np.zeros((17, 3))
    for place, name in enumerate(KEYPOINTS):
        part = name.split("_")[-1]
        row = head + tall * LEVELS[part] if part in LEVELS else -1.0
        if 0 <= row < 500:
            points[place] = 200, row, 2
    top, bottom = max(head, 0.0), min(head + tall, 500.0)
    return {"bbox": [150, top, 100, bottom - top], "keypoints": points.ravel().tolist()}


@settings(max_examples=60)
@given(head=st.floats(-120, 300), tall=st.floats(100, 700))
def test_the_survey_tells_the_whole_height_of_those_the_frame_cuts(head: float, tall: float) -> None:
    found = framing_of(person(head, tall), RECORD)
    if found is None:
        assert head < 8 or head + tall > 490  # too little shows
        return
    assert found.height * 500 == pytest.approx(tall, abs=20)
    assert found.head * 500 == pytest.approx(head, abs=10)
    assert found.centre == 0.5


def test_the_survey_tells_nothing_without_keypoints() -> None:
    whole = person(100, 300)
    assert framing_of(whole, RECORD) is not None
    assert framing_of({**whole, "keypoints": []}, RECORD) is None
    assert framing_of({**whole, "bbox": [150, 100, 0, -3]}, RECORD) is None
    cut = {**person(100, 800), "keypoints": [0.0] * 51}
    assert framing_of(cut, RECORD) is None
