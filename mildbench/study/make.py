"""A study made: pairs drawn from runs, the page that raters get, and the key that stays with its maker."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import mildbench
from mildbench import extras
from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.files import fingerprint, write_bytes
from mildbench.records import write_model
from mildbench.report import html
from mildbench.study import plan
from mildbench.study.pictures import Compression, GivenPicture, Key, encoded
from mildbench.study.records import AskedPair, Check, RunKey, Side, Study, read_study
from mildbench.study.runs import Contender, comparable, source_of

TEMPLATES = Path(__file__).with_name("templates")
KEY = "study.json"
PAGE = "study.html"
_PAIRS_PER_CHECK = 10
_FEWEST_CHECKS = 4


def paths(out: Path) -> tuple[Path, Path]:
    """Where page and key of a study go: into a folder, or to a page's name with the key beside it."""
    if out.suffix == ".html":
        return out, out.with_suffix(".json")
    return out / PAGE, out / KEY


def make(
    runs: Sequence[Path], out: Path, *, count: int, seed: int, dataset: Path | None = None, show: bool = False
) -> tuple[Study, Path, Path]:
    """Draw a study and write its page and its key, atomically.

    Args:
        runs: run folders, or folders that hold runs: of one task on one data set.
        out: a folder, or a page's name (`.html`).
        count: pairs about the methods; one attention check comes with every ten of them, four at least.
        seed: of all that is random. Equal runs, counts and seeds give the same files.
        dataset: where the data set lies, if not where the runs found it.
        show: progress.

    Returns:
        The study, its page and its key.

    Raises:
        UserError: runs that cannot be compared, too few samples, pictures that are gone, another study in that place,
            or jinja2 is missing.
    """
    if count < 1:
        raise UserError(f"--pairs {count}: give 1 or more")
    extras.require("jinja2", "a study")
    page, key = paths(out)
    contenders = comparable(runs)
    first = next(iter(contenders.values()))
    source = source_of(first, dataset)
    shown, needed = _drawn(contenders, count, seed)
    compression, pictures = encoded(needed, source, contenders, show=show)
    study = _study(contenders, source, shown, seed, compression)
    if key.exists() and read_study(key).id != study.id:
        raise UserError(f"{key} is of another study, and its answers need it: give another --out")
    write_model(key, study)
    write_bytes(page, _page(study, pictures).encode())
    return study, page, key


def _drawn(
    contenders: Mapping[str, Contender], count: int, seed: int
) -> tuple[list[AskedPair | Check], list[Key]]:
    """What is shown, in order, and the pictures that it takes."""
    runs = list(contenders.values())
    common = [name for name in runs[0].shown if all(name in run.shown for run in runs)]
    if not common:
        raise UserError("these runs have no scored sample in common: evaluate them on the same samples")
    scenes = {name: runs[0].scenes[name] for name in common}
    draw = random.Random(seed)
    pairs = plan.pairs(
        list(contenders),
        scenes,
        count,
        draw,
        alike=lambda sample, a, b: contenders[a].shown[sample] == contenders[b].shown[sample],
    )
    wanted = max(_FEWEST_CHECKS, round(count / _PAIRS_PER_CHECK))
    checks = plan.checks(scenes, runs[0].shares, wanted, draw)
    shown: list[AskedPair | Check] = []
    needed: dict[Key, None] = {}
    for place, item in enumerate(plan.interleaved(pairs, checks, draw), 1):
        name = f"{place:03d}"
        needed[item.sample, GivenPicture.MARKED] = None
        if isinstance(item, plan.Drawn):
            a, b = (
                Side(run=run, pixels_sha256=contenders[run].shown[item.sample]) for run in (item.a, item.b)
            )
            shown.append(AskedPair(id=name, sample=item.sample, scene=scenes[item.sample], a=a, b=b))
            needed |= {(item.sample, item.a): None, (item.sample, item.b): None}
        else:
            shown.append(Check(id=name, sample=item.sample, right=item.right))
            needed |= {(item.sample, GivenPicture.TRUTH): None, (item.sample, GivenPicture.INPUT): None}
    return shown, list(needed)


def _study(
    contenders: Mapping[str, Contender],
    source: TripletSource,
    shown: list[AskedPair | Check],
    seed: int,
    compression: Compression,
) -> Study:
    first = next(iter(contenders.values()))
    samples: dict[str, list[str]] = {name: [] for name in contenders}
    for item in shown:
        if isinstance(item, AskedPair):
            samples[item.a.run].append(item.sample)
            samples[item.b.run].append(item.sample)
    study = Study(
        mildbench=mildbench.__version__,
        id="",
        seed=seed,
        dataset=first.summary.dataset,
        fingerprint=first.summary.config.dataset,
        task=first.summary.task,
        split=first.summary.split,
        paste_dilation=first.summary.paste_dilation,
        longest_side=compression.side,
        webp_quality=compression.quality,
        runs={
            name: RunKey(folder=run.folder.name, path=str(run.folder), fills=run.fills(source, samples[name]))
            for name, run in contenders.items()
        },
        shown=shown,
    )
    told = study.model_dump(mode="json", exclude={"id": True, "runs": {"__all__": {"path"}}})
    return study.model_copy(update={"id": fingerprint(told)[:16]})


def _page(study: Study, pictures: Mapping[Key, str]) -> str:
    """The page: ids and pictures, and nothing that tells a method."""
    places: dict[Key, int] = {}

    def place(sample: str, what: GivenPicture | str) -> int:
        return places.setdefault((sample, what), len(places))

    pairs = []
    for item in study.shown:
        if isinstance(item, AskedPair):
            sides: tuple[GivenPicture | str, GivenPicture | str] = (item.a.run, item.b.run)
        else:
            sides = (
                (GivenPicture.TRUTH, GivenPicture.INPUT)
                if item.right == "A"
                else (GivenPicture.INPUT, GivenPicture.TRUTH)
            )
        before, a, b = (place(item.sample, what) for what in (GivenPicture.MARKED, *sides))
        pairs.append({"id": item.id, "before": before, "a": a, "b": b})
    data = {"id": study.id, "pairs": pairs, "pictures": [pictures[key] for key in places]}
    return html.render(
        TEMPLATES,
        "study.html.j2",
        # Nothing in it needs escaping: hex digits, numbers and base64.
        {"data": json.dumps(data), "study": study},
    )
