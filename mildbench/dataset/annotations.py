"""A split's COCO file, written and read scene by scene: that of a million scenes does not fit in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import mildbench
from mildbench.dataset import jsonstream
from mildbench.dataset.coco import OBJECT, PERSON
from mildbench.errors import UserError


class AnnotationWriter:
    """Writes a COCO file scene by scene, however many there are; the file is whole when the context is left.

    Annotations wait in a file of their own beside it: COCO has a list of images, then one of annotations.
    """

    def __init__(self, path: Path, description: str) -> None:
        self._images = path.open("w+", encoding="utf-8")
        self._annotations = path.with_name(f"{path.name}.annotations").open("w+", encoding="utf-8")
        info = {"description": description, "version": mildbench.__version__, "contributor": "mildbench"}
        head = json.dumps({"info": info, "categories": [PERSON, OBJECT]})
        self._images.write(f'{head[:-1]},\n"images": [')
        self._annotations.write('],\n"annotations": [')
        self._empty = {"images": True, "annotations": True}
        self._licences: dict[str, int] = {}

    def licence(self, name: str) -> int:
        """The id of a licence for image records."""
        return self._licences.setdefault(name, len(self._licences) + 1)

    def add(self, image: dict[str, Any], annotations: Iterable[dict[str, Any]]) -> None:
        """Append one image and its annotations."""
        self._item("images", image)
        for annotation in annotations:
            self._item("annotations", annotation)

    def _item(self, kind: str, item: dict[str, Any]) -> None:
        stream = self._images if kind == "images" else self._annotations
        stream.write("\n" if self._empty[kind] else ",\n")
        stream.write(json.dumps(item, separators=(",", ":"), allow_nan=False))
        self._empty[kind] = False

    def __enter__(self) -> AnnotationWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Put the two parts together, unless there was an error; the second file goes in any case."""
        with self._images, self._annotations:
            if kind is None:
                licences = [
                    {"id": number, "name": name, "url": ""} for name, number in self._licences.items()
                ]
                self._annotations.write(f'],\n"licenses": {json.dumps(licences)}}}\n')
                self._annotations.seek(0)
                shutil.copyfileobj(self._annotations, self._images)
        Path(self._annotations.name).unlink()


class AnnotationReader:
    """A split's COCO file beside its samples: both are in the same order, so one pass is enough."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._problem: str | None = None
        self._strays = 0
        self._images = _Ahead(self._items(path, "images"))
        self._annotations = _Ahead(self._items(path, "annotations"))

    def _items(self, path: Path, key: str) -> Iterator[Any]:
        try:
            yield from jsonstream.items(path, key, "annotations")
        except UserError as error:
            self._problem = str(error)

    def of(self, sample_id: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The image record of a sample, if there is one, and its annotations."""
        self._strays += len(list(self._images.take(lambda item: _sample_id(item) < sample_id)))
        image = next(self._images.take(lambda item: _sample_id(item) == sample_id), None)
        if image is None:
            return None, []
        number = _number(image, "id")
        self._strays += len(list(self._annotations.take(lambda item: _number(item, "image_id") < number)))
        return image, list(self._annotations.take(lambda item: _number(item, "image_id") == number))

    def left_over(self) -> list[str]:
        """Problems of the file as a whole, once all samples are through."""
        for rest in (self._images, self._annotations):
            self._strays += sum(1 for _ in rest.take(lambda item: True))
        if self._problem:
            return [self._problem]
        return [f"{self._name}: {self._strays} records of no sample, or out of order"] if self._strays else []


class _Ahead:
    """An iterator with a look at the next item."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._next: list[Any] = []

    def take(self, wanted: Callable[[Any], bool]) -> Iterator[Any]:
        """The items from here on for which `wanted` holds, up to the first for which it does not."""
        while True:
            self._next = self._next or list(islice(self._items, 1))
            if not self._next or not wanted(self._next[0]):
                return
            yield self._next.pop()


def _sample_id(image: Any) -> str:
    return str(image.get("sample_id", "")) if isinstance(image, dict) else ""


def _number(item: Any, key: str) -> int:
    number = item.get(key) if isinstance(item, dict) else None
    return number if isinstance(number, int) else -1
