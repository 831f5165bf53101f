"""Whatever runs methods and scores, and however many at a time: the same files; a lost worker loses nothing."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_fakes import Calls, FakeDataset, folder_of
from packages import needs
from plug_ins import installed_everywhere

from mildbench.errors import UserError
from mildbench.evaluation import score
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.run import Run
from mildbench.evaluation.runner import Evaluation, evaluate
from mildbench.executors import HERE, Executor, ProcessExecutor
from mildbench.executors.ray import RayExecutor
from mildbench.executors.slurm import VARIABLE, SlurmExecutor
from mildbench.images import read_rgb
from mildbench.method import METHODS, MethodSpec
from mildbench.metrics.base import METRICS

TIMES = {"seconds_per_image", "device"}


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fakes, as a package that workers find too."""
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "no-weights"))
    monkeypatch.setenv(VARIABLE, f"cluster=local,timeout_min=60,folder={tmp_path / 'slurm'}")
    monkeypatch.setenv("FRAGILE", str(tmp_path / "died"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(score, "_SHARD", 10)
    Calls.clear()
    points = {
        METHODS: {
            name.lower(): f"evaluation_fakes:{name}" for name in ("Attentive", "Fragile", "Noise", "Threads")
        },
        METRICS: {name.lower(): f"evaluation_fakes:{name}" for name in ("Difference", "Shift")},
    }
    with installed_everywhere(points, tmp_path / "site", monkeypatch):
        yield


def run(out: Path, executor: Executor = HERE, *methods: str) -> Evaluation:
    """24 samples of two sizes: shards of 8 predictions, and of 10 samples to score."""
    specs = [MethodSpec.parse(text) for text in methods or ("noise", "attentive")]
    metrics = ("psnr", "difference", "shift", "cag")
    dataset = FakeDataset(12, ((48, 64), (40, 56)))
    return evaluate(
        dataset,
        "erase-one",
        "test",
        specs,
        out=out,
        metrics=metrics,
        device="cpu",
        batch_size=2,
        executor=executor,
    )


def made(out: Path) -> dict[str, bytes]:
    """Every file but `run.json` and `summary.json`, which tell times, and locks."""
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if path.name not in ("run.json", "summary.json") and path.suffix != ".lock"
    }


def summaries(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [summary.model_dump(exclude=TIMES) for summary in evaluation.summaries]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "methods"),
    [
        pytest.param(ProcessExecutor, ("noise", "attentive"), id="process"),
        pytest.param(RayExecutor, ("fragile",), marks=needs("ray"), id="ray"),
        pytest.param(SlurmExecutor, ("attentive",), marks=needs("submitit"), id="slurm"),
    ],
)
def test_every_engine_gives_the_same_predictions_and_scores(
    engine: Callable[[int], Executor], methods: tuple[str, ...], tmp_path: Path
) -> None:
    """Ray replaces a worker that is killed meanwhile."""
    shared = run(tmp_path / "shared", engine(2), *methods)
    assert (tmp_path / "died").exists() == ("fragile" in methods)
    alone = run(tmp_path / "alone", HERE, *methods)
    assert made(tmp_path / "shared") == made(tmp_path / "alone")
    assert summaries(shared) == summaries(alone)
    names = {Path(name).name for name in made(tmp_path / "alone")}
    assert {"scores.parquet", "attention.parquet", "failures.json", "comparison.json", "s011-p2.png"} <= names
    sessions = shared.runs[0].record.sessions
    assert sum(session.images for session in sessions if session.ended) >= 16
    if "fragile" not in methods:
        assert sum(session.images for session in sessions) == 24
        assert all(session.ended for session in sessions)


def test_methods_compute_in_one_thread_whatever_the_machine_has(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run(tmp_path, HERE, "threads")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    for path in (folder_of(tmp_path, "threads") / "predictions").iterdir():
        assert (read_rgb(path) == 1).all()


@pytest.mark.slow
def test_a_killed_worker_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"worker process was killed.*what is done is kept"):
        run(tmp_path / "killed", ProcessExecutor(1), "fragile")
    folder = folder_of(tmp_path / "killed", "fragile")
    half = folder / "predictions" / ".s000-p3.0123.tmp.png"
    half.write_bytes(b"half")  # as a killed writer leaves it
    before = {path: path.stat().st_mtime_ns for path in (folder / "predictions").glob("[!.]*")}
    assert {path.stem for path in before} >= {"s000-p1", "s000-p2", "s001-p1", "s001-p2"}
    assert "s003-p1" not in {path.stem for path in before}
    run(tmp_path / "killed", ProcessExecutor(1), "fragile")
    assert {path: path.stat().st_mtime_ns for path in before} == before, "made twice"
    assert not half.exists()
    run(tmp_path / "alone", HERE, "fragile")
    assert made(tmp_path / "killed") == made(tmp_path / "alone")


def test_a_worker_with_other_weights_says_so(tmp_path: Path) -> None:
    """Machines of a cluster may differ; a method that would answer otherwise must not fill one run's folder."""
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"first")
    spec = MethodSpec.parse(f"noise:checkpoint={weights}")
    made_here = Run.of(
        tmp_path, FakeDataset(), "erase-all", "test", spec, seed=0, device="cpu", corruption=Corruption()
    )
    sent = pickle.dumps(made_here)
    again = pickle.loads(sent)
    assert (again.config, again.label) == (made_here.config, made_here.label)
    assert os.fspath(again.folder.path) == os.fspath(made_here.folder.path)
    weights.write_bytes(b"second")
    with pytest.raises(UserError, match="a worker has other files of method 'noise'"):
        pickle.loads(sent)
