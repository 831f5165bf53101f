"""What answers say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import invoke

from mildbench.errors import UserError
from mildbench.study.records import AskedPair, Study, read_answers, read_study
from mildbench.study.result import Group, Result, score

Answer = Callable[..., Path]
Preferring = Callable[..., Callable[[AskedPair], str]]


def scored(study: Study, *files: Path, runs: tuple[Path, ...] = ()) -> Result:
    result, lacking = score(study, {path: read_answers(path, study) for path in files}, runs)
    assert lacking == []
    return result


def only(result: Result) -> Group:
    (group,) = result.groups
    return group


def test_the_order_of_preference_is_found(study: Study, answer: Answer, preferring: Preferring) -> None:
    group = only(scored(study, answer("ann", preferring("oracle", "telea", "noise", "copy"))))
    assert [one.run for one in group.strengths] == ["oracle", "telea", "noise", "copy"]
    assert [one.preferred.value for one in group.strengths] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert [one.answers for one in group.strengths] == [18] * 4
    assert sum(one.strength.value or 0 for one in group.strengths) == pytest.approx(0)
    for one in group.strengths:
        assert one.strength.value is not None
        assert one.strength.low is not None
        assert one.strength.high is not None
        assert one.strength.low <= one.strength.value <= one.strength.high


def test_ties_alone_make_all_equal(study: Study, answer: Answer, preferring: Preferring) -> None:
    group = only(scored(study, answer("ann", preferring())))
    assert group.ties == group.answers == 36
    assert [one.strength.value for one in group.strengths] == pytest.approx([0] * 4)
    assert all(one.tau.value is None for one in group.agreements)


def test_an_interval_is_of_the_scenes_that_its_number_is_of(
    study: Study, answer: Answer, preferring: Preferring
) -> None:
    """Two fills were compared in one scene alone, others in all of them."""
    path = answer("ann", preferring("oracle", "telea", "noise", "copy"))
    fills = {"telea", "noise"}
    _, *others = [pair.id for pair in study.pairs if {pair.a.run, pair.b.run} == fills]
    assert others
    content = json.loads(path.read_text())
    content["answers"] = [given for given in content["answers"] if given["pair"] not in others]
    path.write_text(json.dumps(content))
    found = next(one for one in only(scored(study, path)).agreements if one.column == "psnr.mask.pasted")
    assert abs(found.fills.value or 0) == 1
    assert found.fills.low is None
    assert found.tau.low is not None


def by_column(study: Study, runs: dict[str, Path], column: str, sign: int) -> Callable[[AskedPair], str]:
    """A rater who follows a score column."""
    scores = {}
    for name, folder in runs.items():
        rows = pq.read_table(folder / "scores.parquet")
        scores[name] = dict(zip(rows.column("id").to_pylist(), rows.column(column).to_pylist(), strict=True))

    def judge(pair: AskedPair) -> str:
        a, b = scores[pair.a.run][pair.sample], scores[pair.b.run][pair.sample]
        return "tie" if a == b else "A" if sign * a > sign * b else "B"

    return judge


def test_a_metric_agrees_fully_with_who_follows_it(
    study: Study, runs: dict[str, Path], answer: Answer
) -> None:
    followed, opposed = (
        {
            one.column: one
            for one in only(
                scored(study, answer(name, by_column(study, runs, "psnr.mask.pasted", sign)))
            ).agreements
        }
        for name, sign in (("ann", 1), ("bob", -1))
    )
    assert followed["psnr.mask.pasted"].tau.value == pytest.approx(1)
    assert followed["psnr.mask.pasted"].fills.value == pytest.approx(1)
    assert opposed["psnr.mask.pasted"].tau.value == pytest.approx(-1)
    assert followed["psnr.mask.pasted"].answers == 36
    assert followed["psnr.mask.pasted"].fill_answers == 6  # telea against noise
    ssim = followed["ssim.mask.pasted"].tau
    assert ssim.value is not None
    assert -1 <= ssim.value < 1
    assert opposed["ssim.mask.pasted"].tau.value == pytest.approx(-ssim.value)
    # Raters saw pasted pictures.
    assert not any(column.endswith(".raw") for column in followed)


def test_the_better_direction_is_minded(
    study: Study, runs: dict[str, Path], answer: Answer, tmp_path: Path
) -> None:
    path = answer("ann", by_column(study, runs, "psnr.mask.pasted", 1))
    copies = []
    for folder in runs.values():
        copies.append(tmp_path / "runs" / folder.name)
        shutil.copytree(folder, copies[-1])
        summary = json.loads((folder / "summary.json").read_text())
        for metric in summary["metrics"]:
            metric["higher_is_better"] = metric["name"] != "psnr"
        (copies[-1] / "summary.json").write_text(json.dumps(summary))
    found = only(scored(study, path, runs=(tmp_path / "runs",)))
    (psnr,) = [one for one in found.agreements if one.column == "psnr.mask.pasted"]
    assert psnr.tau.value == pytest.approx(-1)
    assert not psnr.higher_is_better


def test_who_failed_the_checks_is_left_out_and_counted(
    study: Study, answer: Answer, preferring: Preferring
) -> None:
    good = answer("ann", preferring("oracle", "telea", "noise", "copy"))
    bad = answer("bob", preferring("copy", "noise", "telea", "oracle"), wrong=2)
    alone, both = scored(study, good), scored(study, good, bad)
    assert only(both).strengths == only(alone).strengths
    assert only(both).answers == 36
    ann, bob = only(both).raters
    assert (ann.right, ann.checks, ann.counts) == (4, 4, True)
    assert (bob.right, bob.checks, bob.counts) == (2, 4, False)
    assert "people: 1 of 2 left out for their attention checks" in both.notes
    nobody = only(scored(study, bad))
    assert (nobody.answers, nobody.strengths, nobody.agreements, nobody.alpha) == (0, [], [], None)


def test_who_saw_no_check_does_not_count(study: Study, answer: Answer, preferring: Preferring) -> None:
    path = answer("ann", preferring("oracle"))
    content = json.loads(path.read_text())
    checks = {check.id for check in study.checks}
    content["answers"] = [one for one in content["answers"] if one["pair"] not in checks][:10]
    path.write_text(json.dumps(content))
    (rater,) = only(scored(study, path)).raters
    assert (rater.answers, rater.checks, rater.counts) == (10, 0, False)


def test_people_and_models_are_never_pooled(study: Study, answer: Answer, preferring: Preferring) -> None:
    person = answer("ann", preferring("oracle", "telea", "noise", "copy"))
    model = answer("model", preferring("copy", "noise", "telea", "oracle"), kind="model")
    groups = scored(study, person, model).groups
    assert [group.kind for group in groups] == ["person", "model"]
    assert [group.strengths[0].run for group in groups] == ["oracle", "copy"]


def test_agreement_among_raters(study: Study, answer: Answer, preferring: Preferring) -> None:
    ann = answer("ann", preferring("oracle", "telea", "noise", "copy"))
    bob = answer("bob", preferring("oracle", "telea", "noise", "copy"))
    eve = answer("eve", preferring("copy", "noise", "telea", "oracle"))
    assert only(scored(study, ann)).alpha is None
    assert only(scored(study, ann, bob)).alpha == 1
    assert (only(scored(study, ann, eve)).alpha or 0) < -0.5


def test_a_rater_counts_once(study: Study, answer: Answer, preferring: Preferring, tmp_path: Path) -> None:
    path = answer("ann", preferring("oracle"))
    again = tmp_path / "again.json"
    shutil.copy(path, again)
    with pytest.raises(UserError, match="are both of the person 'ann': leave one out"):
        scored(study, path, again)


def test_a_wrong_file_is_one_line(
    study: Study,
    folder: Path,
    answer: Answer,
    preferring: Preferring,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = json.loads(answer("ann", preferring("oracle")).read_text())
    first = good["answers"][0]
    wrong: list[tuple[Any, str]] = [
        ("[", "is not valid JSON"),
        ([], "holds no answers to a study"),
        (json.loads((folder / "study.json").read_text()), "holds no answers to a study"),
        (good | {"study": "0" * 16}, f"are to the study {'0' * 16}, and this is {study.id}"),
        (good | {"answers": [first | {"pair": "999"}]}, "the study has no pair '999'"),
        (good | {"answers": [first, first]}, f"two answers to the pair '{first['pair']}'"),
        (good | {"answers": [first | {"choice": "C"}]}, "answers.0.choice"),
        (good | {"answers": [first | {"seconds": float("nan")}]}, "answers.0.seconds"),
        (good | {"answers": 3}, "answers: Input should be"),
        (good | {"rater": {"kind": "robot", "name": "x"}}, "rater.kind"),
        (good | {"rater": {"kind": "person", "name": ""}}, "rater.name"),
        (good | {"more": 1}, "more"),
    ]
    path = tmp_path / "wrong.json"
    for content, told in wrong:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        assert invoke("study", "score", folder, path, "--out", tmp_path / "result.json") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
        assert str(path) in line
    assert not (tmp_path / "result.json").exists()


def test_runs_that_are_gone_cost_the_agreement_alone(
    study: Study, runs: dict[str, Path], answer: Answer, preferring: Preferring, tmp_path: Path
) -> None:
    path = answer("ann", preferring("oracle", "telea"))
    telea = study.runs["telea"].model_copy(update={"path": str(tmp_path / "gone")})
    moved = study.model_copy(update={"runs": study.runs | {"telea": telea}})
    result, (told,) = score(moved, {path: read_answers(path, study)})
    assert "say with --runs where the runs lie now" in told
    assert only(result).agreements == []
    assert only(result).strengths == only(scored(study, path)).strengths
    assert scored(moved, path, runs=tuple(runs.values())) == scored(study, path)
    with pytest.raises(UserError, match=r"of the study is not in .*: give it, too"):
        scored(moved, path, runs=(runs["copy"],))


def test_runs_with_other_pictures_are_refused(
    study: Study, runs: dict[str, Path], answer: Answer, preferring: Preferring, tmp_path: Path
) -> None:
    other = tmp_path / runs["telea"].name
    shutil.copytree(runs["telea"], other)
    rows = pq.read_table(other / "scores.parquet")
    place = rows.column_names.index("pasted_sha256")
    hashes = ["0" * 64] * len(rows)
    pq.write_table(rows.set_column(place, "pasted_sha256", [hashes]), other / "scores.parquet")
    paths = (*(folder for name, folder in runs.items() if name != "telea"), other)
    with pytest.raises(UserError, match=r"has another picture of .* than raters saw"):
        scored(study, answer("ann", preferring("oracle")), runs=paths)


def test_what_is_no_key_is_refused(
    folder: Path, answer: Answer, preferring: Preferring, tmp_path: Path
) -> None:
    path = answer("ann", preferring("oracle"))
    broken = json.loads((folder / "study.json").read_text())
    broken["shown"][1]["id"] = broken["shown"][0]["id"]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    for key, told in (
        (path, "give the study's folder"),
        (tmp_path / "broken.json", "two pairs have one id"),
        (tmp_path, "study not found"),
        (folder / "study.html", "is not valid JSON"),
    ):
        with pytest.raises(UserError, match=told):
            read_study(key / "study.json" if key.is_dir() else key)


def test_a_name_is_shown_as_it_is(
    folder: Path, answer: Answer, preferring: Preferring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = answer("ann", preferring("oracle"))
    path.write_text(path.read_text().replace('"ann"', '"[/b] [red]Ann"'))
    assert invoke("study", "score", folder, path, "--out", tmp_path / "result.json") == 0
    assert "[/b] [red]Ann" in capsys.readouterr().out


def test_from_the_command_line(
    folder: Path, answer: Answer, preferring: Preferring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann = answer("ann", preferring("oracle", "telea", "noise", "copy"))
    bob = answer("bob", preferring("oracle", "noise", "telea", "copy"))
    target = tmp_path / "result.json"
    assert invoke("study", "score", folder, ann, bob, "--out", target) == 0
    shown = capsys.readouterr().out
    result = Result.model_validate_json(target.read_text())
    assert "Krippendorff's alpha" in shown
    for name in ("oracle", "telea", "psnr.mask.pasted", "ann", "bob", "4 of 4"):
        assert name in shown
    (group,) = result.groups
    assert f"{group.alpha:.3f}" in shown
    assert np.isfinite([one.strength.value for one in group.strengths]).all()
    assert invoke("study", "score", folder / "study.json", ann, "--out", target) == 0
