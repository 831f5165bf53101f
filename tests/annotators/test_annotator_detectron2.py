"""The detectron2 back end where detectron2 is not: what it says, and that reading weights runs no code."""

from __future__ import annotations

import os
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mildbench.annotators.base import AnnotatorSpec
from mildbench.annotators.detectron2 import _read_zoo
from mildbench.errors import UserError


def test_a_zoo_file_of_arrays_is_read(tmp_path: Path) -> None:
    arrays = {"backbone.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(7)}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "Detectron2 Model Zoo"}, protocol=2))
    found = _read_zoo(path)
    assert set(found) == set(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name].numpy(), value)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class System:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": System()}}))
    with pytest.raises(UserError, match="no model-zoo file of plain arrays"):
        _read_zoo(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps([1, 2]), pickle.dumps({"other": 1})])
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(UserError, match="no model-zoo file"):
        _read_zoo(tmp_path / "model.pkl")


@pytest.mark.skipif(find_spec("detectron2") is not None, reason="detectron2 is installed here")
def test_where_it_is_not_installed_the_remedy_is_told() -> None:
    with pytest.raises(UserError, match=r"needs detectron2, which is not installed: build it from source"):
        AnnotatorSpec.parse("detectron2:pose=model.pkl").create("pose")
