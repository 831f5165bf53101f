"""A seamless fill meets what surrounds it, and leaves alone what already does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from batches import batch

from baselines.lama.method import Lama
from baselines.seamless import pull_push, seamless
from mildbench.errors import UserError


def _smooth() -> tuple[torch.Tensor, torch.Tensor]:
    """A picture of three ramps and a hole."""
    ramp = torch.linspace(0.2, 0.8, 50)[:, None].expand(50, 37)
    mask = torch.zeros(1, 1, 50, 37)
    mask[..., 12:30, 9:25] = 1
    return torch.stack([ramp, 1 - ramp, torch.full((50, 37), 0.4)])[None], mask


def test_what_is_smooth_is_carried_into_the_hole_and_what_is_in_it_is_not_seen() -> None:
    image, mask = _smooth()
    filled = pull_push(torch.where(mask.bool(), torch.rand(1, 3, 50, 37), image), mask)
    assert torch.equal(filled * (1 - mask), image * (1 - mask))
    assert (filled - image).abs().max() < 0.15
    assert (filled - image).abs().mean() < 0.01
    assert torch.equal(pull_push(torch.rand(1, 3, 5, 1), torch.ones(1, 1, 5, 1)), torch.zeros(1, 3, 5, 1))


def test_a_cast_of_colour_is_taken_away_and_a_right_answer_is_left() -> None:
    image, mask = _smooth()
    cast = torch.tensor([0.1, -0.05, 0.07])[:, None, None]
    torch.testing.assert_close(seamless(image + cast, image, mask), image, atol=1e-5, rtol=0)
    assert torch.equal(seamless(image, image, mask), image)
    texture = image + 0.1 * torch.rand(1, 3, 50, 37) * mask
    torch.testing.assert_close(seamless(texture + cast, image, mask), texture, atol=1e-5, rtol=0)


def test_lama_tiny_stays_inside_the_mask_whatever_the_batch() -> None:
    samples, plain = batch(2, 41, 57), Lama("tiny")
    method = Lama("tiny", seamless=True)
    for each in (plain, method):
        each.load()
    made = method.run(samples)
    for index, (outcome, without) in enumerate(zip(made, plain.run(samples), strict=True)):
        image, mask = samples.images[index], samples.masks[index]
        assert outcome.error is None
        assert np.array_equal(outcome.image[~mask], image[~mask])
        assert not np.array_equal(outcome.image, without.image)
        assert np.array_equal(method.run(samples.sample(index))[0].image, outcome.image)


def test_the_official_file_cannot_be_made_seamless() -> None:
    with pytest.raises(UserError, match="weights=FILE, or variant=tiny"):
        Lama(seamless=True)
