"""LPIPS against the `lpips` package, both with one trunk of seeded random weights."""

from __future__ import annotations

from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from pictures import damaged, pairs_of, photos, split, synthetic
from torchvision.models import alexnet, vgg

from mildbench import weights
from mildbench.metrics.base import Pairs
from mildbench.metrics.lpips import Lpips, LpipsVgg

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weights.*:UserWarning:torchvision"
)  # as lpips builds its trunk

TOLERANCE = 2e-6
"""Single precision: the reference runs both pictures apart, ours together."""


def trunk(net: str) -> torch.nn.Module:
    if net == "alex":
        return alexnet(weights=None).features
    return vgg.make_layers(vgg.cfgs["D"])


@pytest.fixture(
    scope="module", params=[Lpips, pytest.param(LpipsVgg, marks=pytest.mark.slow)], ids=["alex", "vgg"]
)
def metric(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    """The metric, loaded from a checkpoint laid out as torchvision's."""
    kind = request.param
    with torch.random.fork_rng():
        torch.manual_seed(7)
        features = trunk(kind.net).state_dict()
    path: Path = tmp_path_factory.mktemp("weights") / f"{kind.net}.pth"
    torch.save({f"features.{name}": value for name, value in features.items()}, path)
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "resolve", lambda name: asked.append(name) or path)
        loaded = kind()
        loaded.load()
    assert asked == list(kind.info.weights)
    loaded.features = features
    return loaded


def reference(metric: Lpips, pairs: Pairs, *, spatial: bool) -> np.ndarray:
    network = lpips.LPIPS(net=metric.net, pnet_rand=True, spatial=spatial, verbose=False)
    numbered = {name.partition(".")[2]: name for name in network.net.state_dict()}
    network.net.load_state_dict({name: metric.features[number] for number, name in numbered.items()})
    images = [images.permute(0, 3, 1, 2).float() / 127.5 - 1 for images in (pairs.outputs, pairs.truths)]
    with torch.no_grad():
        return network(*images)[:, 0].double().numpy()


def sample_pairs() -> Pairs:
    truths = [synthetic(seed, 64, 80) for seed in range(2)]
    return pairs_of([damaged(truth, seed) for seed, truth in enumerate(truths)], truths)


def test_full_is_lpips_and_a_region_is_the_mean_of_its_spatial_map(metric: Lpips) -> None:
    pairs = sample_pairs()
    scores = metric.score(pairs)
    expected = reference(metric, pairs, spatial=False).ravel()
    assert expected.min() > 100 * TOLERANCE, "the random trunk must tell the pictures apart"
    np.testing.assert_allclose(scores["full"], expected, rtol=0, atol=TOLERANCE)
    maps = reference(metric, pairs, spatial=True)
    for name in ("mask", "outside", "ring", "overlap"):
        for i in range(len(maps)):
            inside = pairs.regions[name][i].numpy()
            mean = maps[i][inside].mean() if inside.any() else np.nan
            np.testing.assert_allclose(scores[name][i], mean, rtol=0, atol=TOLERANCE)
            if inside.any():
                assert maps[i].min() - TOLERANCE <= scores[name][i] <= maps[i].max() + TOLERANCE


def test_identical_pictures_are_zero_apart(metric: Lpips) -> None:
    truth = synthetic(1)
    assert all(scores[0] == 0 for scores in metric.score(pairs_of([truth], [truth])).values())


def test_batch_size_never_changes_a_score(metric: Lpips) -> None:
    pairs = sample_pairs()
    together = metric.score(pairs)
    apart = [metric.score(one) for one in split(pairs)]
    for name, scores in together.items():
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, np.concatenate([one[name] for one in apart]), rtol=1e-5)


def test_smallest_picture(metric: Lpips) -> None:
    for side in (metric.smallest, metric.smallest - 1):
        truth = synthetic(2, side, side + 20)
        score = metric.score(pairs_of([damaged(truth, 0)], [truth]))["full"][0]
        assert np.isfinite(score) == (side >= metric.smallest)


def test_missing_weights_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    with pytest.raises(weights.WeightsMissing, match="lpips-alex"):
        Lpips().load()


def test_photograph(metric: Lpips) -> None:
    (truth,) = photos(1, 96)
    pairs = pairs_of([damaged(truth, 0)], [truth])
    expected = reference(metric, pairs, spatial=False).ravel()
    np.testing.assert_allclose(metric.score(pairs)["full"], expected, rtol=0, atol=TOLERANCE)
