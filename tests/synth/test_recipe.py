"""A recipe's mistakes are one plain line each: what, where, and what is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mildbench.errors import UserError
from synth.planner import open_planner
from synth.recipe_files import check, load, names


@pytest.mark.parametrize("name", names())
def test_shipped_recipes_pass(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crwod": 1}, "unknown key 'crwod': did you mean 'crowd'"),
        ({"count": 0}, "count: must be greater than 0 (got 0)"),
        ({"count": "x"}, "count: must be a valid integer (got 'x')"),
        ({"crowd": {"a": 1}}, "crowd.a: must be a valid integer (got 'a')"),
        ({"stature": (0.9, 0.1)}, "stature: the lower bound 0.9 is above the upper bound 0.1"),
        ({"stature": 3}, "stature: must be a list of two numbers (got 3)"),
        ({"families": {}}, "families: must not be empty"),
        ({"name": "a b"}, "name: must be of letters, digits"),
        ({"splits": {"test": 0}}, "splits: all weights are zero"),
        ({"splits": {"annotations": 1}}, "splits: a data set keeps annotations/ for itself"),
        ({"crowd": {0: 1}}, "the number of people must lie in 1..32"),
        (
            {"families": {"olrd": 1}},
            "people: olrd moves objects of the pictures in backgrounds and pastes nobody",
        ),
    ],
)
def test_mistakes_are_named_in_plain_words(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(load("demo").model_dump() | changes, "mine.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("recipe mine.yaml: ")
    for word in ("Input should", "Value error", "validation", "tuple", "dict", "[key]", "\n"):
        assert word not in str(caught.value)


def test_a_missing_key_is_told_with_its_meaning() -> None:
    content = load("demo").model_dump()
    del content["backgrounds"]
    with pytest.raises(UserError, match="backgrounds: is missing: background sources"):
        check(content, "mine.yaml")


def test_broken_yaml_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: x\n  crowd: [1,\nsize: }\n")
    with pytest.raises(UserError, match=r"is not valid YAML: line 2, column 8: mapping values") as caught:
        load(str(file))
    assert "\n" not in str(caught.value)
    for twice in ("name: x\nsize: 64\nsize: 128\n", 'crowd: {"2": 1, 2: 5}'):
        file.write_text(twice)
        with pytest.raises(UserError, match=r"is not valid YAML: line \d, column \d+: '\w+' is given twice"):
            load(str(file))
    with pytest.raises(UserError, match="did you mean 'multi-ip'"):
        load("multi_ip")


def test_olrd_says_what_backgrounds_it_needs(backgrounds: Path) -> None:
    recipe = check(load("olrd").model_dump() | {"backgrounds": [f"folder:{backgrounds}"]}, "olrd")
    with pytest.raises(
        UserError, match=r"panoptic segments, which folder: does not have: use coco: or mannequin:"
    ):
        open_planner(recipe, 0)
