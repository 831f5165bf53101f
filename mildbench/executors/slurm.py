"""Shards in Slurm job arrays, through submitit.

MILDBENCH_SLURM holds submitit's parameters, e.g. `partition=cpu,account=vision,timeout_min=240,mem_gb=8`:
the names of `submitit.AutoExecutor`, where Slurm's own may go without the prefix `slurm_`. Its `folder`
(default: `slurm-logs` in the working directory) takes logs and pickles and must be on a shared file system;
`cluster=local` runs the jobs as processes on this machine, `cluster=debug` inside this process.
"""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import yaml

from mildbench import extras
from mildbench.descriptors import stderr_into
from mildbench.errors import UserError
from mildbench.executors.base import Executor, Spec, Work
from mildbench.executors.environment import one_thread_each

VARIABLE = "MILDBENCH_SLURM"
SHARDS_PER_JOB = 256
"""Enough that starting Python and reading the sources is a small part of a job, few enough that it ends."""
JOBS_PER_ARRAY = 1000
"""Slurm's default MaxArraySize is 1001."""
JOBS_PER_WORKER = 4
"""A small run is cut into so many jobs for each worker, so that progress shows and no worker idles for long."""
SHARED = frozenset({"name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout"})
"""Parameters that submitit knows for every cluster; all others are Slurm's own."""
DEFAULTS: dict[str, Any] = {"name": "mildbench", "timeout_min": 240, "mem_gb": 4, "cpus_per_task": 1}
POLL = {"slurm": 10.0, "local": 0.2, "debug": 0.2}
"""Seconds between two looks at the jobs; submitit itself asks Slurm less often."""


class SlurmExecutor(Executor):
    """Job arrays of which at most `workers` jobs run at a time.

    A job that is preempted or runs out of time goes on where it was, up to submitit's limit. Ctrl-C cancels
    the jobs: shards in flight are lost, all others are kept.
    """

    def __init__(self, workers: int, *, gpu: bool = False) -> None:
        super().__init__(workers, gpu=gpu)
        self._submitit = extras.require("submitit", "executor 'slurm'")
        options = DEFAULTS | ({"gpus_per_node": 1} if gpu else {}) | _options(os.environ.get(VARIABLE, ""))
        self._cluster = options.pop("cluster", "slurm")
        self._folder = str(options.pop("folder", "slurm-logs"))
        if self._cluster not in POLL:
            raise UserError(f"{VARIABLE}: cluster={self._cluster} is unknown: give slurm, local or debug")
        if self._cluster == "slurm" and not shutil.which("srun"):
            raise UserError(
                "executor 'slurm': there is no Slurm here (srun not found): run this on a login node, "
                f"or set {VARIABLE}=cluster=local to try it on this machine"
            )
        self._parameters = {
            name if name in SHARED or name.startswith("slurm_") else f"slurm_{name}": value
            for name, value in options.items()
        }
        self._engine()

    def _engine(self) -> Any:
        """A submitit executor; raises `UserError` for a parameter that it does not know."""
        engine = self._submitit.AutoExecutor(f"{self._folder}/%j", cluster=self._cluster)
        try:
            engine.update_parameters(slurm_array_parallelism=self.workers, **self._parameters)
        except (NameError, AssertionError, ValueError) as error:
            raise UserError(f"{VARIABLE}: {str(error).splitlines()[0]}") from None
        return engine

    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        # Only Slurm itself holds back the jobs of an array; elsewhere all those submitted start at once.
        most = JOBS_PER_ARRAY if self._cluster == "slurm" else self.workers
        left = iter(specs)
        while batch := list(islice(left, most * SHARDS_PER_JOB)):
            size = min(SHARDS_PER_JOB, math.ceil(len(batch) / min(most, JOBS_PER_WORKER * self.workers)))
            chunks = [batch[start : start + size] for start in range(0, len(batch), size)]
            yield from self._array([_Chunk(work, chunk) for chunk in chunks])

    def _array(self, chunks: list[_Chunk]) -> Iterator[Any]:
        with one_thread_each(), self._controllers_told_apart():
            jobs = self._engine().submit_array(chunks)
        running = set(jobs)
        try:
            for job in self._submitit.helpers.as_completed(jobs, poll_frequency=POLL[self._cluster]):
                running.discard(job)
                yield from self._results(job)
        finally:
            for job in running:
                job.cancel(check=False)
            if self._cluster == "local":  # where stopping takes a second; a queue may take minutes
                for job in running:
                    job.wait()

    @contextmanager
    def _controllers_told_apart(self) -> Iterator[None]:
        """What is started meanwhile writes its stderr beside the jobs' logs, if it runs on this machine.

        submitit's local controllers share ours, and each ends with a traceback when its job is cancelled.
        """
        if self._cluster != "local":
            yield
            return
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "controllers.log").open("ab") as log, stderr_into(log):
            yield

    def _results(self, job: Any) -> list[Any]:
        utils = self._submitit.core.utils
        try:
            results, error = job.result()
        except utils.FailedJobError as failure:
            raise self._failed(job, _exception(str(failure))) from None
        except utils.UncompletedJobError:
            raise self._failed(job, f"killed? it ended as {job.state} without a result") from None
        if error is not None:
            raise error
        return results

    def _failed(self, job: Any, reason: str) -> UserError:
        return UserError(
            f"Slurm job {job.job_id} failed ({reason}): its log is {job.paths.stderr}; "
            "what is done is kept, and the same command resumes"
        )


class _Chunk:
    """The shards of one job. submitit calls `checkpoint` before a job is preempted or out of time."""

    def __init__(self, work: Work, specs: list[Spec]) -> None:
        self._work = work
        self._specs = specs
        self._results: list[Any] = []

    def __call__(self) -> tuple[list[Any], UserError | None]:
        """Results, and the user's mistake that stopped the job; a traceback would hide its one line."""
        cv2.setNumThreads(1)  # the jobs are the parallelism
        for spec in self._specs[len(self._results) :]:
            try:
                self._results.append(self._work(spec))
            except UserError as error:
                return self._results, error
        return self._results, None

    def checkpoint(self) -> Any:
        return extras.require("submitit", "executor 'slurm'").helpers.DelayedSubmission(self)


def _options(text: str) -> dict[str, Any]:
    """`a=1,b=x` -> values by name; a comma inside a value (`exclude=n1,n2`) is kept."""
    found: dict[str, Any] = {}
    for item in re.split(r",(?=\s*\w+=)", text) if text.strip() else []:
        name, equals, value = item.strip().partition("=")
        if not equals:
            raise UserError(f"{VARIABLE}: {item.strip()!r} is not NAME=VALUE")
        if name in ("nodes", "tasks_per_node", "array_parallelism"):
            raise UserError(f"{VARIABLE}: {name} cannot be set: --workers says how many jobs run at a time")
        found[name] = yaml.safe_load(value)
    return found


def _exception(message: str) -> str:
    """The exception at the end of the traceback that submitit puts between two rules, in one line."""
    lines = re.split("^-{5,}$", message, flags=re.MULTILINE)[1].strip().splitlines()
    indented = max((n for n, line in enumerate(lines) if line.startswith(" ")), default=-1)
    return " ".join(lines[indented + 1 :])
