"""Batches of examples: what is in one depends on seed and position alone, never on the workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mildbench.errors import UserError
from mildbench.scene import Scene
from mildbench.training.crops import RandomCrop
from mildbench.training.examples import Example, MakeExample
from mildbench.training.scenes import SceneSource, generator

_TRIES = 8
"""Scenes tried for one place of a batch: so many unusable ones in a row are no accident."""
_STRIDE = 10_000_019
"""From the position of an unusable scene to that of its stand-in."""
_WINDOWS = 8
"""Windows drawn of one scene before it is given up because nobody is to be seen in them."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One example, and why other scenes could not be used in its place."""

    example: Example | None
    """None where all tries failed."""
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examples(Dataset[Attempt]):
    """Examples by position."""

    source: SceneSource
    split: str
    make: MakeExample
    size: int
    seed: int

    def __getitem__(self, position: int) -> Attempt:
        skipped: list[str] = []
        for attempt in range(_TRIES):
            place = position + attempt * _STRIDE
            try:
                rng = generator(self.seed, "example", self.split, place)
                scene = self._seen(self.source.scene(self.split, place), rng)
                return Attempt(self.make(scene, rng), tuple(skipped))
            except Exception as error:  # whatever a broken scene makes its readers raise
                skipped.append(
                    str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                )
        return Attempt(None, tuple(skipped))

    def _seen(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """The scene through a window in which somebody is to be seen."""
        for _ in range(_WINDOWS):
            view = RandomCrop.draw(rng, scene.background.shape, self.size).scene(scene)
            if view.layers:
                return view
        raise ValueError(f"scene {scene.id}: hardly anything of anybody lies in the frame")


def positions(steps: range, per_step: int, pieces: int, mine: Sequence[int]) -> Iterator[list[int]]:
    """The positions of a process's batches: step s holds positions s * per_step onwards, whoever computes them.

    Each step is divided into `pieces` equal batches, over processes and accumulation, of which this process has
    the numbers `mine`.
    """
    share = per_step // pieces
    for step in steps:
        for piece in mine:
            start = step * per_step + piece * share
            yield list(range(start, start + share))


def load(
    examples: Examples, batches: Iterator[list[int]], *, workers: int, pin: bool
) -> Iterator[dict[str, Any]]:
    """Batches in the given order, with `skipped`, the reasons of scenes that could not be used.

    Raises `UserError` where scene after scene cannot be used, or a worker was killed.
    """
    loader = DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        # Spawned, not forked: OpenCV's and torch's thread pools do not survive a fork.
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=2 if workers else None,
    )
    made = iter(loader)
    while True:
        try:
            batch = next(made)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(
                f"a data worker was killed, perhaps for want of memory ({error}): the last checkpoint is whole; "
                f"run the same command again, with fewer --workers than {workers}"
            ) from None
        if "lost" in batch:
            reasons = batch["lost"]
            raise UserError(
                f"{len(reasons)} scenes in a row cannot be used, the last one because: {reasons[-1]}"
            )
        yield batch


def collate(made: Sequence[Attempt]) -> dict[str, Any]:
    """Stack arrays, list strings; `lost` instead where a place of the batch could not be filled."""
    for one in made:
        if one.example is None:
            return {"lost": list(one.skipped)}
    examples = [one.example for one in made if one.example is not None]
    batch: dict[str, Any] = {}
    for name, first in examples[0].items():
        values = [example[name] for example in examples]
        batch[name] = values if isinstance(first, str) else torch.from_numpy(np.stack(values))
    batch["skipped"] = [reason for one in made for reason in one.skipped]
    return batch


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on the device."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in batch.items()
    }


def _start_worker(number: int) -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it finishes the step and saves
