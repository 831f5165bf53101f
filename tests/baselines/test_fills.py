"""The controls that show what a metric rewards."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from batches import batch

from baselines.fills import Blur, Mean, smooth_fill
from baselines.patchmatch import PatchMatch, nearest, pyramid
from mildbench.errors import UserError
from mildbench.method import EraseMethod, MethodSpec

FILLS = [Mean, Blur, PatchMatch]


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("size", [(40, 56), (33, 17), (9, 70)])
def test_a_fill_changes_the_mask_and_nothing_else(kind: type[EraseMethod], size: tuple[int, int]) -> None:
    samples = batch(3, *size)
    for outcome, image, mask in zip(kind().run(samples), samples.images, samples.masks, strict=True):
        assert outcome.error is None
        assert np.array_equal(outcome.image[~mask], image[~mask])
        assert not np.array_equal(outcome.image[mask], image[mask])


@pytest.mark.parametrize("kind", FILLS)
def test_a_fill_never_reads_inside_the_mask(kind: type[EraseMethod]) -> None:
    samples = batch(1)
    samples.images[samples.masks] = 0
    black = kind().run(samples)[0].image
    samples.images[samples.masks] = 255
    assert np.array_equal(kind().run(samples)[0].image, black)


@pytest.mark.parametrize("kind", FILLS)
def test_the_batch_changes_no_fill(kind: type[EraseMethod]) -> None:
    samples = batch(4)
    together = [outcome.image for outcome in kind().run(samples)]
    alone = [kind().run(samples.sample(index))[0].image for index in range(4)]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("kind", FILLS)
def test_a_mask_on_the_border_is_filled(kind: type[EraseMethod]) -> None:
    samples = batch(1)
    masks = np.zeros_like(samples.masks)
    masks[:, :15, :] = masks[:, :, -9:] = True
    outcome = kind().run(replace(samples, masks=masks))[0]
    assert outcome.error is None
    inside = outcome.image[masks[0]]
    assert inside.min() >= samples.images[0][~masks[0]].min()
    assert inside.max() <= samples.images[0][~masks[0]].max()


@pytest.mark.parametrize("kind", FILLS)
def test_a_mask_over_everything_fails_for_its_sample_alone(kind: type[EraseMethod]) -> None:
    samples = batch(2)
    samples.masks[0] = True
    failed, fine = kind().run(samples)
    assert "covers the whole picture" in str(failed.error)
    assert fine.error is None


@pytest.mark.parametrize("kind", FILLS)
def test_an_empty_mask_returns_the_picture(kind: type[EraseMethod]) -> None:
    samples = batch(1)
    samples.masks[:] = False
    assert np.array_equal(kind().run(samples)[0].image, samples.images[0])


def test_mean_is_the_mean_outside() -> None:
    samples = batch(1)
    filled = Mean().run(samples)[0].image[samples.masks[0]]
    expected = samples.images[0][~samples.masks[0]].mean(axis=0)
    assert np.abs(filled - expected).max() <= 0.5


def test_a_smooth_fill_of_one_colour_is_that_colour() -> None:
    image = np.full((37, 50, 3), (10, 200, 90), np.uint8)
    mask = np.zeros((37, 50), bool)
    mask[5:30, 10:40] = True
    assert np.array_equal(smooth_fill(image, mask), image)


def test_patchmatch_continues_a_texture_that_a_smooth_fill_loses() -> None:
    stripes = np.where((np.arange(96) // 4) % 2, 230, 20).astype(np.uint8)
    image = np.broadcast_to(stripes[None, :, None], (96, 96, 3)).copy()
    samples = batch(1, 96, 96)
    masks = np.zeros((1, 96, 96), bool)
    masks[:, 30:62, 30:62] = True
    samples = replace(samples, images=image[None], masks=masks)

    def error(kind: type[EraseMethod]) -> float:
        filled = kind().run(samples)[0].image
        return float(np.abs(filled[masks[0]].astype(int) - image[masks[0]]).mean())

    assert error(PatchMatch) < error(Blur) / 2


def test_patchmatch_fills_a_large_hole_from_beside_it() -> None:
    """Sky above sand: a hole in the sand gets sand, although there is more sky."""
    rng = np.random.default_rng(0)
    image = np.full((384, 256, 3), (120, 170, 230), np.uint8)
    image[240:] = (220, 190, 140)
    image += rng.integers(0, 12, image.shape, dtype=np.uint8)
    mask = np.zeros((384, 256), bool)
    mask[250:384, 40:200] = True
    samples = replace(batch(1, 384, 256), images=image[None], masks=mask[None])
    filled = PatchMatch().run(samples)[0].image[mask].astype(int)
    assert np.abs(filled - (225, 195, 145)).max() < 20


def _rim(width: int) -> np.ndarray:
    mask = np.ones((128, 128), bool)
    mask[width:-width, width:-width] = False
    return ~mask


def _lines(every: int) -> np.ndarray:
    mask = np.zeros((128, 128), bool)
    mask[::every] = mask[:, ::every] = True
    return mask


@pytest.mark.parametrize(
    "mask",
    [_rim(3), _rim(6), _rim(9), _lines(5), _lines(8), np.random.default_rng(0).random((128, 128)) < 0.5],
    ids=["rim 3", "rim 6", "rim 9", "lines 5", "lines 8", "noise"],
)
def test_patchmatch_fills_with_what_is_there_where_hardly_a_patch_is_whole(mask: np.ndarray) -> None:
    image = np.random.default_rng(1).integers(150, 200, (128, 128, 3), dtype=np.uint8)
    filled = (
        PatchMatch().run(replace(batch(1, 128, 128), images=image[None], masks=mask[None]))[0].image[mask]
    )
    assert filled.min() > 145
    assert filled.max() < 205
    assert abs(filled.mean() - image.mean()) < 5


@pytest.mark.parametrize("size", [(384, 256), (350, 701), (90, 91)])
def test_every_level_has_whole_patches_to_copy(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = np.ones(size, bool)
    mask[:, :20] = False
    levels = list(pyramid(image, mask, 7))
    assert np.array_equal(levels[0].image, np.where(mask[..., None], 0, image))
    for level in levels:
        near = nearest(level.mask, 7)
        assert near.usable.any()
        assert not (near.usable & level.mask).any()
        assert near.usable[near.field[..., 1], near.field[..., 0]].all()
    for fine, coarse in pairwise(levels):
        assert coarse.mask.shape == (fine.mask.shape[0] // 2, fine.mask.shape[1] // 2)


def test_patchmatch_repeats_itself_and_its_seed_matters_to_it() -> None:
    rng = np.random.default_rng(1)
    samples = replace(batch(1), images=rng.integers(0, 256, (1, 40, 56, 3), dtype=np.uint8))
    first, again = (PatchMatch().run(samples)[0].image for _ in range(2))
    assert np.array_equal(first, again)
    other = PatchMatch().run(replace(samples, seeds=(99,)))[0].image
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "options", [{"patch": "4"}, {"patch": "1"}, {"patch": "33"}, {"loops": "0"}, {"iterations": "21"}]
)
def test_patchmatch_refuses_options_that_it_cannot_use(options: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"patchmatch: .* give"):
        MethodSpec("patchmatch", options).create()
