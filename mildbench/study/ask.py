"""A model asked what a study's page asks people; its answers are marked as a model's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from mildbench.errors import UserError
from mildbench.progress import tracking
from mildbench.records import read_model, write_model
from mildbench.study.page import Page, Shown, shown
from mildbench.study.records import Answer, Answers, Choice, Rater


class Chooser(Protocol):
    """Who answers."""

    name: str

    def choose(self, pair: Shown) -> Choice: ...


def answers_path(page: Path, name: str) -> Path:
    """Where a rater's answers go unless told otherwise: beside the page."""
    return page.with_name(f"answers-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}.json")


def ask(page: Page, judge: Chooser, out: Path, *, show: bool = False) -> Answers:
    """Have every pair of a page answered, the attention checks too.

    Args:
        page: it has all that is asked and nothing that tells a method.
        judge: who answers.
        out: the answers, written after each; those that are there already are kept.
        show: progress.

    Raises:
        UserError: `out` holds the answers of somebody else, or to another study.
    """
    rater = Rater(kind="model", name=judge.name)
    answers = Answers(study=page.id, rater=rater, answers=[])
    if out.exists():
        answers = read_model(Answers, out, "answers", "give another --out")
        if (answers.study, answers.rater) != (page.id, rater):
            raise UserError(
                f"{out} holds answers of {answers.rater.name!r} to {answers.study}: give another --out"
            )
    known = {answer.pair for answer in answers.answers}
    with tracking("pairs", len(page.pairs) - len(known), show=show) as advance:
        for pair in shown(page, known):
            given = Answer(pair=pair.id, choice=judge.choose(pair), looked=True)
            answers = answers.model_copy(update={"answers": [*answers.answers, given]})
            write_model(out, answers)
            advance(1)
    return answers
