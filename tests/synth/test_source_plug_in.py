"""A source of people is one file and one entry point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plug_ins import installed

from mildbench.dataset.reader import Dataset
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.recipe import Recipe
from synth.sources.base import PEOPLE, open_source


@pytest.fixture(autouse=True)
def _paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with installed(PEOPLE, "paper", "paper_people:PaperPeople", tmp_path / "site", monkeypatch):
        yield


def test_a_data_set_is_built_of_a_plug_ins_people(recipe: Recipe, tmp_path: Path) -> None:
    changes = {"people": ["paper:?count=9"], "count": 3, "allow_ungrounded": True}
    build(recipe.model_copy(update=changes), 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    dataset = Dataset.open(tmp_path / "data")
    used = {person["provenance"]["source"] for row in dataset.rows() for person in row["persons"]}
    assert used == {"paper?count=9"}
    assert "paper?count=9" in {source.name for source in dataset.info.sources}


def test_its_options_are_checked_like_anybodys() -> None:
    assert len(open_source("paper:", PEOPLE).people()) == 12
    with pytest.raises(UserError, match=r"'paper' has no option 'cuont': did you mean 'count'\?"):
        open_source("paper:?cuont=3", PEOPLE)
    with pytest.raises(UserError, match="option count='many' is not a int"):
        open_source("paper:?count=many", PEOPLE)
