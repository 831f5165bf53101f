"""What the workers of one build share, in files: lists of people that took long to check, and whatever is rendered.

Everything is named by what it is made from: the source as the recipe writes it, and the item's key. Whoever needs
something first makes it and leaves it here; others read the same bytes. Nothing depends on who that is.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from mildbench.files import fingerprint, write_bytes, write_json
from mildbench.scene import Provenance
from synth.material import Background, BackgroundRef, Cutout, Known, PersonRef, SeenObject, Sunlight
from synth.sources.base import BackgroundSource, PeopleSource, Source

MOST = 512
"""Items of a source, up to which they are shared: of many more, few are asked for twice, and files would pile up."""

T = TypeVar("T", Cutout, Background)
_WORDS = "words"
_MADE_OF: dict[str, Callable[[Any], Any]] = {
    "provenance": lambda value: Provenance(**value),
    "carried": tuple,
    "known": Known,
    "sunlight": lambda value: None if value is None else Sunlight(**value),
    "objects": lambda values: tuple(SeenObject(item["category"], tuple(item["box"])) for item in values),
}
"""Fields of `Cutout` and `Background` that JSON does not give back as they were."""


class Store:
    """A folder that the workers of one build share.

    Args:
        folder: made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list_people(self, source: str, people: Sequence[PersonRef]) -> None:
        """Tell the workers whom a source has."""
        write_json(self._listing(source), [asdict(ref) for ref in people], indent=None)

    def people(self, source: str) -> list[PersonRef] | None:
        """Whom a source has; None where nobody has said it."""
        path = self._listing(source)
        return [PersonRef(**ref) for ref in json.loads(path.read_bytes())] if path.is_file() else None

    def get(self, kind: type[T], source: str, key: str, make: Callable[[], T]) -> T:
        """An item of a source, from `make` where nobody has left it here yet; what `make` raises is raised."""
        path = self._folder / f"{fingerprint([kind.__name__, source, key])}.npz"
        try:
            return _unpacked(kind, path.read_bytes())
        except (
            FileNotFoundError,
            zipfile.BadZipFile,
            EOFError,
            KeyError,
            ValueError,
        ):  # or cut off by a crash
            value = make()
            write_bytes(path, _packed(value))
            return value

    def _listing(self, source: str) -> Path:
        return self._folder / f"{fingerprint(['people', source])}.json"


def _packed(value: Cutout | Background) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    words: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if isinstance(content, np.ndarray):
            arrays[field.name] = content
        elif field.name == "objects":
            words[field.name] = [asdict(item) for item in content]
        else:
            words[field.name] = asdict(content) if hasattr(content, "__dataclass_fields__") else content
    file = io.BytesIO()
    np.savez(
        file, allow_pickle=False, **arrays, **{_WORDS: np.frombuffer(json.dumps(words).encode(), np.uint8)}
    )
    return file.getvalue()


def _unpacked(kind: type[T], data: bytes) -> T:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    words = json.loads(arrays.pop(_WORDS).tobytes())
    made = {name: _MADE_OF[name](value) if name in _MADE_OF else value for name, value in words.items()}
    return kind(**arrays, **made)


S = TypeVar("S", bound=Source)


class _Shared(Source, Generic[S]):
    """A source of which a store keeps what takes long.

    Args:
        source: any.
        text: as the recipe writes it.
        store: of the build.
    """

    def __init__(self, source: S, text: str, store: Store) -> None:
        self._source, self._text, self._store = source, text, store
        self.name, self.licence, self.rejections = source.name, source.licence, source.rejections
        self.left_out = source.left_out
        self._count = 0

    def photo(self, key: str) -> Path | None:
        return self._source.photo(key)

    def files(self, key: str) -> Sequence[Path]:
        return self._source.files(key)

    def annotation(self, key: str) -> Any:
        return self._source.annotation(key)


class SharedPeople(_Shared[PeopleSource], PeopleSource):
    """A source's people, listed once for all workers of a build, and drawn once where they are rendered."""

    def people(self) -> Sequence[PersonRef]:
        listed = self._store.people(self._text) if self._source.slow_to_list else None
        people = self._source.people() if listed is None else listed
        self._count = len(people)
        return people

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        if not self._source.rendered or self._count > MOST:
            return self._source.cutout(key, scale)
        named = f"{key} at {scale!r}"
        return self._store.get(Cutout, self._text, named, lambda: self._source.cutout(key, scale))


class SharedBackgrounds(_Shared[BackgroundSource], BackgroundSource):
    """Rendered backgrounds, each drawn once for all workers of a build."""

    def __init__(self, source: BackgroundSource, text: str, store: Store) -> None:
        super().__init__(source, text, store)
        self.rendered = source.rendered

    def backgrounds(self) -> Sequence[BackgroundRef]:
        backgrounds = self._source.backgrounds()
        self._count = len(backgrounds)
        return backgrounds

    def background(self, key: str) -> Background:
        if not self.rendered or self._count > MOST:
            return self._source.background(key)
        return self._store.get(Background, self._text, key, lambda: self._source.background(key))

    def place(self, key: str) -> Background:
        return self._source.place(key)
