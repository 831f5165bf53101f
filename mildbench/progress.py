"""Progress with a rate and the time left: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

Advance = Callable[[int], None]
"""Called with the number of samples just done."""

_LOG_EVERY = 30.0
"""Seconds between two lines where there is no terminal."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else _pace(task.speed))


def _pace(rate: float) -> str:
    """So many a second; of what takes longer, the seconds for each."""
    return f"{rate:.1f}/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s each"


def tell(line: str, *, show: bool) -> None:
    """Print a line where bars are shown; nothing when `show` is false."""
    if show:
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def tracking(what: str, total: int, *, show: bool) -> Iterator[Advance]:
    """Yield a function that counts samples done out of `total`; shows nothing when `show` is false."""
    console = Console(stderr=True)
    if not show:
        yield lambda count: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeLeft())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(what, total=total)
            yield lambda count: progress.advance(bar, count)
    else:
        log = _Log(console, what, total)
        yield log.advance
        log.end()


class _Log:
    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = self._told_done = 0
        self._start = self._told = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told > _LOG_EVERY:
            self.line()

    def line(self) -> None:
        """Done, the rate since the last line (what an earlier run had done passes quickly), and the time left."""
        now = time.monotonic()
        rate = (self._done - self._told_done) / max(now - self._told, 1e-9)
        self._told, self._told_done = now, self._done
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate else "waiting"
        self._print(f"{_pace(rate)}, {left}")

    def end(self) -> None:
        """What was done, and in what time."""
        self._print(f"{time.monotonic() - self._start:.1f} s")

    def _print(self, how: str) -> None:
        text = f"{self._what}: {self._done}/{self._total}, {how}"
        self._console.print(text, markup=False, highlight=False)


@contextmanager
def no_bars() -> Iterator[None]:
    """Within it, transformers shows no progress bars. As a decorator: within the function."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()
