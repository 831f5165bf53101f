"""The controls that bound every table: return the input, return the answer; and the same for completed people."""

from __future__ import annotations

import numpy as np

from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


class Copy(EraseMethod):
    """Returns the input unchanged: what erasing nothing scores."""

    info = MethodInfo("copy", "control", "returns the input unchanged", revision=1)

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The images themselves."""
        return EraseResult(batch.images)


class Oracle(EraseMethod):
    """Returns the truth: the best that any metric can give. A metric that ranks it lower is broken."""

    info = MethodInfo("oracle", "control", "returns the truth", revision=1, capabilities=frozenset({"truth"}))

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The answers; raises `UserError` where there are none (a user's own photo)."""
        if batch.truths is None:
            raise UserError("the control 'oracle' returns the truth, and these pictures come without one")
        return EraseResult(batch.truths)


class Visible(EraseMethod):
    """Returns the input unchanged, and of everybody who stays what is seen of them: what completing nobody scores."""

    info = MethodInfo(
        "visible",
        "control",
        "the input, with people as far as they are seen",
        revision=1,
        capabilities=frozenset({"layers"}),
    )

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The images; no layers where people are unknown."""
        return EraseResult(batch.images, _layers(batch, batch.images, batch.instances))


class AmodalOracle(EraseMethod):
    """Returns the truth, and whole every person of whom the truth shows all: the best that any metric can give.

    Beside `oracle`, which completes nobody and whose results, without layers, stay what they are.
    """

    info = MethodInfo(
        "amodal-oracle",
        "control",
        "the truth, with people whole",
        revision=1,
        capabilities=frozenset({"truth", "layers"}),
    )

    def erase(self, batch: EraseBatch) -> EraseResult:
        """The answers; raises `UserError` where there are none (a user's own photo)."""
        if batch.truths is None:
            raise UserError(
                f"the control {self.info.name!r} returns the truth, and these pictures come without one"
            )
        return EraseResult(batch.truths, _layers(batch, batch.truths, batch.amodal))


def _layers(
    batch: EraseBatch, pictures: np.ndarray, masks: tuple[np.ndarray, ...] | None
) -> tuple[dict[int, np.ndarray], ...]:
    """Per sample uint8[H, W, 4] of those who stay and whom, of these masks, nobody in front who stays overlaps."""
    layers: tuple[dict[int, np.ndarray], ...] = tuple({} for _ in batch.sample_ids)
    if masks is None or batch.targets is None:
        return layers
    for found, picture, people, erased in zip(layers, pictures, masks, batch.targets, strict=True):
        in_front = np.zeros(picture.shape[:2], dtype=bool)
        for person in reversed(range(len(people))):
            if person in erased:
                continue
            if not (people[person] & in_front).any():
                found[person] = np.dstack([picture, np.where(people[person], np.uint8(255), np.uint8(0))])
            in_front |= people[person]
    return layers
