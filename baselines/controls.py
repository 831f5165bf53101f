"""The two controls that bound every table: return the input, return the answer."""

from __future__ import annotations

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
