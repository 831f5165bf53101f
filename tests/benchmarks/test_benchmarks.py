"""The benchmarks start, and those that need no data run on their smallest cases: they measure today's code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = sorted(path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
SMALLEST = {
    "attention": ["--tokens", "64", "--repeats", "1"],
    "costs": ["--size", "64", "--people", "1", "--steps", "1", "--only", "telea", "--only", "sd-inpaint"],
    "intervals": ["--draws", "2", "--methods", "2"],
    "mild": ["--size", "64", "--people", "1", "--steps", "1", "--repeats", "1"],
    "scoring": ["--size", "32", "--batch", "2", "--repeats", "1"],
}
"""Script -> its options."""
SLOW = {"costs", "mild"}
"""Those that load diffusion models."""


def loaded(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [path.stem for path in SCRIPTS])
def test_every_benchmark_starts(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        loaded(name, monkeypatch, "--help").main()
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SMALLEST]
)
def test_a_smallest_case_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(name, monkeypatch, *SMALLEST[name]).main()
    assert capsys.readouterr().out
