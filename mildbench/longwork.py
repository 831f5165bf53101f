"""Long work: cut into shards that any engine does in any order, claimed, recorded, and taken up again where it stopped.

    STATE/identity        whose work this is: the claim
    STATE/NNNNNNNN.json   a shard's completion record: identity, outputs with their sha256, result; written last

What a shard makes depends on the work and on the shard alone, never on who makes it, nor on what was made before.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mildbench.errors import UserError
from mildbench.executors import Executor, Spec
from mildbench.files import file_sha256, read_json, remove_folder, write_bytes, write_json
from mildbench.progress import Advance


class Made(NamedTuple):
    """What a shard made."""

    result: Any
    """What is to be known of it later; JSON values."""
    files: dict[str, str]
    """Its outputs: name under the work's folder -> sha256 (hex)."""


class Maker(ABC):
    """Makes shards. Pickled before it is opened, it is what every worker gets."""

    def open(self) -> None:  # noqa: B027 - optional hook: some need nothing
        """Read what all shards need (sources, networks); once in each process that makes any, however many."""

    @abstractmethod
    def make(self, spec: Spec, advance: Advance) -> Made:
        """Make a shard: all of its outputs are in place when this returns.

        Args:
            spec: the shard; its `number` names its record, its `size` is how many samples it has.
            advance: may be told of samples that are done meanwhile.
        """


class LongWork:
    """Work whose outputs lie in one folder.

    Args:
        root: the folder.
        state: folder of the claim and the records, while there is work.
        identity: of all that the outputs depend on.
        maker: makes the shards.
    """

    def __init__(self, root: Path, state: Path, identity: str, maker: Maker) -> None:
        self._root = root.absolute()
        self._state = state.absolute()
        self._identity = identity
        self._maker = maker
        self._opened = False
        self._whole = b""
        self._advance: Advance = _nobody_looks

    def __reduce__(self) -> tuple[Any, ...]:
        # As bytes, made once: a worker that holds the work already need not unpickle it for each shard, and what goes
        # wrong when it does is that shard's error, not the engine's.
        if not self._whole:
            self._whole = pickle.dumps((self._root, self._state, self._identity, self._maker))
        return _Sent, (f"{self._state} {self._identity}", self._whole)

    @property
    def claimant(self) -> str | None:
        """The identity of the work that the folder is claimed for; None where it is free."""
        claim = self._state / "identity"
        return claim.read_text(encoding="utf-8") if claim.is_file() else None

    def claim(self) -> None:
        """Say whose work this is."""
        write_bytes(self._state / "identity", self._identity.encode())

    def run(self, executor: Executor, specs: Iterable[Spec], advance: Advance) -> None:
        """Make the shards that are not done; whatever stops it, what is done stays done.

        Args:
            executor: where.
            specs: the shards, drawn as they are needed.
            advance: told how many samples are done, those that were done before too.

        Raises:
            UserError: of the maker or the engine; other exceptions of the maker as they are.
        """
        self._advance = advance
        for samples in executor.run(self, specs):
            advance(samples)

    def __call__(self, spec: Spec) -> int:
        """Make one shard and its record, unless it is done. Returns how many samples nobody has been told of yet."""
        if self._is_done(spec):
            return int(spec["size"])
        self._hold()
        if not self._opened:
            self._maker.open()
            self._opened = True
        told = 0

        def advance(samples: int) -> None:
            nonlocal told
            if self._advance is not _nobody_looks:
                told += samples
                self._advance(samples)

        made = self._maker.make(spec, advance)
        record = {"identity": self._identity, "files": made.files, "result": made.result}
        write_json(self._record(spec["number"]), record, indent=None)
        return int(spec["size"]) - told

    def records(self, numbers: Iterable[int]) -> Iterator[Made]:
        """What was recorded of shards that are done, in order; `UserError` when a record or an output is gone."""
        for number in numbers:
            self._hold()
            path = self._record(number)
            if not path.is_file():
                raise _deleted(path)
            record = read_json(path, "completion record")
            for name in record["files"]:
                if not (self._root / name).is_file():
                    raise _deleted(self._root / name)
            yield Made(record["result"], record["files"])

    def found(self) -> Iterator[Made]:
        """What is recorded of any shard, whoever's: of those that a killed process has done."""
        for path in sorted(self._state.glob("[0-9]*.json")):
            if (record := _whole_record(path)) is not None:
                yield Made(record["result"], record["files"])

    def remove(self) -> None:
        """Forget claim and records: what they tell is elsewhere, or of no use any more."""
        remove_folder(self._state)

    def _hold(self) -> None:
        """Claim the folder anew if somebody has deleted it meanwhile: the same command then goes on in it."""
        if self.claimant is None:
            self.claim()

    def _record(self, number: int) -> Path:
        return self._state / f"{number:08d}.json"

    def _is_done(self, spec: Spec) -> bool:
        """Whether a shard's record is whole and of this work, and its outputs still are what it says."""
        record = _whole_record(self._record(spec["number"]))
        if record is None or record["identity"] != self._identity:
            return False
        return all(
            (self._root / name).is_file() and file_sha256(self._root / name) == sha256
            for name, sha256 in record["files"].items()
        )


def _whole_record(path: Path) -> dict[str, Any] | None:
    """None where there is none, half of one (not every file system renames atomically), or something else."""
    try:
        record = read_json(path, "completion record") if path.is_file() else None
    except UserError:
        return None
    return record if isinstance(record, dict) and record.keys() >= {"identity", "files", "result"} else None


def other_here(what: str) -> UserError:
    """What a maker raises in a worker where it would make something else than in the process that started it."""
    return UserError(
        f"a worker has other {what} than the process that started it: install the same mildbench, plug-ins and weights "
        "on all machines"
    )


def _nobody_looks(samples: int) -> None:
    """In a worker: whoever started it is told when the shard is done."""


def _deleted(path: Path) -> UserError:
    return UserError(f"{path} was deleted while it was needed: run the same command again")


_HELD: dict[str, LongWork] = {}
"""A worker's: the work that it has opened last, over all shards of it that come its way."""


class _Sent:
    """Long work on its way to a worker."""

    def __init__(self, key: str, whole: bytes) -> None:
        self._key = key
        self._whole = whole

    def __call__(self, spec: Spec) -> int:
        if self._key not in _HELD:
            _HELD.clear()
            _HELD[self._key] = LongWork(*pickle.loads(self._whole))
        return _HELD[self._key](spec)
