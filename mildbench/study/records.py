"""The files of a study: the key, which its maker keeps, and the answers, which raters send back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mildbench.errors import UserError
from mildbench.files import read_json
from mildbench.records import Strict, read_model, validated

Choice = Literal["A", "B", "tie"]
RaterKind = Literal["person", "model"]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class RunKey(Strict):
    """A run that takes part."""

    folder: str
    """Its folder's name, `<method>@<hash>`."""
    path: str
    """Where it lay; a hint for `study score`."""
    fills: bool
    """False where its method is shown the answer, or it returned the input in every pair: the ends of any scale."""


class Side(Strict):
    """One picture of a pair."""

    run: str
    """As in `Study.runs`."""
    pixels_sha256: str
    """`pixel_sha256` of the output pasted into the input, before it was made small for the page."""


class AskedPair(Strict):
    """Two methods' outputs for one sample."""

    id: str
    """As the page and the answers call it; says nothing."""
    sample: str
    scene: str
    a: Side
    """Shown as A."""
    b: Side


class Check(Strict):
    """A pair that tests attention: the truth against the input itself."""

    id: str
    sample: str
    right: Literal["A", "B"]
    """The side of the truth."""


class Study(Strict):
    """`study.json`: the key to the page. It tells which method is which, so raters must not see it."""

    schema_version: Literal[1] = 1
    mildbench: str
    id: str
    """16 hex digits of everything else here; the page and the answers carry it."""
    seed: int
    dataset: str
    fingerprint: str
    """Of the data set, as the methods saw it."""
    task: str
    split: str
    paste_dilation: int
    """Pixels by which the mask was grown before pasting. Raters see pasted outputs."""
    longest_side: int
    """Pixels at most of a picture in the page; larger ones were made smaller."""
    webp_quality: int
    runs: dict[str, RunKey]
    """What tables call the run -> the run."""
    shown: list[AskedPair | Check]
    """In the page's order."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len({item.id for item in self.shown}) < len(self.shown):
            raise ValueError("two pairs have one id")
        if not {side.run for pair in self.pairs for side in (pair.a, pair.b)} <= set(self.runs):
            raise ValueError("a pair names a run that is none of the study's")
        return self

    @property
    def pairs(self) -> list[AskedPair]:
        """What is asked about the methods."""
        return [item for item in self.shown if isinstance(item, AskedPair)]

    @property
    def checks(self) -> list[Check]:
        """What is asked about the rater."""
        return [item for item in self.shown if isinstance(item, Check)]


class Rater(Strict):
    """Who answered."""

    kind: RaterKind
    """A model's answers are answers too, and are never counted as a person's."""
    name: _Name


class Answer(Strict):
    """What a rater said of one pair."""

    pair: str
    choice: Choice
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """From the pictures' appearing to the choice."""
    looked: bool | None = None
    """Whether the rater had the input shown at the pictures' place."""


class Answers(Strict):
    """One rater's file."""

    schema_version: Literal[1] = 1
    study: str
    """`Study.id`."""
    rater: Rater
    answers: list[Answer]


def read_study(path: Path) -> Study:
    """Read a study's key; raises `UserError` for a file that is missing, broken or none."""
    remedy = "give the study's folder, or the .json that was made with the page"
    return read_model(Study, path, "study", remedy, outdated=remedy)


def read_answers(path: Path, study: Study) -> Answers:
    """Read one rater's answers.

    Raises `UserError` for a file that is missing, broken, no answers, of another study, of pairs that the study does
    not have, or with two answers to one pair.
    """
    content = read_json(path, "answers")
    if not (isinstance(content, dict) and {"study", "rater", "answers"} <= set(content)):
        raise UserError(
            f"{path} holds no answers to a study: give the file that the page saved for the rater"
        )
    answers = validated(Answers, content, f"answers {path}", "ask the rater to save the file again")
    if answers.study != study.id:
        raise UserError(
            f"answers {path} are to the study {answers.study}, and this is {study.id}: leave them out"
        )
    given = [answer.pair for answer in answers.answers]
    if unknown := set(given) - {item.id for item in study.shown}:
        raise UserError(f"answers {path}: the study has no pair {min(unknown)!r}: leave the file out")
    if len(set(given)) < len(given):
        twice = next(pair for pair in given if given.count(pair) > 1)
        raise UserError(f"answers {path}: two answers to the pair {twice!r}: leave one of them out")
    return answers
