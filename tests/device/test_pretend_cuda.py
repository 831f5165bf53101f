"""The pretend GPU refuses what a GPU refuses, computes what the CPU computes, and notes where a program would wait."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pretend_cuda import Gpu, pretend_cuda
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.usefixtures("pretended")


def test_tensors_of_two_devices_do_not_meet() -> None:
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    for mixed in (
        lambda: here + there,
        lambda: there @ here,
        lambda: torch.cat([here, there]),
        lambda: there.add_(here),
        lambda: nn.Linear(3, 2).to("cuda")(here),
        lambda: here[torch.tensor([0], device="cuda")],
        lambda: torch.where(there > 0, here, there),
    ):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()


def test_what_may_be_mixed() -> None:
    there = torch.arange(4.0, device="cuda")
    assert ((there + torch.tensor(2.0)) * 3).tolist() == [6, 9, 12, 15]
    assert there[torch.tensor([3, 1])].tolist() == there[[3, 1]].tolist() == [3, 1]
    there[1:3] = 7
    there[torch.tensor([0])] = torch.tensor(3.0)
    assert there.tolist() == [3, 7, 7, 3]
    assert torch.zeros(4).copy_(there).tolist() == [3, 7, 7, 3]


def test_numpy_is_refused_unless_the_tensor_comes_back() -> None:
    there = torch.ones(2, device="cuda")
    for wrong in (there.numpy, lambda: np.asarray(there)):
        with pytest.raises(TypeError, match="numpy"):
            wrong()
    assert there.cpu().numpy().sum() == 2


@pytest.mark.parametrize(
    ("wait", "what"),
    [
        (torch.Tensor.item, "_local_scalar_dense"),
        (lambda tensor: tensor.tolist(), "_to_copy"),
        (torch.Tensor.cpu, "_to_copy"),
        (lambda tensor: torch.zeros(1).copy_(tensor), "copy_"),
        (torch.Tensor.nonzero, "nonzero"),
        (lambda tensor: bool(tensor.all()), "_local_scalar_dense"),
        (lambda tensor: tensor[tensor > 0], "index"),
    ],
)
def test_waiting_is_noted(wait, what: str, pretended: Gpu) -> None:  # type: ignore[no-untyped-def]
    there = torch.ones(1, device="cuda")
    there + 1
    assert not pretended.waits
    wait(there)
    assert pretended.waits
    assert what in pretended.waits[0]


def test_drawing_is_noted(pretended: Gpu) -> None:
    torch.randn(3)
    torch.randn(3).to("cuda")
    assert not pretended.draws
    torch.randn(3, device="cuda")
    nn.init.normal_(torch.empty(3, device="cuda"))
    assert len(pretended.draws) == 2


def test_modules_move_with_their_parameters(pretended: Gpu) -> None:
    module = nn.BatchNorm1d(3)
    before = list(module.parameters())
    module.to("cuda")
    assert all(one is other for one, other in zip(before, module.parameters(), strict=True))
    assert {part.device.type for part in module.state_dict().values()} == {"cuda"}
    module.to("cpu", torch.float64)
    assert {part.device.type for part in module.state_dict().values()} == {"cpu"}


def gradients(device: str) -> list[torch.Tensor]:
    """Of a network with everything that makes a graph branch, and a penalty on a gradient."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 6, 1))
    picture = torch.rand(2, 3, 8, 8)
    network.to(device)
    picture = picture.to(device).requires_grad_()
    first, second = network(picture).chunk(2, dim=1)
    made = functional.interpolate(first * second.sigmoid() + first.mean(1, keepdim=True), scale_factor=0.5)
    (slope,) = torch.autograd.grad(made.square().sum(), picture, create_graph=True)
    loss = made.abs().mean() + slope.square().mean() + network[0].weight[0].norm()
    loss.backward()
    network[0].weight.sum().backward()  # is added
    return [part.grad.cpu() for part in (*network.parameters(), picture)]  # type: ignore[union-attr]


def test_gradients_are_the_cpus() -> None:
    for mine, theirs in zip(gradients("cuda"), gradients("cpu"), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
        assert mine.abs().sum() > 0


def test_afterwards_all_is_as_before() -> None:
    before = torch.tensor
    with pretend_cuda():
        assert torch.tensor is not before
    assert torch.tensor is before
