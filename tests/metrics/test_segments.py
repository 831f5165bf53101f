"""SAM's automatic masks, against transformers' own; and CFD's choice among masks, against loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import synthetic
from tiny_networks import SAM_SIDE
from transformers import SamImageProcessor

from mildbench.metrics import segments as module
from mildbench.metrics.erasure import Remove
from mildbench.metrics.segments import distinct, segments


def transformers_masks(network: Any, picture: np.ndarray, same_box: float) -> np.ndarray:
    """bool[M, H, W] by transformers' pre- and post-processing, asked point by point."""
    processor = SamImageProcessor(
        size={"longest_edge": SAM_SIDE}, pad_size={"height": SAM_SIDE, "width": SAM_SIDE}
    )
    inputs = processor(picture, return_tensors="pt")
    boxes, points, _, _ = processor.generate_crop_boxes(
        torch.from_numpy(picture).permute(2, 0, 1), SAM_SIDE, points_per_crop=module.POINTS
    )
    found, scores, frames = [], [], []
    with torch.no_grad():
        image = network.get_image_embeddings(inputs["pixel_values"])
        for some in points.split(50, dim=1):
            answer = network(image_embeddings=image, input_points=some)
            full = processor.post_process_masks(
                answer.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
            )[0]
            masks, expected, around = processor.filter_masks(
                full, answer.iou_scores[0], picture.shape[:2], boxes[0].tolist()
            )
            found += masks
            scores.append(expected)
            frames.append(around)
    kept = processor.post_process_for_mask_generation(found, torch.cat(scores), torch.cat(frames), same_box)
    return np.stack([np.asarray(mask) for mask in kept[0]])


@pytest.mark.parametrize("same_box", [module.SAME_BOX, 1.0])
@pytest.mark.parametrize("shape", [(180, SAM_SIDE), (70, 100)], ids=["as it is", "resized"])
def test_are_transformers_masks(
    shape: tuple[int, int],
    same_box: float,
    loaded: Callable[[Any], Any],
    tiny: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POINTS", 8)
    monkeypatch.setattr(module, "SAME_BOX", same_box)
    picture = synthetic(0, *shape)
    with torch.inference_mode():
        ours = segments(loaded(Remove)._network, torch.from_numpy(picture).permute(2, 0, 1).double()).numpy()
    theirs = transformers_masks(tiny[1]["sam-vit-huge"], picture, same_box)
    assert len(ours) == len(theirs) >= (1 if same_box < 1 else 20)
    if shape[1] == SAM_SIDE:
        assert (ours != theirs).mean() < 1e-5
    else:  # their resized picture is rounded to whole grey levels, which can make two masks change places
        apart = (ours[:, None] != theirs[None]).mean(axis=(2, 3))
        assert apart.min(axis=1).max() < 0.02


def test_a_picture_without_segments(loaded: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POINTS", 2)
    monkeypatch.setattr(module, "EXPECTED", 2.0)
    picture = torch.zeros(3, 20, 30, dtype=torch.float64)
    with torch.inference_mode():
        found = segments(loaded(Remove)._network, picture)
    assert found.shape == (0, 20, 30)
    assert distinct(found).shape == (0, 20, 30)


def test_distinct_is_the_greedy_choice_written_out() -> None:
    generator = np.random.default_rng(0)
    masks = []
    for _ in range(60):
        top, left = generator.integers(0, 30, 2)
        mask = np.zeros((40, 40), dtype=bool)
        mask[top : top + generator.integers(2, 20), left : left + generator.integers(2, 20)] = True
        masks.append(mask)
    kept: list[np.ndarray] = []
    for mask in sorted(masks, key=lambda mask: -mask.sum()):
        if not any(
            (mask & other).sum() / (mask | other).sum() > 0.8 or (mask & other).sum() / mask.sum() > 0.9
            for other in kept
        ):
            kept.append(mask)
    assert 5 < len(kept) < 55
    np.testing.assert_array_equal(distinct(torch.from_numpy(np.stack(masks))).numpy(), np.stack(kept))
