"""CFD as published and as it was meant, against the published procedure written out with Pillow and OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pictures import damaged, pairs_of, split, synthetic
from PIL import Image, ImageDraw

from mildbench.metrics import cfd
from mildbench.metrics.cfd import CfdFixed, CfdOfficial

TOLERANCE = 1e-5
KINDS = [CfdFixed, CfdOfficial]
SHAPE = (96, 128)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


TWO = box(20, 20, 70, 80) | box(90, 10, 115, 50)
SEGMENTS = np.stack(
    [
        box(25, 25, 45, 50),  # inside the first component
        box(50, 30, 64, 70),
        box(95, 20, 110, 40),  # inside the second
        box(0, 40, 34, 90),  # across the first's edge, near one inner segment
        box(60, 66, 100, 96),
        box(84, 0, 97, 19),  # across the second's edge
        box(0, 0, 10, 10),  # elsewhere
    ]
)


def features(network: Any, picture: np.ndarray, *, official: bool) -> np.ndarray:
    """float64[257, D], of length 1, of float64[h, w, 3] in 0 to 255."""

    def resize(pixels: np.ndarray, side: int) -> np.ndarray:
        channels = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(3)]
        return np.stack(
            [np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in channels], axis=2
        ).clip(0, 255)

    pixels = resize(picture, 224)
    if official:
        pixels = resize(pixels, 256)[16:240, 16:240]
    pixels = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.no_grad():
        found = network(torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None])
    tokens = found.last_hidden_state[0].double().numpy()
    return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)


def small(image: Image.Image) -> np.ndarray:
    return np.array(image.resize((16, 16), Image.Resampling.NEAREST)).flatten()


def whole(mask: np.ndarray) -> np.ndarray:
    """The mask of a whole picture's patches, bool[256]."""
    return small(Image.fromarray(mask).resize((224, 224), Image.Resampling.NEAREST))


def mean(tokens: np.ndarray) -> np.ndarray:
    total = tokens.mean(axis=0)
    return total / np.linalg.norm(total)


def reference(
    network: Any, picture: np.ndarray, mask: np.ndarray, found: np.ndarray, *, official: bool
) -> float:
    def chosen(tokens: np.ndarray, patches: np.ndarray) -> np.ndarray:
        if official:
            return mean(tokens[np.append(patches, True)])
        assert patches.any()
        return mean(tokens[np.append(True, patches)])

    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    scores = []
    for number in range(1, labels.max() + 1):
        part = labels == number
        rows, columns = np.nonzero(part.any(axis=1))[0], np.nonzero(part.any(axis=0))[0]
        left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        wide, high = (right - left) // 3, (bottom - top) // 3
        frame = Image.new("1", SHAPE[::-1], 0)
        corner = (min(SHAPE[1], right + wide), min(SHAPE[0], bottom + high))
        ImageDraw.Draw(frame).rectangle([max(0, left - wide), max(0, top - high), *corner], fill=1)
        tokens = features(network, picture, official=official)
        around = np.array(frame) ^ part
        score = 1 - chosen(tokens, whole(part)) @ chosen(tokens, whole(around))
        inner = [one for one in found if (one <= part).all()]
        crossing = [one & part for one in found if (one & part).any() and not (one <= part).all()]
        kernel = np.ones((5, 5), np.uint8)
        for one in inner:
            grown = cv2.dilate(one.astype(np.uint8), kernel, iterations=3) > 0
            near = [other for other in crossing if (grown & other).any()]
            if near:
                sides = []
                for which, piece in enumerate((np.any(near, axis=0), one)):
                    x, y, w, h = cv2.boundingRect(piece.astype(np.uint8))
                    cut = np.where(piece[..., None], picture, 255)[y : y + h, x : x + w]
                    tokens = features(network, cut, official=official)
                    piece = Image.fromarray(piece[y : y + h, x : x + w])
                    if official:
                        grey = piece.convert("L")
                        how = Image.Resampling.BICUBIC if which else Image.Resampling.NEAREST
                        numbers = np.append(small(grey.resize((224, 224), how)), True)
                        assert numbers.dtype == np.uint8
                        sides.append(mean(tokens[numbers]))
                    else:
                        sides.append(
                            chosen(tokens, small(piece.resize((224, 224), Image.Resampling.NEAREST)))
                        )
                score += one.sum() / sum(other.sum() for other in inner) * (1 - sides[0] @ sides[1])
        scores.append(score)
    return float(np.mean(scores))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM finds `SEGMENTS` in every picture: what it finds of its own is tested elsewhere."""
    monkeypatch.setattr(cfd, "segments", lambda network, picture: torch.from_numpy(SEGMENTS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "mask", [TWO, box(20, 20, 70, 80), box(3, 3, 16, 30)], ids=["two", "one", "no segments"]
)
@pytest.mark.usefixtures("given")
def test_is_the_procedure_written_out(
    kind: type, mask: np.ndarray, loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    truth = synthetic(0, *SHAPE)
    output = damaged(truth, 1)
    score = loaded(kind).score(pairs_of([output], [truth], [mask]))["mask"][0]
    official = kind is CfdOfficial
    expected = reference(tiny[1]["dinov2-giant"], output, mask, SEGMENTS, official=official)
    assert expected > 100 * TOLERANCE
    np.testing.assert_allclose(score, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.usefixtures("given")
def test_the_two_are_not_the_same(loaded: Callable[[Any], Any]) -> None:
    picture = synthetic(0, *SHAPE)
    fixed, official = (loaded(kind).score(pairs_of([picture], [picture], [TWO]))["mask"][0] for kind in KINDS)
    assert abs(fixed - official) > 100 * TOLERANCE
    assert CfdFixed.info.id != CfdOfficial.info.id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("given")
def test_no_side_no_score_and_batch_size_never_changes_one(kind: type, loaded: Callable[[Any], Any]) -> None:
    truths = [synthetic(seed, *SHAPE) for seed in range(3)]
    masks = [np.zeros(SHAPE, dtype=bool), TWO, np.ones(SHAPE, dtype=bool)]
    pairs, metric = pairs_of([damaged(truth, 0) for truth in truths], truths, masks), loaded(kind)
    together = metric.score(pairs)["mask"]
    np.testing.assert_array_equal(np.isnan(together), [True, False, True])
    apart = np.concatenate([metric.score(one)["mask"] for one in split(pairs)])
    np.testing.assert_allclose(together, apart, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_segments_that_sam_finds(
    kind: type, loaded: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mildbench.metrics.segments.POINTS", 4)
    picture = synthetic(0, *SHAPE)
    with torch.inference_mode():
        scores = loaded(kind).score(pairs_of([picture], [picture], [TWO]))["mask"]
    assert np.isfinite(scores).all()


def test_fixed_has_no_value_where_a_mask_holds_no_patch(loaded: Callable[[Any], Any]) -> None:
    metric = loaded(CfdFixed)
    assert metric._selected(torch.from_numpy(box(4, 4, 5, 5))[None]).isnan().all()


@pytest.mark.parametrize("shape", [(96, 128), (224, 224), (301, 173), (7, 11), (512, 384)])
def test_sampling_is_pillows(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random(shape) > 0.5
    np.testing.assert_array_equal(cfd.sampled(torch.from_numpy(mask)).numpy(), whole(mask))
