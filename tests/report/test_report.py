"""The report says what the runs say, marks what must be marked, and needs nothing but itself."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from finished_runs import evaluated

from mildbench.errors import UserError
from mildbench.records import read_model
from mildbench.report import cases, page, plots
from mildbench.results import finished
from mildbench.results.board import Board, boards
from mildbench.results.compare import Comparison
from mildbench.results.finished import FinishedRun, reopen
from mildbench.results.headline import FIDELITY


def text_of(path: Path) -> str:
    """What a reader sees, roughly."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", path.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


def test_comparisons_are_those_of_the_evaluation(data: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folders = evaluated(data, tmp_path, "copy", "telea", "noise", "oracle")
    folder = next(iter(folders.values())).parent
    said = read_model(Comparison, folder / "comparison.json", "comparison")
    (found,) = boards([finished.read(path) for path in folders.values()])
    assert found.comparisons == {item.column: item for item in said.columns}


def test_every_number_is_in_the_page(
    report: Path, read: list[FinishedRun], board: Board[FinishedRun]
) -> None:
    text = text_of(report)
    for run in read:
        for column in board.columns:
            estimate = run.summary.estimate(column)
            if estimate is not None and estimate.value is not None:
                assert f"{estimate.value:.{2 if board.metric(column).unit else 4}f}" in text
    for metric in board.metrics.values():
        assert metric.id in text
        assert metric.definition in text
    assert "lacking: n/a (weights missing: mildbench weights fetch lpips-alex)" in text


def test_the_page_needs_nothing_but_itself(report: Path) -> None:
    page_text = report.read_text()
    sources = re.findall(r'\b(?:src|href|xlink:href)="([^"]*)"', page_text)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "url(http" not in page_text
    images = re.findall(r"<img [^>]*>", page_text)
    assert images
    assert all('loading="lazy"' in image and 'alt="' in image and 'width="' in image for image in images)


def test_same_runs_same_bytes(report: Path, read: list[FinishedRun], tmp_path: Path) -> None:
    (tmp_path / "again.html").touch()  # as `mktemp` leaves it
    page.write(tmp_path / "again.html", read)
    (tmp_path / "precious.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"precious\.png is there already, and no page"):
        page.write(tmp_path / "precious.png", read)
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_what_must_be_marked_is_marked(
    report: Path, runs: dict[str, Path], board: Board[FinishedRun]
) -> None:
    text = text_of(report)
    assert "random weights: numbers mean nothing" in text
    assert "incomplete: 1 failed" in text
    failed = finished.read(runs["noise:strength=90"]).summary.failures
    assert [failure.sample_id in text and failure.reason in text for failure in failed] == [True]
    unranked = {runs[name].name for name in ("attentive", "oracle", "noise:strength=90")}
    assert unranked.isdisjoint(board.ranks)
    assert set(board.ranks) == {runs[name].name for name in ("copy", "telea", "noise")}


def test_text_of_others_cannot_become_markup(data: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folders = evaluated(data, tmp_path, "noise:checkpoint=<img src=x>&", "telea", limit=3)
    page.write(tmp_path / "report.html", [finished.read(path) for path in folders.values()])
    assert "<img src=x>" not in (tmp_path / "report.html").read_text()
    assert "checkpoint=<img src=x>&" in text_of(tmp_path / "report.html")


def test_cases_are_the_worst_median_and_best(data: Path, board: Board[FinishedRun]) -> None:
    chosen, left_out = cases.choose(
        board, reopen(board.results[0].record, data)[1], cases.PictureBudget(10**9)
    )
    assert left_out == 0
    roles = {role.split(" (")[0]: case.sample_id for case in chosen for role in case.roles}
    for run, name in board.names.items():
        values = board.values[FIDELITY][run]
        if not np.isfinite(values).any():
            assert not any(role.endswith(f" of {name}") for role in roles)
            continue
        known = np.sort(values[~np.isnan(values)])
        places = {"worst": 0, "median": (len(known) - 1) // 2, "best": len(known) - 1}
        for kind, place in places.items():
            found = values[board.ids.index(roles[f"{kind} 1 of {name}"])]
            assert found == known[place]
    for case in chosen:
        titles = [picture.title for picture in case.pictures]
        assert titles[:3] == ["input", "to erase", "truth"]
        assert set(titles[3:]) <= set(board.names.values())
        assert case.roles


def test_pictures_stop_when_the_page_is_full(data: Path, board: Board[FinishedRun]) -> None:
    _, dataset = reopen(board.results[0].record, data)
    every, _ = cases.choose(board, dataset, cases.PictureBudget(10**9))
    some, left_out = cases.choose(board, dataset, cases.PictureBudget(100_000))
    assert 0 < len(some) < len(every)
    assert len(some) + left_out == len(every)
    assert any("worst 1" in role for role in some[0].roles)


def test_without_the_data_set_the_page_says_why(
    read: list[FinishedRun], tmp_path: Path, data: Path, runs: dict[str, Path]
) -> None:
    (lacking,) = page.write(tmp_path / "report.html", read, tmp_path / "nowhere")
    assert "is not at" in lacking
    assert lacking in text_of(tmp_path / "report.html")


def test_another_data_set_is_refused(board: Board[FinishedRun], data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "other"))
    info = other / "dataset.json"
    info.write_text(info.read_text().replace(board.results[0].summary.config.dataset, "f" * 64))
    with pytest.raises(UserError, match="is not the data set that these runs are of"):
        reopen(board.results[0].record, other)


def test_plots_show_finite_numbers_in_the_colour_of_the_page(board: Board[FinishedRun]) -> None:
    looks = plots.styles(board.names.values())
    columns = [FIDELITY, "cag-kappa.attention.raw"]
    drawn = [plots.strata(board, by, column, looks) for column in columns for by in plots.TITLES]
    drawn += [plots.distribution(board, column, looks) for column in columns]
    shown = [svg for svg in drawn if svg is not None]
    assert len(shown) > 5
    for svg in shown:
        assert svg.startswith("<svg ")
        assert "nan" not in svg.lower()
        assert "currentColor" in svg
        assert "better" in svg
    # Two markers of one look would be two runs that cannot be told apart.
    for part in ("marker", "colour", "sign"):
        assert len({getattr(look, part) for look in looks.values()}) == len(board.results)


def with_one_less(run: FinishedRun) -> FinishedRun:
    """The run as if one sample of every stratum had no score."""
    strata = [
        stratum.model_copy(
            update={
                "estimates": [
                    estimate.model_copy(update={"n": estimate.n - 1, "undefined": estimate.undefined + 1})
                    for estimate in stratum.estimates
                ]
            }
        )
        for stratum in run.summary.strata
    ]
    return replace(run, summary=run.summary.model_copy(update={"strata": strata}))


def test_strata_say_of_how_many_samples_each_mean_is(board: Board[FinishedRun]) -> None:
    looks = plots.styles(board.names.values())

    def told(runs: list[FinishedRun]) -> list[list[int]]:
        svg = plots.strata(replace(board, results=tuple(runs)), "people", FIDELITY, looks)
        assert svg is not None
        return [[int(n) for n in re.findall(r"\d+", text)] for text in re.findall(r"\(n ([^)]*)\)", svg)]

    whole = [run for run in board.results if not run.summary.failures][:2]
    before = told(whole)
    assert len(before) > 1
    assert told([whole[0], with_one_less(whole[1])]) == [[n - 1, n] for (n,) in before]


def test_attention_is_drawn_where_it_was_recorded(runs: dict[str, Path]) -> None:
    svg = plots.attention(finished.read(runs["attentive"]))
    assert svg is not None
    assert "down.0" in svg
    assert plots.attention(finished.read(runs["telea"])) is None


def test_runs_of_two_tasks_are_two_sections(data: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    folders = evaluated(data, tmp_path, "copy", task="erase-all")
    found = boards([finished.read(runs["copy"]), finished.read(folders["copy"])])
    assert [board.title.split()[0] for board in found] == ["erase-one", "erase-all"]


def test_a_run_of_fewer_samples_has_no_rank(data: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    short = evaluated(data, tmp_path, "noise:strength=30", limit=4)["noise:strength=30"]
    (board,) = boards([finished.read(path) for path in (short, runs["telea"], runs["copy"])])
    assert short.name not in board.ranks
    assert len(board.ranks) == 2


def test_a_limit_is_told_once_where_all_runs_share_it_and_else_beside_who_has_fewer(
    data: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    def shown(*folders: Path) -> str:
        page.write(tmp_path / "report.html", [finished.read(folder) for folder in folders])
        return (tmp_path / "report.html").read_text()

    short = evaluated(data, tmp_path, "copy", "noise:strength=30", limit=4)
    assert "4 samples only" not in (text := shown(*short.values()))
    assert re.search(r"4 samples of \d+ scenes? \(--limit\)", text)
    mixed = shown(short["noise:strength=30"], runs["telea"], runs["copy"])
    assert mixed.count("4 samples only") == 1
    assert "(--limit)" not in mixed


def test_runs_are_found_in_folders(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = runs["copy"].parent
    assert set(finished.find([folder])) == {path.resolve() for path in runs.values()}
    assert finished.find([runs["copy"], folder])[0] == runs["copy"].resolve()
    (tmp_path / "linked").symlink_to(folder)
    (tmp_path / "linked again").symlink_to(runs["copy"])
    assert finished.find([tmp_path]) == finished.find([folder])


def test_a_training_beside_runs_is_none(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(runs["copy"], tmp_path / runs["copy"].name))
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "run.json").write_text('{"trainer": "lama", "options": {}}')
    assert finished.find([tmp_path]) == [copy.resolve()]
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="training is a training, which has no scores"):
        finished.find([tmp_path / "training"])


def test_what_is_no_finished_run_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run not found"):
        finished.find([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="holds no run"):
        finished.find([tmp_path])
    copy = Path(shutil.copytree(runs["copy"], tmp_path / runs["copy"].name))
    unfinished = Path(shutil.copytree(copy, tmp_path / "stopped" / copy.name))
    (unfinished / "summary.json").unlink()
    assert finished.find([tmp_path]) == [copy.resolve()], "what was stopped keeps nobody from the others"
    with pytest.raises(UserError, match="holds no finished run"):
        finished.find([tmp_path / "stopped"])
    with pytest.raises(UserError, match=r"has no summary\.json: it was stopped"):
        finished.read(finished.find([unfinished])[0])
    with pytest.raises(UserError, match="are the same run"):
        boards([finished.read(copy), finished.read(runs["copy"])])
    summary = (copy / "summary.json").read_text()
    (copy / "summary.json").write_text(summary.replace("psnr@1", "psnr@0"))
    with pytest.raises(UserError, match="was scored by psnr@0"):
        finished.read(copy)
    (copy / "summary.json").unlink()
    with pytest.raises(UserError, match=r"has no summary\.json"):
        finished.read(copy)


def test_no_colour_comes_twice() -> None:
    looks = plots.styles(f"run {number}" for number in range(40))
    assert len({style.colour for style in looks.values()}) == 40


def test_the_front_is_whom_nobody_beats_in_both() -> None:
    points = {"a": (3, 1), "b": (2, 2), "c": (1, 3), "inside": (1.5, 1.5), "equal": (2, 2), "edge": (3, 0.5)}
    assert plots._front({name: np.array(point) for name, point in points.items()}) == ["a", "b", "c", "equal"]
