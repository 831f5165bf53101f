"""A Ray cluster of two nodes, here on one machine: all long work runs on it, and a lost node loses nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import invoke
from packages import needs
from plug_ins import installed_everywhere
from processes import started, until
from small import draw_sources, small_recipe

from mildbench.annotators import ANNOTATORS
from synth.recipe import Recipe

pytestmark = [pytest.mark.slow, needs("ray")]

ALONE = ["--num-cpus=1", "--object-store-memory=100000000", "--min-worker-port=0", "--max-worker-port=0"]
"""Nodes of one machine must not take each other's ports."""
MAIN = "from mildbench.cli import main; main()"
WAITING = {
    "build-dataset": "import scene_shards, synth.build; synth.build.Scenes = scene_shards.TwoShardsAndWait; ",
    "evaluate": "import evaluation_fakes; evaluation_fakes.predict._Maker = evaluation_fakes.OneShardAndWait; ",
}
"""All but the first shards wait at a gate."""
Join = Callable[[], subprocess.Popen[Any]]


@pytest.fixture
def join(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Join]:
    """A cluster of one node, which the environment names; a call starts the second one. Each has one CPU."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Short: the paths of Unix sockets may have 107 characters.
    folder = tmp_path_factory.mktemp("r")
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *ALONE]
    head = ["--head", "--port=0", "--include-dashboard=false", f"--temp-dir={folder}"]
    told = folder / "ray_current_cluster"
    fake = {ANNOTATORS: {"fake": "fake_annotator:FakeAnnotator"}}
    with ExitStack() as stack:
        stack.enter_context(installed_everywhere(fake, tmp_path / "site", monkeypatch))
        log = stack.enter_context((tmp_path / "ray.log").open("w"))
        quiet: dict[str, Any] = {"stdout": log, "stderr": log}
        first = stack.enter_context(started([*start, *head], **quiet))
        until(lambda: told.exists() and told.read_text(), "the head says where it listens", alive=first)
        address = told.read_text()
        monkeypatch.setenv("RAY_ADDRESS", address)

        def join() -> subprocess.Popen[Any]:
            return stack.enter_context(started([*start, f"--address={address}"], **quiet))

        yield join


def tree(root: Path) -> dict[str, bytes]:
    """What does not tell times, nor what a killed writer leaves behind."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "summary.json") and ".tmp" not in path.name
    }


def commands(drawn: Path, recipe: Path, root: Path, engine: str) -> dict[str, list[str]]:
    """Build, annotate, segment and evaluate."""
    data = ["--dataset", str(root / "data")]
    arguments = {
        "build-dataset": ["--recipe", str(recipe), "--out", str(root / "data")],
        "annotate": [str(root / "data"), "--pose", "fake", "--parsing", "fake", "--split", "test"],
        "segment": [str(drawn / "backgrounds"), "--with", "fake", "--out", str(root / "segmented")],
        # Shards of four predictions.
        "evaluate": [
            *data,
            "--method",
            "telea",
            "--metric",
            "psnr",
            "--batch-size",
            "1",
            "--out",
            str(root / "runs"),
        ],
    }
    how = ["--executor", engine, "--workers", "1" if engine == "serial" else "2"]
    return {name: [name, *rest, *how] for name, rest in arguments.items()}


def test_two_nodes_do_all_long_work_and_one_may_be_killed(join: Join, tmp_path: Path) -> None:
    drawn, recipe, shared = tmp_path / "drawn", tmp_path / "recipe.yaml", tmp_path / "cluster"
    made: Recipe = small_recipe(*draw_sources(drawn)).model_copy(update={"count": 40})  # five shards
    recipe.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    asked = commands(drawn, recipe, shared, "ray")

    def with_a_node_killed(name: str, node: subprocess.Popen[Any]) -> None:
        """While each node has a shard under way: it has room for one worker."""
        gate = shared / "gate"
        with started([sys.executable, "-c", WAITING[name] + MAIN, *asked[name]]) as process:
            until(lambda: len(list(gate.glob("[0-9]*"))) == 2, "two shards are under way", alive=process)
            os.killpg(node.pid, signal.SIGKILL)
            (gate / "open").touch()
            assert process.wait() == 0
        shutil.rmtree(gate)

    with_a_node_killed("build-dataset", join())
    node = join()
    for name in ("annotate", "segment"):
        subprocess.run([sys.executable, "-c", MAIN, *asked[name]], check=True)
    with_a_node_killed("evaluate", node)
    for arguments in commands(drawn, recipe, tmp_path / "alone", "serial").values():
        assert invoke(*arguments) == 0
    assert tree(shared) == tree(tmp_path / "alone")
