"""A Ray cluster of two nodes, here on one machine: all long work runs on it, and a lost node loses nothing."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from plug_ins import installed_everywhere
from processes import started, until
from small import draw_sources, small_recipe

from mildbench.annotators import ANNOTATORS
from synth.build import STATE
from synth.recipe import Recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the package 'ray' is not installed"),
]

ALONE = ["--num-cpus=1", "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"]
"""Nodes of one machine must not take each other's ports."""
NODES = """
import ray, shard_work, time
from mildbench.executors.ray import RayExecutor
ray.init(log_to_driver=False, logging_level="error")
while ray.cluster_resources().get("CPU") != 2:
    time.sleep(0.1)
found = set(RayExecutor(2).run(shard_work.node, [{"n": n} for n in range(20)]))
assert found == {node["NodeID"] for node in ray.nodes()}, found
"""
MAIN = "from mildbench.cli import main; main()"
WAITING = "import shard_work, synth.build; synth.build.Scenes = shard_work.TwoShardsAndWait; "


@pytest.fixture
def nodes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[subprocess.Popen[Any]]]:
    """Two nodes of one CPU each, the head first; the environment says where they are."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Short: the paths of Unix sockets may have 107 characters.
    folder = tmp_path_factory.mktemp("r")
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *ALONE]
    head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
    fake = {ANNOTATORS: {"fake": "fake_annotator:FakeAnnotator"}}
    with ExitStack() as stack:
        stack.enter_context(installed_everywhere(fake, tmp_path / "site", monkeypatch))
        log = stack.enter_context((tmp_path / "ray.log").open("w"))
        quiet: dict[str, Any] = {"stdout": log, "stderr": log}
        first = stack.enter_context(started([*start, *head], **quiet))
        until(lambda: _listens(port), "the head listens", alive=first)
        second = stack.enter_context(started([*start, f"--address=127.0.0.1:{port}"], **quiet))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        subprocess.run([sys.executable, "-c", NODES], check=True)
        yield [first, second]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def tree(root: Path) -> dict[str, bytes]:
    """What does not tell times, nor what a killed writer leaves behind."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "summary.json") and ".tmp" not in path.name
    }


def commands(recipe: Path, root: Path, engine: str) -> list[list[str]]:
    """Build, annotate and evaluate."""
    data = str(root / "data")
    how = ["--executor", engine, "--workers", "2"]
    return [
        ["build-dataset", "--recipe", str(recipe), "--out", data, *how],
        ["annotate", data, "--pose", "fake", "--parsing", "fake", "--split", "test", *how],
        [
            "evaluate",
            "--dataset",
            data,
            "--method",
            "telea",
            "--metric",
            "psnr",
            "--out",
            str(root / "runs"),
            *how,
        ],
    ]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Of five shards."""
    made: Recipe = small_recipe(*draw_sources(tmp_path / "drawn")).model_copy(update={"count": 40})
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    return file


def test_two_nodes_do_all_long_work_and_one_may_be_killed(
    nodes: list[subprocess.Popen[Any]], recipe: Path, tmp_path: Path
) -> None:
    for where, engine in (("cluster", "ray"), ("alone", "serial")):
        for arguments in commands(recipe, tmp_path / where, engine):
            subprocess.run([sys.executable, "-c", MAIN, *arguments], check=True)
    assert tree(tmp_path / "cluster") == tree(tmp_path / "alone")

    # All but the first two shards wait for a file: the second node is killed with one of them under way.
    out = tmp_path / "again" / "data"
    (build, *_) = commands(recipe, tmp_path / "again", "ray")
    with started([sys.executable, "-c", WAITING + MAIN, *build]) as process:
        until(lambda: len(list((out / STATE).glob("[0-9]*.json"))) == 2, "two shards are done", alive=process)
        os.killpg(nodes[1].pid, signal.SIGKILL)
        (out.parent / "go").touch()
        assert process.wait() == 0
    assert tree(out) == {
        name.removeprefix("data/"): data
        for name, data in tree(tmp_path / "alone").items()
        if name.startswith("data/") and not name.startswith("data/annotations/fake")
    }
