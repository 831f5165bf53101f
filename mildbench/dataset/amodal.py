"""Make a data set of photos whose people are known whole, with their order, but not the colours of what is hidden.

Each photo is a scene: the photo itself is the background, and every layer shows of it what is seen of one person or
thing, over a mask of the whole. So visible masks, ratios and order follow as in any scene, and the layers recompose the
photo. What lies behind a layer nobody knows, so `deocclude` alone can be asked, and masks alone be scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mildbench.dataset.index import IndexWriter
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.pairs import About
from mildbench.dataset.reader import PERSON
from mildbench.dataset.samples import Making, write_scene
from mildbench.dataset.schema import DatasetInfo, SourceInfo
from mildbench.dataset.writers import FolderShard
from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.images import encode_png
from mildbench.labels import UNLABELLED
from mildbench.scene import Layer, Person, Provenance, Scene


@dataclass(frozen=True, eq=False)
class Whole:
    """One person or thing of a photo."""

    mask: np.ndarray
    """bool[H, W]: all of it inside the frame, hidden or not; not empty."""
    category: str
    """`PERSON`, or what the thing is called."""
    annotation: str
    """Its id in the published file."""


@dataclass(frozen=True, eq=False)
class AmodalPhoto:
    """A photo, decoded."""

    image: np.ndarray
    """uint8[H, W, 3]."""
    wholes: tuple[Whole, ...]
    """Back to front, at most 255: every person, and whatever covers one."""
    file: str
    """Where it lies in the set, for provenance."""
    sha256: str


class Unusable(Exception):
    """A photo that cannot be used; the message is the reason, which is counted."""


@dataclass(frozen=True, eq=False)
class FoundPhotos:
    """The photos of a set, each with the id that the data set will give it, and how to read it.

    Reading raises `Unusable`.
    """

    photos: Sequence[tuple[str, Callable[[], AmodalPhoto]]]
    split: str
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> photos that were left out already."""


def import_amodal(
    found: FoundPhotos, out: Path, about: About, notes: Sequence[str] = (), *, advance: Callable[[int], None]
) -> DatasetInfo:
    """Make a data set; photos are stored losslessly. `advance` is called with the number of photos just done.

    Raises `UserError` when no photo can be used; nothing is left behind.
    """
    skipped, hidden, used = Counter(found.skipped), 0, 0
    description = about.dataset("amodal")
    with (
        new_folder(out) as folder,
        IndexWriter(folder, description, [found.split]) as index,
        FolderShard(folder) as shard,
    ):
        for name, read in found.photos:
            try:
                photo = read()
            except Unusable as reason:
                skipped[str(reason)] += 1
            else:
                scene = scene_of(name, photo, about)
                ratios = scene.people().visible_ratio()
                making = Making(
                    found.split,
                    family=about.name,
                    difficulty=1.0 - float(ratios.min(initial=1.0)),
                    ground="unknown",
                    background_provenance=Provenance(about.name, photo.file, photo.sha256, about.licence),
                    asked={},
                    plan={},
                )
                file = encode_png(photo.image)
                made = write_scene(
                    shard, scene, used, making, composite=photo.image, jpeg=None, background_file=file
                )
                index.add(made["row"])
                index.annotate(found.split, made["image"], made["annotations"])
                used += 1
                hidden += sum(
                    ratio < 1 and layer.person.category == PERSON
                    for ratio, layer in zip(ratios, scene.layers, strict=True)
                )
            advance(1)
        if not used:
            why = "; ".join(f"{count} {reason}" for reason, count in skipped.most_common())
            raise UserError(f"no photo of {about.name} can be used ({why}): nothing was imported")
        source = SourceInfo(
            role="people", name=about.name, licence=about.licence, items=used, rejected=dict(skipped)
        )
        description["sources"] = [source.model_dump()]
        index.add_files(shard.files, shard.shared)
        return index.finish(
            {
                "masks": {"outlines of the whole": used},
                "inverted": False,
                "odd": {},
                "skipped": dict(skipped),
                "groups": None,
                "notes": [f"{hidden} people are partly hidden", *notes],
                "citation": about.citation,
            }
        )


def scene_of(name: str, photo: AmodalPhoto, about: About) -> Scene:
    """The scene of a photo: it recomposes the photo, whoever is left out."""
    seen = visible([whole.mask for whole in photo.wholes])
    layers = []
    for number, (whole, part) in enumerate(zip(photo.wholes, seen, strict=True), start=1):
        box = Box.around(whole.mask)
        alpha = np.where(part[box.place], np.uint8(255), np.uint8(0))
        # Black where it is hidden: nothing of whoever is in front.
        colour = np.where(alpha[..., None] > 0, photo.image[box.place], np.uint8(0))
        person = Person(
            number,
            np.zeros((17, 3), np.float32),
            np.where(whole.mask[box.place], UNLABELLED, 0).astype(np.uint8),
            Provenance(about.name, photo.file, photo.sha256, about.licence, whole.annotation),
            whole.category,
        )
        layers.append(Layer(np.dstack([colour, alpha]), (box.left, box.top), person))
    return Scene(name, photo.image, tuple(layers))


def visible(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """bool[H, W] of each of whole masks, back to front: what none in front of it covers."""
    found = []
    in_front = np.zeros(masks[0].shape, dtype=bool)
    for mask in reversed(masks):
        found.append(mask & ~in_front)
        in_front |= mask
    return found[::-1]
