"""What the answers to a study say: who was preferred, and how far raters and metrics agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, get_args

import numpy as np

import mildbench
from mildbench.errors import UserError
from mildbench.records import Strict
from mildbench.results import wording
from mildbench.study import bootstrap
from mildbench.study.agreement import concordance, krippendorff, tau
from mildbench.study.records import Answers, AskedPair, Rater, RaterKind, Study
from mildbench.study.runs import Contender, find, metrics_of, read
from mildbench.study.strengths import PRIOR_DEVIATION, strengths

PASSING = 0.8
"""Share of the attention checks seen that a rater has to get right."""
_SIGN = {"A": 1.0, "tie": 0.0, "B": -1.0}
_VALUES = list(_SIGN)


class StudyInterval(Strict):
    """A number with its 95% interval over scenes."""

    value: float | None
    """None where there is nothing to take it from."""
    low: float | None
    high: float | None


class RaterResult(Strict):
    """One rater."""

    file: str
    rater: Rater
    answers: int
    """To pairs about methods."""
    checks: int
    """Attention checks answered."""
    right: int
    """Of them; a tie is wrong."""
    median_seconds: float | None
    """A pair; None where the file does not say."""
    counts: bool
    """Whether the answers count: some check was answered, and `PASSING` of them right."""


class Strength(Strict):
    """One method."""

    run: str
    strength: StudyInterval
    """Bradley-Terry, log-odds, mean 0."""
    preferred: StudyInterval
    """Share of the answers about it in which it was preferred, a tie as half."""
    answers: int
    """About it."""


class Agreement(Strict):
    """A score column against the answers."""

    column: str
    higher_is_better: bool
    tau: StudyInterval
    """Kendall's tau-b of the column's preferences with the raters'."""
    fills: StudyInterval
    """The same without pairs that show a run that is shown the truth or returns the input: to tell those from others
    is no merit of a metric."""
    answers: int
    """For which both methods have a score."""
    fill_answers: int
    """Of them, those that `fills` is of."""
    undefined: int
    """Answers for which not both have one."""


class Group(Strict):
    """All raters of one kind; people and models are never pooled."""

    kind: RaterKind
    raters: list[RaterResult]
    answers: int
    """That count."""
    ties: int
    """Of them."""
    scenes: int
    """That they are about."""
    alpha: float | None
    """Krippendorff's alpha (nominal: A, B, tie) over pairs that two raters or more answered; None without such."""
    strengths: list[Strength]
    """Strongest first; empty where no answer counts."""
    agreements: list[Agreement]
    """Best first; empty where no answer counts, or the runs' scores are not here."""


class Result(Strict):
    """`result.json`."""

    schema_version: Literal[1] = 1
    mildbench: str
    study: str
    dataset: str
    task: str
    split: str
    groups: list[Group]
    notes: list[str]
    """What the numbers are, and what to know of them."""


@dataclass(frozen=True, eq=False)
class _Table:
    """The answers that count, as arrays over answers."""

    runs: list[str]
    pairs: list[str]
    """Ids of all pairs of the study."""
    pair: np.ndarray
    """int[N], in `pairs`."""
    a: np.ndarray
    """int[N], in `runs`; like `b`."""
    b: np.ndarray
    choice: np.ndarray
    """float64[N]: 1 for A, -1 for B, 0 for a tie."""
    scene: np.ndarray
    """int[N], 0 to S - 1."""
    scenes: int

    def per_scene(self, values: np.ndarray) -> np.ndarray:
        """float64[S, ...]: sums of float64[N, ...] over each scene's answers."""
        sums = np.zeros((self.scenes, *values.shape[1:]))
        np.add.at(sums, self.scene, values)
        return sums


def score(
    study: Study, answers: Mapping[Path, Answers], runs: Sequence[Path] = ()
) -> tuple[Result, list[str]]:
    """Score the answers to a study.

    Args:
        study: its key.
        answers: file -> what is in it.
        runs: where the runs lie now, or folders that hold them; none for where the study found them.

    Returns:
        The result, and what could not be said and why, a sentence each.

    Raises:
        UserError: two files of one rater, or runs that are not the study's.
    """
    _distinct(answers)
    contenders, lacking = _contenders(study, runs)
    groups = [
        _group(study, kind, mine, contenders)
        for kind in get_args(RaterKind)
        if (mine := {path: one for path, one in answers.items() if one.rater.kind == kind})
    ]
    result = Result(
        mildbench=mildbench.__version__,
        study=study.id,
        dataset=study.dataset,
        task=study.task,
        split=study.split,
        groups=groups,
        notes=_notes(groups),
    )
    return result, lacking


def _distinct(answers: Mapping[Path, Answers]) -> None:
    files: dict[Rater, Path] = {}
    for path, one in answers.items():
        if (other := files.setdefault(one.rater, path)) is not path:
            raise UserError(
                f"{other} and {path} are both of the {one.rater.kind} {one.rater.name!r}: leave one out, or change "
                "the name in one if these are two raters"
            )


def _contenders(study: Study, given: Sequence[Path]) -> tuple[dict[str, Contender], list[str]]:
    """The study's runs with their scores, and why there are none if so."""
    places = find(given) if given else {}
    found = {}
    for name, key in study.runs.items():
        folder = places.get(key.folder, None if given else Path(key.path))
        if folder is None:
            raise UserError(
                f"run {key.folder} of the study is not in {', '.join(map(str, given))}: give it, too"
            )
        if not folder.is_dir():
            return {}, [
                f"no agreement of metrics: run {folder} is gone: say with --runs where the runs lie now"
            ]
        found[name] = read(folder)
    for pair in study.pairs:
        for side in (pair.a, pair.b):
            if found[side.run].shown.get(pair.sample) != side.pixels_sha256:
                raise UserError(
                    f"run {found[side.run].folder} has another picture of {pair.sample} than raters saw: give the "
                    "runs that the study was made of with --runs"
                )
    return found, []


def _group(
    study: Study, kind: RaterKind, answers: Mapping[Path, Answers], contenders: Mapping[str, Contender]
) -> Group:
    raters = {path: _rater(study, path, one) for path, one in answers.items()}
    table = _table(study, [one for path, one in answers.items() if raters[path].counts])
    counts = np.zeros((len(table.pairs), len(_VALUES)), dtype=np.int64)
    chosen = np.array([_VALUES.index(_spelled(value)) for value in table.choice], dtype=np.int64)
    np.add.at(counts, (table.pair, chosen), 1)
    some = len(table.pair) > 0
    return Group(
        kind=kind,
        raters=list(raters.values()),
        answers=len(table.pair),
        ties=int((table.choice == 0).sum()),
        scenes=table.scenes,
        alpha=krippendorff(counts),
        strengths=_strengths(table) if some else [],
        agreements=_agreements(study, table, contenders) if some and contenders else [],
    )


def _spelled(sign: float) -> str:
    return next(choice for choice, value in _SIGN.items() if value == sign)


def _rater(study: Study, path: Path, one: Answers) -> RaterResult:
    given = {answer.pair: answer for answer in one.answers}
    checked = [given[check.id].choice == check.right for check in study.checks if check.id in given]
    about = [given[pair.id] for pair in study.pairs if pair.id in given]
    seconds = [answer.seconds for answer in about if answer.seconds is not None]
    return RaterResult(
        file=path.name,
        rater=one.rater,
        answers=len(about),
        checks=len(checked),
        right=sum(checked),
        median_seconds=median(seconds) if seconds else None,
        counts=bool(checked) and sum(checked) >= PASSING * len(checked),
    )


def _table(study: Study, answers: Sequence[Answers]) -> _Table:
    pairs = study.pairs
    places = {pair.id: place for place, pair in enumerate(pairs)}
    given = [
        (places[answer.pair], _SIGN[answer.choice])
        for one in answers
        for answer in one.answers
        if answer.pair in places
    ]
    pair = np.array([place for place, _ in given], dtype=np.int64)
    runs = list(study.runs)
    names, scene = np.unique([pairs[place].scene for place in pair], return_inverse=True)
    return _Table(
        runs=runs,
        pairs=list(places),
        pair=pair,
        a=np.array([runs.index(pairs[place].a.run) for place in pair], dtype=np.int64),
        b=np.array([runs.index(pairs[place].b.run) for place in pair], dtype=np.int64),
        choice=np.array([sign for _, sign in given]),
        scene=scene,
        scenes=len(names),
    )


def _strengths(table: _Table) -> list[Strength]:
    count = len(table.runs)
    won = (1 + table.choice) / 2
    wins = np.zeros((table.scenes, count, count))
    np.add.at(wins, (table.scene, table.a, table.b), won)
    np.add.at(wins, (table.scene, table.b, table.a), 1 - won)
    drawn = np.tensordot(bootstrap.draws(table.scenes), wins, axes=1)
    every = wins.sum(axis=0)
    values, drawn_values = strengths(every), strengths(drawn)
    shares, drawn_shares = _shares(every), _shares(drawn)
    scenes = ((wins + wins.swapaxes(1, 2)).sum(axis=2) > 0).sum(axis=0)  # in which each run was compared
    found = [
        Strength(
            run=name,
            strength=_interval(values[place], drawn_values[:, place], scenes[place]),
            preferred=_interval(shares[place], drawn_shares[:, place], scenes[place]),
            answers=round(every[place].sum() + every[:, place].sum()),
        )
        for place, name in enumerate(table.runs)
    ]
    return sorted(found, key=lambda one: -(one.strength.value or 0))


def _shares(wins: np.ndarray) -> np.ndarray:
    """float64[..., M]: wins over comparisons; NaN without any."""
    won, lost = wins.sum(axis=-1), wins.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        return won / (won + lost)


def _agreements(study: Study, table: _Table, contenders: Mapping[str, Contender]) -> list[Agreement]:
    metrics = metrics_of(list(contenders.values()))
    known = dict.fromkeys(column for run in contenders.values() for column in run.columns)
    fills = np.array([study.runs[name].fills for name in table.runs])
    both_fill = fills[table.a] & fills[table.b]
    drawn = bootstrap.draws(table.scenes)
    found = []
    for column in known:
        better = metrics[column.partition(".")[0]].higher_is_better
        preferences = np.array([_preference(pair, column, contenders) for pair in study.pairs])[table.pair]
        kinds = concordance(preferences if better else -preferences, table.choice)
        defined = ~np.isnan(preferences)
        found.append(
            Agreement(
                column=column,
                higher_is_better=better,
                tau=_tau(table, kinds, drawn),
                fills=_tau(table, kinds * both_fill[:, None], drawn),
                answers=int(defined.sum()),
                fill_answers=int((defined & both_fill).sum()),
                undefined=int((~defined).sum()),
            )
        )
    return sorted(found, key=lambda one: (one.tau.value is None, -(one.tau.value or 0), one.column))


def _preference(pair: AskedPair, column: str, contenders: Mapping[str, Contender]) -> float:
    """1, 0 or -1: whether A's score is the larger, both are equal, or B's is; NaN where one has none."""
    first, second = (
        contenders[side.run].columns.get(column, {}).get(pair.sample, np.nan) for side in (pair.a, pair.b)
    )
    if np.isnan(first) or np.isnan(second):
        return float("nan")
    return float(first > second) - float(first < second)


def _tau(table: _Table, kinds: np.ndarray, drawn: np.ndarray) -> StudyInterval:
    sums = table.per_scene(kinds)
    return _interval(tau(sums.sum(axis=0)), tau(drawn @ sums), int(sums.any(axis=1).sum()))


def _interval(value: np.ndarray, drawn: np.ndarray, scenes: int) -> StudyInterval:
    """`scenes`: those that the value is of."""
    if np.isnan(value):
        return StudyInterval(value=None, low=None, high=None)
    low, high = bootstrap.interval(drawn, scenes) or (None, None)
    return StudyInterval(value=float(value), low=low, high=high)


def _notes(groups: Sequence[Group]) -> list[str]:
    lines = [
        "strength: Bradley-Terry log-odds, mean 0, a tie as half a win for both, with a normal prior of standard "
        f"deviation {PRIOR_DEVIATION:g}; intervals: 95%, scenes resampled (expanded percentile)",
        "agreement: Kendall's tau-b of each score column's preferences with the answers, the column's better "
        "direction minded; raters saw pasted outputs, so raw columns are left out where there is a pasted one",
        "n: answers for which both methods have a score; fills: the same without pairs that show a run that is shown "
        "the truth or returns the input",
        f"a rater counts who got {PASSING:.0%} of the attention checks right",
    ]
    for group in groups:
        who = {"person": "people", "model": "models"}[group.kind]
        counted = sum(rater.counts for rater in group.raters)
        if out := len(group.raters) - counted:
            lines.append(f"{who}: {out} of {len(group.raters)} left out for their attention checks")
        if extreme := [one.run for one in group.strengths if one.preferred.value in (0, 1)]:
            lines.append(
                f"{who}: always or never preferred: {', '.join(extreme)}: only the prior bounds the strength"
            )
        if counted == 1:
            lines.append(f"{who}: these are one rater's answers; no agreement among raters can be told")
        if counted:
            lines += [f"{who}: {line}" for line in wording.few(group.scenes)]
    return lines
