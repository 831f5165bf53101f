"""Read tensors without running code: safetensors, or PyTorch's restricted unpickler."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from mildbench import extras
from mildbench.errors import UserError

if TYPE_CHECKING:
    import torch


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor, on the CPU, from a `.safetensors` file or a PyTorch checkpoint.

    A checkpoint that keeps its tensors under `state_dict`, as Lightning does, is unwrapped. Raises
    `UserError` for a file that is missing, damaged, or holds anything but tensors and plain containers.
    """
    if not path.is_file():
        raise UserError(f"weights not found: {path}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    torch = extras.require("torch", "reading weights")
    try:
        # weights_only: a pickle may run any code, so nothing but tensors and containers is let through.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever an unpickler makes of bytes that are no pickle
        # torch's own words advise to load it unsafely; they stay in the traceback of a debugger.
        remedy = "give a state dict as .safetensors or .pth"
        raise UserError(f"{path} is not a checkpoint of plain tensors: {remedy}") from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(isinstance(part, torch.Tensor) for part in content.values()):
        raise UserError(f"{path} holds no state dict (name -> tensor)")
    return content


def tensors_sha256(model: torch.nn.Module) -> str:
    """Of all tensors of a network, by name: the same for one file and for shards."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    reader = extras.require("safetensors.torch", "reading .safetensors weights")
    from safetensors import SafetensorError

    try:
        return reader.load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a valid .safetensors file ({error})") from None
