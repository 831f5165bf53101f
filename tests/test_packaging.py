"""What others install and what the project's own files promise: the wheel, citation, hooks, workflow."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("mildbench", "synth", "baselines", "leaderboard")
LARGEST = 50_000_000
"""Bytes of the wheel: nearly all of it is the shipped weights."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sources as they are, built in a copy so that nothing of an older build is in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source / name)
    program = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, folder], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def held(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == {name for name in held(wheel) if name.partition("/")[0] in PACKAGES}


@pytest.mark.parametrize(
    "kind",
    [
        r"synth/recipes/demo\.yaml",
        r"synth/framings/\w+\.json",
        r"baselines/pretrained/lama/model\.safetensors",
        r"baselines/pretrained/backbone/model_index\.json",
        r"leaderboard/entries/.+\.parquet",
        r"leaderboard/templates/.+\.j2",
        r"mildbench/report/templates/.+\.(j2|css|js)",
        r"mildbench/weights/\w+\.yaml",
        r"mildbench/py\.typed",
    ],
)
def test_what_commands_read_is_there(kind: str, wheel: Path) -> None:
    assert any(re.fullmatch(kind, name) for name in held(wheel))


def test_there_is_nothing_else_in_the_wheel_and_its_size_is_bounded(wheel: Path) -> None:
    info = f"mildbench-{PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in held(wheel)} == {*PACKAGES, info}
    assert wheel.stat().st_size < LARGEST


def test_recipes_and_shipped_weights_are_found_in_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import baselines, mildbench, synth\n"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in (baselines, mildbench, synth))\n"
        "from synth import recipe_files\n"
        "from baselines import shipped\n"
        "assert (shipped.folder('backbone') / 'model_index.json').is_file()\n"
        "print(*[recipe_files.load(name).name for name in recipe_files.names()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "site"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout.split()


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_citation_has_what_cff_asks_for_and_says_what_the_project_says() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["abstract"] == PROJECT["description"]
    assert citation["authors"]
    assert all(author.keys() <= {"name"} for author in citation["authors"])


def test_the_changelogs_newest_version_is_the_projects() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == PROJECT["version"]


def test_hooks_run_what_make_test_runs_before_the_tests() -> None:
    (local,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    (recipe,) = re.findall(r"^test:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    *checks, tests = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    assert tests == "$(PYTEST)"
    assert [hook["entry"] for hook in local["hooks"]] == checks
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


def test_the_workflow_runs_make_test_on_every_python_that_is_promised() -> None:
    job = read_yaml(".github/workflows/test.yml")["jobs"]["test"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == promised
    assert any(step.get("run", "").startswith("make test") for step in job["steps"])


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    for target in targets:
        assert ((ROOT / page).parent / target).exists(), target
