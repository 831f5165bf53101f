"""Learned perceptual distance (Zhang, Isola, Efros, Shechtman, Wang 2018), overall and over a region."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from mildbench import weights
from mildbench.extras import require
from mildbench.metrics.base import MetricInfo, PairMetric, Pairs, Unasked
from mildbench.metrics.maps import region_means
from mildbench.metrics.precision import full_precision


def _info(name: str, net: str, smallest: int, unasked: Unasked = "scored") -> MetricInfo:
    return MetricInfo(
        name=name,
        id=f"lpips[{net},v0.1]@1",
        definition=f"LPIPS v0.1 ({net}), 0 for identical pictures, no upper bound. `full` averages each "
        "layer's distances at that layer's resolution (`lpips.LPIPS(spatial=False)`); a region's is the mean "
        "over its pixels of the layers' maps, upsampled and added (`spatial=True`). "
        f"Undefined for pictures under {smallest} pixels.",
        higher_is_better=False,
        unit="",
        weights=(f"lpips-{net}",),
        unasked=unasked,
    )


class Lpips(PairMetric):
    """LPIPS on AlexNet, the authors' choice for measuring."""

    info = _info("lpips", "alex", smallest=31)
    net: ClassVar[str] = "alex"
    smallest: ClassVar[int] = 31
    """The shortest side, in pixels, that the trunk's pooling leaves anything of."""
    _network: Any

    def load(self) -> None:
        """The `lpips` package's network: its own linear layers, and torchvision's trunk from our cache."""
        checkpoint = weights.load_state_dict(weights.resolve(self.info.weights[0]))
        lpips = require("lpips", f"metric {self.info.name!r}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision deprecates the way in which lpips builds its trunk
            network = lpips.LPIPS(net=self.net, pnet_rand=True, verbose=False)
        # lpips cuts torchvision's `features` into slices and keeps the layers' numbers.
        trunk = {name: checkpoint["features." + name.partition(".")[2]] for name in network.net.state_dict()}
        network.net.load_state_dict(trunk)
        self._network = network.to(self.device).eval()

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """Region name -> float64[B], from 0 up."""
        size = pairs.outputs.shape[1:3]
        if min(size) < self.smallest:
            return {name: np.full(len(pairs.outputs), np.nan) for name in pairs.regions}
        with full_precision():
            layers = self._distances(pairs)
            upsampled = [functional.interpolate(layer, size=size, mode="bilinear") for layer in layers]
            total = torch.stack(upsampled).sum(dim=0)[:, 0]
            scores = region_means(total, pairs.regions)
            if "full" in scores:
                means = [layer.mean(dim=(1, 2, 3), dtype=torch.float64) for layer in layers]
                scores["full"] = torch.stack(means).sum(dim=0).cpu().numpy()
        return scores

    def _distances(self, pairs: Pairs) -> list[torch.Tensor]:
        """Per layer of the trunk float32[B, 1, h, w]: the weighted squared distances, at its resolution."""
        images = torch.cat([pairs.outputs, pairs.truths]).permute(0, 3, 1, 2)
        network = self._network
        features = network.net(network.scaling_layer(images.to(torch.float32) / 127.5 - 1))
        distances = []
        for activations, linear in zip(features, network.lins, strict=True):
            unit = activations / (activations.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            output, truth = unit.chunk(2)
            distances.append(linear((output - truth).square()))
        return distances


class LpipsVgg(Lpips):
    """LPIPS on VGG-16, which papers that train with it often report; some thirty times as slow on a CPU."""

    info = _info("lpips-vgg", "vgg", smallest=16, unasked="left out")
    net = "vgg"
    smallest = 16
