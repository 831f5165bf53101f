"""Results as data frames, and as a notebook shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mildbench import notebook
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.finished import FinishedRun
from mildbench.results.summary import Estimate

if TYPE_CHECKING:
    import pandas as pd


def table(board: Board[Any]) -> pd.DataFrame:
    """One row a method, best first: the numbers that the printed table shows, without their intervals.

    Columns are `metric.region.variant`, `metric.full.variant` of the metrics of whole sets, and `seconds_per_image`.
    """
    import pandas as pd

    rows = []
    for summary in board.summaries:
        row: dict[str, Any] = {"method": board.names[summary.run]}
        for column in board.columns:
            found = summary.estimate(column)
            row[column] = None if found is None else found.value
        for metric, variant in board.sets:
            whole = summary.of_set(metric, variant)
            row[f"{metric}.full.{variant}"] = None if whole is None else whole.value
        rows.append({**row, "seconds_per_image": summary.seconds_per_image})
    return pd.DataFrame(rows).set_index("method").astype("float64")


def estimates(board: Board[Any]) -> pd.DataFrame:
    """One row a method and score column: the mean and its 95 % interval over scenes, of every column there is."""
    import pandas as pd

    return pd.DataFrame(
        [
            _estimate(board.names[summary.run], item)
            for summary in board.summaries
            for item in summary.estimates
        ]
    )


def strata(board: Board[Any]) -> pd.DataFrame:
    """The same for parts of the samples: by visible ratio, people, size of the mask ..."""
    import pandas as pd

    return pd.DataFrame(
        [
            {**_estimate(board.names[summary.run], item), "by": stratum.by, "stratum": stratum.label}
            for summary in board.summaries
            for stratum in summary.strata
            for item in stratum.estimates
        ]
    )


def scores(runs: Sequence[FinishedRun], names: dict[str, str]) -> pd.DataFrame:
    """One row a method and sample: `scores.parquet` of every run, with the method before it."""
    import pandas as pd

    frames = [run.rows.to_pandas() for run in runs]
    for run, frame in zip(runs, frames, strict=True):
        frame.insert(0, "method", names[run.summary.run])
    return pd.concat(frames, ignore_index=True)


def html(board: Board[Any]) -> str:
    """The printed table with its footnotes, for a notebook."""
    header = ["method", *board.columns, *(f"{metric}.full.{variant}" for metric, variant in board.sets)]
    rows = []
    for summary in board.summaries:
        numbers = [
            wording.estimate_text(summary.estimate(column), board.metric(column).unit)
            for column in board.columns
        ]
        numbers += [wording.set_text(summary.of_set(*one)) for one in board.sets]
        cells = [f"{number.value}\n{number.spread}".strip() for number in numbers]
        rows.append([board.names[summary.run], *cells, wording.seconds_text(summary.seconds_per_image)])
    titled = [title.replace(".", "\n") for title in (*header, "s/image")]
    extent = wording.extent(board.samples, board.scenes)
    return notebook.line(f"{board.title}, {extent}") + notebook.table(titled, rows, board.footnotes)


def _estimate(method: str, item: Estimate) -> dict[str, Any]:
    return {
        "method": method,
        "metric": item.metric,
        "region": item.region,
        "variant": item.variant,
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "n": item.n,
        "scenes": item.scenes,
        "undefined": item.undefined,
    }
