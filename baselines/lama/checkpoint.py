"""Read LaMa weights: the official TorchScript file, or a state dict for the plain network."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch

from baselines.lama.network import LamaConfig, LamaNetwork
from mildbench.errors import UserError
from mildbench.weights import load_state_dict


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, by its content: `.pt` is also used for state dicts."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name == "constants.pkl" for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def load_torchscript(path: Path) -> torch.jit.ScriptModule:
    """The module, on the CPU, called as `module(image, mask)` like `LamaNetwork`.

    TorchScript is a language of its own, with a restricted unpickler, and runs no Python; but its programs can
    run on loading and write files. So this is for files whose sha256 is known. Raises `UserError` for a damaged one.
    """
    with warnings.catch_warnings():
        # Deprecated in torch 2.15 and still working; `LamaNetwork` is there for when it goes.
        warnings.filterwarnings("ignore", message=".*torch.jit.* is deprecated")
        try:
            return torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"{path} is not a readable TorchScript file ({reason})") from None


def load_network(path: Path, config: LamaConfig) -> LamaNetwork:
    """The plain network with the weights of a state-dict file, in evaluation mode, on the CPU.

    Official names are understood wherever the generator sits in the checkpoint (`generator.`, or
    `model.generator.` in the TorchScript file's own state dict); other parts (discriminator, loss networks)
    are left out. Raises `UserError` when the generator's tensors are not exactly those of `config`.
    """
    marker = "generator.model."
    tensors = {
        key[key.index(marker) :]: value for key, value in load_state_dict(path).items() if marker in key
    }
    network = LamaNetwork(config)
    expected = network.state_dict()
    wrong = sorted(
        key
        for key in expected.keys() | tensors.keys()
        if key not in tensors or key not in expected or tensors[key].shape != expected[key].shape
    )
    if wrong:
        raise UserError(
            f"{path} does not fit this LaMa variant: {len(wrong)} of {len(expected)} tensors are missing, "
            f"unknown or of another shape, the first is {wrong[0]}"
        )
    network.load_state_dict(tensors)
    return network.eval()
