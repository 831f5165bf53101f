"""PSNR and SSIM against scikit-image and torchmetrics, and what must hold of them anyway."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pictures import damaged, mask_of, pairs_of, photos, split, synthetic
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr

from mildbench.metrics.base import Pairs
from mildbench.metrics.maps import channel_sums, region_means, torch_means, torch_sums
from mildbench.metrics.psnr import Psnr, squared_error
from mildbench.metrics.ssim import Ssim, blur, similarity

WINDOW_ERROR, MEAN_ERROR, PHOTOGRAPH_ERROR = 1e-4, 1e-5, 2e-6
"""Single precision's error as `similarity` states it."""


def reference_map(output: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64[H - 10, W - 10]: scikit-image's SSIM, averaged over RGB, where the window fits."""
    _, full = structural_similarity(
        output.astype(np.float64),
        truth.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
        full=True,
    )
    return full[5:-5, 5:-5].mean(axis=2)


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    picture = synthetic(0)
    white = np.full_like(picture, 255)
    dented = white.copy()
    dented[20:40, 20:40] = 250
    generator = np.random.default_rng(1)
    noise = generator.integers(0, 256, (2, *picture.shape), dtype=np.uint8)
    flat = np.where(np.arange(picture.shape[1])[:, None] < 40, 250, 20)  # single precision's worst case
    grain = (flat + generator.normal(0, 8, (2, *picture.shape))).clip(0, 255).astype(np.uint8)
    return {
        "damaged": (damaged(picture, 0), picture),
        "inverted": (255 - picture, picture),
        "black-white": (np.zeros_like(white), white),
        "nearly white": (dented, white),
        "noise": (noise[0], noise[1]),
        "grain": (grain[0], grain[1]),
        "one pixel": (np.where(np.arange(picture.size).reshape(picture.shape) == 9000, 0, picture), picture),
    }


@pytest.mark.parametrize("name", list(cases()))
def test_full_picture_agrees_with_the_references(name: str) -> None:
    output, truth = cases()[name]
    output = output.astype(np.uint8)
    pairs = pairs_of([output], [truth])
    psnr = Psnr().score(pairs)["full"][0]
    assert psnr == pytest.approx(peak_signal_noise_ratio(truth, output, data_range=255), rel=1e-12)
    theirs = torchmetrics_psnr(pairs.outputs.double(), pairs.truths.double(), data_range=255.0)
    assert psnr == pytest.approx(float(theirs), abs=1e-5)
    ssim = Ssim().score(pairs)["full"][0]
    assert ssim == pytest.approx(reference_map(output, truth).mean(), abs=MEAN_ERROR)


def test_photographs_agree_with_scikit_image_in_every_region() -> None:
    truths = photos(2, 256)
    outputs = [damaged(truth, seed) for seed, truth in enumerate(truths)]
    pairs = pairs_of(outputs, truths)
    ssim, psnr = Ssim().score(pairs), Psnr().score(pairs)
    for i, (output, truth) in enumerate(zip(outputs, truths, strict=True)):
        local = reference_map(output, truth)
        for name, region in pairs.regions.items():
            inside = region[i].numpy()
            if not inside.any():
                continue
            error = ((output.astype(float) - truth) ** 2)[inside].mean()
            assert psnr[name][i] == pytest.approx(10 * np.log10(255**2 / error), rel=1e-12)
            expected = local[inside[5:-5, 5:-5]].mean()
            # A region averages fewer windows, so less of the rounding cancels.
            assert ssim[name][i] == pytest.approx(
                expected, abs=PHOTOGRAPH_ERROR * (1 if name == "full" else 10)
            )


def test_every_window_is_within_the_stated_error() -> None:
    for output, truth in cases().values():
        planes = [[image[..., c].astype(np.float32) for c in range(3)] for image in (output, truth)]
        ours = np.mean([similarity(x, y) for x, y in zip(*planes, strict=True)], axis=0)
        assert np.abs(ours - reference_map(output, truth)).max() < WINDOW_ERROR


@pytest.mark.parametrize(("function", "margin"), [(squared_error, 0), (similarity, 5)])
def test_an_accelerators_way_gives_the_same(function: Callable, margin: int) -> None:
    # What runs on a GPU is plain torch, so the CPU can check it.
    truths = [synthetic(seed) for seed in range(2)]
    pairs = pairs_of([damaged(truth, seed) for seed, truth in enumerate(truths)], truths)
    expected = region_means(channel_sums(function, pairs), pairs.regions, margin)
    maps = torch_sums(function, pairs.outputs, pairs.truths)
    inside = torch.stack(list(pairs.regions.values()), dim=1)
    height, width = inside.shape[2:]
    table = torch_means(maps, inside[..., margin : height - margin, margin : width - margin])
    for column, name in enumerate(pairs.regions):
        np.testing.assert_allclose(table[:, column], expected[name], rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(3, 40), (10, 10), (11, 11), (11, 30)])
def test_both_blurs_take_the_same_windows(height: int, width: int) -> None:
    plane = synthetic(8, height, width)[..., 0].astype(np.float32)
    shifted = blur(torch.from_numpy(plane)).numpy()
    assert shifted.shape == blur(plane).shape
    np.testing.assert_allclose(blur(plane), shifted, rtol=1e-5)


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_batch_size_never_changes_a_score(kind: type) -> None:
    truths = [synthetic(seed) for seed in range(5)]
    pairs = pairs_of([damaged(truth, seed) for seed, truth in enumerate(truths)], truths)
    together = kind().score(pairs)
    apart = [kind().score(one) for one in split(pairs)]
    for name, scores in together.items():
        assert scores.dtype == np.float64
        np.testing.assert_array_equal(scores, np.concatenate([one[name] for one in apart]))


@pytest.mark.parametrize("kind", [Psnr, Ssim])
def test_order_of_output_and_truth_does_not_matter(kind: type) -> None:
    truths = [synthetic(seed) for seed in range(2)]
    outputs = [damaged(truth, seed) for seed, truth in enumerate(truths)]
    forth, back = kind().score(pairs_of(outputs, truths)), kind().score(pairs_of(truths, outputs))
    for name in forth:
        np.testing.assert_allclose(forth[name], back[name], rtol=0, atol=1e-12)


def test_identical_pictures() -> None:
    pairs = pairs_of([synthetic(3)], [synthetic(3)])
    assert all(scores[0] == np.inf for scores in Psnr().score(pairs).values())
    assert all(scores[0] == 1 for scores in Ssim().score(pairs).values())


def test_an_empty_region_has_no_score() -> None:
    truths = [synthetic(0), synthetic(1)]
    nothing = [np.zeros_like(mask_of(truth)) for truth in truths]
    pairs = pairs_of([damaged(truth, 0) for truth in truths], truths, nothing)
    for kind in (Psnr, Ssim):
        scores = kind().score(pairs)
        for name in ("mask", "ring", "overlap"):
            assert np.isnan(scores[name]).all()
        np.testing.assert_array_equal(scores["outside"], scores["full"])


def test_mask_and_outside_make_up_the_whole() -> None:
    truth = synthetic(4)
    pairs = pairs_of([damaged(truth, 1)], [truth])
    share = pairs.regions["mask"].double().mean().item()
    errors = {name: Psnr.to_mean(scores) for name, scores in Psnr().score(pairs).items()}
    assert share * errors["mask"] + (1 - share) * errors["outside"] == pytest.approx(
        errors["full"], rel=1e-12
    )
    ssim = Ssim().score(pairs)
    assert min(ssim["mask"], ssim["outside"]) <= ssim["full"] <= max(ssim["mask"], ssim["outside"])
    assert all(-1 <= scores[0] <= 1 for scores in ssim.values())


def test_a_change_outside_a_region_does_not_touch_its_psnr() -> None:
    truth, mask = synthetic(5), mask_of(synthetic(5))
    output = np.where(mask[..., None], truth, 255 - truth)
    psnr = Psnr().score(pairs_of([output], [truth]))
    assert psnr["mask"][0] == np.inf
    assert np.isfinite(psnr["outside"][0])


@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (3, 3), (11, 11)])
def test_small_pictures(height: int, width: int) -> None:
    truth = synthetic(6, height, width)
    pairs = pairs_of([damaged(truth, 0)], [truth])
    assert np.isfinite(Psnr().score(pairs)["full"]).all()
    assert np.isfinite(Ssim().score(pairs)["full"]).all() == (min(height, width) >= 11)


def test_psnr_is_averaged_through_the_mse() -> None:
    scores = np.array([20.0, 40.0, np.inf, np.nan])
    errors = Psnr.to_mean(scores)
    assert errors[2] == 0
    assert np.isnan(errors[3])
    np.testing.assert_allclose(Psnr.from_mean(errors[:3]), scores[:3])
    assert Psnr.from_mean(errors[:2].mean()) == pytest.approx(22.9671, abs=1e-4)


def test_pairs_that_do_not_fit_are_refused() -> None:
    images = torch.zeros((2, 8, 8, 3), dtype=torch.uint8)
    with pytest.raises(ValueError, match="truths"):
        Pairs(images, images[:1], {})
    with pytest.raises(ValueError, match="region mask"):
        Pairs(images, images, {"mask": torch.zeros((2, 8, 8), dtype=torch.uint8)})
    with pytest.raises(ValueError, match="expected uint8"):
        Pairs(images.float(), images.float(), {})
