"""Tokens of the erase mask are pooled by what the answer has in their place."""

from __future__ import annotations

import numpy as np
from evaluation_fakes import FakeDataset

from mildbench.evaluation.painted import kept, pooled
from mildbench.method import AttentionRecord, Painting
from mildbench.regions import contents


def one(boxes: list[list[float]], masses: list[list[float]]) -> Painting:
    known = np.array([[20, 4, 6]], np.int32)
    arrays = np.array(boxes, np.float32), np.array(masses, np.float32)
    return Painting(("layer",), ("picture",), (arrays[0],), (arrays[1],), known)


def test_each_token_counts_where_its_place_is_of_one_thing() -> None:
    answer = np.zeros((16, 24), np.int16)
    answer[:, 8:16], answer[:, 16:] = 2, 1
    boxes = [[0, 0, 8, 8], [0, 8, 8, 16], [8, 0, 16, 8], [4, 0, 12, 8], [16, 8, 24, 16], [8, 0, 16.4, 8]]
    boxes += [[16, 8, 32, 16], [8, 8, 16, 16]]
    masses = [[0.2, 0.1, 0.1], [0.1, 0, 0.1], [0, 0.1, 0.3], [9, 9, 9], [0, 0.25, 0], [0, 0.2, 0.2]]
    masses += [[9, 9, 9], [0, 0, 0]]
    found = pooled(one(boxes, masses), answer)
    # Half one thing and half another, beyond the picture, and shown nothing: none of these counts.
    assert found.tokens.tolist() == [[2, 1, 2]]
    np.testing.assert_allclose(found.masses[0, 0], np.mean([[0.5, 0.25, 0.25], [0.5, 0, 0.5]], axis=0))
    np.testing.assert_allclose(found.masses[0, 1], [0, 1, 0])
    np.testing.assert_allclose(found.masses[0, 2], np.mean([[0, 0.25, 0.75], [0, 0.5, 0.5]], axis=0))
    assert found.known.tolist() == [[20, 4, 6]]


def test_contents_are_what_one_sees_in_the_answer() -> None:
    for task, name in (("erase-all", "s000"), ("erase-one", "s000-p1"), ("erase-one", "s000-p2")):
        triplet = FakeDataset(1).triplet(task, name)
        people = triplet.people
        assert people is not None
        found = contents(people, triplet.targets)
        stay = [person for person in range(2) if person not in triplet.targets]
        seen = np.isin(found, [person + 1 for person in stay])
        assert np.array_equal(seen, people.amodal[stay].any(axis=0))
        assert np.array_equal(found == 0, ~seen)


def test_without_people_nothing_is_kept() -> None:
    masses = np.eye(3, dtype=np.float32)[None]
    painting = one([[0, 0, 8, 8]], [[1, 0, 0]])
    tokens = np.ones((1, 3), np.int32)
    record = AttentionRecord(("layer",), ("picture",), np.ones(1, np.float32), masses, tokens, painting)
    found = kept(record, None)
    assert found.painting is None
    assert found.painted is None
