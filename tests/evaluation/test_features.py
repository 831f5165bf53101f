"""Features on disk: found by the pictures' content, stacked in the order asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mildbench.evaluation import features


def test_features_are_stacked_in_the_order_of_their_keys(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    known = {f"{number:064d}": row for number, row in enumerate(rows)}
    for first in range(0, 7, 3):
        features.write(tmp_path, "net@1 a", dict(list(known.items())[first : first + 3]))
    assert len(features.files(tmp_path, "net@1 a")) == 3
    assert features.keys(features.files(tmp_path, "net@1 a")) == set(known)
    asked = [6, 2, 2, 0, 5, 2]
    stacked = features.stack(tmp_path, "net@1 a", [f"{number:064d}" for number in asked])
    assert stacked.dtype == np.float32
    np.testing.assert_array_equal(stacked, rows[asked])
    assert sorted(path.suffix for path in tmp_path.rglob("*")) == ["", ".npz", ".npz", ".npz"]
    with pytest.raises(KeyError, match="nobody's"):
        features.stack(tmp_path, "net@1 a", [*known, "nobody's"])
