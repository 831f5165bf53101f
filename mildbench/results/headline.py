"""By which columns results are ranked: one that somebody named, or fidelity with what people see beside it."""

from __future__ import annotations

from collections.abc import Collection

from mildbench.errors import UserError, did_you_mean
from mildbench.metrics.base import METRICS
from mildbench.results.panel import Panel

FIDELITY = "psnr.mask.pasted"
"""How close to the one true picture. PSNR needs no weights, so it is there on every machine; the erased part is what
the task is about; pasted, so that no method is ranked by what its autoencoder does to the rest of the picture (the raw
columns show that)."""
PLAUSIBLE = ("rc-s.mask.pasted", "lpips.mask.pasted")
"""How it looks to people: the two that agreed with them best on real removals (PROVE, 2026), the better one first."""


def named(text: str, panel: Panel, task: str) -> str:
    """The score column that `NAME`, `NAME.REGION` or `NAME.REGION.VARIANT` names.

    Of several it is the first that tables show, pasted before raw. Raises `UserError` for one that `panel` has not.
    """
    name = text.partition(".")[0]
    shown = [column for column in panel.headline_columns(task) if column in panel.columns]
    fitting = [
        column for column in dict.fromkeys([*shown, *panel.columns]) if f"{column}.".startswith(f"{text}.")
    ]
    if fitting:
        first = fitting[0].rpartition(".")[0]
        return next((column for column in fitting if column == f"{first}.pasted"), fitting[0])
    if any(metric.info.name == name for metric in panel.sets):
        raise UserError(f"headline {text!r}: {name} has one number for a whole set: nothing to rank by")
    if any(metric.info.name == name for metric in panel.samples):
        columns = [column for column in panel.columns if column.startswith(f"{name}.")]
        raise UserError(f"headline {text!r}: {name} has no such column; it has {', '.join(columns)}")
    METRICS.load(name)  # a name that nobody knows gets its nearest neighbour
    scored = [metric.info.name for metric in panel.samples]
    raise UserError(f"headline {text!r}: {name} was not scored here; {did_you_mean(name, scored)}")


def one_a_metric(columns: Collection[str]) -> list[str]:
    """Of each metric the first column, pasted where it has that."""
    pasted = [column for column in columns if column.endswith(".pasted")]
    first = {column.partition(".")[0]: column for column in reversed([*pasted, *columns])}
    return [first[name] for name in dict.fromkeys(column.partition(".")[0] for column in columns)]


def usual(columns: Collection[str], everywhere: Collection[str]) -> tuple[str, ...]:
    """The columns that nobody has to name, the one that decides the order first; empty where nothing was scored.

    Args:
        columns: that are there, in their order.
        everywhere: those of them in which all that is ranked has a value.
    """
    plausible = [column for column in PLAUSIBLE if column in everywhere][:1]
    if FIDELITY in columns:
        return (*plausible, FIDELITY)
    return tuple(plausible or list(columns)[:1])
