"""What a method implements: one class with one function, `erase`.

The base class owns everything around it: padding and cropping, batching by shape, seeds per sample, and
what happens when one sample fails. A plug-in sees only well-formed batches.
"""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mildbench.errors import UserError, did_you_mean
from mildbench.registry import Registry

if TYPE_CHECKING:
    import torch

Provenance = Literal["official", "port", "reimplementation", "reported", "control", "external"]
"""Where a method's numbers come from: the authors' code and weights; a port of them; ours from the paper's
description; a number copied from a paper; a control; images that somebody else made."""

Capability = Literal["device", "truth", "names"]
"""`device`: runs on the given torch device. `truth`: is shown the answer (controls only). `names`: looks results
up by sample id, so the pixels it is shown do not matter."""


@dataclass(frozen=True)
class MethodInfo:
    """What a method says of itself; recorded in every run."""

    name: str
    provenance: Provenance
    summary: str
    paper: str | None = None
    licence: str | None = None
    weights: tuple[str, ...] = ()
    """Names in the weights manifest (`mildbench weights list`)."""
    pad_multiple: int = 1
    """Images reach `erase` with height and width padded up to a multiple of this."""
    capabilities: frozenset[Capability] = frozenset()


@dataclass(frozen=True)
class EraseBatch:
    """B samples of one shape. Everything is read-only for the method.

    People are listed back to front, so their order is the depth order. `people` and everything derived from
    it is None where a data set does not know who is in the picture (imported pairs).
    """

    sample_ids: tuple[str, ...]
    images: np.ndarray
    """uint8[B, H, W, 3], RGB."""
    masks: np.ndarray
    """bool[B, H, W]: what to erase."""
    seeds: tuple[int, ...]
    """One 63-bit seed a sample, from the run's seed and the sample id alone."""
    instances: tuple[np.ndarray, ...] | None = None
    """Per sample bool[K, H, W]: the visible mask of each person."""
    targets: tuple[tuple[int, ...], ...] | None = None
    """Per sample: indices into `instances` of the people to erase."""
    keypoints: tuple[np.ndarray, ...] | None = None
    """Per sample float32[K, 17, 3]: x, y in pixels (pixel centres at integers), COCO visibility 0/1/2."""
    parsing: np.ndarray | None = None
    """uint8[B, H, W]: visible CIHP-20 labels, 255 = a person's pixel without a class."""
    truths: np.ndarray | None = None
    """uint8[B, H, W, 3]: the answer; given only to methods with the capability `truth`."""

    def __len__(self) -> int:
        return len(self.sample_ids)

    def torch_generators(self, device: str = "cpu") -> list[torch.Generator]:
        """A torch generator per sample, so that no result depends on the batch it was computed in."""
        import torch

        return [torch.Generator(device).manual_seed(seed) for seed in self.seeds]

    def sample(self, index: int) -> EraseBatch:
        """The batch of one that holds sample `index`."""
        one = slice(index, index + 1)
        return EraseBatch(
            self.sample_ids[one],
            self.images[one],
            self.masks[one],
            self.seeds[one],
            None if self.instances is None else self.instances[one],
            None if self.targets is None else self.targets[one],
            None if self.keypoints is None else self.keypoints[one],
            None if self.parsing is None else self.parsing[one],
            None if self.truths is None else self.truths[one],
        )


@dataclass(frozen=True)
class EraseResult:
    """What `erase` returns."""

    images: np.ndarray
    """uint8[B, H, W, 3], RGB, the shape of the input."""


@dataclass(frozen=True)
class Outcome:
    """One sample's result: an image, or the reason why there is none."""

    sample_id: str
    image: np.ndarray | None
    error: str | None = None


def sample_seed(run_seed: int, sample_id: str) -> int:
    """A 63-bit seed from the run's seed and the sample id: never from the batch, the rank or the order."""
    digest = hashlib.sha256(f"{run_seed}\0{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


class EraseMethod(ABC):
    """Base class of every method. A plug-in sets `info` and writes `erase`.

    Constructor arguments are the method's options (`--method lama:variant=tiny`); give each a type and a
    default. `device` is set before `load` is called, once, in the process that runs the method.
    """

    info: MethodInfo
    device: str = "cpu"

    def load(self) -> None:  # noqa: B027 - optional hook: most methods have nothing to load
        """Read weights and move to `self.device`. Called once before the first batch."""

    @abstractmethod
    def erase(self, batch: EraseBatch) -> EraseResult:
        """Erase `batch.masks` from `batch.images`; shapes are multiples of `info.pad_multiple`."""

    def run(self, batch: EraseBatch) -> list[Outcome]:
        """Pad, erase, crop and check one batch. A sample that fails is reported, the others are not lost."""
        try:
            images = self._erase_padded(batch)
        except UserError:
            raise
        except Exception as error:  # whatever a plug-in raises concerns its sample only
            if len(batch) == 1:
                return [Outcome(batch.sample_ids[0], None, f"{type(error).__name__}: {error}")]
            return [outcome for i in range(len(batch)) for outcome in self.run(batch.sample(i))]
        return [Outcome(name, image) for name, image in zip(batch.sample_ids, images, strict=True)]

    def _erase_padded(self, batch: EraseBatch) -> np.ndarray:
        height, width = batch.images.shape[1:3]
        padded = _pad(batch, -height % self.info.pad_multiple, -width % self.info.pad_multiple)
        images = self.erase(padded).images
        if images.dtype != np.uint8 or images.shape != padded.images.shape:
            raise ValueError(
                f"{self.info.name} returned {images.dtype}{list(images.shape)}, "
                f"expected uint8{list(padded.images.shape)}"
            )
        return np.ascontiguousarray(images[:, :height, :width])


def _pad(batch: EraseBatch, bottom: int, right: int) -> EraseBatch:
    """Pad below and to the right: images and masks mirrored (as LaMa's authors do), labels with zero."""
    if not (bottom or right):
        return batch
    plane = ((0, 0), (0, bottom), (0, right))
    return replace(
        batch,
        images=np.pad(batch.images, (*plane, (0, 0)), mode="symmetric"),
        masks=np.pad(batch.masks, plane, mode="symmetric"),
        instances=None if batch.instances is None else tuple(np.pad(m, plane) for m in batch.instances),
        parsing=None if batch.parsing is None else np.pad(batch.parsing, plane),
        truths=None if batch.truths is None else np.pad(batch.truths, (*plane, (0, 0)), mode="symmetric"),
    )


METHODS: Registry[EraseMethod] = Registry("method", "methods")


@dataclass(frozen=True)
class MethodSpec:
    """A method and its options, as written on the command line: `name` or `name:key=value,key=value`."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> MethodSpec:
        """Parse `name:key=value,...`; raises `UserError` for a malformed option."""
        name, _, rest = text.partition(":")
        options: dict[str, Any] = {}
        for item in filter(None, rest.split(",")):
            key, equals, value = item.partition("=")
            if not equals:
                raise UserError(f"method {text!r}: the option {item!r} has no value: write {item}=VALUE")
            options[key] = value
        return cls(name, options)

    def create(self, device: str = "cpu") -> EraseMethod:
        """Instantiate the method; unknown options and bad values raise `UserError`."""
        target: Callable[..., EraseMethod] = METHODS.load(self.name)
        parameters = inspect.signature(target).parameters
        arguments: dict[str, Any] = {}
        for key, value in self.options.items():
            if key not in parameters:
                raise UserError(
                    f"method {self.name!r} has no option {key!r}: {did_you_mean(key, parameters)}"
                )
            arguments[key] = _convert(self.name, key, value, parameters[key].default)
        method = target(**arguments)
        method.device = device
        return method


def _convert(method: str, key: str, value: Any, default: Any) -> Any:
    """An option's text as the type of its default."""
    if isinstance(default, str) or default is None or default is inspect.Parameter.empty:
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        return type(default)(value)
    except (KeyError, ValueError):
        kind = type(default).__name__
        raise UserError(
            f"method {method!r}: option {key}={value!r} is not a {kind} (default {default})"
        ) from None


def collate(samples: Sequence[EraseBatch]) -> EraseBatch:
    """Stack batches of one shape; a field is None unless every sample has it."""

    def joined(name: str) -> tuple | None:
        parts = [getattr(sample, name) for sample in samples]
        return None if any(part is None for part in parts) else tuple(item for part in parts for item in part)

    def stacked(name: str) -> np.ndarray | None:
        parts = [getattr(sample, name) for sample in samples]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    return EraseBatch(
        sample_ids=tuple(name for sample in samples for name in sample.sample_ids),
        images=np.concatenate([sample.images for sample in samples]),
        masks=np.concatenate([sample.masks for sample in samples]),
        seeds=tuple(seed for sample in samples for seed in sample.seeds),
        instances=joined("instances"),
        targets=joined("targets"),
        keypoints=joined("keypoints"),
        parsing=stacked("parsing"),
        truths=stacked("truths"),
    )
