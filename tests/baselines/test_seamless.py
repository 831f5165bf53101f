"""A seamless fill meets what surrounds it, and leaves alone what already does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from batches import batch
from people import crowd

from baselines.lama.method import Lama
from baselines.seamless import pull_push, seamless, seamless_picture
from mildbench.errors import UserError
from mildbench.method import MethodSpec


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


def test_pixels_are_corrected_as_tensors_are() -> None:
    made, shown = np.random.default_rng(0).integers(0, 256, (2, 20, 31, 3)).astype(np.uint8)
    hole = np.zeros((20, 31), dtype=bool)
    hole[4:13, 7:20] = True
    pixels = [torch.from_numpy(each).permute(2, 0, 1)[None] / 255 for each in (made, shown)]
    wanted = seamless(*pixels, torch.from_numpy(hole)[None, None].float())
    found = seamless_picture(made, shown, hole)
    assert np.array_equal(found, (wanted[0] * 255).round().byte().permute(1, 2, 0).numpy())
    assert np.array_equal(found[~hole], shown[~hole])


@pytest.mark.parametrize(
    "name", ["lama", "sd-inpaint", "magiceraser", "attentive-eraser", "deocclusion", "mild"]
)
def test_methods_on_shipped_weights_stay_inside_the_mask_whatever_the_batch(name: str) -> None:
    samples, tiny = batch(2, 41, 57), {"variant": "tiny"} if name == "lama" else {}
    plain = MethodSpec(name, {**tiny, "seamless": "false"}).create()
    method = MethodSpec(name, tiny).create()
    for each in (plain, method):
        each.load()
    made = method.run(samples)
    for index, (outcome, without) in enumerate(zip(made, plain.run(samples), strict=True)):
        image, mask = samples.images[index], samples.masks[index]
        assert outcome.error is None
        assert np.array_equal(outcome.image[~mask], image[~mask])
        assert not np.array_equal(outcome.image[mask], without.image[mask])
        assert np.array_equal(method.run(samples.sample(index))[0].image, outcome.image)


def test_what_a_completed_person_is_painted_with_meets_what_is_seen_of_them() -> None:
    samples = crowd()
    for name in ("mild", "deocclusion"):
        plain, method = (MethodSpec(name, {"seamless": word}).create() for word in ("false", "true"))
        layers = []
        for each in (plain, method):
            each.load()
            layers.append(each.erase(samples).layers)
        before_all, after_all = layers
        assert before_all is not None
        assert after_all is not None
        for before, after in zip(before_all, after_all, strict=True):
            assert before.keys() == after.keys()
            for person in before:
                assert np.array_equal(before[person][..., 3], after[person][..., 3])
        assert any(
            not np.array_equal(before[person], after[person])
            for before, after in zip(before_all, after_all, strict=True)
            for person in before
        )


def test_the_official_file_cannot_be_made_seamless() -> None:
    with pytest.raises(UserError, match="weights=FILE, or variant=tiny"):
        Lama(seamless="true")
    with pytest.raises(UserError, match=r"method 'lama': seamless=yess: .*true"):
        Lama("tiny", seamless="yess")
