"""What README and the pages show: their blocks of code, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    language: str
    text: str
    not_run: str
    """Why the tests do not run it, as the page says in a comment above it; empty: they do."""

    @property
    def commands(self) -> list[str]:
        """The commands in a block of shell, without what is said of them."""
        lines = [re.sub(r"(^| +)# .*", "", line) for line in self.text.splitlines()]
        return [line for line in lines if line]


def blocks(page: str, language: str) -> list[Block]:
    """The page's blocks of one language, in their order."""
    found = re.findall(
        r"(?:<!-- not run: ([^>]+) -->\n)?^```(\w+)\n(.*?)^```$",
        (ROOT / page).read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return [Block(kind, text, reason) for reason, kind, text in found if kind == language]


def words(command: str) -> list[str]:
    """A command as its program gets it: names that a pattern stands for are put in its place, as a shell does."""
    return [name for word in shlex.split(command) for name in _matching(word)]


def _matching(word: str) -> list[str]:
    return (sorted(map(str, Path().glob(word))) if "*" in word else []) or [word]
