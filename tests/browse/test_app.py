"""The app itself, in a real browser: `mildbench browse` as a user runs it, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browse_fakes import SLICES
from browsers import chromium
from processes import PATIENCE, running, started, until

from mildbench.browse.gallery import Gallery

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(fiftyone: Any, runs: list[Path]) -> Iterator[str]:
    """The address that the command prints; ended by Ctrl-C, it must end well and leave nothing running."""
    command = [sys.executable, "-m", "mildbench", "browse", *runs, "--port"]
    # Without a display no window opens beside the tests' own browser.
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    taken = True
    while taken:  # another process can be faster than the app to a port that was free
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        with started([*command, port], env=environment, **pipes) as app:
            shown = app.stdout.readline()
            taken = not shown and "give another --port" in app.stderr.read()
            if not taken:
                assert "35 of 35 samples" in shown, shown
                address = app.stdout.readline().split()[0]
                assert address == f"http://127.0.0.1:{port}/"
                yield address
                os.killpg(app.pid, signal.SIGINT)
                app.communicate(timeout=PATIENCE)
                assert app.returncode == 0
                until(lambda: not running(app.pid), "everything that was started ends")


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Any]:
    """The app, its samples there and its advertisement clicked away whenever it comes."""
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(PATIENCE * 1000)
        opened.add_locator_handler(
            opened.get_by_role("button", name="Dismiss").first, lambda button: button.click()
        )
        opened.goto(url)
        opened.locator('[data-cy="looker"]').first.wait_for()
        yield opened


def shown(page: Any, field: str) -> list[str]:
    """The field's values in the grid, row by row; the order in the document is another at times."""
    return page.locator(f'[data-cy="fo-grid"] [data-cy="tag-{field}"]').evaluate_all(
        """tags => tags.map(tag => [tag, tag.closest('[data-cy="looker"]').getBoundingClientRect()])
            .sort(([, a], [, b]) => a.top - b.top || a.left - b.left)
            .map(([tag]) => tag.innerText)"""
    )


def until_shown(page: Any, field: str, values: list[str]) -> None:
    """Wait until the grid shows these values from the first one on, as many as it has room for."""

    def there() -> bool:
        found = shown(page, field)
        return len(found) > 5 and found == values[: len(found)]

    until(there, f"{field} shows {values[:6]}")


def choose(page: Any, menu: str, option: str) -> None:
    page.locator(f'[data-cy="{menu}"]').click()
    page.locator(f'[data-cy="{option}"]').click()


def rounded(values: Any) -> list[str]:
    return [f"{value:.3f}".rstrip("0").rstrip(".") for value in values]


def test_the_command_prints_where_the_app_answers(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert answer.status == 200
        assert b"FiftyOne" in answer.read()


def test_a_saved_view_shows_the_worst_first(page: Any, runs: list[Path]) -> None:
    noise = Gallery.open(runs).runs[0]
    worst = noise.scores["psnr.mask.pasted"].dropna().sort_values()
    choose(page, "saved-views-selection", "saved-views-worst-psnr-noise-selection-option")
    page.wait_for_url("**view=worst-psnr-noise**")
    until_shown(page, "noise_psnr_mask_pasted", rounded(worst))
    page.locator('[data-cy="btn-clear-view-bar"]').click()


def test_sorting_by_a_metric(page: Any, runs: list[Path]) -> None:
    attentive = Gallery.open(runs).runs[1]
    rising = attentive.scores["psnr.mask.pasted"].dropna().sort_values()
    choose(page, "selector-Sort by", "selector-result-attentive_psnr_mask_pasted")
    until_shown(page, "attentive_psnr_mask_pasted", rounded(rising))


def test_a_sample_has_its_slices_and_its_overlays(page: Any, runs: list[Path]) -> None:
    page.locator('[data-cy="fo-grid"] [data-cy="looker"]').nth(5).click()
    page.locator('[data-cy="modal"]').wait_for()
    carousel = page.locator('[data-cy="group-carousel"] [data-cy="looker"]')
    carousel.nth(len(SLICES) - 2).wait_for()
    modal = page.locator('[data-cy="modal"]')
    picture = modal.locator('[data-cy="sample-canvas"]')
    picture.wait_for()

    def drawn() -> np.ndarray:
        return cv2.imdecode(np.frombuffer(picture.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)

    def still() -> np.ndarray:
        """The picture once it changes no more: it is drawn some frames after its canvas is there."""
        last = drawn()
        for _ in range(100):
            page.wait_for_timeout(500)
            last, before = drawn(), last
            if last.std() > 5 and np.array_equal(last, before):
                return last
        raise AssertionError("the picture never comes to rest")

    with_masks = still()
    modal.locator('[data-cy="checkbox-visible"]').click()

    def masks_are_gone() -> bool:
        return bool((abs(with_masks - drawn()).max(axis=2) > 16).mean() > 0.02)

    until(masks_are_gone, "masks cover people")
    without = still()
    tab = modal.locator('[data-cy="panel-tab-fo-sample-modal-plugin"]')
    wanted = {"composite", "truth", "noise", "noise difference"}
    names: set[str] = set()

    def seen() -> bool:
        for place in range(carousel.count()):
            carousel.nth(place).click()
            names.add(tab.inner_text().split(maxsplit=1)[1])  # at times still the one before
        return wanted <= names

    until(seen, f"{wanted} can be chosen")
    assert names <= SLICES
    assert not np.array_equal(still(), without)
