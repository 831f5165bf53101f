"""LoRA adapters chosen per batch element: K + 1 pathways of two domains are one batched pass of the network.

Low-rank adaptation after Hu et al., LoRA, ICLR 2022; the routing is MILD's (domain-specific adapters). PEFT's
own mixed batches are for inference only, and MILD's adapters are trained together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from baselines.diffusion.backbone import Backbone
from mildbench import weights
from mildbench.errors import UserError
from mildbench.files import write_bytes

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""The attention projections, as diffusers names them."""


@dataclass(eq=False)
class _Route:
    """Shared by all layers: which adapter each element of the batch takes."""

    adapters: torch.Tensor | None = None


class RoutedLinear(nn.Module):
    """A frozen linear layer plus, for each batch element, one of several low-rank updates."""

    def __init__(self, base: nn.Linear, adapters: int, rank: int, route: _Route) -> None:
        super().__init__()
        self.base = base
        self._route = route
        device = base.weight.device
        # Drawn on the CPU, so that fresh adapters are the same on every device.
        down = nn.init.normal_(torch.empty(adapters, rank, base.in_features), std=1 / rank)
        self.down = nn.Parameter(down.to(device))
        self.up = nn.Parameter(torch.zeros(adapters, base.out_features, rank, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float[B, N, in] -> float[B, N, out]; B is a multiple of the route's length."""
        out = self.base(x)
        chosen = self._route.adapters
        if chosen is None:
            return out
        chosen = chosen.repeat(len(x) // len(chosen))
        down, up = (part.to(x.dtype)[chosen] for part in (self.down, self.up))
        return out + torch.bmm(torch.bmm(x, down.mT), up.mT)


class DomainLora:
    """The adapters of one backbone. Fresh ones change nothing, since `up` is zero.

    Args:
        backbone: its network's attention projections are replaced in place.
        names: of the adapters; the route counts them in this order.
        rank: of the updates.
    """

    def __init__(self, backbone: Backbone, names: Sequence[str], rank: int = 8) -> None:
        self.names = tuple(names)
        self._part = backbone.part
        network: nn.Module = backbone.network
        self._route = _Route()
        self.layers: dict[str, RoutedLinear] = {}
        wanted = [
            (path, module)
            for path, module in network.named_modules()
            if isinstance(module, nn.Linear) and path.endswith(tuple(f".{target}" for target in TARGETS))
        ]
        for path, module in wanted:
            parent, _, name = path.rpartition(".")
            layer = RoutedLinear(module, len(names), rank, self._route)
            network.get_submodule(parent).register_module(name, layer)
            self.layers[path] = layer

    def parameters(self) -> list[nn.Parameter]:
        """What is to be trained."""
        return [part for layer in self.layers.values() for part in (layer.down, layer.up)]

    @contextmanager
    def routed(self, adapters: Sequence[int] | None) -> Iterator[None]:
        """Within it, element i of a batch takes adapter `adapters[i]`; None: the bare network.

        With classifier-free guidance the batch is longer, and both halves are routed alike.
        """
        device = next(iter(self.layers.values())).down.device
        self._route.adapters = None if adapters is None else torch.tensor(adapters, device=device)
        try:
            yield
        finally:
            self._route.adapters = None

    def save(self, folder: Path) -> None:
        """Write `<adapter>.safetensors` for each, with the keys that diffusers' `load_lora_weights` reads."""
        for number, name in enumerate(self.names):
            state = {}
            for path, layer in self.layers.items():
                state[f"{self._part}.{path}.lora_A.weight"] = (
                    layer.down[number].detach().half().contiguous().cpu()
                )
                state[f"{self._part}.{path}.lora_B.weight"] = (
                    layer.up[number].detach().half().contiguous().cpu()
                )
            write_bytes(folder / f"{name}.safetensors", save(state))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; raises `UserError` for adapters of another network or rank."""
        for number, name in enumerate(self.names):
            path = folder / f"{name}.safetensors"
            state = weights.load_state_dict(path)
            for layer_path, layer in self.layers.items():
                for key, part in (("lora_A", layer.down), ("lora_B", layer.up)):
                    found = state.pop(f"{self._part}.{layer_path}.{key}.weight", None)
                    if found is None or found.shape != part.shape[1:]:
                        raise UserError(
                            f"{path} is of another network or rank: {layer_path}.{key} does not fit"
                        )
                    with torch.no_grad():
                        part[number].copy_(found)
            if state:
                raise UserError(f"{path} is of another network: it has {next(iter(state))}")
