"""What is registered under a name is a class of its kind, or one line says that it is not."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from mildbench import registry
from mildbench.errors import UserError
from mildbench.method import EraseMethod
from mildbench.registry import Registry


@pytest.mark.parametrize("target", ["mildbench.metrics.psnr:Psnr", "mildbench.registry", "json:dumps"])
def test_what_is_no_class_of_the_kind_is_told(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("strange", target, "mildbench.methods")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    methods: Registry[EraseMethod] = Registry("method", "methods", EraseMethod)
    with pytest.raises(UserError, match=r"method 'strange' of .* derived from EraseMethod.*: repair or un"):
        methods.load("strange")
