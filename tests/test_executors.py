"""Executors: whatever runs the shards, the same files; whatever goes wrong, one clear line and nothing lost."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import scene_shards
import shard_work
import slurm_fakes
import yaml
from packages import needs
from processes import PATIENCE, is_running, running, started, until
from small import draw_sources, small_recipe

from mildbench.errors import UserError
from mildbench.executors import Executor, ProcessExecutor, SerialExecutor, Spec
from mildbench.executors import engine as engine_named
from mildbench.executors.ray import RayExecutor
from mildbench.executors.slurm import VARIABLE, SlurmExecutor
from synth.build import STATE, build
from synth.recipe import Recipe

RAY = pytest.param(RayExecutor, marks=[needs("ray"), pytest.mark.slow], id="ray")
SLURM = pytest.param(SlurmExecutor, marks=needs("submitit"), id="slurm")
PROCESS = pytest.param(ProcessExecutor, id="process")
SERIAL = pytest.param(SerialExecutor, id="serial")

Engine = Callable[[int], Executor]


def specs(number: int) -> list[Spec]:
    return [{"n": n} for n in range(number)]


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return small_recipe(*draw_sources(tmp_path_factory.mktemp("drawn")))


@pytest.fixture(scope="module")
def expected(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("expected") / "data"
    build(recipe, 0, out, SerialExecutor(1), lambda count: None)
    return tree(out)


@pytest.fixture(scope="module")
def long(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, dict[str, bytes]]:
    """A recipe of six shards, and what becomes of it."""
    longer = recipe.model_copy(update={"count": 48})
    out = tmp_path_factory.mktemp("long") / "data"
    build(longer, 0, out, SerialExecutor(1), lambda count: None)
    return longer, tree(out)


@pytest.fixture(autouse=True)
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit's jobs are processes on this machine; logs go to the test's folder; workers find `shard_work`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "cluster=local,timeout_min=60")
    monkeypatch.setenv("PYTHONPATH", shard_work.FOLDER, prepend=os.pathsep)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module", autouse=True)
def ray_ends() -> Iterator[None]:
    yield
    _shut_down_ray()


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine. Ray, which takes seconds to start, is started for the first test that asks for it."""
    if request.param is RayExecutor:
        import ray

        if not ray.is_initialized():
            with (
                pytest.MonkeyPatch.context() as patch
            ):  # its workers are begun in this folder, long after this test
                patch.chdir(tmp_path_factory.mktemp("ray"))
                patch.delenv("OMP_NUM_THREADS", raising=False)
                ray.init(
                    address="local",
                    num_cpus=2,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="error",
                )
    made: Engine = request.param
    return made


@pytest.fixture
def without_cluster() -> None:
    """This process has joined none."""
    _shut_down_ray()


def _shut_down_ray() -> None:
    if (ray := sys.modules.get("ray")) is not None:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("engine", [PROCESS, RAY, SLURM], indirect=True)
def test_every_engine_makes_the_same_files_and_counts_every_scene_once(
    engine: Engine, recipe: Recipe, expected: dict[str, bytes], tmp_path: Path
) -> None:
    advances: list[int] = []
    build(recipe, 0, tmp_path / "data", engine(2), advances.append)
    assert tree(tmp_path / "data") == expected
    assert sorted(advances) == [4, 8, 8]


@needs("submitit")
def test_submitit_in_this_process_makes_the_same_files(
    recipe: Recipe, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "cluster=debug")
    build(recipe, 0, tmp_path / "data", SlurmExecutor(2), lambda count: None)
    assert tree(tmp_path / "data") == expected


@pytest.mark.parametrize("engine", [SERIAL, PROCESS, RAY], indirect=True)
def test_specs_are_drawn_as_they_are_needed(engine: Engine) -> None:
    """A hundred thousand shards must not be in memory, nor in Ray's, before the first has run."""
    drawn = 0

    def endless() -> Iterator[Spec]:
        nonlocal drawn
        for drawn in count(1):
            yield {"n": drawn}

    results = engine(2).run(shard_work.square, endless())
    assert len(set(islice(results, 10))) == 10
    # At most two a worker are in flight, and as many may be done at once, of which ten have been asked for.
    assert drawn <= 10 + 4 + 4
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", [SERIAL, PROCESS, RAY, SLURM], indirect=True)
def test_no_shards_is_no_work(engine: Engine) -> None:
    assert list(engine(2).run(shard_work.square, [])) == []


@pytest.mark.parametrize("engine", [SERIAL, PROCESS, RAY, SLURM], indirect=True)
def test_a_users_mistake_in_a_shard_stays_one_line(engine: Engine) -> None:
    with pytest.raises(UserError) as caught:
        list(engine(2).run(shard_work.mistake, specs(3)))
    assert str(caught.value) == "shard 3: the folder /x is missing: give another"


@pytest.mark.parametrize("engine", [SERIAL, PROCESS, RAY], indirect=True)
def test_a_bug_in_a_shard_is_raised_as_it_is(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError, match="two\nlines"):
        list(engine(1).run(shard_work.bug, specs(3)))


@pytest.mark.parametrize("engine", [PROCESS, RAY, SLURM], indirect=True)
def test_a_worker_computes_in_one_thread(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (found,) = engine(1).run(shard_work.threads, [{}])
    assert set(found) == {1}
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("engine", [RAY], indirect=True)
def test_a_shard_that_kills_every_ray_worker_ends_in_one_clear_line(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mildbench.executors.ray.RETRIES", 1)
    with pytest.raises(UserError, match=r"after 1 retries.*what is done is kept"):
        list(engine(1).run(shard_work.die, specs(1)))


@pytest.mark.parametrize("engine", [RAY], indirect=True)
def test_a_ray_cluster_without_a_gpu_is_named(engine: Engine) -> None:
    with pytest.raises(UserError, match="the cluster has no GPU: use --device cpu"):
        list(RayExecutor(1, gpu=True).run(shard_work.square, specs(1)))


def test_workers_of_this_machine_are_dealt_out_over_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    both, alone = [{"workers": 2}] * 4, [{"workers": 1}]
    assert set(ProcessExecutor(2, gpu=True).run(shard_work.gpus, both)) == {"4", "7"}
    assert set(ProcessExecutor(1).run(shard_work.gpus, alone)) == {"4,7"}


def test_an_engine_by_name_knows_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mildbench.executors.base.gpu_count", lambda: 3)
    assert engine_named("serial").workers == engine_named("serial", 1).workers == 1
    with pytest.raises(UserError, match="'serial' has one worker, not 8"):
        engine_named("serial", 8)
    for workers, kind in ((None, SerialExecutor), (1, SerialExecutor), (3, ProcessExecutor)):
        chosen = engine_named(None, workers)
        assert (type(chosen), chosen.workers) == (kind, workers or 1)
    assert engine_named("process").workers == os.cpu_count()
    assert (engine_named("process", None, "cuda").workers, engine_named("process", None, "cuda").gpu) == (
        3,
        True,
    )
    assert engine_named("process", 5, "cuda").workers == 5
    with pytest.raises(UserError, match="'cuda:1' is one GPU"):
        engine_named("process", 2, "cuda:1")
    with pytest.raises(UserError, match="unknown executor"):
        engine_named("proces")


@needs("submitit")
def test_a_failed_slurm_job_is_one_line_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        list(SlurmExecutor(1).run(shard_work.bug, specs(3)))
    message = str(caught.value)
    assert "ZeroDivisionError: two lines" in message
    assert "\n" not in message
    log = re.search(r"its log is (\S+);", message)
    assert log is not None
    assert "ZeroDivisionError" in Path(log.group(1)).read_text()

    import submitit

    monkeypatch.setattr(submitit.core.core.Job, "_results_timeout_s", 0)
    with pytest.raises(UserError, match=r"^Slurm job \d+ failed \(killed\? .* without a result\).*resumes$"):
        list(SlurmExecutor(1).run(shard_work.die, specs(1)))


@pytest.mark.usefixtures("without_cluster")
@needs("ray")
def test_a_ray_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(UserError, match=r"RAY_ADDRESS=127\.0\.0\.1:9 cannot be reached.*refused"):
        list(RayExecutor(1).run(shard_work.square, specs(1)))


@needs("submitit")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "no Slurm here"),
        ("cluster=local,partitoin=cpu", "Unknown argument 'partitoin'"),
        ("cluster=local,mem_gb=lots", '"mem_gb" expected type'),
        ("cluster=local,nodes=2", "nodes cannot be set: --workers"),
        ("cluster=loco", "give slurm, local or debug"),
        ("partition", "is not NAME=VALUE"),
    ],
)
def test_bad_slurm_parameters_are_told_before_anything_runs(
    options: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, options)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        SlurmExecutor(1)
    assert "\n" not in str(caught.value)


@needs("submitit")
def test_slurm_gets_arrays_with_the_users_parameters(
    recipe: Recipe, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way through sbatch, against commands that run an array's jobs here and now."""
    log = slurm_fakes.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(VARIABLE, "partition=cpu, exclude=n1,n2, mem_gb=3, folder=logs")
    monkeypatch.setattr("mildbench.executors.slurm.POLL", {"slurm": 0.1})
    build(recipe, 0, tmp_path / "data", SlurmExecutor(2), lambda count: None)
    assert tree(tmp_path / "data") == expected
    asked = log.read_text()
    for line in ("--array=0-2%2", "--partition=cpu", "--exclude=n1,n2", "--mem=3GB", "--time=240"):
        assert f"#SBATCH {line}\n" in asked, line
    assert len(list((tmp_path / "logs").glob("*_[012]"))) == 3

    with pytest.raises(UserError, match="the folder /x is missing"):
        list(SlurmExecutor(1).run(shard_work.mistake, specs(1)))


@needs("submitit")
def test_a_preempted_slurm_job_goes_on_where_it_was() -> None:
    from mildbench.executors.slurm import _Chunk

    calls: list[int] = []

    def work(spec: Spec) -> int:
        calls.append(spec["n"])
        if calls == [0, 1, 2]:
            raise SystemExit  # as submitit's signal handler leaves the job
        return shard_work.square(spec)

    chunk = _Chunk(work, specs(4))
    with pytest.raises(SystemExit):
        chunk()
    assert chunk.checkpoint().result() == ([0, 1, 4, 9], None)
    assert calls == [0, 1, 2, 2, 3]


def test_workers_end_with_a_parent_that_was_killed() -> None:
    code = (
        "import shard_work; from mildbench.executors import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    results = ProcessExecutor(1).run(shard_work.process_id, [{}] * 9)\n"
        "    print(next(results), flush=True)\n"
        "    input()"
    )
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with started([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
        until(lambda: not is_running(worker), "the worker ends")


@pytest.mark.usefixtures("without_cluster")
@needs("ray")
@pytest.mark.slow
def test_a_ray_worker_that_dies_in_mid_file_is_replaced(
    recipe: Recipe, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.build.Scenes", scene_shards.DyingOnce)
    out = tmp_path / "data"
    build(recipe, 0, out, RayExecutor(2), lambda count: None)
    assert (tmp_path / "died").exists()
    made = tree(out)
    left_over = [name for name in made if ".tmp" in name]  # nobody can tidy up after SIGKILL
    assert len(left_over) <= 1
    assert {name: data for name, data in made.items() if name not in left_over} == expected


@pytest.mark.usefixtures("without_cluster")
@needs("ray")
@pytest.mark.slow
def test_a_running_ray_cluster_is_joined_and_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    try:
        node = ray.get_runtime_context().get_node_id()
        # Each worker has a GPU of its own; the third one, for whom there is none, gets no shard.
        assert set(RayExecutor(3, gpu=True).run(shard_work.gpus, [{"workers": 2}] * 4)) == {"0", "1"}
        assert ray.get_runtime_context().get_node_id() == node
        monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
        code = (
            "import shard_work, ray; from mildbench.executors.ray import RayExecutor\n"
            "results = RayExecutor(1).run(shard_work.square, [{'n': 3}])\n"
            "print(next(results), ray.get_runtime_context().get_node_id())"
        )
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout.split() == ["9", node]
        assert ray.cluster_resources()["CPU"] == 2
    finally:
        ray.shutdown()


WAITING = (
    "import scene_shards, synth.build; synth.build.Scenes = scene_shards.TwoShardsAndWait; "
    "from mildbench.cli import main; main()"
)


@pytest.mark.parametrize("name", ["process", "ray", "slurm"])
@pytest.mark.slow
def test_ctrl_c_leaves_a_state_that_the_same_command_resumes(
    name: str, long: tuple[Recipe, dict[str, bytes]], tmp_path: Path
) -> None:
    module = {"process": "cv2", "ray": "ray", "slurm": "submitit"}[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the package {module!r} is not installed")
    recipe, expected = long
    file, out = tmp_path / "recipe.yaml", tmp_path / "data"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    command = [sys.executable, "-c", WAITING, "build-dataset", "--recipe", str(file), "--out", str(out)]
    command += ["--executor", name, "--workers", "2"]

    def done() -> int:
        return len(list((out / STATE).glob("[0-9]*.json")))

    with started(command, stderr=subprocess.PIPE, text=True) as process:
        until(done, "a shard is done", alive=process)
        os.killpg(process.pid, signal.SIGINT)
        if name != "slurm":  # whose shards in flight are lost; the others' finish, and no more begins
            assert process.stderr is not None
            assert "finishing the shards in flight; Ctrl-C again stops at once\n" in iter(
                process.stderr.readline, ""
            )
            (tmp_path / "gate").mkdir(exist_ok=True)
            (tmp_path / "gate" / "open").touch()
        _, stderr = process.communicate(timeout=PATIENCE)
        until(lambda: not running(process.pid), "everything that was started ends")
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "mildbench: interrupted: the same command resumes where it stopped"
    assert "Traceback" not in stderr
    assert 0 < done() <= 4  # the two that did not wait, and the two at the gate
    build(recipe, 0, out, SerialExecutor(1), lambda count: None)
    assert tree(out) == expected
