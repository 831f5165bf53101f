"""Long work: what is done is done once, what is damaged is done again, and every sample is counted once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shard_work
from shard_work import Squares

from mildbench.errors import UserError
from mildbench.executors import Executor, ProcessExecutor, SerialExecutor, Spec
from mildbench.longwork import LongWork

SHARDS: list[Spec] = [
    {"number": number, "size": 3, "items": list(range(3 * number, 3 * number + 3))} for number in range(4)
]


@pytest.fixture
def squares(tmp_path: Path) -> Squares:
    return Squares(tmp_path)


def work(squares: Squares, identity: str = "squares") -> LongWork:
    return LongWork(squares.root, squares.root / ".state", identity, squares)


def run(squares: Squares, executor: Executor | None = None, identity: str = "squares") -> list[int]:
    told: list[int] = []
    work(squares, identity).run(executor or SerialExecutor(1), SHARDS, told.append)
    return told


@pytest.mark.parametrize("engine", [SerialExecutor, ProcessExecutor])
def test_every_shard_is_made_and_every_sample_counted_once(
    engine: type[Executor], squares: Squares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", shard_work.FOLDER)
    assert sum(run(squares, engine(2))) == 12
    assert (squares.root / "2.txt").read_text() == "36 49 64"
    found = list(work(squares).records(range(4)))
    assert [made.result["last"] for made in found] == [2, 5, 8, 11]
    assert [list(made.files) for made in found] == [[f"{number}.txt"] for number in range(4)]


def test_what_is_done_is_skipped_and_still_counted(squares: Squares) -> None:
    run(squares)
    assert (squares.opened, squares.made) == (1, [0, 1, 2, 3])
    again = Squares(squares.root)
    assert sum(run(again)) == 12
    assert (again.opened, again.made) == (0, [])


def test_what_is_damaged_or_of_other_work_is_made_again(squares: Squares) -> None:
    run(squares)
    state = squares.root / ".state"
    (squares.root / "0.txt").write_text("0 1")
    (squares.root / "1.txt").unlink()
    (state / "00000002.json").write_text('{"identity"')
    (state / "00000003.json").write_text("[]")
    assert [made.result["last"] for made in work(squares).found()] == [2, 5]
    again = Squares(squares.root)
    run(again)
    assert again.made == [0, 1, 2, 3]
    assert json.loads((state / "00000002.json").read_text())["identity"] == "squares"
    other = Squares(squares.root)
    run(other, identity="cubes")
    assert other.made == [0, 1, 2, 3]


def test_what_is_deleted_meanwhile_is_named(squares: Squares) -> None:
    run(squares)
    (squares.root / "3.txt").unlink()
    with pytest.raises(
        UserError, match=r"3\.txt was deleted while it was needed: run the same command again"
    ):
        list(work(squares).records(range(4)))
    (squares.root / ".state" / "00000001.json").unlink()
    with pytest.raises(UserError, match=r"00000001\.json was deleted"):
        list(work(squares).records(range(4)))
    assert [made.result["last"] for made in work(squares).found()] == [2, 8, 11]


def test_a_claim_says_whose_work_it_is(squares: Squares) -> None:
    mine = work(squares)
    assert mine.claimant is None
    mine.claim()
    assert work(squares, "another").claimant == "squares"
    mine.remove()
    assert mine.claimant is None
    assert not (squares.root / ".state").exists()
