"""Every metric scores on a GPU as on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_networks
import torch
from fake_annotator import FakeAnnotator
from pictures import damaged, pairs_of, synthetic
from pretend_cuda import Gpu
from torch import nn
from torchvision.models import alexnet, vgg

from mildbench import weights
from mildbench.metrics import segments
from mildbench.metrics.annotated import AnnotatedMetric
from mildbench.metrics.base import METRICS, PairMetric, Pairs, SetMetric, Subject

EXACT = {"psnr"}
"""Metrics whose scores are the same to the bit: sums of whole numbers."""
TOLERANCE = 1e-4
"""Relative and absolute, of the others: what verifying an entry allows."""
REPORTED = [name for name in METRICS.names() if not issubclass(METRICS.load(name), PairMetric | SetMetric)]
"""Metrics of what a method recorded, which is on the CPU."""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Seeded random weights where the metrics look for theirs; of the large networks, small ones."""
    folder = tmp_path_factory.mktemp("weights")
    tiny_networks.checkpoints(folder)
    torch.manual_seed(7)
    for net, trunk in (("alex", alexnet(weights=None).features), ("vgg", vgg.make_layers(vgg.cfgs["D"]))):
        torch.save(
            {f"features.{name}": part for name, part in trunk.state_dict().items()}, folder / f"lpips-{net}"
        )
    inception(folder / "inception-tf")
    with pytest.MonkeyPatch.context() as patch:
        tiny_networks.installed(folder, patch)
        patch.setattr(weights, "resolve", lambda name: folder / name)
        patch.setattr(segments, "POINTS", 6)
        yield


def inception(path: Path) -> None:
    extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with pytest.MonkeyPatch.context() as patch:
        # The class insists on a file; a state of its own shape can only come from an instance without one.
        patch.setattr(nn.Module, "load_state_dict", lambda self, state: None)
        torch.save({}, path)
        network = extractor.FeatureExtractorInceptionV3(
            "shape", ["2048"], feature_extractor_weights_path=str(path)
        )
    torch.save(network.state_dict(), path)


def people(count: int) -> tuple[Subject, ...]:
    amodal = np.zeros((72, 96), bool)
    amodal[10:60, 20:60] = True
    keypoints = np.full((17, 3), 2, np.float32)
    keypoints[:, :2] = np.linspace(22, 55, 17)[:, None]
    return tuple(Subject(keypoints, amodal) for _ in range(count))


def pairs(device: str, count: int) -> Pairs:
    truths = [synthetic(seed) for seed in range(count)]
    found = pairs_of([damaged(truth, seed) for seed, truth in enumerate(truths)], truths)
    return Pairs(
        found.outputs.to(device),
        found.truths.to(device),
        {name: region.to(device) for name, region in found.regions.items()},
        people(count),
    )


def scores(name: str, device: str, count: int) -> dict[str, np.ndarray]:
    """Of a pair metric by region; of a set metric the features, from which all else follows on the CPU."""
    metric: Any = METRICS.load(name)()
    metric.device = device
    if isinstance(metric, AnnotatedMetric):
        metric._annotator = FakeAnnotator()
    elif isinstance(metric, PairMetric):
        metric.load()
    if isinstance(metric, PairMetric):
        return metric.score(pairs(device, count))
    extractor = metric.extractor(device)
    extractor.load()
    return {"features": extractor.features(pairs(device, count).outputs)}


@pytest.fixture
def on_cpu(name: str) -> dict[str, np.ndarray]:
    return scores(name, "cpu", 2)


@pytest.mark.parametrize("name", [name for name in METRICS.names() if name not in REPORTED])
def test_scores_are_the_cpus(name: str, on_cpu: dict[str, np.ndarray], gpu: Gpu) -> None:
    found = scores(name, "cuda", 2)
    assert found.keys() == on_cpu.keys()
    for region, values in found.items():
        assert isinstance(values, np.ndarray)
        if name in EXACT:
            np.testing.assert_array_equal(values, on_cpu[region])
        np.testing.assert_allclose(values, on_cpu[region], rtol=TOLERANCE, atol=TOLERANCE)
    assert any(np.isfinite(values).any() for values in found.values())
    assert not gpu.draws
