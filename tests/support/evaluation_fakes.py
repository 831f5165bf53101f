"""A data set in memory, methods and metrics that misbehave on demand."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from processes import wait

from mildbench.errors import UserError
from mildbench.evaluation import predict
from mildbench.executors import Spec
from mildbench.files import fingerprint
from mildbench.longwork import Made
from mildbench.marking import FOOTPRINT, marked
from mildbench.method import AttentionRecord, EraseBatch, EraseMethod, EraseResult, MethodInfo
from mildbench.metrics.base import FeatureExtractor, MetricInfo, PairMetric, Pairs, SetMetric, SetResult
from mildbench.progress import Advance
from mildbench.scene import Layer, Person, Provenance, Scene, Triplet
from mildbench.tasks import task_of
from mildbench.weights import WeightsMissing


class FakeDataset:
    """`count` scenes of two people, 2 in front of 1; sizes in turn. Split `test`, every task."""

    name = "fake"

    def __init__(self, count: int = 6, sizes: tuple[tuple[int, int], ...] = ((48, 64),)) -> None:
        self._scenes = {f"s{i:03d}": _scene(f"s{i:03d}", i, sizes[i % len(sizes)]) for i in range(count)}
        self.fingerprint = fingerprint([count, sizes])

    def task_ids(self, task: str, split: str) -> list[str]:
        if split != "test":
            raise UserError(f"no split {split!r}; it has test")
        if task == "erase-all":
            return list(self._scenes)
        if task == "deocclude":
            return [f"{name}-d1" for name in self._scenes]
        return [f"{name}-p{person}" for name in self._scenes for person in (1, 2)]

    def check_unchanged(self, task: str, ids: Collection[str], /) -> None:
        """It is made up anew each time."""

    def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
        name = id[:4]
        erased = task_of(task).triplet(self._scenes[name], id)
        meta = {
            "scene": name,
            "split": "test",
            "family": "queue" if int(name[1:]) % 2 else "crowd",
            "people": 2,
            "visible_ratio": 0.5,
            "mask_share": float(erased.mask.mean()),
        }
        return marked(replace(erased, id=id, meta=meta), mask)


def _scene(name: str, seed: int, size: tuple[int, int]) -> Scene:
    rng = np.random.default_rng(seed)
    height, width = size
    ramp = np.linspace(40, 200, width, dtype=np.uint8)[None, :, None]
    background = np.broadcast_to(ramp, (height, width, 3)) + rng.integers(0, 8, (height, width, 3), np.uint8)
    people = []
    for person in (1, 2):
        rgba = np.full((20, 14, 4), 255, dtype=np.uint8)
        rgba[..., :3] = rng.integers(0, 256, (20, 14, 3))
        provenance = Provenance("fake", str(seed), "0" * 64, "CC0-1.0")
        body = Person(person, np.zeros((17, 3), np.float32), np.full((20, 14), 255, np.uint8), provenance)
        people.append(Layer(rgba, (8 + 9 * person, 6 + 4 * person), body))
    return Scene(name, background.astype(np.uint8), tuple(people))


class Calls:
    """What the fakes were asked to do; cleared before each test."""

    erased: ClassVar[list[str]] = []
    loaded: ClassVar[list[str]] = []
    scored: ClassVar[int] = 0
    extracted: ClassVar[int] = 0
    failing: ClassVar[set[str]] = set()
    """Samples that `noise` fails on."""
    interrupt_at: ClassVar[str | None] = None
    """Sample at which `noise` is interrupted."""
    shown: ClassVar[dict[str, EraseBatch]] = {}
    """Sample -> what `watcher` was shown of it."""

    @classmethod
    def clear(cls) -> None:
        cls.erased, cls.loaded, cls.failing = [], [], set()
        cls.scored = cls.extracted = 0
        cls.interrupt_at = None
        cls.shown = {}


class Noise(EraseMethod):
    """Fills the mask with noise of the sample's own generator, and moves every other pixel by one."""

    info = MethodInfo("noise", "reimplementation", "noise in the mask", pad_multiple=8)

    def __init__(self, strength: int = 16, quiet: bool = False, checkpoint: str = "") -> None:
        self.strength = strength
        self.quiet = quiet
        self.checkpoint = checkpoint

    def load(self) -> None:
        Calls.loaded.append("noise")

    def erase(self, batch: EraseBatch) -> EraseResult:
        if Calls.interrupt_at in batch.sample_ids:
            raise KeyboardInterrupt
        if bad := Calls.failing.intersection(batch.sample_ids):
            raise RuntimeError(f"cannot do {sorted(bad)}")
        Calls.erased += batch.sample_ids
        images = np.maximum(batch.images, 1) - np.uint8(1)
        for image, mask, seed in zip(images, batch.masks, batch.seeds, strict=True):
            noise = np.random.default_rng(seed).integers(100, 100 + self.strength, image.shape, np.uint8)
            image[mask] = noise[mask]
        return EraseResult(images)


class Precise(Noise):
    """Has a choice of what it computes in, and an option that came later."""

    info = MethodInfo("precise", "reimplementation", "noise again", revision=1, later=frozenset({"dual"}))

    def __init__(
        self,
        checkpoint: str = "",
        dtype: str = "auto",
        dual: bool = False,
        cache: Path = Path("cache"),
    ) -> None:
        super().__init__(checkpoint=checkpoint)
        self.given = dtype

    @property
    def dtype(self) -> str:
        return "fp32" if self.given == "auto" else self.given


class Unweighted(Noise):
    """Needs weights that are not here."""

    info = MethodInfo("unweighted", "official", "cannot run", weights=("lama-big",))


class Threads(EraseMethod):
    """Says in grey levels how many threads torch has."""

    info = MethodInfo("threads", "reimplementation", "torch's threads", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        return EraseResult(np.full_like(batch.images, torch.get_num_threads()))


class Watcher(Noise):
    """Keeps what it was shown."""

    info = MethodInfo("watcher", "reimplementation", "noise, and remembers")

    def __init__(self, backbone: str = "tiny") -> None:
        super().__init__()
        self.backbone = backbone

    def erase(self, batch: EraseBatch) -> EraseResult:
        Calls.shown |= {name: batch.sample(index) for index, name in enumerate(batch.sample_ids)}
        return super().erase(batch)


class Attentive(Noise):
    """Completes who stays (one pixel to the right of where they are seen) and records made-up attention."""

    info = MethodInfo(
        "attentive",
        "reimplementation",
        "layers and attention",
        capabilities=frozenset({"layers", "attention"}),
        untrained="made up",
    )

    def erase(self, batch: EraseBatch) -> EraseResult:
        assert batch.instances is not None
        assert batch.targets is not None
        images = super().erase(batch).images
        layers, records = [], []
        for image, people, erased, seed in zip(
            images, batch.instances, batch.targets, batch.seeds, strict=True
        ):
            kept = [k for k in range(len(people)) if k not in erased]
            alpha = {k: np.roll(people[k], 1, axis=1) * np.uint8(255) for k in kept}
            layers.append({k: np.dstack([image, alpha[k]]) for k in kept})
            records.append(made_up_record(seed, len(people)))
        return EraseResult(images, tuple(layers), tuple(records))


class Fragile(Attentive):
    """Its process dies at the sample `s003-p1` as long as there is no file where FRAGILE says."""

    info = replace(Attentive.info, name="fragile", summary="dies once", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        if "s003-p1" in batch.sample_ids and not (marker := Path(os.environ["FRAGILE"])).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().erase(batch)


def made_up_record(seed: int, people: int) -> AttentionRecord:
    """Two layers, three timesteps, two pathways; in the second layer the last person is too small for a token."""
    rng = np.random.default_rng(seed)
    entries = [
        (layer, time, way)
        for layer in ("down.0", "up.0")
        for time in (1, 0.5, 0)
        for way in ("picture", "background")
    ]
    masses = rng.dirichlet(np.ones(people + 1), (len(entries), people + 1)).astype(np.float32)
    tokens = rng.integers(1, 50, (len(entries), people + 1), dtype=np.int32)
    for index, (layer, _, _) in enumerate(entries):
        if layer == "up.0" and people:
            tokens[index, -1] = 0
            masses[index, :, -1] = 0
            masses[index] /= masses[index].sum(axis=1, keepdims=True)
            masses[index, -1] = np.nan
    return AttentionRecord(
        layers=tuple(layer for layer, _, _ in entries),
        pathways=tuple(way for _, _, way in entries),
        timesteps=np.array([time for _, time, _ in entries], dtype=np.float32),
        masses=masses,
        tokens=tokens,
    )


class Copy(EraseMethod):
    info = MethodInfo("copy", "control", "the input")

    def erase(self, batch: EraseBatch) -> EraseResult:
        return EraseResult(batch.images)


class Oracle(EraseMethod):
    info = MethodInfo("oracle", "control", "the truth", capabilities=frozenset({"truth"}))

    def erase(self, batch: EraseBatch) -> EraseResult:
        assert batch.truths is not None
        return EraseResult(batch.truths)


class Difference(PairMetric):
    """Mean absolute difference; counts its calls."""

    info = MetricInfo("difference", "difference@1", "mean absolute difference", False, "")

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        Calls.scored += len(pairs.outputs)
        gaps = (pairs.outputs.double() - pairs.truths.double()).abs().mean(dim=3)
        return {name: _means(gaps, region) for name, region in pairs.regions.items()}


class Grain(PairMetric):
    """Goes by the name of what people see: an output is the better the more its grey levels vary, true or not."""

    info = MetricInfo("lpips", "lpips[made up]@1", "1 / (1 + variance)", False, "", regions=("full", "mask"))

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        grey = pairs.outputs.double().mean(dim=3)
        spread = {
            name: np.array(
                [one[inside].var().item() for one, inside in zip(grey, pairs.regions[name], strict=True)]
            )
            for name in self.info.regions
        }
        return {name: 1 / (1 + values) for name, values in spread.items()}


def _means(values: torch.Tensor, region: torch.Tensor) -> np.ndarray:
    """float64[B]: NaN where the region is empty."""
    return np.array([one[inside].mean().item() for one, inside in zip(values, region, strict=True)])


class Lacking(PairMetric):
    """Its weights are never here."""

    info = MetricInfo("lacking", "lacking@1", "never", False, "", weights=("lpips-alex",))

    def load(self) -> None:
        raise WeightsMissing("lpips-alex")

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        raise AssertionError("scored without weights")


class MeanColour(FeatureExtractor):
    name = "mean colour,1"
    weights = ()

    def load(self) -> None:
        Calls.loaded.append("mean colour")

    def features(self, images: torch.Tensor) -> np.ndarray:
        Calls.extracted += len(images)
        return images.float().mean(dim=(1, 2)).numpy()


class Shift(SetMetric):
    """Distance of the mean features."""

    info = MetricInfo("shift", "shift@1", "distance of means", False, "", regions=("full",))
    extractor = MeanColour

    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        gap = features_outputs.mean(axis=0) - features_truths.mean(axis=0)
        return SetResult(float(np.linalg.norm(gap)), None, len(features_outputs), None)


class Spread(Shift):
    """A second set metric on the same features."""

    info = MetricInfo("spread", "spread@1", "always refuses", False, "", regions=("full",))

    def compute(self, features_outputs: np.ndarray, features_truths: np.ndarray) -> SetResult:
        return SetResult(None, None, len(features_outputs), "too few")


def folder_of(root: Path, method: str) -> Path:
    """The one run of a method under `root`."""
    (folder,) = root.glob(f"*/*/{method}@*")
    return folder


def scores(root: Path, method: str) -> pd.DataFrame:
    """Its rows."""
    return pd.read_parquet(folder_of(root, method) / "scores.parquet")


class OneShardAndWait(predict._Maker):
    """All predictions but the first shard's wait at the gate beside the runs."""

    def make(self, spec: Spec, advance: Advance) -> Made:
        if spec["number"] >= 1:
            wait(self._run.folder.path.parents[3] / "gate", spec["number"])
        return super().make(spec, advance)
