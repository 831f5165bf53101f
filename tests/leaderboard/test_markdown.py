"""The table of results inside a README."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from command_line import invoke
from leaderboards import reviewed

from leaderboard import markdown, store
from leaderboard.review import Reviewed
from leaderboard.schema import LEVELS
from mildbench.errors import UserError
from mildbench.results.headline import FIDELITY

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_entries_as_they_are(ours: list[Reviewed]) -> None:
    text = markdown.table(ours, "demo")
    assert f"{markdown.BEGIN}\n{text}\n{markdown.END}" in README.read_text()


def test_a_row_a_method_and_the_best_is_bold(ours: list[Reviewed]) -> None:
    stored = [item for item in ours if item.entry.summary.task == "erase-all"]
    head, _, *rows, _, extent, order = markdown.table(stored, "demo").splitlines()
    assert extent == "erase-all: 64 samples of 64 scenes."
    assert order.startswith("Sorted by erase-all's PSNR (mask, pasted). PSNR rewards closeness")
    assert "erase-all PSNR ↑" in head
    assert "erase-one" not in head
    assert len(rows) == len(stored)
    values = {item.entry.summary.label: item.entry.summary.estimate(FIDELITY) for item in stored}
    for row in rows:
        label, _, checked, shown = (cell.strip() for cell in row.split("|")[1:5])
        assert checked in LEVELS
        estimate = values[label.strip("`")]
        assert estimate is not None
        assert estimate.value is not None
        assert float(re.split(r"[ *]+", shown.strip("*"))[0]) == pytest.approx(estimate.value, abs=0.005)
    bold = {row.split("|")[1].strip(" `") for row in rows if row.split("|")[4].strip().startswith("**")}
    fair = {name for name, estimate in values.items() if name != "oracle"}
    best = max(fair, key=lambda name: values[name].value)  # type: ignore[union-attr,arg-type,return-value]
    assert best in bold
    assert "oracle" not in bold
    assert "copy" not in bold


def test_a_headline_of_ones_own_sorts_and_is_shown(ours: list[Reviewed]) -> None:
    head, _, *rows, _, _, order = markdown.table(ours, "demo", "ssim.full").splitlines()
    assert order == "Sorted by erase-all's SSIM (full, pasted)."
    place = [cell.strip() for cell in head.split("|")].index("erase-all SSIM (full, pasted) ↑")
    values = [float(re.split(r"[ *]+", row.split("|")[place].strip(" *"))[0]) for row in rows]
    assert values == sorted(values, reverse=True)
    with pytest.raises(UserError, match="leak was not scored here"):
        markdown.table(ours, "demo", "leak")


def test_only_what_is_between_the_marks_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "entries"
    few.mkdir()
    for path in store.ENTRIES.glob("demo-*-erase-all-telea-*"):
        shutil.copy(path, few)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n")
    assert invoke("leaderboard", "readme", page, "--entries", few) == 0
    assert capsys.readouterr().out == f"{page}: changed\n"
    text = markdown.table(reviewed(few), "demo")
    assert "`telea`" in text
    assert page.read_text() == f"before\n{markdown.BEGIN}\n{text}\n{markdown.END}\nafter\n"
    assert invoke("leaderboard", "readme", page, "--entries", few) == 0
    assert capsys.readouterr().out == f"{page}: up to date\n"


def test_errors_name_the_remedy(tmp_path: Path, ours: list[Reviewed]) -> None:
    page = tmp_path / "page.md"
    with pytest.raises(UserError, match="file not found"):
        markdown.update(page, "")
    page.write_text(f"{markdown.END}\n{markdown.BEGIN}\n")
    with pytest.raises(UserError, match="put them where the table is to be"):
        markdown.update(page, "")
    assert page.read_text() == f"{markdown.END}\n{markdown.BEGIN}\n"
    with pytest.raises(UserError, match="leaderboard add RUN"):
        markdown.table(ours, "another")
