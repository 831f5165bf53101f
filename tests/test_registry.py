"""What is registered under a name is a class of its kind, or one line says that it is not."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from mildbench import registry
from mildbench.errors import UserError
from mildbench.method import EraseMethod, MethodInfo
from mildbench.registry import Registry


class Unfinished(EraseMethod):
    """Without `erase`."""


def test_a_class_that_lacks_what_it_must_define_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("unfinished", f"{__name__}:Unfinished", "mildbench.methods")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    methods: Registry[EraseMethod] = Registry("method", "methods", EraseMethod)
    with pytest.raises(
        UserError, match=r"method 'unfinished' of .* \(it does not define erase\): repair or un"
    ):
        methods.load("unfinished")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"provenance": "homemade"}, "the provenance 'homemade' is none of official, port"),
        (
            {"provenance": "port", "capabilities": frozenset({"gpu"})},
            "the capability 'gpu' is none of device",
        ),
    ],
)
def test_a_method_says_of_itself_what_is_understood(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MethodInfo("mine", summary="for tests", **words)


@pytest.mark.parametrize("target", ["mildbench.metrics.psnr:Psnr", "mildbench.registry", "json:dumps"])
def test_what_is_no_class_of_the_kind_is_told(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("strange", target, "mildbench.methods")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    methods: Registry[EraseMethod] = Registry("method", "methods", EraseMethod)
    with pytest.raises(UserError, match=r"method 'strange' of .* derived from EraseMethod.*: repair or un"):
        methods.load("strange")
