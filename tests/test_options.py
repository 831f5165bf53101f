"""Options of plug-ins, as people look for them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke

from mildbench.annotators import ANNOTATORS
from mildbench.errors import UserError
from mildbench.method import METHODS, MethodSpec
from mildbench.metrics.base import METRICS
from mildbench.options import Option, alike, options_of
from mildbench.registry import Registry
from mildbench.training.trainer import TRAINERS
from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED, open_source


class Base:
    """A base."""

    def __init__(self, size: int, dtype: str) -> None:
        """Nothing yet.

        Args:
            size: in pixels,
                at least 8.
            dtype: of the numbers.
        """


class Heir(Base):
    """One that adds options."""

    def __init__(
        self, path: str, size: int = 64, dtype: str = "", tidy: bool = True, mute: float = 0.5
    ) -> None:
        """Raises nothing.

        Args:
            path: a folder: with `files`.
            size: see `Base`. Not odd.
            dtype: see `Base`.
            tidy: sweep.

        Later words: are no option.
        """


class SameAgain(Heir):
    """Takes what the other takes."""


class One:
    """Has one."""

    def __init__(self, sigma: float = 2.0) -> None:
        """`sigma`: of the blur,
        in pixels."""


def test_what_the_docstring_says_is_told_with_the_base_class_where_it_points_there() -> None:
    told = [
        Option("path", "", "a folder: with `files`."),
        Option("size", "64", "in pixels, at least 8. Not odd."),
        Option("dtype", "", "of the numbers."),
        Option("tidy", "true", "sweep."),
        Option("mute", "0.5", ""),
    ]
    assert options_of(Heir) == told
    assert options_of(SameAgain) == told
    assert options_of(One) == [Option("sigma", "2.0", "of the blur, in pixels.")]
    assert options_of(object) == []


@pytest.mark.parametrize(
    "registry",
    [METHODS, TRAINERS, METRICS, ANNOTATORS, PEOPLE, BACKGROUNDS, SEGMENTED],
    ids=lambda r: r.group,
)
def test_every_option_is_explained(registry: Registry[Any]) -> None:
    for name in registry.names():
        plugin = registry.load(name)
        found = options_of(plugin)
        assert all(option.meaning.endswith(".") and "see `" not in option.meaning[:5] for option in found), (
            found
        )
        if plugin.__init__ is not object.__init__:
            keywords = inspect.Parameter.VAR_KEYWORD
            taken = [p.name for p in inspect.signature(plugin).parameters.values() if p.kind is not keywords]
            assert [option.name for option in found] == taken


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="'radius' is given twice"):
        MethodSpec.parse("telea:radius=3,radius=5")


def test_ls_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("ls", "sources", "coco:") == 0
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in ("people source coco", "background source coco", "min_keypoints"))
    assert invoke("ls", "metrics", "psnr") == 0
    for wrong, remedy in (
        (("methods", "lame"), "did you mean 'lama'"),
        (("tasks", "erase-all"), "have no options"),
    ):
        assert invoke("ls", *wrong) == 2
        assert remedy in capsys.readouterr().err


def test_the_users_folder_is_found_where_no_shell_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    method = MethodSpec.parse("precomputed:directory=~/mine").create()
    assert method.directory == tmp_path / "mine"
    (tmp_path / "places").mkdir()
    assert open_source("folder:~/places", BACKGROUNDS).root == tmp_path / "places"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("3", "3.0", True),
        ("1e-3", "0.001", True),
        ("yes", "True", True),
        ("3", "4", False),
        ("tiny", "Tiny", False),
        ("tiny", "big", False),
    ],
)
def test_texts_are_alike_that_give_an_option_one_value(one: str, other: str, expected: bool) -> None:
    assert alike(one, other) == alike(other, one) == expected
