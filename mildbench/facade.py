"""What the command line does, as functions: `import mildbench as mb`, then `mb.open`, `mb.evaluate` ...

Plug-ins are written as on the command line: `name` or `name:option=value,option=value`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mildbench.errors import UserError
from mildbench.inventory import Inventory
from mildbench.marking import FOOTPRINT
from mildbench.method import METHODS, EraseMethod, MethodSpec

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from mildbench.dataset import Dataset
    from mildbench.dataset.source import TripletSource
    from mildbench.erasing import Eraser, PictureArray
    from mildbench.evaluation.runner import Evaluation
    from mildbench.scene import Triplet


class _Methods(Inventory):
    registry = METHODS
    header = ("method", "provenance", "what it is")

    def describe(self, plugin: type[EraseMethod]) -> tuple[str, ...]:
        return plugin.info.provenance, plugin.info.summary


methods = _Methods()
"""The installed methods: `methods["lama"].paper`."""


def open(path: Path | str) -> Dataset:
    """Open a data set's folder, or that at an address such as `s3://bucket/folder`.

    It is a sequence of the triplets of `erase-all` (of imported photos whose people are known whole, of `deocclude`);
    `triplets(task, split)` gives those of other tasks, `torch_dataset(task, split)` the same as tensors, `samples` one
    row a sample as a data frame, `scene(id)` a scene's layers.

    Raises:
        UserError: it is missing, unfinished or of another version.
    """
    from mildbench.addresses import place
    from mildbench.dataset import Dataset

    root = place(path)
    if not root.exists():
        raise UserError(f"data set not found: {path}: make it with: mildbench build-dataset --out {path}")
    return Dataset.open(root)


def erase(
    image: ArrayLike,
    mask: ArrayLike,
    method: str = "auto",
    *,
    size: int = 512,
    device: str = "auto",
    seed: int = 0,
) -> PictureArray:
    """A picture without what a mask marks, as `mildbench erase PHOTO --people MASK` makes it.

    The mask is grown a little, since outlines miss hair and shoe soles; what lies outside of it stays the picture's
    own, bit for bit. The method stays loaded for the next call.

    Args:
        image: uint8[H, W, 3], RGB, of any size.
        mask: bool[H, W], or whole numbers [H, W]: a number for each person, 0 for nobody. uint8 is understood as a
            mask file is, soft edges and all.
        method: one that needs no truth; `auto` is patchmatch where it is installed, else navier-stokes.
        size: pixels of the longer side that the method is shown; larger pictures are cropped around each person.
        device: auto, cpu, cuda or cuda:N.
        seed: of the method's generators.

    Returns:
        uint8[H, W, 3].

    Raises:
        UserError: an unknown method or option, missing weights or packages, a failure, a mask that does not fit.
    """
    from mildbench.device import resolve_device
    from mildbench.erasing import PictureArray
    from mildbench.masks import numbered, separate

    pixels, marked = np.asarray(image), np.asarray(mask)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UserError(f"the image is {pixels.dtype}{list(pixels.shape)}: give RGB pixels, uint8[H, W, 3]")
    if marked.shape != pixels.shape[:2] or marked.dtype.kind not in "bui":
        raise UserError(
            f"the mask is {marked.dtype}{list(marked.shape)}, the image has {list(pixels.shape[:2])} pixels: give "
            "bool, or one number a person, of that size"
        )
    if marked.dtype.kind == "i" and marked.size and marked.min() < 0:
        raise UserError(
            f"the mask has the number {marked.min()}: give 0 for nobody, and 1 or more for people"
        )
    eraser = _eraser(method, resolve_device(device), size, seed)
    people = separate(numbered(marked) if marked.dtype == np.uint8 else marked)
    return PictureArray.of(eraser.erase("picture", pixels, people).pixels)


@lru_cache(maxsize=1)
def _eraser(method: str, device: str, size: int, seed: int) -> Eraser:
    from mildbench.annotators.census import Census
    from mildbench.erasing import Eraser, photo_method

    census = Census.create(None, None, None, device)
    return Eraser.create(photo_method(method), device, census, size=size, seed=seed)


def score(
    output: ArrayLike, triplet: Triplet, metrics: str | Sequence[str] = (), *, device: str = "auto"
) -> pd.DataFrame:
    """How far one picture is from the exact answer: the numbers that a run has in its columns `raw`.

    Args:
        output: uint8[H, W, 3], RGB, of the triplet's size.
        triplet: what was asked, from a data set.
        metrics: those that compare a picture with its truth; none means all that are scored unasked and can be had
            here. Named ones stay loaded for the next call.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        One row a metric, one column a region; NaN where a region is empty or too small.

    Raises:
        UserError: an output of another size, an unknown metric, one of more than a picture, missing weights or
            packages.
    """
    import pandas as pd

    from mildbench import extras
    from mildbench.device import resolve_device

    extras.require("torch", "scoring")
    from mildbench.evaluation.single import picture_metrics, score_one

    where = resolve_device(device)
    found = score_one(np.asarray(output), triplet, picture_metrics(_texts(metrics), where), where)
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("metric")


def evaluate(
    dataset: Path | str | TripletSource,
    methods: str | Sequence[str] = (),
    *,
    task: str = "erase-all",
    split: str = "test",
    predictions: Sequence[Path | str] = (),
    backbone: str | None = None,
    metrics: str | Sequence[str] = (),
    headline: str | None = None,
    device: str = "auto",
    batch_size: int = 4,
    limit: int | None = None,
    seed: int = 0,
    paste_dilation: int = 0,
    mask: str = FOOTPRINT,
    corrupt: Sequence[str] = (),
    annotations: str | None = None,
    replace_truth: bool = False,
    out: Path | str = "runs",
    executor: str | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Run methods on a task of a data set, score and compare them; what is on disk already is not made again.

    Args:
        dataset: a data set, its folder or its address.
        methods: to run.
        task: a name in `mildbench.tasks.TASKS`.
        split: of the data set.
        predictions: folders of pictures made elsewhere, `<sample id>.png`, each scored as a method.
        backbone: checkpoint for every method that has such an option.
        metrics: none means as `mb.metrics` says under `unasked`.
        headline: what to rank by, NAME[.REGION[.VARIANT]]; None for what people see where it was scored, else PSNR.
        device: auto, cpu, cuda or cuda:N.
        batch_size: pictures at a time; on a CPU it never changes a result, on a GPU a network's last bits.
        limit: only so many samples, spread over the scenes.
        seed: of the methods' generators.
        paste_dilation: pixels by which the mask is grown for the `pasted` scores.
        mask: what methods are shown of what is to be erased, one of `mildbench.marking.MARKINGS`.
        corrupt: what is done to their inputs, as `Corruption.parse` reads it.
        annotations: name of annotations that guide methods where the truth knows nothing.
        replace_truth: let them guide methods also where it does.
        out: folder of the runs.
        executor: what runs methods and scores, one of `mildbench ls executors`; None for this process, or for processes
            where `workers` is above 1. On a CPU it never changes a result.
        workers: of the executor; None for the machine's cores, or its GPUs where they are used.
        progress: show bars on stderr.

    Returns:
        The runs, with tables as data frames.

    Raises:
        UserError: unknown names or options, a bad number, no samples, a method without its weights, broken data.
        OSError: a full or read-only disk; all that was made is kept.
    """
    from mildbench import extras

    specs = _specs(_texts(methods), predictions, backbone)
    extras.require("torch", "scoring")
    from mildbench.addresses import folder
    from mildbench.device import resolve_device
    from mildbench.evaluation.corruption import Corruption
    from mildbench.evaluation.runner import evaluate as run
    from mildbench.executors import engine

    where, runs = resolve_device(device), folder(out, "runs")
    return run(
        source(dataset, split, annotations, replace_truth=replace_truth),
        task,
        split,
        specs,
        out=runs,
        metrics=_texts(metrics),
        headline=headline,
        device=where,
        batch_size=batch_size,
        limit=limit,
        seed=seed,
        paste_dilation=paste_dilation,
        corruption=Corruption.parse(corrupt),
        mask=mask,
        executor=engine(executor, workers, where),
        progress=progress,
    )


def source(
    dataset: Path | str | TripletSource,
    split: str,
    annotations: str | None = None,
    *,
    replace_truth: bool = False,
) -> TripletSource:
    """A data set as methods see it, with the annotations of a split that are to guide them, if any are named.

    Raises `UserError` where there is none, and for annotations of what is no folder's data set.
    """
    opened = open(dataset) if isinstance(dataset, Path | str) else dataset
    if annotations is None:
        return opened
    from mildbench.annotators.overlay import annotated
    from mildbench.dataset import Dataset

    if not isinstance(opened, Dataset):
        raise UserError(f"annotations {annotations!r} go with a data set on disk: give its folder")
    return annotated(opened, annotations, split, replace=replace_truth)


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _specs(texts: Sequence[str], predictions: Sequence[Path | str], backbone: str | None) -> list[MethodSpec]:
    """At least one; raises `UserError` for none, an unknown name, and a folder that is not there. Imports no method."""
    specs = [MethodSpec.parse(text) for text in texts]
    for spec in specs:
        METHODS.check(spec.name)
    if backbone is not None:
        specs = _with_backbone(specs, backbone)
    for folder in predictions:
        if not Path(folder).is_dir():
            raise UserError(f"predictions folder not found: {folder}")
        specs.append(MethodSpec("precomputed", {"directory": str(folder)}))
    if not specs:
        raise UserError("nothing to evaluate: give --method NAME (mildbench ls methods) or --predictions DIR")
    return specs


def _with_backbone(specs: Sequence[MethodSpec], backbone: str) -> list[MethodSpec]:
    """The specs, with the option `backbone` wherever the method has it and was not given one of its own."""
    having = [
        name
        for name in {spec.name for spec in specs}
        if "backbone" in inspect.signature(METHODS.load(name)).parameters
    ]
    if not having:
        named = ", ".join(spec.name for spec in specs) or "none given"
        raise UserError(f"--backbone {backbone}: no method here has such an option ({named}): leave it out")
    return [
        replace(spec, options={"backbone": backbone} | spec.options) if spec.name in having else spec
        for spec in specs
    ]
