"""A pretend GPU, for machines without one: tensors that say `cuda:0`, hold their numbers on the CPU, and refuse what a
GPU's tensors refuse.

    with pretend_cuda() as gpu:
        model.to("cuda")

Within it `torch.cuda` says that there is one GPU. A tensor on it that meets one on the CPU raises RuntimeError, and one
that is turned into a numpy array TypeError, as they do on a GPU. `gpu.waits` has the operations for which a program
would wait for a real one, `gpu.draws` those that draw random numbers from its generator.

Numbers are the CPU's, so nothing here says how a GPU rounds, how fast it is, or how much memory is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda:0")
MEMORY = 16 * 2**30
"""Bytes that it says it has, all of them free."""

_aten = torch.ops.aten
_WAITS = {
    _aten._local_scalar_dense.default,
    _aten.nonzero.default,
    _aten.is_nonzero.default,
    _aten.equal.default,
}
"""Operations whose result the CPU has to know before it can go on."""
_INDEXED = {
    _aten.index.Tensor,
    _aten._unsafe_index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}
"""Operations whose indices may be on the CPU."""
_OWN = tuple(str(Path(__file__).resolve().parents[2] / name) for name in ("mildbench", "baselines"))


@dataclass(eq=False)
class Gpu:
    """What was seen of a program: each entry is an operation, and the line of the project that called it."""

    waits: list[str] = field(default_factory=list)
    draws: list[str] = field(default_factory=list)


class OnGpu(torch.Tensor):
    """A tensor of the pretend GPU."""

    held: torch.Tensor
    """The same on the CPU."""
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGpu:
        tensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=GPU,
        )
        tensor.held = held
        return tensor

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnGpu({self.held})"

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(function, args, kwargs or {}, Gpu())

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert a tensor of the GPU to numpy, at {_caller()}")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert a tensor of the GPU to numpy, at {_caller()}")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.__reduce_ex__(protocol)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_as_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_as_tensors(index), value)


class _Mode(TorchDispatchMode):
    """Sees the operations that no tensor of the pretend GPU takes part in: those that make one."""

    def __init__(self, gpu: Gpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(function, args, kwargs or {}, self._gpu)


@contextmanager
def pretend_cuda() -> Iterator[Gpu]:
    """One GPU within it, and what was seen of it."""
    gpu = Gpu()
    torch._C._ensureCUDADeviceGuardSet()
    before = torch.__future__.get_swap_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        for name, answer in _CUDA.items():
            patch.setattr(torch.cuda, name, answer)
        patch.setattr(torch, "tensor", _tensor(torch.tensor))
        patch.setattr(torch.Tensor, "pin_memory", lambda self, *_: self)
        patch.setattr(torch.Tensor, "backward", _backward)
        patch.setattr(torch.autograd, "grad", _grad)
        patch.setattr(torch.backends.cudnn, "enabled", False)
        # A view under inference mode would count the changes of a tensor that has no memory.
        patch.setattr(torch, "inference_mode", lambda mode=True: torch.set_grad_enabled(not mode))
        # A module that is moved keeps its parameters, of which a wrapper's numbers cannot be exchanged.
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            with _Mode(gpu):
                yield gpu
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)


def _answer(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


_CUDA: dict[str, Callable[..., Any]] = {
    name: _answer(value)
    for name, value in {
        "_is_in_bad_fork": False,
        "_lazy_init": None,
        "current_device": 0,
        "device_count": 1,
        "empty_cache": None,
        "get_device_capability": (9, 0),
        "get_device_name": "a pretend GPU",
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
        "is_available": True,
        "is_bf16_supported": True,
        "is_initialized": True,
        "manual_seed": None,
        "manual_seed_all": None,
        "max_memory_allocated": 1,
        "mem_get_info": (MEMORY, MEMORY),
        "memory_allocated": 1,
        "memory_reserved": 1,
        "reset_peak_memory_stats": None,
        "set_device": None,
        "set_rng_state": None,
        "synchronize": None,
    }.items()
}


def _run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], gpu: Gpu) -> Any:
    """Do an operation on the tensors held, and put the result where a GPU would have it."""
    tensors = _tensors((args, kwargs))
    here = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    wanted = kwargs.get("device")
    on_gpu = bool(here) if wanted is None else _is_gpu(wanted)
    plain = dict(kwargs)
    if wanted is not None and _is_gpu(wanted):
        plain["device"] = torch.device("cpu")
    if plain.get("pin_memory"):
        plain["pin_memory"] = False
    copies = function in (_aten._to_copy.default, _aten.copy_.default, _aten.copy.default)
    if here and len(here) < len(tensors) and not copies:
        _refuse_mixture(function, args, tensors)
    comes_back = (here and not on_gpu) or (function is _aten.copy_.default and not isinstance(args[0], OnGpu))
    if here and (comes_back or function in _WAITS or (function in _INDEXED and _is_mask(args[1]))):
        gpu.waits.append(f"{function.name()} at {_caller()}")
    if on_gpu and torch.Tag.nondeterministic_seeded in function.tags:
        gpu.draws.append(f"{function.name()} at {_caller()}")
    result = function(*_each(_held, args), **_each(_held, plain))
    place = _written_argument(function)
    if place is not None:
        return _written(function, args, kwargs, place, result)
    return _each(_put, result) if on_gpu else result


def _refuse_mixture(function: Any, args: tuple[Any, ...], tensors: list[torch.Tensor]) -> None:
    """As CUDA's kernels do: a number that is a tensor may come from anywhere, and so may indices into the GPU's."""
    if function in _INDEXED and isinstance(args[0], OnGpu):
        tensors = [args[0], *_tensors(args[2:])]
    foreign = [tensor for tensor in tensors if not isinstance(tensor, OnGpu)]
    if function not in _INDEXED or isinstance(args[0], OnGpu):
        foreign = [tensor for tensor in foreign if tensor.dim() > 0]
    if foreign:
        shapes = [list(tensor.shape) for tensor in tensors]
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {function.name()} of {shapes}, at {_caller()}"
        )


def _is_mask(indices: Any) -> bool:
    """Whether how much is chosen has to be counted."""
    return any(index.dtype in (torch.bool, torch.uint8) for index in _tensors(indices))


def _written(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], place: int, result: Any) -> Any:
    """What an operation returns that writes into its argument: the argument itself."""
    if not function._schema.returns:
        return None
    name = function._schema.arguments[place].name
    target = args[place] if place < len(args) else kwargs[name]
    if isinstance(target, OnGpu) and target.shape != target.held.shape:
        return OnGpu(target.held)  # its shape was changed in place, which a wrapper cannot follow
    return target if isinstance(target, torch.Tensor) else result


@cache
def _written_argument(function: Any) -> int | None:
    """The place of the first argument that an operation writes into."""
    for place, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            return place
    return None


def _is_gpu(device: Any) -> bool:
    return torch.device(device).type == "cuda"


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnGpu) else value


def _put(value: Any) -> Any:
    return OnGpu(value) if isinstance(value, torch.Tensor) and not isinstance(value, OnGpu) else value


def _as_tensors(index: Any) -> Any:
    """Lists as tensors on the CPU: torch would copy them to a GPU of its own accord."""
    if isinstance(index, tuple):
        return tuple(map(_as_tensors, index))
    if isinstance(index, list | range):
        return torch.tensor(list(index)) if len(index) else torch.zeros(0, dtype=torch.long)
    return index


def _tensor(real: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """`torch.tensor`, which writes into memory without an operation that could be seen."""

    def tensor(
        data: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> torch.Tensor:
        made = real(data, dtype=dtype)
        made = made if device is None else made.to(device)
        return made.requires_grad_() if requires_grad else made

    return tensor


# Torch's own engine asks the driver for streams. These walk the same graph, node by node, in the same order of sums.


def _backward(tensor: torch.Tensor, gradient: torch.Tensor | None = None, **_: Any) -> None:
    """As `torch.Tensor.backward`, keeping the graph."""
    with torch.no_grad():
        found = _walked([tensor], [gradient], {})
        for node, gradients in found.items():
            if hasattr(node, "variable") and gradients[0] is not None:
                leaf = node.variable
                leaf.grad = gradients[0] if leaf.grad is None else leaf.grad + gradients[0]


def _grad(outputs: Any, inputs: Any, *_: Any, create_graph: bool = False, **__: Any) -> tuple[Any, ...]:
    """As `torch.autograd.grad` without weights of the outputs, keeping the graph."""
    outputs, inputs = (list(some) if isinstance(some, list | tuple) else [some] for some in (outputs, inputs))
    edges = [torch.autograd.graph.get_gradient_edge(tensor) for tensor in inputs]
    with torch.set_grad_enabled(create_graph):
        found = _walked(outputs, [None] * len(outputs), {edge.node: edge for edge in edges})
    return tuple(found[edge.node][edge.output_nr] for edge in edges)


def _walked(
    outputs: list[torch.Tensor], gradients: list[torch.Tensor | None], last: Any
) -> dict[Any, list[torch.Tensor | None]]:
    """Node -> the gradients of its outputs, of all nodes that the outputs were made by; none is passed on by `last`."""
    edges = [torch.autograd.graph.get_gradient_edge(tensor) for tensor in outputs]
    waiting: dict[Any, int] = {}
    unseen = [edge.node for edge in edges]
    seen = set(unseen)
    while unseen:
        for following, _ in unseen.pop().next_functions:
            if following is not None:
                waiting[following] = waiting.get(following, 0) + 1
                if following not in seen:
                    seen.add(following)
                    unseen.append(following)
    found: dict[Any, list[torch.Tensor | None]] = {}

    def add(node: Any, place: int, gradient: torch.Tensor | None) -> None:
        sums = found.setdefault(node, [None] * len(node._input_metadata))
        before, of = sums[place], node._input_metadata[place]
        if gradient is not None:  # of what was broadcast, and of another precision
            gradient = gradient.sum_to_size(of.shape).to(of.dtype)
        sums[place] = gradient if before is None else before if gradient is None else before + gradient

    for edge, tensor, gradient in zip(edges, outputs, gradients, strict=True):
        add(edge.node, edge.output_nr, torch.ones_like(tensor) if gradient is None else gradient)
    ready = [node for node in seen if not waiting.get(node)]
    while ready:
        node = ready.pop()
        passed: Any = [None] * len(node.next_functions)
        if not hasattr(node, "variable") and node not in last and any(g is not None for g in found[node]):
            passed = node(*found[node])
            passed = passed if isinstance(passed, tuple) else (passed,)
        for (following, place), gradient in zip(node.next_functions, passed, strict=True):
            if following is not None:
                add(following, place, gradient)
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
    return found


def _caller() -> str:
    """The innermost line of the project in the stack."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back  # type: ignore[assignment]
    return "no line of the project" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _each(do: Callable[[Any], Any], value: Any) -> Any:
    """The same arguments or results with `do` done to all in them; torch's own trees are far slower."""
    if isinstance(value, list | tuple):
        return type(value)(_each(do, part) for part in value)
    if isinstance(value, dict):
        return {name: _each(do, part) for name, part in value.items()}
    return do(value)


def _tensors(value: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    _each(lambda leaf: found.append(leaf) if isinstance(leaf, torch.Tensor) else None, value)
    return found
