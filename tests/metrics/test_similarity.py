"""DINO and CLIP similarity, against transformers' networks behind Pillow's resize."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import damaged, pairs_of, split, synthetic
from PIL import Image

from mildbench.metrics.similarity import ClipSimilarity, Dino

TOLERANCE = 1e-5
KINDS = [Dino, ClipSimilarity]


def resized(picture: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """float32[h, w, 3]: Pillow's resize of float channels, which rounds nothing."""
    channels = [Image.fromarray(picture[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(channel.resize(size[::-1], how)) for channel in channels], axis=2)


def expected(kind: type, network: Any, picture: np.ndarray) -> np.ndarray:
    side, mean, deviation = (
        (224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        if kind is Dino
        else (56, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    pixels = resized(picture, (side, side), Image.Resampling.BICUBIC).clip(0, 255) / 255
    pixels = torch.from_numpy(((pixels - mean) / deviation).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        if kind is Dino:
            return network(pixels).pooler_output[0].double().numpy()
        found = network.vision_model(pixels).pooler_output
        return network.visual_projection(found)[0].double().numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_is_the_cosine_of_the_networks_features(
    kind: type, loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    truths = [synthetic(seed, 64, 80) for seed in range(3)]
    outputs = [synthetic(9, 64, 80), damaged(truths[1], 1), truths[2]]
    scores = loaded(kind).score(pairs_of(outputs, truths))["full"]
    network = tiny[1][kind.info.weights[0]]
    for score, output, truth in zip(scores, outputs, truths, strict=True):
        a, b = (expected(kind, network, picture) for picture in (output, truth))
        np.testing.assert_allclose(
            score, a @ b / np.linalg.norm(a) / np.linalg.norm(b), rtol=0, atol=TOLERANCE
        )
    assert scores[0] < scores[1] < scores[2]
    np.testing.assert_allclose(scores[2], 1, rtol=0, atol=1e-6)  # the oracle


@pytest.mark.parametrize("kind", KINDS)
def test_batch_size_never_changes_a_score(kind: type, loaded: Callable[[Any], Any]) -> None:
    truths = [synthetic(seed, 48, 72) for seed in range(3)]
    pairs = pairs_of([damaged(truth, seed) for seed, truth in enumerate(truths)], truths)
    metric = loaded(kind)
    together = metric.score(pairs)["full"]
    assert together.dtype == np.float64
    apart = np.concatenate([metric.score(one)["full"] for one in split(pairs)])
    np.testing.assert_allclose(together, apart, rtol=0, atol=TOLERANCE)
