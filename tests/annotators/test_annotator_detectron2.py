"""The detectron2 back end where detectron2 is not: what it says, and that reading weights runs no code."""

from __future__ import annotations

import os
import pickle
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mildbench.annotators.base import AnnotatorSpec, Picture
from mildbench.annotators.detectron2 import Detectron2, _read_zoo
from mildbench.errors import UserError
from mildbench.labels import PARSING, UNLABELLED


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


@pytest.mark.skipif(find_spec("densepose") is not None, reason="densepose is installed here")
def test_only_parsing_needs_densepose(tmp_path: Path) -> None:
    weights = tmp_path / "model.pkl"
    weights.touch()
    Detectron2(pose=str(weights)).check("pose")
    with pytest.raises(UserError, match=r"needs densepose for parsing: build it from source"):
        Detectron2(parsing=str(weights)).check("parsing")


RIGHT_HAND, LEFT_FOOT = 3, 5


@pytest.fixture
def densepose(monkeypatch: pytest.MonkeyPatch) -> Detectron2:
    """Sees in each box the left half as a person: right hand above, left foot below."""

    def run(self: Detectron2, part: str, picture: Picture, boxes: np.ndarray | None = None) -> dict[str, Any]:
        assert part == "parsing"
        boxes = np.array([[2, 4, 10, 12]], np.float32) if boxes is None else boxes
        coarse, fine = torch.zeros(1, 2, 8, 8), torch.zeros(1, 25, 8, 8)
        coarse[:, 1, :, :4] = 1
        coarse[:, 0, :, 4:] = 1
        fine[:, RIGHT_HAND, :4] = 1
        fine[:, LEFT_FOOT, 4:] = 1
        outputs = [SimpleNamespace(coarse_segm=coarse, fine_segm=fine) for _ in boxes]
        return {
            "instances": SimpleNamespace(
                pred_boxes=SimpleNamespace(tensor=torch.from_numpy(boxes)), pred_densepose=outputs
            )
        }

    monkeypatch.setattr(Detectron2, "_run", run)
    return Detectron2()


def blank(**known: Any) -> Picture:
    return Picture("p", np.zeros((20, 30, 3), np.uint8), **known)


def test_parsing_lies_in_the_boxes(densepose: Detectron2) -> None:
    boxes = np.array([[2, 4, 10, 12], [15, 2, 35, 18]], np.float32)  # the second reaches beyond the frame
    (labels,) = densepose.parsing([blank(boxes=boxes)])
    expected = np.zeros((20, 30), np.uint8)
    for left, top, width, height in ((2, 4, 4, 4), (15, 2, 10, 8)):
        expected[top : top + height, left : left + width] = PARSING.index("right-arm")
        expected[top + height : top + 2 * height, left : left + width] = PARSING.index("left-shoe")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, expected)


def test_a_known_person_is_labelled_all_over_and_nowhere_else(densepose: Detectron2) -> None:
    mask = np.zeros((1, 20, 30), bool)
    mask[0, 5:11, 4:8] = True
    (labels,) = densepose.parsing([blank(boxes=np.array([[2, 4, 10, 12]], np.float32), masks=mask)])
    assert not labels[~mask[0]].any()
    assert (labels[5:8, 4:6] == PARSING.index("right-arm")).all()
    assert (labels[8:11, 4:6] == PARSING.index("left-shoe")).all()
    assert (labels[5:11, 6:8] == UNLABELLED).all()  # its own, and DensePose sees nobody there


def test_where_nothing_is_known_whoever_is_seen_is_parsed(densepose: Detectron2) -> None:
    (seen,) = densepose.parsing([blank()])
    (told,) = densepose.parsing([blank(boxes=np.array([[2, 4, 10, 12]], np.float32))])
    np.testing.assert_array_equal(seen, told)
    (nobody,) = densepose.parsing([blank(masks=np.zeros((0, 20, 30), bool))])
    assert not nobody.any()
