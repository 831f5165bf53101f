"""A forgery that agrees with itself is never more than consistent, and harms no other entry."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from command_line import invoke
from leaderboards import DAY, add, entry_of, forge, invented, raised, renamed, reviewed, tamper

from leaderboard import markdown, review, site, store, verify
from leaderboard.ranking import boards
from leaderboard.review import Refused, Reviewed
from leaderboard.store import StoredEntry
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.records import write_model
from mildbench.results.headline import FIDELITY

Change = Callable[[dict[str, Any]], None]


def command(*arguments: object) -> int:
    """`command("verify", ...)`: the exit code."""
    return invoke("leaderboard", *arguments)


def setting(*place: str, to: Any) -> Change:
    """A change of an entry: its field at this place."""

    def change(content: dict[str, Any]) -> None:
        for key in place[:-1]:
            content = content[key]
        assert content[place[-1]] != to
        content[place[-1]] = to

    return change


def several(*changes: Change) -> Change:
    def change(content: dict[str, Any]) -> None:
        for each in changes:
            each(content)

    return change


def rerun(stored: StoredEntry, data: Path) -> list[str]:
    """What running again finds."""
    try:
        return verify.rerun(stored, Dataset.open(data), device="cpu", today=DAY).findings.differences
    except UserError as error:
        return [str(error)]


def shown(stored: StoredEntry) -> Reviewed:
    found = review.review(stored.path)
    assert isinstance(found, Reviewed), found
    return found


@pytest.fixture
def verified(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the entries with their records, to tamper with."""
    return Path(shutil.copytree(recorded, tmp_path / "verified"))


METHOD = ("summary", "method")
CONFIG = ("summary", "config")
FORGERIES: dict[str, Change] = {
    "another method": several(
        setting(*METHOD, "name", to="tulip"),
        setting(*CONFIG, "method", to="tulip"),
        setting("summary", "label", to="tulip"),
        setting("summary", "run", to="tulip@0"),
    ),
    "options": several(
        setting(*METHOD, "options", to={"strength": "5"}),
        setting(*CONFIG, "options", "strength", to="5"),
        setting("summary", "label", to="noise:strength=5"),
    ),
    "weights": setting(*CONFIG, "weights", to={"noise": "0" * 64}),
    "seed": setting(*CONFIG, "seed", to=7),
    "another data set": several(
        setting(*CONFIG, "dataset", to="0" * 64), setting("summary", "dataset", to="x")
    ),
    "dilation": setting("summary", "paste_dilation", to=3),
    "device": setting("summary", "device", to="NVIDIA H100"),
    "speed": setting("summary", "seconds_per_image", to=1e-6),
    "memory": setting("peak_memory_bytes", to=1),
    "date": setting("added", to=datetime.date(2020, 1, 1)),
    "environment": setting("environment", to={"python": "4"}),
    "predictions' address": setting("predictions", "at", to="https://example.org/x.tar"),
    "version": setting("summary", "mildbench", to="9.9"),
}
"""Changes of the entry of noise with which it agrees with itself."""
TOLD_ONLY = {"device", "speed", "memory", "date", "environment", "predictions' address", "version"}
"""Those that running again cannot see."""


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_consistent_forgery_is_consistent_and_no_more(verified: Path, data: Path, kind: str) -> None:
    stored = entry_of(verified, "noise")
    forged = forge(stored, entry=FORGERIES[kind])
    if forged.path == stored.path:  # the record is there, of another entry than this
        found = review.review(forged.path)
        assert isinstance(found, Refused)
        assert "another than the one whose rerun was recorded" in found.differences[0]
        forged.record.unlink()
    assert shown(forged).level == "consistent"
    assert bool(rerun(forged, data)) is (kind not in TOLD_ONLY)


@pytest.mark.parametrize(
    "change",
    [
        setting(*CONFIG, "options", "radius", to="20"),
        lambda content: content["summary"]["config"].update(mask="oracle"),
    ],
    ids=["options that nobody gave", "a mask that there is not"],
)
def test_a_configuration_that_no_command_makes_is_refused(verified: Path, change: Change) -> None:
    forged = forge(entry_of(verified, "telea"), entry=change)
    assert isinstance(review.review(forged.path), Refused)


def test_a_record_is_of_what_was_measured_and_aggregates_are_held_against_that(verified: Path) -> None:
    stored = entry_of(verified, "noise")
    summary = stored.entry.summary
    first, *others = summary.estimates
    wider = summary.model_copy(update={"estimates": [first.model_copy(update={"low": 0.0}), *others]})
    changed = stored.entry.model_copy(update={"summary": wider})
    assert changed.identity == stored.entry.identity
    write_model(stored.path, changed)
    found = review.review(stored.path)
    assert isinstance(found, Refused)
    assert all(first.column in text for text in found.differences)


def test_better_scores_are_consistent_and_running_again_finds_them(
    verified: Path, data: Path, runs: dict[str, Path]
) -> None:
    stored = entry_of(verified, "telea")
    forged = forge(stored, rows=raised(FIDELITY, 6.0))
    assert isinstance(review.review(forged.path), Refused)
    forged.record.unlink()
    before, after = (item.entry.summary.estimate(FIDELITY) for item in (stored, forged))
    assert before is not None
    assert after is not None
    assert after.value == pytest.approx(before.value + 6, abs=1e-6)
    assert shown(forged).level == "consistent"
    assert any(FIDELITY in text for text in rerun(forged, data))
    again = verify.predictions(forged, runs["telea"], Dataset.open(data), device="cpu", today=DAY)
    assert any(FIDELITY in text for text in again.findings.differences)
    with_it = ("--entries", verified, "--dataset", data, "--device", "cpu", "--rerun", "--record")
    assert command("verify", forged.entry.name, *with_it) == 1
    assert not forged.record.exists()


@pytest.mark.parametrize("level", ["rerun", "rescored"])
def test_a_record_is_of_one_entry(verified: Path, level: str) -> None:
    stored = entry_of(verified, "copy")
    forged = forge(stored, rows=raised(FIDELITY, 6.0), entry=setting(*CONFIG, "seed", to=7))
    record = json.loads(stored.record.read_text()) | {"level": level}
    forged.record.write_text(json.dumps(record))
    found = review.review(forged.path)
    assert isinstance(found, Refused)
    assert f"whose {level} was recorded" in found.differences[0]


def test_an_entry_cannot_name_its_level(verified: Path) -> None:
    stored = entry_of(verified, "telea")
    content = json.loads(stored.path.read_text())
    stored.path.write_text(json.dumps(content | {"level": "rerun"}))
    assert isinstance(review.review(stored.path), Refused)


def test_the_estimate_that_is_checked_is_the_one_that_is_shown(entries: Path) -> None:
    stored = entry_of(entries, "telea")
    estimates = json.loads(stored.path.read_text())["summary"]["estimates"]
    first = next(item for item in estimates if (item["metric"], item["region"]) == ("psnr", "mask"))
    tamper(stored, ["summary", "estimates"], [first | {"value": 99.0}, *estimates])
    found = review.review(stored.path)
    assert isinstance(found, Refused)
    assert "is there twice" in found.differences[0]


@pytest.mark.parametrize(("change", "which"), [(invented, "zzz-p0"), (renamed, "foreign")])
def test_samples_that_do_not_exist_cost_only_the_entry_that_has_them(
    entries: Path, data: Path, change: Callable[[pa.Table], pa.Table], which: str, tmp_path: Path
) -> None:
    (before,) = boards(reviewed(entries))
    forged = forge(entry_of(entries, "telea"), rows=change, entry=setting(*CONFIG, "seed", to=7))
    (board,) = boards(reviewed(entries))
    assert board.ranks == before.ranks
    assert board.samples == before.samples
    (place,) = [place for place in board.results if place.entry.name == forged.entry.name]
    assert place.unranked == f"of other samples than the board: {which}"
    site.build(tmp_path / "page.html", reviewed(entries), [], [])
    assert place.unranked in (tmp_path / "page.html").read_text()
    known = verify.KnownSamples(Dataset.open(data))
    assert any(which in text for text in verify.samples(forged, known).findings.differences)
    assert verify.samples(entry_of(entries, "copy"), known).findings.differences == []


@pytest.mark.parametrize("column", ["mask_share", "visible_ratio", "people", "scene", "truth_sha256"])
def test_facts_of_samples_are_the_data_sets(entries: Path, data: Path, column: str) -> None:
    def change(table: pa.Table) -> pa.Table:
        values = table.column(column).to_pylist()
        values[0] = values[0] + "x" if isinstance(values[0], str) else values[0] + 1
        place = table.column_names.index(column)
        return table.set_column(place, column, pa.array(values, table.schema.field(place).type))

    forged = forge(entry_of(entries, "telea"), rows=change)
    (difference, *_) = verify.samples(forged, verify.KnownSamples(Dataset.open(data))).findings.differences
    assert f": {column} is " in difference
    assert command("verify", "--entries", entries, "--dataset", data) == 1


def test_scores_of_another_entry_are_refused(entries: Path) -> None:
    mine, other = entry_of(entries, "telea"), entry_of(entries, "copy")
    shutil.copy(entries / other.entry.scores_file, entries / mine.entry.scores_file)
    found = review.review(mine.path)
    assert isinstance(found, Refused)
    assert "is not the file that was added" in found.differences[0]


def test_an_entry_under_another_name_is_refused(entries: Path) -> None:
    stored = entry_of(entries, "telea")
    renamed_path = stored.path.rename(entries / "demo-00000000-deocclude-best-00000000.json")
    found = review.review(renamed_path)
    assert isinstance(found, Refused)
    assert "rename it, or restore it" in found.differences[0]


def broken_scores(stored: StoredEntry) -> None:
    """Scores of another type than numbers, with a digest that fits."""
    table = stored.rows
    place = table.column_names.index(FIDELITY)
    text = pa.array(["much"] * len(table))
    path = stored.path.with_name("x.parquet")
    store.pq.write_table(table.set_column(place, FIDELITY, text), path)
    sha256 = store.file_sha256(path)
    tamper(stored, ["scores", "sha256"], sha256)
    path.rename(stored.path.with_name(f"{stored.entry.name}.{sha256[:8]}.parquet"))


BROKEN: dict[str, Callable[[StoredEntry], object]] = {
    "no JSON": lambda stored: stored.path.write_text("{"),
    "no object": lambda stored: stored.path.write_text("[]"),
    "no scores": lambda stored: (stored.path.parent / stored.entry.scores_file).unlink(),
    "scores that are text": broken_scores,
    "an unknown metric": lambda stored: tamper(stored, ["summary", "metrics", 0, "name"], "psnr2"),
    "a broken record": lambda stored: (stored.record.parent.mkdir(), stored.record.write_text("{}")),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_bad_entry_stops_no_other(
    entries: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = entry_of(entries, "telea")
    BROKEN[kind](stored)
    others, refused = review.review_all(entries)
    assert [item.name for item in refused] == [stored.entry.name]
    assert len(others) == len(store.paths(entries)) - 1
    (board,) = boards(others)
    page = tmp_path / "page.html"
    for arguments, code in ((("build", "--out", page), 0), (("verify",), 1)):
        assert command(*arguments, "--entries", entries) == code
        told = capsys.readouterr().err.splitlines()
        assert sum(stored.entry.name in line for line in told) == 1
        assert not any("Traceback" in line for line in told)
    text = page.read_text()
    _, _, apart = text.partition('id="refused"')
    assert stored.entry.name in apart
    for place in board.results:
        assert place.entry.name in text


def test_a_bad_entry_stops_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries, table = tmp_path / "entries", tmp_path / "page.md"
    entries.mkdir()
    for path in store.ENTRIES.glob("demo-*-erase-all-telea-*"):
        shutil.copy(path, entries)
    (entries / "demo-00000000-erase-all-best-00000000.json").write_text("{}")
    table.write_text(f"{markdown.BEGIN}\n{markdown.END}\n")
    assert command("readme", table, "--entries", entries) == 0
    assert "demo-00000000-erase-all-best-00000000 is refused" in capsys.readouterr().err
    assert "`telea`" in table.read_text()


def test_a_later_date_does_not_push_a_checked_entry_aside(verified: Path) -> None:
    stored = entry_of(verified, "telea")
    change = several(setting(*CONFIG, "revision", to=99), setting("added", to=datetime.date(2090, 1, 1)))
    forged = forge(stored, rows=raised(FIDELITY, 6.0), entry=change)
    (board,) = boards(reviewed(verified))
    places = {place.entry.name: place for place in board.results}
    assert places[stored.entry.name].superseded_by is None
    assert stored.entry.summary.run in board.ranks
    assert places[forged.entry.name].reviewed.level == "consistent"


def test_levels_are_shown(verified: Path, tmp_path: Path) -> None:
    stored = entry_of(verified, "telea")
    stored.record.unlink()
    levels = {item.entry.summary.label: item.level for item in reviewed(verified)}
    assert levels.pop("noise:strength=90") == "consistent"
    assert levels.pop("telea") == "consistent"
    assert set(levels.values()) == {"rerun"}
    page = tmp_path / "page.html"
    site.build(page, reviewed(verified), [], [])
    text = page.read_text()
    assert text.count('class="badge level rerun"') == 1 + 4  # the first is the legend's
    assert text.count('class="badge level consistent"') == 1 + 2
    assert "<dd>arithmetic only</dd>" in text
    assert f"rerun on {shown(entry_of(verified, 'copy')).verification.date}" in text  # type: ignore[union-attr]
    assert stored.entry.predictions.sha256 in text


def test_what_nobody_else_can_score_is_not_recorded(
    entries: Path, data: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--record", "--entries", entries, "--dataset", data, "--device", "cpu", "--predictions")
    stored = entry_of(entries, "telea")
    assert command("verify", stored.entry.name, *arguments, runs["telea"]) == 1
    assert "--predictions-at ADDRESS" in capsys.readouterr().err
    assert not stored.record.exists()
    for path in (stored.path, entries / stored.entry.scores_file):
        path.unlink()
    kept = add(runs["telea"], entries, at="https://example.org/telea.tar")
    assert command("verify", kept.entry.name, *arguments, runs["telea"]) == 0
    assert shown(kept).level == "rescored"
    again = ("verify", kept.entry.name, *arguments[:-1], "--rerun")
    assert command(*again) == 0
    assert shown(kept).level == "rerun"
    assert command("verify", kept.entry.name, *arguments, runs["telea"]) == 0
    assert shown(kept).level == "rerun"
