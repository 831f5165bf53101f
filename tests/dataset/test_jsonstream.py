"""Large JSON files item by item, however they are laid out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mildbench.dataset import jsonstream
from mildbench.errors import UserError

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9)


@pytest.mark.slow
@given(
    before=st.dictionaries(st.text(), values),
    wanted=st.lists(values),
    after=st.dictionaries(st.text(), values),
    indent=st.sampled_from([None, 1]),
    chunk=st.integers(1, 30),
)
def test_any_layout_gives_the_items(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, Any],
    wanted: list[Any],
    after: dict[str, Any],
    indent: int | None,
    chunk: int,
) -> None:
    content = {"-" + key: value for key, value in before.items()} | {"items": wanted}
    content |= {"+" + key: value for key, value in after.items()}
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "_CHUNK", chunk)
        assert list(jsonstream.items(path, "items", "file")) == wanted


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"a": 1}', '{"items": 3}', '{"items": [1, 2', '{"items": [1 2]}', "\x00", "nul"]
)
def test_what_is_no_such_file_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"things .*bad.json cannot be read"):
        list(jsonstream.items(path, "items", "things"))
    with pytest.raises(UserError, match="things not found"):
        list(jsonstream.items(tmp_path / "none.json", "items", "things"))


def test_an_item_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonstream, "_CHUNK", 100)
    monkeypatch.setattr(jsonstream, "_LARGEST", 1000)
    path = tmp_path / "long.json"
    path.write_text('{"items": ["' + "x" * 10_000)
    with pytest.raises(UserError, match="an item without end"):
        list(jsonstream.items(path, "items", "things"))
