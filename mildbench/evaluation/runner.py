"""`evaluate`: the three stages, for several methods on one task of one data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mildbench import weights
from mildbench.dataset.source import TripletSource
from mildbench.device import resolve_device
from mildbench.errors import UserError
from mildbench.evaluation import panel as panels
from mildbench.evaluation.aggregate import aggregate
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.predict import pending, predict
from mildbench.evaluation.run import Run
from mildbench.evaluation.score import score
from mildbench.executors import HERE, Executor
from mildbench.marking import FOOTPRINT, check
from mildbench.method import MethodSpec
from mildbench.metrics.base import Metric
from mildbench.progress import tell, tracking
from mildbench.records import write_model
from mildbench.results import attention, frames
from mildbench.results.board import Board, board_of
from mildbench.results.compare import Comparison
from mildbench.results.finished import FinishedRun
from mildbench.results.headline import named
from mildbench.results.panel import Panel
from mildbench.results.record import RunRecord
from mildbench.results.summary import RunSummary
from mildbench.tasks import task_of

if TYPE_CHECKING:
    import pandas as pd

BATCH_SIZE = 4
"""Bounds memory; more is faster on a GPU. It never changes a result on a CPU."""
NO_CORRUPTION = Corruption()


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` made."""

    runs: list[FinishedRun]
    """In the order of the methods, each with the rows of the samples asked for."""
    board: Board[FinishedRun]
    """The runs compared."""
    comparison: Comparison
    """What of that is in `comparison.json`."""

    @property
    def summaries(self) -> list[RunSummary]:
        """One a run, in their order."""
        return [run.summary for run in self.runs]

    @property
    def table(self) -> pd.DataFrame:
        """`mildbench.results.frames.table`: one row a method, best first."""
        return frames.table(self.board)

    @property
    def estimates(self) -> pd.DataFrame:
        """`mildbench.results.frames.estimates`: every mean with its interval."""
        return frames.estimates(self.board)

    @property
    def strata(self) -> pd.DataFrame:
        """`mildbench.results.frames.strata`: the same by parts of the samples."""
        return frames.strata(self.board)

    @property
    def scores(self) -> pd.DataFrame:
        """`mildbench.results.frames.scores`: one row a method and sample."""
        return frames.scores(self.runs, self.board.names)

    def __repr__(self) -> str:
        return f"{self.board.title}: {', '.join(self.board.names.values())}"

    def _repr_html_(self) -> str:
        return frames.html(self.board)


def evaluate(
    dataset: TripletSource,
    task: str,
    split: str,
    specs: Sequence[MethodSpec],
    *,
    out: Path,
    metrics: Sequence[str] = (),
    headline: str | None = None,
    device: str = "auto",
    batch_size: int = BATCH_SIZE,
    limit: int | None = None,
    seed: int = 0,
    paste_dilation: int = 0,
    corruption: Corruption = NO_CORRUPTION,
    mask: str = FOOTPRINT,
    executor: Executor = HERE,
    progress: bool = False,
) -> Evaluation:
    """Run, score and summarise methods; whatever is on disk already and still holds is not made again.

    Several processes may do so at once: they wait for each other where they would do the same work.

    Args:
        dataset: a `mildbench.dataset.Dataset`, or anything with its members.
        task: a name in `mildbench.tasks.TASKS`.
        split: `test`, ...
        specs: at least one; a method given twice counts once.
        out: folder of the runs; `comparison.json` of these methods goes beside them.
        metrics: `NAME` or `NAME:OPTION=VALUE,...`; none at all means every registered one (but see
            `MetricInfo.unasked`).
        headline: what to rank by, as `mildbench.results.headline.named` reads it; None for the usual.
        device: `auto`, `cpu`, `cuda` or `cuda:N`, for methods and metrics.
        batch_size: pictures a batch, at least 1.
        limit: only so many samples, spread over the scenes: one of each before a second of any.
        seed: of the methods' generators.
        paste_dilation: pixels by which the mask is grown for the `pasted` variant, 0 or more.
        corruption: of what the methods are shown; scores are taken against the true masks all the same.
        mask: what the methods are shown of what is to be erased, one of `mildbench.marking.MARKINGS`. What must
            change, the region `mask`, stays; the pasted variant keeps the input outside the mask that was shown.
        executor: what runs methods and scores; it never changes a result on a CPU. Each worker loads what it needs
            once.
        progress: show bars on stderr.

    Raises:
        UserError: unknown names or options, a bad number, no samples, a method without its weights, broken
            data. Names and numbers are checked before any work starts.
        OSError: a full or read-only disk; all that was made is kept, and nothing is half written.
    """
    _at_least("batch size", batch_size, 1)
    _at_least("paste dilation", paste_dilation, 0)
    if limit is not None:
        _at_least("limit", limit, 1)
    if not specs:
        raise UserError("no method to evaluate: give one with --method NAME")
    check(mask)
    device = resolve_device(device)
    every = dataset.task_ids(task, split)
    if not every:
        raise UserError(f"data set {dataset.name}: the split {split!r} has no samples for the task {task!r}")
    ids = limited(every, task, limit)
    first = dataset.triplet(task, ids[0], mask=mask)
    effects = first.effect is not None
    asked, _ = panels.asked_for(metrics, device, truth_known=first.truth_known)
    ranked_by = None if headline is None else _headline(headline, asked, task, effects=effects)
    runs = _runs(out, dataset, task, split, specs, seed, device, corruption, mask, len(every))

    # The last method's missing weights are told before the first one's hours.
    for run in (run for run in runs if pending(run, ids)):
        for weight in run.method.info.weights:
            weights.resolve(weight)
    dataset.check_unchanged(task, ids)  # reads all of their files, so after what is wrong with the question
    records = []
    for run in runs:
        record = run.new_record(
            dataset,
            limit=limit if len(ids) < len(every) else None,
            samples=len(ids),
            metrics={metric.info.name: metric.info.id for metric in asked},
            dilation=paste_dilation,
        )
        records.append(_predict(run, record, dataset, ids, every, batch_size, executor, progress))
    panel = panels.prepare(metrics, device, truth_known=first.truth_known, effects=effects)
    with ExitStack() as claims:
        for run in sorted(
            runs, key=lambda run: run.folder.path
        ):  # in one order everywhere, so that nobody waits in a circle
            claims.enter_context(run.folder.claimed("score", _waiting("scores", run, progress)))
        tables = score(
            runs,
            dataset,
            ids,
            every,
            panel,
            dilation=paste_dilation,
            batch_size=batch_size,
            device=device,
            executor=executor,
            show=progress,
        )
        finished = [
            aggregate(run, record, panel.part_for(run), rows)
            for run, record, rows in zip(runs, records, tables, strict=True)
        ]
        board = board_of(finished, ranked_by)
        comparison = Comparison.of([run.summary for run in finished], board.comparisons.values())
        write_model(runs[0].folder.comparison, comparison)
    return Evaluation(finished, board, comparison)


def _headline(text: str, asked: Sequence[Metric], task: str, *, effects: bool) -> str:
    """The column; raises `UserError` for one that will not be scored, before anything else is."""
    known = Panel.of(asked, effects=effects)
    column = named(text, known, task)
    absent = [name for name in known.metric(column).info.weights if not weights.is_here(name)]
    if absent:
        raise UserError(
            f"headline {text!r}: weights missing: mildbench weights fetch {' '.join(absent)}, or leave --headline out"
        )
    return column


def _runs(
    out: Path,
    dataset: TripletSource,
    task: str,
    split: str,
    specs: Sequence[MethodSpec],
    seed: int,
    device: str,
    corruption: Corruption,
    mask: str,
    samples: int,
) -> list[Run]:
    runs: dict[Path, Run] = {}
    for spec in specs:
        run = Run.of(
            out,
            dataset,
            task,
            split,
            spec,
            seed=seed,
            device=device,
            corruption=corruption,
            mask=mask,
            samples=samples,
        )
        runs.setdefault(run.folder.path, run)
    return list(runs.values())


def _predict(
    run: Run,
    record: RunRecord,
    dataset: TripletSource,
    ids: Sequence[str],
    every: Sequence[str],
    batch_size: int,
    executor: Executor,
    show: bool,
) -> RunRecord:
    """Make the predictions of `ids` that are missing; the method is loaded only if there are any."""
    if not pending(run, ids) and not run.folder.attention_parts.exists():
        return run.folder.write_record(record)
    with run.folder.claimed("predict", _waiting("makes predictions of", run, show)):
        names = pending(run, ids)  # fewer than before, if another process has just done them
        record = run.folder.write_record(record)
        if names:
            with tracking(f"predict {run.label}", len(names), show=show) as advance:
                predict(
                    run, record, dataset, names, batch_size=batch_size, advance=advance, executor=executor
                )
            record = run.folder.read_record() or record
        attention.merge(run.folder, every)
    return record


def limited(every: Sequence[str], task: str, limit: int | None) -> Sequence[str]:
    """At most `limit` of a task's ids, in their order: one of each scene before a second of any; None: all."""
    if limit is None:
        return every
    scene_of = task_of(task).sample_of
    seen: Counter[str] = Counter()
    turns = []
    for name in every:
        turns.append(seen[scene_of(name)])
        seen[scene_of(name)] += 1
    chosen = sorted(range(len(every)), key=lambda place: turns[place])[:limit]
    return [every[place] for place in sorted(chosen)]


def _waiting(doing: str, run: Run, show: bool) -> Callable[[], None]:
    return lambda: tell(f"waiting: another process {doing} {run.label}", show=show)


def _at_least(what: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"the {what} is {value}: give {least} or more")
