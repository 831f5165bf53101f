"""A metric is one file and one entry point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from plug_ins import installed

from mildbench.errors import UserError
from mildbench.evaluation import panel
from mildbench.metrics.base import METRICS, Pairs


@pytest.fixture(autouse=True)
def _brightness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with installed(METRICS, "brightness", "brightness:Brightness", tmp_path / "site", monkeypatch):
        yield


def test_a_plug_in_is_found_loaded_and_scored_with_its_options() -> None:
    found, unavailable = panel.find(["brightness:power=2"], "cpu")
    loaded = panel.load(found, "cpu")
    assert (unavailable, loaded.unavailable) == ([], ())
    (metric,) = loaded.pair
    grey = torch.full((1, 20, 20, 3), 100, dtype=torch.uint8)
    scores = metric.score(Pairs(grey + 3, grey, {"full": torch.ones(1, 20, 20, dtype=torch.bool)}))
    np.testing.assert_array_equal(scores["full"], [9.0])
    assert panel.record_of(metric).id == "brightness@1"


def test_it_is_scored_unasked_and_its_options_are_checked() -> None:
    assert "brightness" in {metric.info.name for metric in panel.find([], "cpu")[0]}
    with pytest.raises(UserError, match="'brightness' has no option 'powre': did you mean 'power'"):
        panel.find(["brightness:powre=2"], "cpu")
