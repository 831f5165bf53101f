"""Build a data set: plan and render shard by shard, resume what is missing, then put the index on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
from mildbench.files import fingerprint, remove_leftovers
from mildbench.longwork import LongWork, Made, Maker
from mildbench.progress import Advance
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
    work = LongWork(out, out / STATE, f"{format} {identity}", Scenes(out, job, planner))
    if finished := _finished(out, identity, format, work):
        if _is_whole(out):
            advance(recipe.count)
            return finished
        work.claim()
        (out / INFO).unlink()  # unfinished again: what was lost is made once more
    _claim(out, f"{format} {identity}", work)
    catalogue.share(_store(out))
    work.run(executor, _specs(job), advance)
    info = _finish(
        job, identity, public, out, work.records(range(0, recipe.count, SCENES[format])), catalogue
    )
    work.remove()
    return info


def _public(recipe: Recipe, sources: list[SourceInfo]) -> dict[str, Any]:
    """The recipe with its sources by name: no path of this machine gets into a data set or its identity."""
    named: dict[str, list[str]] = {"people": [], "backgrounds": []}
    for source in sources:
        named[source.role].append(source.name)
    public = recipe.model_dump(mode="json") | named
    if recipe.check_people is not None:
        public["check_people"] = AnnotatorSpec.parse(recipe.check_people).public()
    if recipe.depth is None:
        del public["depth"]  # data sets from before there was the key keep their identity
    else:
        public["depth"] = AnnotatorSpec.parse(recipe.depth).public()
    return public


def _specs(job: dict[str, Any]) -> Iterator[Spec]:
    """The shards. Each is told the numbers of its tar files, one a split, which have no gaps over the shards."""
    count, splits = job["recipe"]["count"], job["recipe"]["splits"]
    made: Counter[str] = Counter()
    size = SCENES[job["format"]]
    for start in range(0, count, size):
        stop = min(start + size, count)
        here = sorted({split_of_sample(index, splits) for index in range(start, stop)})
        yield {"number": start, "size": stop - start, "tars": {split: made[split] for split in here}}
        made.update(here)


class Scenes(Maker):
    """Makes the scenes of a job: `number` is the first of a shard.

    Args:
        out: the data set's folder.
        job: recipe, seed, format and what is known of all sources; JSON values.
        planner: of this job, where there is one already; workers open their own.
    """

    def __init__(self, out: Path, job: dict[str, Any], planner: Planner | None = None) -> None:
        self.out = out.absolute()
        self._job = job
        self._planner = planner

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_planner": None}

    def open(self) -> None:
        if self._planner is None:
            keep_freed_memory()  # a worker's process: that of `build` has its planner, and is the caller's
            recipe = Recipe.model_validate(self._job["recipe"])
            survey = Survey(**self._job["survey"])
            self._planner = open_planner(recipe, self._job["seed"], survey, _store(self.out))

    def make(self, spec: Spec, advance: Advance) -> Made:
        planner = self._planner
        assert planner is not None
        entries, framed, unmet = [], [], Counter[str]()
        broken: set[tuple[str, str]] = set()
        with new_shard(self._job["format"], self.out, spec["tars"]) as shard:
            for index in range(spec["number"], spec["number"] + spec["size"]):
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
        result = {
            "scenes": entries,
            "shared": shard.shared,
            "broken": sorted(broken),
            "unmet": dict(unmet),
            "framings": framed,
        }
        return Made(result, shard.files | shard.shared)


def _store(out: Path) -> Store:
    return Store(out / STATE / "shared")


def _finished(out: Path, identity: str, format: Format, work: LongWork) -> DatasetInfo | None:
    """The data set already in `out` if it is the one asked for; `UserError` if it is another."""
    if not (out / INFO).is_file():
        return None
    info = read_info(out)
    if (info.build, info.format) != (identity, format):
        raise UserError(
            f"{out} already holds the data set {info.name!r} of another recipe, count, seed, format or mildbench "
            "version, or its sources have changed since: choose another --out, or delete that folder"
        )
    work.remove()  # left behind if we were stopped while tidying up
    return info


def _claim(out: Path, what: str, work: LongWork) -> None:
    """Make `out` the place of this build, of which `what` tells format and identity; refuse any other folder."""
    if (claimant := work.claimant) is not None:
        if claimant != what:
            raise UserError(
                f"{out} holds an unfinished build of another recipe, count, seed, format or mildbench version, "
                "or its sources have changed since: choose another --out, or delete that folder"
            )
        remove_leftovers(out)
    elif out.is_dir() and any(item.name != STATE for item in out.iterdir()):
        raise UserError(f"{out} exists and is not a data set: choose another --out")
    elif out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: choose another --out")
    else:
        work.claim()


def _is_whole(out: Path) -> bool:
    """Whether every file of a finished data set is there; `validate` looks at what they hold."""
    return (out / CHECKSUMS).is_file() and all((out / name).is_file() for name, _ in checksums(out))


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
    records: Iterator[Made],
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
        for record, files in records:
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
            shared = record["shared"]
            index.add_files({name: files[name] for name in files if name not in shared}, shared)
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
