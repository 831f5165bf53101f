"""FID and KID against clean-fid, torch-fidelity and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_frechet
from cleanfid.fid import kernel_distance as cleanfid_kernel
from scipy import linalg
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from mildbench.metrics.frechet import Fid, frechet_distance
from mildbench.metrics.kernel import Kid, squared_mmd

pytestmark = pytest.mark.filterwarnings("ignore:.*disp.*:DeprecationWarning:cleanfid")


def features(seed: int, n: int, dimensions: int) -> np.ndarray:
    """float32[n, D]: non-negative and correlated with a decaying spectrum, as pooled features are."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions))
    mixing *= np.exp(-np.arange(dimensions) / (dimensions / 4))[:, None]
    return np.maximum(generator.normal(0.3 + seed / 20, 1, (n, dimensions)) @ mixing, 0).astype(np.float32)


def moments(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = samples.astype(np.float64)
    return wide.mean(axis=0), np.cov(wide, rowvar=False)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (250, 2100), (30, 300)])
def test_frechet_agrees_with_the_references(n: int, m: int) -> None:
    x, y = features(0, n, 24), features(1, m, 24)
    ours = frechet_distance(x, y)
    (mean_x, cov_x), (mean_y, cov_y) = moments(x), moments(y)
    root = linalg.sqrtm(cov_x @ cov_y).real
    by_formula = ((mean_x - mean_y) ** 2).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert ours == pytest.approx(by_formula, rel=1e-9)
    assert ours == pytest.approx(cleanfid_frechet(mean_x, cov_x, mean_y, cov_y), rel=1e-9)
    statistics = [fid_features_to_statistics(torch.from_numpy(part.astype(np.float64))) for part in (x, y)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("n", [40, 200, 1030], ids=["few", "many", "more than are in memory at a time"])
def test_closed_forms(n: int) -> None:
    x = features(0, n, 32).astype(np.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 0.5) == pytest.approx(32 * 0.25, rel=1e-9)
    mean, covariance = moments(x)
    scaled = 0.25 * (mean @ mean + np.trace(covariance))
    assert frechet_distance(x, 1.5 * x) == pytest.approx(scaled, rel=1e-9)


def test_features_may_lie_in_a_mapped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mildbench.metrics.kernel.SUBSETS", 3)
    for name, seed in (("outputs", 0), ("truths", 1)):
        np.save(tmp_path / f"{name}.npy", features(seed, 1100, 16))
    x, y = (np.load(tmp_path / f"{name}.npy") for name in ("outputs", "truths"))
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("outputs", "truths")]
    for metric in (Fid(), Kid()):
        assert metric.compute(*mapped) == metric.compute(x, y)


def test_fid_refuses_too_few_pictures_and_points_to_kid() -> None:
    few, enough = features(0, 16, 16), features(1, 17, 16)
    for outputs, truths in ((few, enough), (enough, few)):
        result = Fid().compute(outputs, truths)
        assert result.value is None
        assert "KID" in result.note
        assert result.n == len(outputs)
    result = Fid().compute(enough, enough)
    assert result.value == pytest.approx(0, abs=1e-9)
    assert "n=17" in result.note


@pytest.mark.parametrize("metric", [Fid(), Kid()])
def test_broken_features_are_refused(metric: Fid | Kid) -> None:
    good = features(0, 40, 8)
    bad = good.copy()
    bad[3, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        metric.compute(bad, good)
    with pytest.raises(ValueError, match="compared"):
        metric.compute(good, good[:, :7])


def test_kid_is_torch_fidelitys_subset_for_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mildbench.metrics.kernel.SUBSETS", 20)  # of 100, for time
    x, y = features(0, 1300, 16), features(1, 1100, 16)
    wide = [torch.from_numpy(part.astype(np.float64)) for part in (x, y)]
    theirs = kid_features_to_metric(*wide, kid_subsets=20, verbose=False)
    ours = Kid().compute(x, y)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.spread == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6)
    assert (ours.n, ours.note) == (1300, None)


def test_kid_of_few_pictures_takes_them_all() -> None:
    x, y = features(0, 60, 16).astype(np.float64), features(1, 60, 16).astype(np.float64)
    assert squared_mmd(x, y) == pytest.approx(cleanfid_kernel(x, y, num_subsets=1), rel=1e-9)
    ours = Kid().compute(x, y)
    kernel = [[(a @ b / 16 + 1) ** 3 for b in y] for a in x]
    across = sum(kernel[i][j] for i in range(60) for j in range(60) if i != j) / (60 * 59)
    assert ours.value == pytest.approx(squared_mmd(x, y) + 2 * np.mean(kernel) - 2 * across, rel=1e-9)
    assert ours.spread is None
    assert "one subset" in ours.note
    assert Kid().compute(x[:1], y).value is None


def test_kid_states_the_size_of_smaller_subsets() -> None:
    result = Kid().compute(features(0, 1001, 4), features(1, 40, 4))
    assert result.spread > 0
    assert result.note == "subsets of 40"


@pytest.mark.parametrize("n", [30, 1100])
def test_outputs_that_are_their_truths_are_no_distance_apart(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mildbench.metrics.kernel.SUBSETS", 5)
    x = features(0, n, 8)
    assert Kid().compute(x, x).value == pytest.approx(0, abs=1e-9)


def test_mmd_is_unbiased() -> None:
    # Over many draws from one distribution the estimate is zero on average, and often below.
    draws = features(0, 4000, 6).astype(np.float64).reshape(100, 40, 6)
    values = np.array([squared_mmd(draw[:20], draw[20:]) for draw in draws])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 20 < (values < 0).sum() < 90
