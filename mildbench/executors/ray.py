"""Shards done by Ray actors: on this machine, or on the cluster that RAY_ADDRESS names."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2

from mildbench import extras
from mildbench.errors import UserError
from mildbench.executors.base import Executor, Spec, Work, tell_of_stopping

STARTS = 3
"""How often Ray is started on this machine: it gives up after half a minute, which a busy machine may need."""
RETRIES = 3
"""How often a shard is run again whose worker or node was lost. An exception of the shard is never retried."""


class RayExecutor(Executor):
    """Ray actors of one CPU each, and one GPU where they need it. Ctrl-C lets the shards in flight finish.

    Joins the running cluster that RAY_ADDRESS names (or the one that this process has already joined);
    otherwise starts Ray on this machine, without a dashboard, and stops it at the end. On a cluster, the
    sources and the output folder must lie on a file system that all nodes share.
    """

    def __init__(self, workers: int, *, gpu: bool = False) -> None:
        super().__init__(workers, gpu=gpu)
        self._ray = extras.require("ray", "executor 'ray'")

    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        ray = self._ray
        left = ((spec, RETRIES) for spec in specs)
        waiting: list[tuple[Spec, int]] = []
        busy: dict[Any, tuple[Any, Spec, int]] = {}
        with _cluster(ray, self.workers), self._actors() as joining:
            try:
                while (waiting := waiting or list(islice(left, 1))) or busy:
                    (done,), _ = ray.wait([*joining, *busy], num_returns=1)
                    results = []
                    if done in joining:
                        actor = joining.pop(done)
                    else:
                        actor, spec, retries = busy.pop(done)
                        try:
                            results = [ray.get(done)]
                        except ray.exceptions.RayError as error:
                            if isinstance(error, ray.exceptions.RayTaskError) or not retries:
                                raise
                            waiting.append((spec, retries - 1))
                            joining[actor.ready.remote()] = actor  # when Ray has started it again
                            continue
                    if waiting:
                        spec, retries = waiting.pop()
                        # Ray's own retries are over before it knows that a node is lost.
                        shard = actor.do.options(max_task_retries=0).remote(work, spec)
                        busy[shard] = actor, spec, retries
                    else:  # its place is free for one whose node was lost
                        ray.kill(actor)
                    yield from results
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                raise UserError(
                    f"Ray lost a shard for good, after {RETRIES} retries if its worker or node was lost "
                    f"({type(error).__name__}; out of memory?): what is done is kept; "
                    "run the same command again, with fewer --workers if memory is short"
                ) from None
            finally:
                if busy and ray.is_initialized():
                    tell_of_stopping()
                    ray.wait(list(busy), num_returns=len(busy))

    @contextmanager
    def _actors(self) -> Iterator[dict[Any, Any]]:
        """The workers, by what Ray has ready once they run: one that the cluster has no room for gets no shard."""
        ray = self._ray
        if self.gpu and not ray.cluster_resources().get("GPU"):
            raise UserError("executor 'ray': the cluster has no GPU: use --device cpu")
        kind = ray.remote(num_cpus=1, num_gpus=int(self.gpu), max_restarts=-1, max_task_retries=-1)(_Worker)
        actors = [kind.remote(Path.cwd()) for _ in range(self.workers)]
        try:
            yield {actor.ready.remote(): actor for actor in actors}
        finally:
            if ray.is_initialized():
                for actor in actors:
                    ray.kill(actor)


class _Worker:
    """An actor. What it has loaded for one shard it keeps until the next."""

    def __init__(self, folder: Path) -> None:
        cv2.setNumThreads(1)  # the actors are the parallelism
        if folder.is_dir():
            os.chdir(folder)  # whoever started it may have named files from there

    def ready(self) -> None:
        """It runs."""

    def do(self, work: Work, spec: Spec) -> Any:
        return work(spec)


@contextmanager
def _cluster(ray: ModuleType, workers: int) -> Iterator[None]:
    """Ray connected; disconnected, and stopped if it was started here, at the end."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _probe(address)
            ray.init(address=address, log_to_driver=False, logging_level="error")
        else:
            _start(ray, workers)
    except Exception as error:  # Ray raises OSError, RuntimeError, ValueError and plain Exception
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
        raise UserError(f"{where} cannot be reached or started: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _start(ray: ModuleType, workers: int) -> None:
    """Start Ray on this machine; raises whatever Ray raises the last time."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports home unless it is told not to
    for left in reversed(range(STARTS)):
        try:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
            return
        except Exception:
            ray.shutdown()
            if not left:
                raise


def _probe(address: str) -> None:
    """Raise OSError when nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
