"""README and the pages keep their promises: what they show runs, and what cannot run here exists as it is written."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from command_line import invoke
from pages import PAGES, ROOT, blocks, words
from PIL import Image
from small import draw_person, small_dataset

import mildbench as mb
from mildbench.cli import commands as command_line
from mildbench.executors import EXECUTORS
from mildbench.method import METHODS
from mildbench.metrics.base import METRICS
from mildbench.training.trainer import TRAINERS

OWN_TEST = {"docs/extend.md"}
"""Its commands run with a package of its own installed."""
PLUG_INS = {"method": METHODS, "metric": METRICS, "executor": EXECUTORS}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: a data set and pictures to make one of, what a method made, photos, a set of pairs."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "data").mkdir()
    small_dataset(folder / "drawn", ("train", "val", "test")).rename(folder / "data/demo")
    (folder / "drawn/backgrounds").rename(folder / "places")
    (folder / "cutouts").mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        Image.fromarray(draw_person(rng)).save(folder / f"cutouts/{index}.png")
    for name in ("my-outputs", "photos", "set/input", "set/mask", "set/gt"):
        (folder / name).mkdir(parents=True)
    for triplet in mb.open(folder / "data/demo").triplets("erase-all", "test"):
        pictures = {
            f"my-outputs/{triplet.id}": triplet.truth,
            f"set/input/{triplet.id}": triplet.image,
            f"set/mask/{triplet.id}": np.uint8(255) * triplet.mask,
            f"set/gt/{triplet.id}": triplet.truth,
            "me-mask": np.uint8(255) * triplet.mask,
        }
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(folder / f"{name}.png")
        for name in ("me", f"photos/{triplet.id}"):
            Image.fromarray(triplet.image).save(folder / f"{name}.jpg")
    return folder


@pytest.fixture
def place(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(kept, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path / "here"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_its_options_and_plug_ins(page: str) -> None:
    for block in blocks(page, "sh"):
        for command in block.commands:
            given = shlex.split(command)
            while re.fullmatch(r"[A-Z_]+=.+", given[0]):
                given.pop(0)
            check(given, plug_ins=page not in OWN_TEST)


def check(given: list[str], *, plug_ins: bool) -> None:
    """Fails for a command that nobody could run."""
    program, *arguments = given
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in targets
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert arguments[:2] == ["install", "-e"]
        assert set(re.findall(r"\w+", arguments[2])) <= extras.keys()
    elif program == "accelerate":
        check(arguments[arguments.index("mildbench") :], plug_ins=plug_ins)
    elif program in (".venv/bin/pytest", "pre-commit", "git"):
        assert all((ROOT / word).exists() for word in arguments if word.startswith("tests/"))
    else:
        assert program == "mildbench", program
        found = parsed(arguments)
        registries = {"method": TRAINERS} if arguments[0] == "train" else PLUG_INS
        for name, registry in registries.items() if plug_ins else ():
            texts = found.get(name) or ()
            for text in (texts,) if isinstance(texts, str) else texts:
                if text != "auto":
                    registry.load(text.partition(":")[0])


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of them; raises for an unknown command or option, and for a missing argument."""
    command: Any = typer.main.get_command(command_line())
    if arguments in (["--install-completion"], ["--show-completion"]):
        assert any(arguments[0] in param.opts for param in command.params)
        return {}
    while hasattr(command, "commands"):
        command = command.commands[arguments[0]]
        arguments = arguments[1:]
    return command.make_context("mildbench", list(arguments)).params


def test_the_check_finds_what_is_wrong() -> None:
    for wrong in (
        "mildbench evaluat",
        "mildbench evaluate --methods copy",
        "mildbench evaluate --method coppy",
    ):
        with pytest.raises(Exception, match=r"evaluat|methods|coppy"):
            check(shlex.split(wrong), plug_ins=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in {*OWN_TEST, "CONTRIBUTING.md"}])
def test_the_commands_run_one_after_another(page: str, place: Path) -> None:
    for block in blocks(page, "sh"):
        for command in block.commands if not block.not_run else ():
            program, *arguments = words(command)
            if program == "mildbench":
                assert invoke(*arguments) == 0, command
            else:
                assert program in ("make", "pip"), f"{command}: say why it is not run: <!-- not run: ... -->"


@pytest.mark.parametrize("page", ["docs/python.md", "docs/table.md"])
def test_the_python_on_a_page_runs_from_top_to_bottom(page: str, place: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(block.text, names)
    assert isinstance(names["mb"].metrics["psnr"].definition, str)


def test_the_tutorial_runs_and_every_cell_shows_something(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = json.loads((ROOT / "docs/tutorial.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    (place / "docs").mkdir()
    monkeypatch.chdir(place / "docs")
    names: dict[str, Any] = {}
    shown = [run_cell("".join(cell["source"]), names) for cell in cells]
    assert shown[2] == "a picture"
    assert shown[3] == "True"
    for method in ("oracle", "lama:variant=tiny", "telea", "copy"):
        assert method in shown[-3]
    assert "my-outputs" in shown[-1]


def run_cell(source: str, names: dict[str, Any]) -> str:
    """What a notebook would show below a cell."""
    tree = ast.parse(source)
    last = tree.body[-1]
    value = None
    if isinstance(last, ast.Expr):
        tree.body.pop()
        exec(compile(tree, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    else:
        exec(compile(tree, "cell", "exec"), names)
    if hasattr(value, "_repr_png_"):
        return "a picture" if value._repr_png_().startswith(b"\x89PNG") else "broken"
    return value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)


@pytest.fixture(scope="module")
def reference() -> Any:
    """The script that writes the pages which follow from the code."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/mkdocs/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["metrics", "commands", "options"])
def test_a_page_that_follows_from_the_code_is_up_to_date(name: str, reference: Any) -> None:
    page = (ROOT / f"docs/{name}.md").read_text()
    assert page == getattr(reference, name)(), "run: make pages"


def test_every_command_shows_an_example_that_is_right(reference: Any) -> None:
    for name, command in reference.leaves(typer.main.get_command(command_line()), "mildbench"):
        examples = re.findall(r"^mildbench .+", command.help, re.MULTILINE)
        assert any(example.startswith(name) for example in examples), name
        for example in examples:
            check(shlex.split(example), plug_ins=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as HTML; a link that leads nowhere, or a page that the contents leave out, fails."""
    pytest.importorskip("material", reason="pip install mkdocs-material")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-f",
            ROOT / "docs/mkdocs/mkdocs.yml",
            "-d",
            out,
        ],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    for path in site.glob("*.html"):
        assert not list(loaded(path.read_text())), path
    assert (site / "tutorial.ipynb").is_file()
    assert not (site / "mkdocs").exists()


def loaded(html: str) -> Iterator[str]:
    """Addresses that a browser would fetch from elsewhere when it shows a page."""
    for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", html):
        if 'rel="canonical"' not in tag:
            yield from re.findall(r"""(?:src|href)=["']?((?:https?:)?//[^\s"'>]+)""", tag)
