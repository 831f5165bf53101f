"""Build a data set: plan and render shard by shard, resume what is missing, then put the index on top."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import mildbench
from mildbench.annotators import AnnotatorSpec
from mildbench.dataset.index import IndexWriter
from mildbench.dataset.samples import Making, write_scene
from mildbench.dataset.schema import CHECKSUMS, INFO, DatasetInfo, SourceInfo, read_info
from mildbench.dataset.validate import checksums
from mildbench.dataset.writers import SCENES, Format, new_shard
from mildbench.errors import UserError
from mildbench.executors import Executor, Spec
from mildbench.files import file_sha256, fingerprint, read_json, write_bytes, write_json
from synth import framing as framings
from synth.allocator import keep_freed_memory
from synth.catalogue import Catalogue, describe
from synth.framing import Framing, Framings
from synth.plan import AllRejected
from synth.planner import Planner, open_planner
from synth.ratios import VisibleRatios
from synth.recipe import Recipe
from synth.render import render
from synth.splits import split_of_sample
from synth.store import Store
from synth.survey import Survey

STATE = ".build"
"""Folder of an unfinished data set's completion records."""

Advance = Callable[[int], None]
"""Called with the number of scenes just done."""


def build(
    recipe: Recipe, seed: int, out: Path, executor: Executor, advance: Advance, *, format: Format = "folder"
) -> DatasetInfo:
    """Build the data set of a recipe, or finish one that was interrupted.

    The files depend on recipe, seed, format, sources and library versions, never on the executor or on
    interruptions.

    Raises `UserError` for anything the user can mend; what is already made is kept.
    """
    planner = open_planner(recipe, seed)
    catalogue = planner.catalogue
    job: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "format": format,
        "survey": catalogue.survey.to_json(),
    }
    _PLANNERS.clear()  # the sources may have changed since this process last opened them
    _PLANNERS[_key(job, out.resolve())] = planner
    sources = describe(catalogue)
    public = _public(recipe, sources)
    # Paths are left out and contents are in: a source may move between two runs, but must not change.
    identity = fingerprint(
        {
            "recipe": public,
            "seed": seed,
            "version": mildbench.__version__,
            "sources": [source.model_dump() for source in sources],
            "alike": catalogue.survey.alike,
        }
    )
    claim = f"{format} {identity}"
    if finished := _finished(out, identity, format):
        if _is_whole(out):
            advance(recipe.count)
            return finished
        write_bytes(_claim_path(out), claim.encode())
        (out / INFO).unlink()  # unfinished again: what was lost is made once more
    _claim(out, claim)
    catalogue.share(_store(out))
    for scenes in executor.run(run_shard, _specs(job, identity, out)):
        advance(scenes)
    return _finish(job, identity, public, out, _specs(job, identity, out), catalogue)


def _public(recipe: Recipe, sources: list[SourceInfo]) -> dict[str, Any]:
    """The recipe with its sources by name: no path of this machine gets into a data set or its identity."""
    named: dict[str, list[str]] = {"people": [], "backgrounds": []}
    for source in sources:
        named[source.role].append(source.name)
    public = recipe.model_dump(mode="json") | named
    if recipe.check_people is not None:
        public["check_people"] = AnnotatorSpec.parse(recipe.check_people).public()
    return public


def _specs(job: dict[str, Any], identity: str, out: Path) -> Iterator[Spec]:
    """The shards. Each is told the numbers of its tar files, one a split, which have no gaps over the shards."""
    count, splits = job["recipe"]["count"], job["recipe"]["splits"]
    made: Counter[str] = Counter()
    size = SCENES[job["format"]]
    for start in range(0, count, size):
        stop = min(start + size, count)
        here = sorted({split_of_sample(index, splits) for index in range(start, stop)})
        yield {
            "job": job,
            "identity": identity,
            "out": str(out.resolve()),
            "start": start,
            "stop": stop,
            "numbers": {split: made[split] for split in here},
        }
        made.update(here)


def run_shard(spec: Spec) -> int:
    """Make one shard's scenes and, last, its completion record, unless that is done. Returns how many scenes."""
    if _is_done(spec):
        return int(spec["stop"] - spec["start"])
    _hold_claim(spec)
    planner = _planner(spec["job"], Path(spec["out"]))
    entries, framed, unmet = [], [], Counter[str]()
    broken: set[tuple[str, str]] = set()
    with new_shard(spec["job"]["format"], Path(spec["out"]), spec["numbers"]) as shard:
        for index in range(spec["start"], spec["stop"]):
            try:
                plan, notes = planner.plan(index)
            except AllRejected as error:
                raise UserError(f"scene {index}: {error}") from None
            scene, composite, backdrop = render(plan, planner.catalogue)
            entries.append(
                write_scene(
                    shard,
                    scene,
                    index,
                    Making(
                        split=plan.split,
                        family=plan.family,
                        difficulty=plan.difficulty,
                        ground=plan.ground,
                        background_provenance=backdrop.provenance,
                        asked=plan.asked,
                        plan=plan.to_json(),
                        distance_percentile=plan.distance_percentile,
                    ),
                    composite=composite,
                    jpeg=planner.recipe.jpeg_quality(plan.split),
                    background_file=backdrop.file,
                )
            )
            broken |= notes.rejections.items
            unmet += notes.unmet
            framed += [[astuple(wanted), astuple(achieved)] for wanted, achieved in notes.framings]
    record = {
        "identity": spec["identity"],
        "scenes": entries,
        "files": shard.files,
        "shared": shard.shared,
        "broken": sorted(broken),
        "unmet": dict(unmet),
        "framings": framed,
    }
    write_json(_record_path(spec), record, indent=None)
    return len(entries)


_PLANNERS: dict[str, Planner] = {}
"""That of the last job: sources are opened once per process, however many shards it makes."""


def _store(out: Path) -> Store:
    return Store(out / STATE / "shared")


def _planner(job: dict[str, Any], out: Path) -> Planner:
    if (key := _key(job, out)) not in _PLANNERS:
        keep_freed_memory()  # a worker's process: that of `build` has its planner, and is the caller's
        _PLANNERS.clear()
        recipe = Recipe.model_validate(job["recipe"])
        _PLANNERS[key] = open_planner(recipe, job["seed"], Survey(**job["survey"]), _store(out))
    return _PLANNERS[key]


def _key(job: dict[str, Any], out: Path) -> str:
    return json.dumps([job, str(out)], sort_keys=True)


def _record_path(spec: Spec) -> Path:
    return Path(spec["out"]) / STATE / f"{spec['start']:08d}.json"


def _finished(out: Path, identity: str, format: Format) -> DatasetInfo | None:
    """The data set already in `out` if it is the one asked for; `UserError` if it is another."""
    if not (out / INFO).is_file():
        return None
    info = read_info(out)
    if (info.build, info.format) != (identity, format):
        raise UserError(
            f"{out} already holds the data set {info.name!r} of another recipe, count, seed, format or mildbench "
            "version, or its sources have changed since: choose another --out, or delete that folder"
        )
    shutil.rmtree(out / STATE, ignore_errors=True)  # left behind if we were stopped while tidying up
    return info


def _claim(out: Path, what: str) -> None:
    """Make `out` the place of this build, of which `what` tells format and identity; refuse any other folder."""
    claim = _claim_path(out)
    if claim.is_file():
        if claim.read_text() != what:
            raise UserError(
                f"{out} holds an unfinished build of another recipe, count, seed, format or mildbench version, "
                "or its sources have changed since: choose another --out, or delete that folder"
            )
        for leftover in out.rglob(".*.tmp*"):  # of a process that was killed while it wrote
            leftover.unlink(missing_ok=True)
    elif out.is_dir() and any(item.name != STATE for item in out.iterdir()):
        raise UserError(f"{out} exists and is not a data set: choose another --out")
    elif out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: choose another --out")
    else:
        write_bytes(claim, what.encode())


def _hold_claim(spec: Spec) -> None:
    """Claim the folder anew if somebody has deleted it meanwhile: the same command then goes on in it."""
    claim = _claim_path(Path(spec["out"]))
    if not claim.is_file():
        write_bytes(claim, f"{spec['job']['format']} {spec['identity']}".encode())


def _claim_path(out: Path) -> Path:
    return out / STATE / "identity"


def _is_whole(out: Path) -> bool:
    """Whether every file of a finished data set is there; `validate` looks at what they hold."""
    return (out / CHECKSUMS).is_file() and all((out / name).is_file() for name, _ in checksums(out))


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
        for name, sha256 in {**record["files"], **record["shared"]}.items()
    )


def _record(spec: Spec) -> dict[str, Any]:
    """A shard's completion record; raises `UserError` when it or one of its files is gone."""
    root, path = Path(spec["out"]), _record_path(spec)
    names = [path.relative_to(root).as_posix()]
    if path.is_file():
        record = read_json(path, "completion record")
        names = [*record["files"], *record["shared"]]
    if lost := [name for name in names if not (root / name).is_file()]:
        raise UserError(f"{root / lost[0]} was deleted while it was needed: run the same command again")
    return record


def _check_broken(recipe: Recipe, broken: set[tuple[str, str]], used: int) -> None:
    """Fail a build of which too many inputs turned out broken only when they were read; `used` is how many not."""
    read = len(broken) + used
    if len(broken) > recipe.max_rejected_share * read:
        reason, example = min(broken)
        raise UserError(
            f"{len(broken)} of the {read} people and backgrounds read are broken, more than the recipe's "
            f"max_rejected_share {recipe.max_rejected_share}; e.g. {reason}: {example}: repair the sources"
        )


def _item(provenance: dict[str, Any]) -> tuple[str, str, str]:
    """What tells one person or background that was used from another."""
    return provenance["source"], provenance["file"], provenance["annotation"] or ""


def _finish(
    job: dict[str, Any],
    identity: str,
    public: dict[str, Any],
    out: Path,
    specs: Iterator[Spec],
    catalogue: Catalogue,
) -> DatasetInfo:
    """Merge the completion records into the index, one at a time."""
    recipe = Recipe.model_validate(job["recipe"])
    unmet, crowd = Counter[str](), Counter[int]()
    broken: set[tuple[str, str]] = set()
    ratios, framed = VisibleRatios(), Framings()
    grounds = Counter[str]()
    used: set[tuple[str, str, str]] = set()
    splits = [name for name, share in recipe.splits.items() if share > 0]
    description = _description(recipe, job, identity, public, splits, catalogue)
    with IndexWriter(out, description, splits) as index:
        for spec in specs:
            _hold_claim(spec)
            record = _record(spec)
            for entry in record["scenes"]:
                row = entry["row"]
                index.add(row)
                index.annotate(row["split"], entry["image"], entry["annotations"])
                crowd[row["people"]] += 1
                grounds[row["ground"]] += 1
                used.add(_item(row["background_provenance"]))
                for person in row["persons"]:
                    used.add(_item(person["provenance"]))
                    if person["asked_visible_ratio"] is not None:
                        ratios.add(person["asked_visible_ratio"], person["visible_ratio"])
            index.add_files(record["files"], record["shared"])
            broken.update((reason, example) for reason, example in record["broken"])
            unmet += Counter(record["unmet"])
            for wanted, achieved in record["framings"]:
                framed.add(Framing(*wanted), Framing(*achieved))
        _check_broken(recipe, broken, len(used))
        info = index.finish(
            {
                "rejected_while_building": dict(sorted(Counter(reason for reason, _ in broken).items())),
                "rejected_examples": dict(sorted(broken, reverse=True)),
                "unmet_wishes": dict(sorted(unmet.items())),
                "people_per_scene": {str(count): crowd[count] for count in sorted(crowd)},
                "scenes_by_ground": dict(sorted(grounds.items())),
                "visible_ratio": ratios.report(recipe.visible_ratio),
                "framing": framed.report(framings.load(recipe.framing).taller(recipe.stature[0])),
                "near_duplicates": catalogue.survey.alike,
            }
        )
    shutil.rmtree(out / STATE)
    return info


def _description(
    recipe: Recipe,
    job: dict[str, Any],
    identity: str,
    public: dict[str, Any],
    splits: Sequence[str],
    catalogue: Catalogue,
) -> dict[str, Any]:
    """What the data set says of itself, before its scenes are counted."""
    return {
        "name": recipe.name,
        "source": "scenes",
        "description": recipe.description,
        "format": job["format"],
        "seed": job["seed"],
        "size": recipe.size,
        "jpeg": {split: quality for split in splits if (quality := recipe.jpeg_quality(split)) is not None},
        "recipe": public,
        "build": identity,
        "sources": [source.model_dump() for source in describe(catalogue)],
    }
