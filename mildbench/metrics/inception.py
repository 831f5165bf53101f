"""Inception features as FID and KID define them, after clean-fid's resize (Parmar, Zhang, Zhu 2022)."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mildbench import weights
from mildbench.extras import require
from mildbench.metrics.base import FeatureExtractor
from mildbench.metrics.precision import full_precision

SIDE = 299


def clean_resize(images: torch.Tensor) -> torch.Tensor:
    """float32[B, 3, 299, 299] in [0, 255] of uint8[B, H, W, 3]: antialiased bicubic, not rounded to integers.

    clean-fid's Pillow resize of float channels, computed where the images are. Double precision matters:
    in single precision the sampling positions alone move a value by 0.005 grey levels; so it is 2e-5.
    """
    planes = images.permute(0, 3, 1, 2).to(torch.float64)
    resized = functional.interpolate(planes, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return resized.clamp_(0, 255).to(torch.float32)


class CleanInception(FeatureExtractor):
    """The 2048 pooled features of the TensorFlow Inception of 2015, in torch-fidelity's port."""

    name = "inception-tf,clean"
    weights = ("inception-tf",)
    _network: nn.Module

    def load(self) -> None:
        """Read the network; raises `mildbench.weights.WeightsMissing`."""
        checkpoint = weights.load_state_dict(weights.resolve(self.weights[0]))
        library = require("torch_fidelity.feature_extractor_inceptionv3", f"feature extractor {self.name!r}")
        # The library unpickles whatever it is given: give it bytes that we wrote, from tensors read safely.
        file = io.BytesIO()
        torch.save(checkpoint, file)
        file.seek(0)
        build = library.FeatureExtractorInceptionV3
        network = build(self.name, ["2048"], feature_extractor_weights_path=file)
        # Its forward insists on uint8 and resizes the TensorFlow way; its layers in order are the network.
        layers = [layer for name, layer in network.named_children() if name != "fc"]
        self._network = nn.Sequential(*layers, nn.Flatten()).to(self.device).eval()

    def features(self, images: torch.Tensor) -> np.ndarray:
        """float32[B, 2048] of images uint8[B, H, W, 3]."""
        with full_precision():
            features = self._network((clean_resize(images.to(self.device)) - 128) / 128)
        return features.cpu().numpy()
