"""From a gallery to a FiftyOne data set: made once, then brought up to date.

Every sample is a group: `composite` (the default slice, with labels and scores), `truth`, and for each run
its output and the heat map of its difference from the truth. A document is known by its sample id and slice, so
that exporting again adds what is missing, replaces what shows another file, removes what is not wanted any more,
and leaves what the user has set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mildbench.browse import fields
from mildbench.browse.gallery import Gallery
from mildbench.browse.labels import people_labels
from mildbench.browse.media import FOLDER, Files, Media
from mildbench.browse.presentation import present
from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS, SKELETON
from mildbench.prefetch import read_ahead
from mildbench.progress import tracking
from mildbench.scene import People

REVISION = 1
"""Goes up when documents change their form: older ones are then replaced, tags and notes kept."""
MADE_BY = "mildbench"
"""Key in the data set's `info` of what decides whether its documents still hold."""
SCORE_FIELDS = "mildbench_scores"
"""Key of the fields that came from the runs of the last export."""
DEFAULT_SLICE = "composite"

_THREADS = 2
_BATCH = 32
"""Groups written at a time."""

Place = tuple[str, str]
"""Sample id and slice."""


@dataclass(frozen=True)
class Mark:
    """What the user has set on a document in the app."""

    tags: tuple[str, ...]
    note: str | None


@dataclass(eq=False)
class _Known:
    """What a FiftyOne data set holds already."""

    documents: dict[Place, str] = field(default_factory=dict)
    files: dict[Place, str] = field(default_factory=dict)
    """What each document shows."""
    groups: dict[str, str] = field(default_factory=dict)
    """Sample id -> id of its group."""
    marks: dict[Place, Mark] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Ready:
    """One sample whose files are all there."""

    id: str
    files: Files
    size: tuple[int, int]
    people: People | None
    targets: tuple[int, ...]


def find(fo: Any, gallery: Gallery) -> Any | None:
    """The gallery's FiftyOne data set, None where it was never exported.

    Raises `UserError` for one of that name that somebody else made.
    """
    if not fo.dataset_exists(gallery.name):
        return None
    found = fo.load_dataset(gallery.name)
    if MADE_BY not in found.info:
        raise UserError(
            f"FiftyOne has a data set {gallery.name!r} that mildbench did not make: rename or delete it"
        )
    return found


def marked(dataset: Any) -> dict[Place, Mark]:
    """The documents that the user has tagged, or written a note on."""
    return _known(dataset).marks


def export(fo: Any, gallery: Gallery, ids: Sequence[str], *, progress: bool = False) -> Any:
    """Bring the gallery's FiftyOne data set up to date, so that it holds these samples.

    Args:
        fo: the module `fiftyone`.
        gallery: what is looked at; a file that the app needs and that is not there is made in a cache folder.
        ids: samples, without repetition.
        progress: show a bar on stderr.

    Returns:
        The data set, persistent. Stopped at any time, exporting again goes on from what is there.

    Raises:
        UserError: broken files, or a data set of that name that is not ours.
    """
    cache = _cache(fo, gallery)
    made_by = {"revision": REVISION, "data": str(gallery.dataset.root.resolve()), "made": str(cache)}
    dataset = _opened(fo, gallery, made_by)
    known = _known(dataset)
    media = Media(gallery, cache)
    wanted = {name: media.files(name) for name in ids}
    places = {
        (name, part): str(file.path) for name, one in wanted.items() for part, file in one.pictures.items()
    }
    unwanted = known.documents.keys() - places.keys() - known.marks.keys()
    dataset.delete_samples([known.documents.pop(place) for place in unwanted])
    moved = dataset.info[MADE_BY] != made_by
    stale = {
        place: known.documents.pop(place)
        for place, file in places.items()
        if place in known.documents and (moved or known.files[place] != file)
    }

    missing = [
        name
        for name, files in wanted.items()
        if any((name, part) not in known.documents for part in files.pictures)
        or not all(file.ready() for file in files.all())
    ]
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        tracking("samples to FiftyOne", len(missing), show=progress) as advance,
    ):
        ready = read_ahead(
            pool, lambda name: _prepared(gallery, media, known, name, wanted[name]), missing, 2 * _THREADS
        )
        while batch := list(islice(ready, _BATCH)):
            documents = [document for one in batch for document in _documents(fo, gallery, one, known)]
            replaced = [(one.id, part) for one in batch for part in one.files.pictures]
            dataset.delete_samples([stale[place] for place in replaced if place in stale])
            if documents:
                dataset.add_samples(documents, validate=False, progress=False)
            advance(len(batch))
    if missing:
        dataset.add_dynamic_sample_fields()  # the labels' attributes, to filter by
    dataset.info[MADE_BY] = made_by
    _rescore(dataset, gallery, {name: known.documents.get((name, DEFAULT_SLICE)) for name in ids})
    present(fo, dataset, gallery)
    return dataset


def _cache(fo: Any, gallery: Gallery) -> Path:
    """The folder of what is made for the app."""
    if gallery.runs:
        return gallery.runs[0].folder.path.parent / FOLDER
    return (
        Path(fo.config.default_dataset_dir) / gallery.name
    )  # a data set is finished: nothing is written into it


def _prepared(gallery: Gallery, media: Media, known: _Known, name: str, files: Files) -> _Ready:
    """A sample whose files are written, with its people unless its document is there."""
    for file in files.all():
        file.write()
    row = gallery.row(name)
    people: tuple[People | None, tuple[int, ...]] = (None, ())
    if (name, DEFAULT_SLICE) not in known.documents:
        people = media.people(name)
    return _Ready(name, files, (row["width"], row["height"]), *people)


def _opened(fo: Any, gallery: Gallery, made_by: dict[str, Any]) -> Any:
    """The data set, with all its fields."""
    dataset = find(fo, gallery)
    if dataset is None:
        dataset = fo.Dataset(gallery.name, persistent=True)
        dataset.add_group_field("group", default=DEFAULT_SLICE)
        dataset.info[MADE_BY] = made_by
        dataset.info[SCORE_FIELDS] = []
        dataset.skeletons = {
            "pose": fo.KeypointSkeleton(labels=list(KEYPOINTS), edges=[list(edge) for edge in SKELETON])
        }
    _declare(fo, dataset, gallery)
    return dataset


def _declare(fo: Any, dataset: Any, gallery: Gallery) -> None:
    """Declare all fields, so that an empty one shows too, and drop those of runs that are not looked at any more."""
    plain = {str: fo.StringField, int: fo.IntField, float: fo.FloatField}
    labels = {"visible": fo.Detections, "amodal": fo.Detections, "pose": fo.Keypoints}
    labels |= {"parsing": fo.Segmentation, "mask": fo.Segmentation}
    scores = fields.score_fields(gallery)
    if stale := [name for name in dataset.info[SCORE_FIELDS] if name not in scores]:
        dataset.delete_sample_fields(stale)
    dataset.info[SCORE_FIELDS] = list(scores)
    dataset.save()
    declared = dataset.get_field_schema()
    for name, kind in {"sample_id": str, "note": str, **fields.FACTS, **scores}.items():
        if name not in declared:
            dataset.add_sample_field(name, plain[kind])
    for name, label in labels.items():
        if name not in declared:
            dataset.add_sample_field(name, fo.EmbeddedDocumentField, embedded_doc_type=label)


def _known(dataset: Any) -> _Known:
    everything = dataset.select_group_slices(_allow_mixed=True)
    names = ("id", "sample_id", "group.id", "group.name", "filepath", "tags", "note")
    found = _Known()
    for number, sample_id, group, part, file, tags, note in zip(*everything.values(list(names)), strict=True):
        found.documents[sample_id, part] = number
        found.files[sample_id, part] = file
        found.groups[sample_id] = group
        if tags or note:
            found.marks[sample_id, part] = Mark(tuple(tags), note)
    return found


def _documents(fo: Any, gallery: Gallery, one: _Ready, known: _Known) -> Iterable[Any]:
    """The documents of a sample that the data set lacks."""
    width, height = one.size
    group = fo.Group(id=known.groups[one.id]) if one.id in known.groups else fo.Group()
    for part, file in one.files.pictures.items():
        if (one.id, part) in known.documents:
            continue
        values = fields.facts(gallery, one.id)
        if one.files.mask is not None and not part.endswith("difference"):
            values["mask"] = fo.Segmentation(mask_path=str(one.files.mask.path))
        if part == DEFAULT_SLICE:
            values |= fields.scores(gallery, one.id)
            if one.people is not None:
                values |= people_labels(fo, one.people, one.targets)
            if one.files.parsing is not None:
                values["parsing"] = fo.Segmentation(mask_path=str(one.files.parsing.path))
        mark = known.marks.get((one.id, part), Mark((), None))
        yield fo.Sample(
            filepath=str(file.path),
            metadata=fo.ImageMetadata(width=width, height=height, num_channels=3),
            group=group.element(part),
            tags=list(mark.tags),
            sample_id=one.id,
            note=mark.note,
            **values,
        )


def _rescore(dataset: Any, gallery: Gallery, documents: dict[str, str | None]) -> None:
    """Bring the scores of documents that were there before up to date."""
    earlier = {number: fields.scores(gallery, name) for name, number in documents.items() if number}
    if not earlier:
        return
    for name in fields.score_fields(gallery):
        values = {number: found[name] for number, found in earlier.items()}
        dataset.set_values(name, values, key_field="id")
