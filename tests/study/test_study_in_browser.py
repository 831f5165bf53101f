"""The study's page in a real browser, from a file: keys, touch, coming back, no network, the answers saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, watched

from mildbench.study.records import Answers, Study, read_answers
from mildbench.study.result import score


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def address(folder: Path) -> str:
    return (folder / "study.html").as_uri()


@contextmanager
def profile(browser: Any, *, width: int = 1280, height: int = 860, touch: bool = False) -> Iterator[Any]:
    """A browser with a memory of its own and without a network, in which pages can be closed and opened again."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
    )
    context.set_offline(True)
    yield context
    context.close()


def asked(page: Any, number: int) -> None:
    """Wait until the pair is there to be judged."""
    page.wait_for_function(
        "number => document.getElementById('count').textContent.startsWith(`${number} of`)"
        " && !document.querySelector('[data-choice=A]').disabled",
        arg=number,
    )


def start(page: Any, name: str) -> None:
    page.fill("#name", name)
    page.press("#name", "Enter")
    asked(page, 1)


def save(page: Any, tmp_path: Path, study: Study) -> Answers:
    """What the page gives the rater to send."""
    with page.expect_download() as download:
        page.click("#save")
    assert re.fullmatch(rf"answers-{study.id}-[\w-]+\.json", download.value.suggested_filename)
    path = tmp_path / "answers.json"
    download.value.save_as(path)
    assert page.input_value("#text") == path.read_text()
    return read_answers(path, study)


@pytest.mark.slow
def test_by_keyboard_from_the_start_to_the_saved_file(
    browser: Any, address: str, study: Study, tmp_path: Path
) -> None:
    total = len(study.shown)
    keys = {"A": "ArrowLeft", "B": "ArrowRight", "tie": "ArrowDown"}
    pattern = [list(keys)[place * place % 3] for place in range(total)]
    with profile(browser) as context, watched(context.new_page(), address) as page:
        start(page, "Ann É.")
        for number, choice in enumerate(pattern, 1):
            asked(page, number)
            if number == 2:
                page.keyboard.down("Space")
                assert page.locator(".behind:visible").count() == 2
                page.keyboard.up("Space")
                assert page.locator(".behind:visible").count() == 0
            page.keyboard.press(keys[choice])
        page.wait_for_selector("#end:visible")
        assert page.inner_text("#thanks") == "Thank you, that was all."
        answers = save(page, tmp_path, study)
    assert (answers.rater.kind, answers.rater.name) == ("person", "Ann É.")
    assert [one.pair for one in answers.answers] == [item.id for item in study.shown]
    assert [one.choice for one in answers.answers] == pattern
    assert [one.looked for one in answers.answers] == [number == 1 for number in range(total)]
    assert all(one.seconds is not None for one in answers.answers)
    score(study, {tmp_path / "answers.json": answers})


def test_by_touch_on_a_phone(browser: Any, address: str, study: Study, tmp_path: Path) -> None:
    with (
        profile(browser, width=390, height=760, touch=True) as context,
        watched(context.new_page(), address) as page,
    ):
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.tap("button[type=submit]")
        asked(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("document.documentElement.scrollHeight") == 760
        boxes = [page.locator(f".pane[data-side={side}]").bounding_box() for side in "AB"]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]  # one above the other
        assert min(box["height"] for box in boxes) > 200
        fingers = context.new_cdp_session(page)
        at = {"x": boxes[0]["x"] + 50, "y": boxes[0]["y"] + 50}
        fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
        page.wait_for_selector(".showing")
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_selector(".showing", state="detached")
        for number, choice in enumerate(("B", "tie", "A"), 1):
            asked(page, number)
            page.tap(f"[data-choice={choice}]")
        asked(page, 4)
        page.tap("#pause")
        answers = save(page, tmp_path, study)
    assert [one.choice for one in answers.answers] == ["B", "tie", "A"]
    assert [one.looked for one in answers.answers] == [True, False, False]


def test_a_closed_page_goes_on_where_it_was(browser: Any, address: str, study: Study, tmp_path: Path) -> None:
    with profile(browser) as context:
        with watched(context.new_page(), address) as page:
            start(page, "bob")
            for number in (1, 2, 3):
                asked(page, number)
                page.keyboard.press("ArrowLeft")
            asked(page, 4)
        with watched(context.new_page(), address) as page:
            assert page.inner_text("#thanks") == "Welcome back"
            assert f"3 of {len(study.shown)} pairs" in page.inner_text("#state")
            page.click("#resume")
            asked(page, 4)
            page.keyboard.press("ArrowRight")
            asked(page, 5)
            page.click("#pause")
            answers = save(page, tmp_path, study)
    assert answers.rater.name == "bob"
    assert [one.choice for one in answers.answers] == ["A", "A", "A", "B"]


def test_an_answer_can_be_changed(browser: Any, address: str, study: Study, tmp_path: Path) -> None:
    with profile(browser) as context, watched(context.new_page(), address) as page:
        start(page, "eve")
        assert page.locator("#back").is_disabled()
        for number in (1, 2):
            asked(page, number)
            page.click("[data-choice=A]")
        asked(page, 3)
        page.keyboard.press("Backspace")
        asked(page, 2)
        assert page.locator(".chosen").inner_text().strip().endswith("A is better")
        page.keyboard.press("ArrowDown")
        asked(page, 3)
        page.click("#pause")
        answers = save(page, tmp_path, study)
    assert [one.choice for one in answers.answers] == ["A", "tie"]


@pytest.mark.slow
def test_a_browser_without_memory_says_so(browser: Any, address: str) -> None:
    with profile(browser) as context:
        context.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw Error('none'); }})"
        )
        with watched(context.new_page(), address) as page:
            assert "This browser forgets your answers" in page.inner_text("#kept")
            start(page, "kim")
            page.keyboard.press("ArrowLeft")
            asked(page, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 860), (390, 760), (800, 380), (1920, 1080)])
def test_nothing_scrolls_while_pictures_are_judged(
    browser: Any, address: str, width: int, height: int
) -> None:
    with (
        profile(browser, width=width, height=height) as context,
        watched(context.new_page(), address) as page,
    ):
        start(page, "pat")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("document.documentElement.scrollHeight") == height
        for button in page.locator("[data-choice]").all():
            box = button.bounding_box()
            assert box["y"] + box["height"] <= height
