"""A method's own trained modules, beside the backbone: a folder of safetensors, or seeded random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save
from torch import nn

from mildbench import weights
from mildbench.errors import UserError
from mildbench.files import write_bytes

Part = TypeVar("Part")


def seeded(build: Callable[[], Part], seed: int = 0) -> Part:
    """What `build` makes with random weights from `seed`: the same on every machine, whatever ran before."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return build()


def save_part(module: nn.Module, path: Path) -> None:
    """Write a module's weights as float16 safetensors, whole or not at all."""
    halves = {key: part.detach().half().contiguous().cpu() for key, part in module.state_dict().items()}
    write_bytes(path, save(halves))


def load_part(module: nn.Module, path: Path) -> None:
    """Read what `save_part` wrote; raises `UserError` for a missing file, or one of another architecture."""
    if not path.is_file():
        raise UserError(f"trained part not found: {path}")
    state = weights.load_state_dict(path)
    expected = module.state_dict()
    for key in sorted({*state, *expected}):
        if key not in state or key not in expected or state[key].shape != expected[key].shape:
            raise UserError(f"{path} is of another architecture: {key} does not fit")
    module.load_state_dict(state)
