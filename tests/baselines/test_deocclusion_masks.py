"""The first stage of de-occlusion: the crop that people are looked at in, and their whole masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from people import crowd

from baselines.deocclusion import mask_completion
from baselines.deocclusion.mask_completion import SIDE, MaskCompletion, conditions, joints
from baselines.deocclusion.window import GREY, Window
from baselines.diffusion.parts import seeded
from baselines.people import hidden_people

# --- the crop


@pytest.mark.parametrize("box", [(20, 50, 10, 30), (0, 64, 40, 60), (60, 64, 0, 3)])
def test_a_window_comes_back_to_its_place(box: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = box
    region = np.zeros((64, 70), dtype=bool)
    region[top:bottom, left:right] = True
    window = Window.around(region, 0.1)
    for side in (window.size, 3 * window.size):
        coverage = window.coverage(region, side)
        assert coverage.sum() == pytest.approx(region.sum() * (side / window.size) ** 2, rel=0.02)
        assert np.array_equal(window.back(coverage, 64, 70) > 0.5, region)
    image = np.random.default_rng(0).integers(0, 256, (64, 70, 3), dtype=np.uint8)
    back = window.back(window.picture(image, window.size), 64, 70)
    assert np.array_equal(back[region], image[region])
    beyond = window.coverage(np.ones_like(region), window.size) == 0
    assert (window.picture(image, window.size)[beyond] == GREY).all()


def test_joints_move_with_the_pixels() -> None:
    region = np.zeros((64, 70), dtype=bool)
    region[31:34, 11:14] = True
    window = Window.around(np.eye(64, 70, dtype=bool), 0.1)
    x, y, _ = window.points(np.array([12, 32, 2], np.float32), 200)
    rows, columns = np.nonzero(window.coverage(region, 200))
    assert (x, y) == pytest.approx((columns.mean(), rows.mean()), abs=0.6)


# --- the masks


def test_hidden_joints_are_flagged() -> None:
    points = np.zeros((17, 3), np.float32)
    points[3] = (20, 30, 2)
    points[5] = (40, 10, 1)
    maps = joints(points)
    assert maps.shape == (18, SIDE, SIDE)
    assert maps[3, 30, 20] == maps[5, 10, 40] == 1
    assert np.array_equal(maps[17], maps[5])
    assert not maps[[0, 1, 2, 4, *range(6, 17)]].any()


def test_a_completed_mask_only_adds_where_the_person_may_be_hidden() -> None:
    people = hidden_people(crowd(1))
    model = seeded(MaskCompletion).eval()
    masks = [mask_completion.complete(model, people, [seed, seed], 3) for seed in (1, 2)]
    for completed in masks:
        for person, mask in zip(people, completed, strict=True):
            assert mask[person.visible].all()
            assert not mask[~(person.visible | person.observability)].any()
    assert any(mask[~person.visible].any() for person, mask in zip(people, masks[0], strict=True))
    assert not np.array_equal(masks[0][0], masks[1][0])
    # All are sampled together, and each as if alone.
    (alone,) = mask_completion.complete(model, people[1:], [1], 3)
    assert (alone != masks[0][1]).mean() < 1e-3


def _example() -> tuple[torch.Tensor, torch.Tensor]:
    """Two people of a crowd: the whole masks, and what stage 1 is told."""
    people = hidden_people(crowd(1))
    y, x = np.mgrid[:64, :64] / 64
    wholes = [((x - cx) / 0.16) ** 2 + ((y - 0.55) / 0.38) ** 2 < 1 for cx in (0.3, 0.7)]
    crops = [mask_completion.window(person) for person in people]
    told = np.stack([conditions(*pair) for pair in zip(people, crops, strict=True)])
    amodal = np.stack([crop.coverage(whole, SIDE) for crop, whole in zip(crops, wholes, strict=True)])
    # At half the size, to be quick: the network is convolutional.
    return F.avg_pool2d(torch.from_numpy(amodal[:, None] * 2 - 1), 2), F.avg_pool2d(torch.from_numpy(told), 2)


@pytest.mark.slow
def test_mask_completion_learns() -> None:
    amodal, told = _example()
    model = seeded(MaskCompletion).train()

    def loss(seed: int) -> torch.Tensor:
        return model.training_loss(amodal, told, torch.Generator().manual_seed(seed))

    with torch.no_grad():
        before = sum(float(loss(seed)) for seed in range(100, 104))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(30):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()
    with torch.no_grad():
        after = sum(float(loss(seed)) for seed in range(100, 104))
    assert after < 0.4 * before
