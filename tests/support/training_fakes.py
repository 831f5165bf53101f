"""Drawn scenes by position, and a trainer with every kind of state, for tests of training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from small import draw_person
from torch import Tensor, nn

from mildbench.scene import Layer, Person, Provenance, Scene
from mildbench.training.checkpoint import write_tensors
from mildbench.training.examples import Example, erasing
from mildbench.training.panel import pictures, tile
from mildbench.training.trainer import Batch, Logs, Trainer, TrainerInfo


def killed(scene: Scene, rng: np.random.Generator) -> Example:
    """What the system's out-of-memory killer does to a data worker."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@lru_cache(maxsize=64)
def drawn_scene(seed: int, size: int) -> Scene:
    """Two people of one colour each on a smooth background, the second one partly before the first."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (3, 3, 3), dtype=np.uint8)
    background = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    layers = []
    for number, left in enumerate(rng.uniform([0.05, 0.25], [0.2, 0.45]), start=1):
        rgba = draw_person(rng, round(0.8 * size))
        parsing = np.where(rgba[..., 3] >= 128, 5, 0).astype(np.uint8)
        keypoints = np.zeros((17, 3), np.float32)
        keypoints[:] = (rgba.shape[1] / 2, size * 0.4, 2)
        person = Person(number, keypoints, parsing, Provenance("drawn", str(seed), "0" * 64, "CC0-1.0"))
        layers.append(Layer(rgba, (int(left * size), size // 10), person))
    return Scene(f"{seed:08d}", background, tuple(layers))


@dataclass
class FakeScenes:
    """Some scenes over and over; those at `broken` positions cannot be read."""

    count: int = 1000
    size: int = 32
    broken: range = field(default=range(0))

    def check(self, split: str) -> None:
        pass

    def scene(self, split: str, position: int) -> Scene:
        if position in self.broken and split == "train":
            raise OSError(f"scene {position} is gone")
        return drawn_scene(position % self.count + (10_000 if split == "val" else 0), self.size)

    def describe(self) -> dict[str, Any]:
        return {"count": self.count, "size": self.size}


class LinearTrainer(Trainer):
    """A convolution with batch normalisation and dropout: parameters, buffers and random numbers in every step."""

    info = TrainerInfo("linear", "a test")
    make_example = staticmethod(erasing)

    def __init__(self, at: int = 0, do: Callable[[], float] = float) -> None:
        """In its `at`th training step it does something, whose result is added to the loss."""
        self.at, self.do = at, do
        self.calls = 0

    def load(self, device: str, seed: int) -> None:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            layers = nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.2), nn.Conv2d(8, 3, 1)
            self.trained = nn.ModuleDict({"network": nn.Sequential(*layers).to(device)})

    def _predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        image, truth = (batch[name].permute(0, 3, 1, 2).float() / 255 for name in ("image", "truth"))
        mask = batch["mask"][:, None].float()
        return self.trained["network"](torch.cat([image * (1 - mask), mask], dim=1)), truth

    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        made, truth = self._predict(batch)
        loss = (made - truth).abs().mean() + 0.01 * torch.rand(())
        self.calls += self.trained.training
        if self.calls == self.at and self.trained.training:
            loss = loss + self.do()
        return loss, {"mean": made.detach().mean()}

    def panel(self, batch: Batch) -> np.ndarray:
        made, truth = self._predict(batch)
        return tile([pictures(made), pictures(truth)])

    def save(self, folder: Path) -> None:
        write_tensors(folder / "model.safetensors", self.trained.state_dict())

    def usage(self, folder: Path) -> str:
        return f"mildbench evaluate --method linear:weights={folder}"
