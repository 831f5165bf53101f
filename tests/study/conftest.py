"""A study of four methods on a small data set, and raters who answer it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from finished_runs import evaluated, registered

from mildbench.study.make import make
from mildbench.study.records import Answers, AskedPair, Check, Study

METHODS = ("copy", "telea", "noise", "oracle")
Judge = Callable[[AskedPair], str]
"""Says A, B or tie of a pair."""


@pytest.fixture(scope="session")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Method -> its run on `erase-one`; not to be changed."""
    with registered():
        return evaluated(data, tmp_path_factory.mktemp("runs"), *METHODS)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="session")
def folder(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of 36 pairs."""
    path = tmp_path_factory.mktemp("study") / "made"
    make(list(runs.values()), path, count=36, seed=5)
    return path


@pytest.fixture
def study(folder: Path) -> Study:
    return Study.model_validate_json((folder / "study.json").read_text())


@pytest.fixture
def answer(study: Study, tmp_path: Path) -> Callable[..., Path]:
    """Write a rater's file: `answer(name, judge, kind="person", wrong=number of checks answered wrongly)`."""

    def write(name: str, judge: Judge, *, kind: str = "person", wrong: int = 0) -> Path:
        given = []
        for item in study.shown:
            if isinstance(item, Check):
                right = item.right
                choice = ("B" if right == "A" else "A") if wrong > 0 else right
                wrong -= 1
            else:
                choice = judge(item)
            given.append({"pair": item.id, "choice": choice, "seconds": 2.5, "looked": True})
        path = tmp_path / f"{name}.json"
        rater = {"kind": kind, "name": name}
        content = {"schema_version": 1, "study": study.id, "rater": rater, "answers": given}
        Answers.model_validate(content)
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture(scope="session")
def preferring() -> Callable[..., Judge]:
    """A judge with an order of preference; methods outside of it are ties among themselves, and lose to it."""

    def judge(*order: str) -> Judge:
        places = {name: place for place, name in enumerate(order)}

        def say(pair: AskedPair) -> str:
            a, b = (places.get(side.run, len(order)) for side in (pair.a, pair.b))
            return "tie" if a == b else "A" if a < b else "B"

        return say

    return judge
