"""CMMD, against the definition written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import synthetic

from mildbench.metrics import clip_mmd
from mildbench.metrics.clip_mmd import CentreClip, Cmmd


def samples(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    """float32[count, 12] of length 1, as CLIP's embeddings."""
    found = np.random.default_rng(seed).normal(shift, 1, (count, 12))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def written_out(x: np.ndarray, y: np.ndarray) -> float:
    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return math.fsum(
            math.exp(-sum((float(p) - float(q)) ** 2 for p, q in zip(u, v, strict=True)) / 200)
            for u in a
            for v in b
        ) / (len(a) * len(b))

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.parametrize("rows", [1, 7, 1024])
def test_is_the_definition_whatever_the_blocks(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_mmd, "_ROWS", rows)
    x, y = samples(0, 13), samples(1, 9, shift=0.5)
    result = Cmmd().compute(x, y)
    assert result.n == 13
    assert result.value == pytest.approx(written_out(x, y), abs=1e-9)


def test_the_oracle_is_zero_and_a_shift_is_seen() -> None:
    x = samples(2, 20)
    assert Cmmd().compute(x, x).value == pytest.approx(0, abs=1e-10)
    near, far = (Cmmd().compute(x, samples(3, 20, shift)).value for shift in (0.2, 2.0))
    assert near is not None
    assert far is not None
    assert 0 < near < far


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Cmmd().compute(np.full((3, 2), np.nan), np.zeros((3, 2)))


def test_features_are_of_the_central_square(
    loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    extractor = loaded(CentreClip)
    picture = synthetic(4, 50, 91)
    square = picture[:, 20:70]
    found = extractor.features(torch.from_numpy(np.stack([picture, synthetic(5, 50, 91)])))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    alone = extractor.features(torch.from_numpy(np.ascontiguousarray(square))[None])
    np.testing.assert_allclose(found[:1], alone, rtol=0, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3
