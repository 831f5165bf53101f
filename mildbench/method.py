"""What a method implements: one class with one function, `erase`.

The base class owns everything around it: padding and cropping, batching by shape, seeds per sample, and
what happens when one sample fails. A plug-in sees only well-formed batches.
"""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mildbench.device import without_tf32
from mildbench.errors import UserError
from mildbench.options import Spec
from mildbench.registry import Registry

Provenance = Literal["official", "port", "reimplementation", "reported", "control", "external"]
"""Where a method's numbers come from: the authors' code and weights; a port of them; ours from the paper's
description; a number copied from a paper; a control; images that somebody else made."""

Capability = Literal["device", "truth", "names", "layers", "attention"]
"""`device`: runs on the given torch device. `truth`: is shown the answer (controls only). `names`: looks results
up by sample id, in the folder of its option `directory` if it has that; the pixels it is shown do not matter.
`layers`: completes the people who stay. `attention`: records where its self-attention goes."""


@dataclass(frozen=True)
class MethodInfo:
    """What a method says of itself; recorded in every run."""

    name: str
    provenance: Provenance
    summary: str
    paper: str | None = None
    licence: str | None = None
    revision: int | None = None
    """Raised by the author whenever the output changes: old predictions are then not taken for new ones. None: a
    method counts as another after any change of its source files or of its distribution's version."""
    weights: tuple[str, ...] = ()
    """Names in the weights manifest (`mildbench weights list`)."""
    pad_multiple: int = 1
    """Images reach `erase` with height and width padded up to a multiple of this."""
    capabilities: frozenset[Capability] = frozenset()
    later: frozenset[str] = frozenset()
    """Options that came after this `revision`. At its default such a one is no part of what the method is, so that what
    was made before it came is still the same method's."""
    untrained: str | None = None
    """What of the method has random weights, if anything: its numbers mean nothing, and tables say so."""

    def __post_init__(self) -> None:
        if self.provenance not in (known := get_args(Provenance)):
            raise ValueError(f"the provenance {self.provenance!r} is none of {', '.join(known)}")
        if unknown := sorted(self.capabilities - {*get_args(Capability)}):
            raise ValueError(f"the capability {unknown[0]!r} is none of {', '.join(get_args(Capability))}")


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
    background_tags: tuple[str | None, ...] | None = None
    """Per sample: the category of background that covers most of what lies around the mask, as a panoptic
    segmentation calls it, such as `grass-merged`; None where nothing is known."""
    amodal: tuple[np.ndarray, ...] | None = None
    """Per sample bool[K, H, W]: everybody whole, inside the frame; given like `truths`."""

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for batches that can be stacked: one shape, and the same things known."""
        return self.images.shape[1:], tuple(
            field.name for field in fields(self) if getattr(self, field.name) is not None
        )

    def sample(self, index: int) -> EraseBatch:
        """The batch of one that holds sample `index`."""
        return self.take([index])

    def take(self, indices: Sequence[int]) -> EraseBatch:
        """The batch of these samples, in this order."""
        rows = list(indices)

        def chosen(items: Any) -> Any:
            if items is None:
                return None
            return items[rows] if isinstance(items, np.ndarray) else tuple(items[row] for row in rows)

        return EraseBatch(**{field.name: chosen(getattr(self, field.name)) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Painting:
    """What the erase mask was painted from: M entries, one a layer and pathway, over all timesteps together.

    The tokens are those of the mask that the pathway paints in the returned picture, each at its place, for a method
    does not know what the answer has there. Tokens on a boundary are left out.
    """

    layers: tuple[str, ...]
    """M names, as in `AttentionRecord`."""
    pathways: tuple[str, ...]
    """M names, as in `AttentionRecord`."""
    boxes: tuple[np.ndarray, ...]
    """M times float32[T, 4]: left, top, right and bottom of each token in the picture, in pixels; T differs."""
    masses: tuple[np.ndarray, ...]
    """M times float32[T, K + 1]: the share of each token's attention that goes to the tokens of each region which the
    pathway is shown of the input; heads and timesteps averaged."""
    known: np.ndarray
    """int32[M, K + 1]: tokens of each region of the input, outside the erase mask: alike for all methods."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A `Painting`, pooled by what the answer has in the place of each token."""

    layers: tuple[str, ...]
    pathways: tuple[str, ...]
    masses: np.ndarray
    """float32[M, K + 1, K + 1]: entry [c, s] is the mean, over the tokens where the answer shows c (0 the background,
    k + 1 person k), of their attention to region s as a share of that to all that is shown. NaN without tokens."""
    tokens: np.ndarray
    """int32[M, K + 1]: tokens where the answer shows each."""
    known: np.ndarray
    """int32[M, K + 1], see `Painting`."""


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Where the self-attention of one sample went: N entries, one a layer, timestep and pathway.

    Regions are the input's visible masks at the layer's resolution: the background, then the K people in the
    batch's order. Tokens on a boundary belong to none. Conditional half of classifier-free guidance only.
    """

    layers: tuple[str, ...]
    """N names, as the network calls its modules."""
    pathways: tuple[str, ...]
    """N names of what is made: the whole `picture`, the `background` without anybody, or `person <index>`."""
    timesteps: np.ndarray
    """float32[N]: 1 is pure noise, 0 the picture."""
    masses: np.ndarray
    """float32[N, K + 1, K + 1]: entry [r, s] is the mean over region r's queries of their attention to region
    s, heads averaged; rows sum to 1 over the regions. NaN in the row of a region without tokens."""
    tokens: np.ndarray
    """int32[N, K + 1]: tokens of each region at the layer's resolution."""
    painting: Painting | None = None
    """As a method returns it, if it can tell."""
    painted: Painted | None = None
    """As it is kept and scored: whoever knows the answer makes it of the painting."""

    def __post_init__(self) -> None:
        count, regions = len(self.layers), self.tokens.shape[-1]
        if not count:
            raise ValueError("an attention record has no entries: return None instead")
        shapes = {
            "pathways": ((len(self.pathways),), (count,)),
            "timesteps": (self.timesteps.shape, (count,)),
            "masses": (self.masses.shape, (count, regions, regions)),
            "tokens": (self.tokens.shape, (count, regions)),
        }
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise ValueError(
                    f"an attention record of {count} entries has {name} of shape {list(found)}, "
                    f"expected {list(expected)}"
                )


@dataclass(frozen=True, eq=False)
class EraseResult:
    """What `erase` returns. Everything but the images is optional."""

    images: np.ndarray
    """uint8[B, H, W, 3], RGB, the shape of the input."""
    layers: tuple[dict[int, np.ndarray], ...] | None = None
    """Per sample: index into `instances` -> uint8[H, W, 4], the whole person as the method completed them, on
    the canvas, straight alpha. The amodal mask is alpha >= 128. Only people who stay and were completed."""
    attention: tuple[AttentionRecord | None, ...] | None = None
    """Per sample; None where people are unknown."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """One sample's result, or the reason why there is none."""

    sample_id: str
    image: np.ndarray | None
    """uint8[H, W, 3]."""
    error: str | None = None
    layers: dict[int, np.ndarray] = field(default_factory=dict)
    """As in `EraseResult`, cropped to the input's size."""
    attention: AttentionRecord | None = None


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

    @property
    def dtype(self) -> str | None:
        """What it computes in on `device`, where it has a choice; recorded in place of an option `dtype`."""
        return None

    @property
    def files(self) -> Mapping[str, Path] | None:
        """What it reads beside `info.weights`: files and folders, whose contents are part of what it is.

        By the name of the option that says where; of what comes with the package, any other name. None: every option
        that is the path of something. Raises `UserError` for what cannot be found.
        """
        return None

    @property
    def runs(self) -> Mapping[str, EraseMethod]:
        """Other methods that it runs, by their registered names: what they are is part of what it is."""
        return {}

    def load(self) -> None:  # noqa: B027 - optional hook: most methods have nothing to load
        """Read weights and move to `self.device`. Called once before the first batch."""

    @abstractmethod
    def erase(self, batch: EraseBatch) -> EraseResult:
        """Erase `batch.masks` from `batch.images`; shapes are multiples of `info.pad_multiple`."""

    def run(self, batch: EraseBatch) -> list[Outcome]:
        """Pad, erase, crop and check one batch. A sample that fails is reported, the others are not lost."""
        try:
            return self._erase_padded(batch)
        except UserError:
            raise
        except Exception as error:  # whatever a plug-in raises concerns its sample only
            if len(batch) == 1:
                return [Outcome(batch.sample_ids[0], None, f"{type(error).__name__}: {error}")]
        # Out of the handler, whose traceback holds what the failed batch had allocated on a GPU.
        return [outcome for i in range(len(batch)) for outcome in self.run(batch.sample(i))]

    def _erase_padded(self, batch: EraseBatch) -> list[Outcome]:
        height, width = batch.images.shape[1:3]
        padded = _pad(batch, -height % self.info.pad_multiple, -width % self.info.pad_multiple)
        with _casts_checked(self.info.name), without_tf32():
            result = self.erase(padded)
        self._check("images", result.images, padded.images.shape)
        layers: Sequence[dict[int, np.ndarray]] = result.layers or [{} for _ in batch.sample_ids]
        records = result.attention or [None] * len(batch)
        shape = (*padded.images.shape[1:3], 4)
        for index, (completed, record) in enumerate(zip(layers, records, strict=True)):
            people = 0 if padded.instances is None else len(padded.instances[index])
            for person, layer in completed.items():
                self._check("a layer", layer, shape)
                if not 0 <= person < people:
                    raise ValueError(f"{self.info.name} returned a layer of person {person} of {people}")
            if record is not None and record.tokens.shape[1] != people + 1:
                raise ValueError(
                    f"{self.info.name} recorded attention of {record.tokens.shape[1]} regions, "
                    f"expected {people + 1}"
                )
        return [
            Outcome(
                name,
                np.ascontiguousarray(image[:height, :width]),
                layers={
                    person: np.ascontiguousarray(layer[:height, :width])
                    for person, layer in completed.items()
                },
                attention=record,
            )
            for name, image, completed, record in zip(
                batch.sample_ids, result.images, layers, records, strict=True
            )
        ]

    def _check(self, what: str, pixels: np.ndarray, shape: tuple[int, ...]) -> None:
        if pixels.dtype != np.uint8 or pixels.shape != shape:
            raise ValueError(
                f"{self.info.name} returned {what} as {pixels.dtype}{list(pixels.shape)}, "
                f"expected uint8{list(shape)}"
            )


@contextmanager
def _casts_checked(name: str) -> Iterator[None]:
    """Raise ValueError at the end if numpy has made integers, pixels that is, of NaN or infinity."""
    notes = _Notes()
    with np.errstate(invalid="log", call=notes):
        yield
    if notes.casts:
        raise ValueError(f"{name} made pixels of values that are not finite")


class _Notes:
    """Where numpy writes what was invalid; all but casts is warned of, as it would have been."""

    casts = False

    def write(self, message: str) -> None:
        if "cast" in message:
            self.casts = True
        else:
            warnings.warn(message.removeprefix("Warning: ").strip(), RuntimeWarning, stacklevel=2)


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
        amodal=None if batch.amodal is None else tuple(np.pad(m, plane) for m in batch.amodal),
    )


METHODS: Registry[EraseMethod] = Registry("method", "methods", EraseMethod)


class MethodSpec(Spec[EraseMethod]):
    """A method and its options."""

    registry = METHODS

    def create(self, device: str = "cpu") -> EraseMethod:
        """The method, not loaded; unknown options and bad values raise `UserError`."""
        method = self.instantiate()
        method.device = device
        return method


def collate(samples: Sequence[EraseBatch]) -> EraseBatch:
    """Stack batches of one kind: a result must not depend on what else is in the batch."""
    (_,) = {sample.kind for sample in samples}  # of one kind

    def joined(parts: list[Any]) -> Any:
        if parts[0] is None:
            return None
        return (
            np.concatenate(parts) if isinstance(parts[0], np.ndarray) else tuple(chain.from_iterable(parts))
        )

    return EraseBatch(
        **{
            field.name: joined([getattr(sample, field.name) for sample in samples])
            for field in fields(EraseBatch)
        }
    )
