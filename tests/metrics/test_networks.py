"""The large networks: read whole, once, and shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_networks
import torch

from mildbench import weights
from mildbench.errors import UserError
from mildbench.evaluation import panel
from mildbench.metrics.base import MetricSpec, PairMetric, SetMetric
from mildbench.metrics.cfd import CfdFixed, CfdOfficial
from mildbench.metrics.clip_mmd import CentreClip
from mildbench.metrics.coherence import RemovalCoherence
from mildbench.metrics.erasure import Remove
from mildbench.metrics.networks import PASS, Clip, Dinov2, Network, Sam, shared
from mildbench.metrics.similarity import ClipSimilarity, Dino

KINDS = [Dinov2, Clip, Sam]
OURS = ["cfd-fixed", "cfd-official", "clip", "cmmd", "dino", "rc-s", "remove"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_of_the_checkpoint_is_used(
    kind: type[Network], tiny: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, networks = tiny
    tiny_networks.installed(folder, monkeypatch)
    expected = networks[kind.weights].state_dict()
    for name, tensor in shared(kind, "cpu")._model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_one_network_serves_all_that_name_it(loaded: Callable[[Any], Any]) -> None:
    coherence, dino, fixed, official = map(loaded, (RemovalCoherence, Dino, CfdFixed, CfdOfficial))
    assert coherence._network is dino._network is fixed._network is official._network
    assert loaded(Remove)._network is fixed._sam or fixed._sam is official._sam
    clip, extractor = loaded(ClipSimilarity), loaded(CentreClip)
    assert clip._network is extractor._network


def test_a_network_that_nobody_holds_is_let_go(
    tiny: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc
    import weakref

    tiny_networks.checkpoints(tmp_path)
    tiny_networks.installed(tmp_path, monkeypatch)
    held = weakref.ref(shared(Clip, "cpu"))
    gc.collect()
    assert held() is None


def test_more_pictures_than_a_pass_holds(loaded: Callable[[Any], Any]) -> None:
    network = loaded(ClipSimilarity)._network
    pictures = torch.rand(PASS + 3, 3, 56, 56, generator=torch.Generator().manual_seed(0)) * 255
    apart = torch.cat([network.embeddings(picture[None]) for picture in pictures])
    torch.testing.assert_close(network.embeddings(pictures), apart, rtol=0, atol=1e-6)


def test_a_checkpoint_of_another_network_is_refused(
    tiny: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "dinov2-giant"
    folder.mkdir()
    source = tiny[0] / "dinov2-giant"
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    tensors = load_file(source / "model.safetensors")
    del tensors["layernorm.weight"]
    save_file(tensors, folder / "model.safetensors")
    tiny_networks.installed(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="lacks the tensor layernorm"):
        shared(Dinov2, "cpu")


@pytest.mark.parametrize("name", OURS)
def test_missing_weights_are_told(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    metric = MetricSpec(name).create()
    assert metric.info.unasked != "scored"
    assert isinstance(metric, PairMetric | SetMetric)
    with pytest.raises(weights.WeightsMissing, match=metric.info.weights[0]):
        metric.load() if isinstance(metric, PairMetric) else metric.extractor().load()


def test_optional_metrics_are_scored_unasked_only_where_their_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unasked() -> set[str]:
        metrics, lacking = panel.find([], "cpu")
        assert lacking == []
        return {metric.info.name for metric in metrics}

    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    before = unasked()
    assert {"psnr", "lpips", "fid"} <= before
    weights.place(weights.entry("clip-vit-large-336")).mkdir(parents=True)
    assert unasked() - before == {"clip", "cmmd"}
    weights.place(weights.entry("dinov2-giant")).mkdir(parents=True)
    assert unasked() - before == {"clip", "cmmd", "dino", "rc-s"}


def test_asked_for_without_weights_they_say_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    metrics, _ = panel.find(["cfd-fixed", "cmmd"], "cpu")
    told = {lacking.name: lacking.reason for lacking in panel.load(metrics, "cpu").unavailable}
    assert told == {
        "cfd-fixed": "weights missing: mildbench weights fetch dinov2-giant sam-vit-huge",
        "cmmd": "weights missing: mildbench weights fetch clip-vit-large-336",
    }
