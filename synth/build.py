"""Build a data set: plan and render shard by shard, resume what is missing, then put the index on top."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import mildbench
from mildbench.dataset.coco import CATEGORY
from mildbench.dataset.folder import write_scene
from mildbench.dataset.schema import (
    CARD,
    CHECKSUMS,
    INFO,
    SAMPLE_SCHEMA,
    SAMPLES,
    DatasetInfo,
    annotation_file,
)
from mildbench.errors import UserError
from mildbench.executors import Executor, Spec
from mildbench.files import file_sha256, fingerprint, read_json, replacing, write_bytes, write_json
from synth import card
from synth.catalogue import Catalogue
from synth.plan import AllRejected, Planner
from synth.recipe import Recipe
from synth.render import render

SHARD = 8
"""Scenes in a shard: small enough that little is lost when one is cut off, large enough to amortise its record."""
STATE = ".build"
"""Folder of an unfinished data set's completion records."""

Advance = Callable[[int], None]
"""Called with the number of scenes just done."""


def build(recipe: Recipe, seed: int, out: Path, executor: Executor, advance: Advance) -> DatasetInfo:
    """Build the data set of a recipe, or finish one that was interrupted.

    The files depend on recipe, seed, sources and library versions, never on the executor or on interruptions.

    Raises `UserError` for anything the user can mend; what is already made is kept.
    """
    job: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "version": mildbench.__version__,
    }
    identity = fingerprint(job)
    if finished := _finished(out, recipe, seed):
        advance(recipe.count)
        return finished
    _claim(out, identity)
    catalogue = _catalogue(json.dumps(job, sort_keys=True))
    specs: list[Spec] = [
        {
            "job": job,
            "identity": identity,
            "out": str(out.resolve()),
            "start": start,
            "stop": min(start + SHARD, recipe.count),
        }
        for start in range(0, recipe.count, SHARD)
    ]
    missing = [spec for spec in specs if not _is_done(spec)]
    advance(sum(spec["stop"] - spec["start"] for spec in specs if spec not in missing))
    for scenes in executor.run(run_shard, missing):
        advance(scenes)
    return _finish(recipe, seed, out, specs, catalogue)


def run_shard(spec: Spec) -> int:
    """Make one shard's scenes and, last, its completion record. Returns the number of scenes."""
    catalogue = _catalogue(json.dumps(spec["job"], sort_keys=True))
    planner = Planner(catalogue)
    out = Path(spec["out"])
    entries, rejected, examples, unmet = [], Counter[str](), dict[str, str](), Counter[str]()
    for index in range(spec["start"], spec["stop"]):
        try:
            plan, notes = planner.plan(index)
        except AllRejected as error:
            raise UserError(f"scene {index}: {error}") from None
        scene, view = render(plan, catalogue)
        entries.append(
            write_scene(
                out,
                scene,
                index,
                split=plan.split,
                family=plan.family,
                background_png=view.png,
                background_provenance=view.provenance,
                asked=plan.asked,
                plan=plan.to_json(),
            )
        )
        rejected += notes.rejections.counts
        examples = notes.rejections.examples | examples
        unmet += notes.unmet
    record = {
        "identity": spec["identity"],
        "scenes": entries,
        "rejected": dict(rejected),
        "examples": examples,
        "unmet": dict(unmet),
    }
    write_json(_record_path(spec), record, indent=None)
    return len(entries)


@lru_cache(maxsize=1)
def _catalogue(job: str) -> Catalogue:
    content = json.loads(job)
    return Catalogue(Recipe.model_validate(content["recipe"]), content["seed"])


def _record_path(spec: Spec) -> Path:
    return Path(spec["out"]) / STATE / f"{spec['start']:08d}.json"


def _finished(out: Path, recipe: Recipe, seed: int) -> DatasetInfo | None:
    """The data set already in `out` if it is the one asked for; `UserError` if it is another."""
    if not (out / INFO).is_file():
        return None
    info = DatasetInfo.model_validate(read_json(out / INFO, "data set description"))
    if (info.recipe, info.seed) != (recipe.model_dump(mode="json"), seed):
        raise UserError(
            f"{out} already holds the data set {info.name!r} of another recipe, count or seed: "
            "choose another --out, or delete that folder"
        )
    shutil.rmtree(out / STATE, ignore_errors=True)  # left behind if we were stopped while tidying up
    return info


def _claim(out: Path, identity: str) -> None:
    """Make `out` the place of this build; refuse a folder that holds anything else."""
    claim = out / STATE / "identity"
    if claim.is_file():
        if claim.read_text() != identity:
            raise UserError(
                f"{out} holds an unfinished build of another recipe, count, seed or mildbench version: "
                "choose another --out, or delete that folder"
            )
    elif out.is_dir() and any(item.name != STATE for item in out.iterdir()):
        raise UserError(f"{out} exists and is not a data set: choose another --out")
    elif out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: choose another --out")
    else:
        write_bytes(claim, identity.encode())


def _is_done(spec: Spec) -> bool:
    """Whether a shard's record is whole and of this job, and its files still are what it says."""
    path = _record_path(spec)
    if not path.is_file():
        return False
    try:
        record = read_json(path, "completion record")
    except UserError:  # cut off on a file system without atomic renames: make the shard again
        return False
    if record.get("identity") != spec["identity"]:
        return False
    root = Path(spec["out"])
    return all(
        (root / name).is_file() and file_sha256(root / name) == sha256
        for entry in record["scenes"]
        for name, sha256 in entry["files"].items()
    )


def _finish(recipe: Recipe, seed: int, out: Path, specs: list[Spec], catalogue: Catalogue) -> DatasetInfo:
    """Merge the completion records into the index; `dataset.json`, written last, marks the data set finished."""
    sums: dict[str, str] = {}
    samples: Counter[str] = Counter({name: 0 for name, share in recipe.splits.items() if share > 0})
    people: Counter[str] = Counter(dict.fromkeys(samples, 0))
    rejected, unmet, crowd = Counter[str](), Counter[str](), Counter[int]()
    examples: dict[str, str] = {}
    asked: list[float] = []
    achieved: list[float] = []

    def records() -> Iterator[dict[str, Any]]:
        for spec in specs:
            yield read_json(_record_path(spec), "completion record")

    with replacing(out / SAMPLES) as temporary, pq.ParquetWriter(temporary, SAMPLE_SCHEMA) as writer:
        for record in records():
            rows = [entry["row"] for entry in record["scenes"]]
            writer.write_table(pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA))
            for entry, row in zip(record["scenes"], rows, strict=True):
                sums |= entry["files"]
                samples[row["split"]] += 1
                people[row["split"]] += row["people"]
                crowd[row["people"]] += 1
                wished = [p for p in row["persons"] if p["asked_visible_ratio"] is not None]
                asked += [person["asked_visible_ratio"] for person in wished]
                achieved += [person["visible_ratio"] for person in wished]
            rejected += Counter(record["rejected"])
            unmet += Counter(record["unmet"])
            examples = record["examples"] | examples
    sums[SAMPLES] = file_sha256(out / SAMPLES)
    for split in samples:
        sums[annotation_file(split)] = _write_annotations(out, recipe, split, records())
    differences = np.abs(np.array(asked) - np.array(achieved))
    report = {
        "rejected_while_building": dict(sorted(rejected.items())),
        "rejected_examples": examples,
        "unmet_wishes": dict(sorted(unmet.items())),
        "people_per_scene": {str(count): crowd[count] for count in sorted(crowd)},
        "visible_ratio": {
            "asked_for": len(asked),
            "mean_difference": round(float(differences.mean()), 4) if asked else None,
            "largest_difference": round(float(differences.max()), 4) if asked else None,
            "asked_histogram": _histogram(asked),
            "achieved_histogram": _histogram(achieved),
        },
    }
    content: dict[str, Any] = {
        "schema_version": 1,
        "name": recipe.name,
        "mildbench_version": mildbench.__version__,
        "format": "folder",
        "seed": seed,
        "size": recipe.size,
        "recipe": recipe.model_dump(mode="json"),
        "sources": [source.model_dump() for source in catalogue.sources()],
        "samples": dict(samples),
        "people": dict(people),
        "report": report,
        "fingerprint": "",
    }
    sums[CARD] = write_bytes(out / CARD, card.render(DatasetInfo.model_validate(content)).encode())
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    content["fingerprint"] = write_bytes(out / CHECKSUMS, lines.encode())
    info = DatasetInfo.model_validate(content)
    write_json(out / INFO, info.model_dump(mode="json"))
    shutil.rmtree(out / STATE)
    return info


def _histogram(ratios: list[float]) -> list[int]:
    """Counts in ten equal bins of [0, 1]."""
    return [int(count) for count in np.histogram(ratios, bins=10, range=(0, 1))[0]]


def _write_annotations(out: Path, recipe: Recipe, split: str, records: Iterator[dict[str, Any]]) -> str:
    images, annotations = [], []
    for record in records:
        for entry in record["scenes"]:
            if entry["row"]["split"] == split:
                images.append(entry["image"])
                annotations += entry["annotations"]
    info = {"description": recipe.description, "version": mildbench.__version__, "contributor": "mildbench"}
    content = {
        "info": info,
        "licenses": [],
        "categories": [CATEGORY],
        "images": images,
        "annotations": annotations,
    }
    return write_json(out / annotation_file(split), content, indent=None)
