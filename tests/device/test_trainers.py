"""Every trainer on a GPU: a step and what it saves are the CPU's; a run goes on where another device left it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from pretend_cuda import Gpu
from torch import nn
from torch.overrides import TorchFunctionMode
from training_fakes import FakeScenes, LinearTrainer

from baselines.deocclusion.mask_completion import MaskCompletion
from baselines.diffusion.architectures import TINY, random_models
from baselines.diffusion.parts import save_part, seeded
from mildbench.device import without_tf32
from mildbench.method import sample_seed
from mildbench.training.checkpoint import read_newest
from mildbench.training.data import Examples, collate, to_device
from mildbench.training.loop import train
from mildbench.training.record import TrainingRecord, read_log
from mildbench.training.settings import Execution, TrainingSettings
from mildbench.training.trainer import TRAINERS, Trainer
from mildbench.weights import load_state_dict

pytestmark = pytest.mark.slow

SIZE = 32
LOSS, GRADIENT = 2e-3, 2e-2
"""Relative differences from the CPU that a GPU may make in a loss, and in a gradient's norm."""


class DrawnOnCpu(TorchFunctionMode):
    """Noise for the GPU is the CPU's, so that two devices train on the same."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if function is torch.randn_like:
            return torch.randn(args[0].shape, dtype=given.get("dtype", args[0].dtype)).to(args[0].device)
        if function is torch.randn and (device := given.pop("device", None)) is not None:
            return torch.randn(*args, **given).to(device)
        return function(*args, **(kwargs or {}))


class Step(NamedTuple):
    """One step of training, and what is left."""

    loss: float
    gradients: dict[str, float]
    """Norms by module."""
    validated: dict[str, float]
    panel: np.ndarray
    saved: dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Of the trainers whose own defaults need trained weights."""
    folder = tmp_path_factory.mktemp("parts")
    random_models(TINY)[1].save_pretrained(folder / "vae")
    save_part(seeded(MaskCompletion), folder / "mask" / "mask_completion.safetensors")
    random = {"backbone": "random:tiny"}
    return {
        "backbone": {"vae": str(folder / "vae")},
        "deocclusion-decoder": {**random, "mask": str(folder / "mask")},
        **dict.fromkeys(("magiceraser", "mild", "sd-inpaint"), random),
    }


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, any_device: None, without_curves: None) -> None:
    monkeypatch.setattr("baselines.diffusion.training.base.PANEL_STEPS", 1)
    monkeypatch.setattr("baselines.deocclusion.training._STEPS", 1)


def stepped(trainer: Trainer, device: str, folder: Path) -> Step:
    """As the loop does it."""
    trainer.load(device, 0)
    examples = Examples(FakeScenes(size=SIZE), "train", trainer.make_example, SIZE, 0)
    batch = collate([examples[place] for place in range(2)])
    batch.pop("skipped")
    batch = to_device(batch, torch.device(device))
    with DrawnOnCpu(), without_tf32():
        torch.manual_seed(sample_seed(0, "step"))
        trainer.trained.train()
        loss, _ = trainer.loss(batch)
        loss.backward()
        gradients = {}
        for name, module in trainer.trained.items():
            parts = [part for part in module.parameters() if part.requires_grad]
            if parts:
                gradients[name] = float(nn.utils.clip_grad_norm_(parts, 1.0))
        trained = [part for part in trainer.trained.parameters() if part.requires_grad]
        torch.optim.AdamW(trained, lr=1e-4).step()
        trainer.trained.eval()
        with torch.no_grad():
            torch.manual_seed(sample_seed(0, "validation"))
            validated = {name: float(value) for name, value in trainer.validate(batch).items()}
            panel = trainer.panel(batch)
            trainer.save(folder)
    saved = {
        f"{file.relative_to(folder)}: {name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_state_dict(file).items()
    }
    return Step(loss.item(), gradients, validated, panel, saved)


@pytest.fixture
def on_cpu(name: str, options: dict[str, dict[str, str]], tmp_path: Path) -> Step:
    (tmp_path / "cpu").mkdir()
    return stepped(TRAINERS.load(name)(**options.get(name, {})), "cpu", tmp_path / "cpu")


@pytest.mark.parametrize("name", TRAINERS.names())
def test_a_step_is_the_cpus(
    name: str, options: dict[str, dict[str, str]], on_cpu: Step, gpu: Gpu, tmp_path: Path
) -> None:
    (tmp_path / "gpu").mkdir()
    found = stepped(TRAINERS.load(name)(**options.get(name, {})), "cuda", tmp_path / "gpu")
    assert found.loss == pytest.approx(on_cpu.loss, rel=LOSS)
    assert found.gradients == pytest.approx(on_cpu.gradients, rel=GRADIENT)
    assert found.validated == pytest.approx(on_cpu.validated, rel=10 * LOSS, abs=1e-3)
    assert found.panel.shape == on_cpu.panel.shape
    assert found.saved.keys() == on_cpu.saved.keys()
    for part, tensor in found.saved.items():
        # One step of AdamW moves by the rate, whatever the gradient's size: where that is near zero, either way.
        torch.testing.assert_close(tensor, on_cpu.saved[part], atol=4e-4, rtol=4e-3)


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("name", TRAINERS.names())
def test_a_step_in_half_precision_is_near(
    name: str, options: dict[str, dict[str, str]], on_cpu: Step, tmp_path: Path
) -> None:
    """As a training runs on a GPU; a pretend one casts nothing."""
    (tmp_path / "gpu").mkdir()
    with torch.autocast("cuda", torch.bfloat16):
        found = stepped(TRAINERS.load(name)(**options.get(name, {})), "cuda", tmp_path / "gpu")
    assert found.loss == pytest.approx(on_cpu.loss, rel=0.05)


class Plain(LinearTrainer):
    """Without dropout, whose choice is the device's own."""

    def load(self, device: str, seed: int) -> None:
        super().load(device, seed)
        network = self.trained["network"]
        self.trained = nn.ModuleDict({"network": nn.Sequential(network[0], network[1], network[3])})


def trained(folder: Path, device: str, steps: int, **execution: Any) -> None:
    """Train, or train on, until `steps`, on a constant rate."""
    settings = TrainingSettings(steps, batch_size=4, size=32, lr=1e-3, schedule="constant", warmup=2, ema=0.9)
    scenes = FakeScenes()
    trainer = Plain()
    train(
        trainer,
        scenes,
        TrainingRecord.fresh(trainer.info.name, {}, scenes, settings),
        settings,
        Execution(device=device, precision="fp32", save_every=100, **execution),
        folder,
    )


@pytest.fixture
def unbroken(tmp_path: Path) -> Path:
    """Of a run on the CPU alone."""
    trained(tmp_path / "unbroken", "cpu", 6)
    return tmp_path / "unbroken"


@pytest.mark.parametrize("devices", [("cpu", "cuda", "cpu"), ("cuda", "cpu", "cuda")])
def test_a_run_goes_on_on_another_device(
    devices: tuple[str, ...], unbroken: Path, gpu: Gpu, any_device: None, tmp_path: Path
) -> None:
    for place, device in enumerate(devices, start=1):
        AcceleratorState._reset_state(reset_partial_state=True)
        trained(tmp_path / "run", device, 2 * place)
    runs = [read_log(folder / "log.csv") for folder in (tmp_path / "run", unbroken)]
    assert [row["step"] for row in runs[0]] == list(range(7))
    losses, wanted = ([row["loss"] for row in rows[1:]] for rows in runs)
    np.testing.assert_allclose(losses, wanted, rtol=LOSS)
    assert len(set(losses)) == 6
    states = [read_newest(folder / "checkpoints") for folder in (tmp_path / "run", unbroken)]
    assert states[0] is not None
    assert states[1] is not None
    for name, tensor in states[0].model.items():
        torch.testing.assert_close(tensor, states[1].model[name], atol=1e-3, rtol=1e-2)


def test_no_step_waits_for_the_gpu(
    pretended: Gpu, any_device: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A continued run neither: once, for all of its losses, it looks."""
    trained(tmp_path, "cuda", 2)
    AcceleratorState._reset_state(reset_partial_state=True)
    for aside in ("_save", "_export"):
        monkeypatch.setattr(f"mildbench.training.loop._Run.{aside}", lambda run: None)
    pretended.waits.clear()
    trained(tmp_path, "cuda", 14)
    (look,) = pretended.waits
    assert "_to_copy" in look


@pytest.mark.usefixtures("real")
@pytest.mark.skipif(shutil.which("cc") is None, reason="the compiler of kernels needs a C compiler")
def test_compiled_training_is_the_same(unbroken: Path, any_device: None, tmp_path: Path) -> None:
    trained(tmp_path / "run", "cuda", 6, compile=True)
    losses, wanted = (
        [row["loss"] for row in read_log(f / "log.csv")[1:]] for f in (tmp_path / "run", unbroken)
    )
    np.testing.assert_allclose(losses, wanted, rtol=5 * LOSS)
