"""The import rule: who may import whom, no circles, and a command line that is there at once."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mildbench", "synth", "baselines", "leaderboard")
HEAVY = ("torch", "torchvision", "fiftyone", "diffusers", "transformers", "pandas", "pyarrow", "cv2", "scipy")
SLOW = ("diffusers", "transformers", "peft", "torchvision", "scipy.stats")
"""What takes a second or more to import beside torch, and serves those who compute."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module of ours."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported(path: Path, *, when_run: bool) -> frozenset[str]:
    """Names of ours that a file imports; with `when_run` also inside functions. Type-only imports don't count."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not when_run:
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    known = modules()
    resolved = set()
    for name in names:
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name:
            resolved.add(name)
    return frozenset(resolved)


def test_packages_import_only_what_they_may() -> None:
    allowed = {
        "mildbench": {"mildbench"},
        "synth": {"mildbench", "synth"},
        "baselines": {"mildbench", "baselines"},
        "leaderboard": {"mildbench", "leaderboard"},
    }
    for name, path in modules().items():
        if name.startswith("mildbench.cli"):
            continue
        package = name.partition(".")[0]
        found = {target.partition(".")[0] for target in imported(path, when_run=True)}
        assert found <= allowed[package], f"{name} imports {found - allowed[package]}"


def test_nothing_but_the_command_line_imports_the_command_line() -> None:
    for name, path in modules().items():
        if not name.startswith("mildbench.cli") and name != "mildbench.__main__":
            assert not any(target.startswith("mildbench.cli") for target in imported(path, when_run=True)), (
                name
            )


def test_the_scene_stands_on_numpy_alone() -> None:
    tree = ast.parse((ROOT / "mildbench" / "scene.py").read_text())
    tops = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    tops |= {
        (node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert tops <= {"__future__", "collections", "dataclasses", "typing", "numpy", "cv2"}


def check_no_circles(edges: Mapping[str, Iterable[str]]) -> None:
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "circle: " + " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in sorted(edges[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in edges:
        walk(name, ())


def test_there_are_no_import_circles() -> None:
    check_no_circles({name: imported(path, when_run=True) - {name} for name, path in modules().items()})


def test_rooms_do_not_import_each_other_in_circles() -> None:
    """A room is a folder of a package; a module beside the folders is one of its own."""

    def room(name: str) -> str:
        return ".".join(name.split(".")[:2])

    edges: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for name, path in modules().items():
        if name not in PACKAGES:
            targets = {room(target) for target in imported(path, when_run=True)}
            edges.setdefault(room(name), set()).update(targets - {room(name), *PACKAGES})
    check_no_circles(edges)


@pytest.mark.parametrize("arguments", [["--help"], ["build-dataset", "--help"], ["evaluate", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, mildbench.cli\n"
        f"sys.argv = ['mildbench', *{arguments!r}]\n"
        "try:\n    mildbench.cli.main()\n"
        "except SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("heavy: []")
    assert "Usage:" in shown


@pytest.mark.slow
def test_looking_at_plug_ins_loads_no_library_of_networks() -> None:
    """Methods, trainers and metrics are all imported for a listing; what builds their networks is not."""
    commands = [["ls", "methods"], ["ls", "trainers"], ["ls", "metrics"], ["doctor"]]
    code = (
        "import sys, mildbench.cli\n"
        f"for command in {commands!r}:\n"
        "    sys.argv = ['mildbench', *command]\n"
        "    try:\n        mildbench.cli.main()\n"
        "    except SystemExit as end:\n        assert not end.code, command\n"
        f"    print('slow:', *command, [name for name in {SLOW!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    told = [line for line in shown.splitlines() if line.startswith("slow:")]
    assert told == [f"slow: {' '.join(command)} []" for command in commands]
    assert "cannot be loaded" not in shown


def test_a_mistyped_method_is_told_by_names_alone() -> None:
    code = (
        "import sys\n"
        "import mildbench as mb\n"
        "from mildbench.errors import UserError\n"
        "try:\n    mb.evaluate('data', 'tela')\n"
        "except UserError as error:\n    print(error)\n"
        "print([name for name in sys.modules if name.startswith(('torch', 'baselines', 'diffusers'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["unknown method 'tela': did you mean 'telea'?", "[]"]


def test_help_costs_little_more_than_importing_typer() -> None:
    """In processor time, the least of three, against a reference in the same run: a busy machine changes neither."""

    def seconds(*arguments: str) -> float:
        spent = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(spent)

    assert seconds("-m", "mildbench", "--help") < 4 * seconds("-c", "import typer")
