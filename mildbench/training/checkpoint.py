"""Checkpoints, each whole or not there: weights and averages as safetensors, the optimiser's state, the step."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from mildbench.dataset.newfolder import new_folder
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.weights import load_state_dict

_KEPT = 2
"""The one before the last is there for when the last turns out damaged."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after `step` steps."""

    step: int
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimiser: dict[str, Any]


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `folder/<step>`, then remove all but the newest two. Raises OSError where the disk is full."""
    target = folder / f"{checkpoint.step:08d}"
    if target.exists():  # of this very state: a run that is continued and stopped before its next step
        return
    with new_folder(target) as part:
        for name, tensors in (("model", checkpoint.model), ("average", checkpoint.average)):
            write_tensors(part / f"{name}.safetensors", tensors)
        # Into memory first: torch's own writer tells of a full disk in words that name no disk.
        buffer = io.BytesIO()
        torch.save(checkpoint.optimiser, buffer)
        write_bytes(part / "optimiser.pt", buffer.getvalue())
    for old in found(folder)[:-_KEPT]:
        shutil.rmtree(old)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write safetensors, whole or not at all."""
    write_bytes(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def found(folder: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.name.isdigit())


def read_newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint, on the CPU, or None; raises `UserError` for one that is damaged. Runs no code of the file.

    `load_state_dict` moves an optimiser's averages to their parameters and leaves its counts of steps where they are:
    on a GPU, every step would wait for them.
    """
    for leftover in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
        shutil.rmtree(leftover)
    paths = found(folder)
    if not paths:
        return None
    newest = paths[-1]
    try:
        optimiser = torch.load(newest / "optimiser.pt", map_location="cpu", weights_only=True)
        model, average = (load_state_dict(newest / f"{name}.safetensors") for name in ("model", "average"))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, UserError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"checkpoint {newest} cannot be read ({reason}): delete that folder to go on from the one before"
        ) from error
    return Checkpoint(int(newest.name), model, average, optimiser)
