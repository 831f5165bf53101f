"""Inception features: clean-fid's resize, torch-fidelity's network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from pictures import damaged, photos, synthetic
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mildbench import weights
from mildbench.metrics.inception import SIDE, CleanInception, clean_resize


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeded random weights that keep the signal's size, in torch-fidelity's layout."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with pytest.MonkeyPatch.context() as patch:
        # The class insists on a file; a state of its own shape can only come from an instance without one.
        patch.setattr(nn.Module, "load_state_dict", lambda self, state: None)
        torch.save({}, path)
        network = FeatureExtractorInceptionV3("shape", ["2048"], feature_extractor_weights_path=str(path))
    generator = torch.Generator().manual_seed(11)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            scale = math.sqrt(2 / module.weight[0].numel())
            module.weight.data.normal_(0, scale, generator=generator)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(checkpoint: Path) -> CleanInception:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "resolve", lambda name: checkpoint)
        loaded = CleanInception()
        loaded.load()
    return loaded


@pytest.mark.parametrize("shape", [(72, 96), (299, 299), (480, 333), (640, 299), (16, 900)])
def test_resize_is_clean_fids(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for picture in (synthetic(0, *shape), noise):
        ours = clean_resize(torch.from_numpy(picture)[None])[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(ours, build_resizer("clean")(picture), rtol=0, atol=5e-5)


def test_resize_of_a_photograph_is_clean_fids() -> None:
    (picture,) = photos(1, 512)
    ours = clean_resize(torch.from_numpy(picture)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, build_resizer("clean")(picture), rtol=0, atol=5e-5)


def test_features_are_torch_fidelitys(checkpoint: Path, extractor: CleanInception) -> None:
    pictures = np.stack([synthetic(0, SIDE, SIDE), damaged(synthetic(0, SIDE, SIDE), 1)])
    images = torch.from_numpy(pictures)
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(checkpoint))
    expected = theirs(images.permute(0, 3, 1, 2))[0].numpy()
    ours = extractor.features(images)
    assert ours.shape == (2, 2048)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert np.abs(ours[0] - ours[1]).max() > 1e-2 * np.abs(expected).max()


def test_batch_size_never_changes_a_feature(extractor: CleanInception) -> None:
    images = torch.from_numpy(np.stack([synthetic(seed) for seed in range(2)]))
    together = extractor.features(images)
    apart = np.concatenate([extractor.features(image[None]) for image in images])
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-5 * np.abs(apart).max())


def test_the_extractor_leaves_precision_as_it_was(extractor: CleanInception) -> None:
    before = torch.backends.cudnn.allow_tf32
    extractor.features(torch.zeros((1, 20, 20, 3), dtype=torch.uint8))
    assert torch.backends.cudnn.allow_tf32 == before


def test_missing_weights_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    with pytest.raises(weights.WeightsMissing, match="inception-tf"):
        CleanInception().load()
