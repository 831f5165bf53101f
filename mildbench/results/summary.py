"""`summary.json`: what a run amounts to, typed.

Numbers are JSON numbers. JSON has no infinity, so an infinite number (the PSNR of identical pictures) is
null, and `infinite`, beside it, gives its sign: `"value": null, "infinite": {"value": 1}`. Null and not named
there means undefined. In Python the fields hold the number itself, `inf` included, or None where undefined.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from mildbench.records import Strict
from mildbench.results.record import Config, MethodRecord

Variant = Literal["raw", "pasted"]
VARIANTS: tuple[Variant, Variant] = ("raw", "pasted")
"""The method's output as it came; and the output inside the mask on the input outside."""


class Infinite(Strict):
    """Base of records with float fields that may be infinite."""

    @model_serializer(mode="wrap")
    def _to_null(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        signs = {
            name: 1 if value > 0 else -1
            for name, value in fields.items()
            if isinstance(value, float) and math.isinf(value)
        }
        return fields | dict.fromkeys(signs) | ({"infinite": signs} if signs else {})

    @model_validator(mode="before")
    @classmethod
    def _from_null(cls, fields: Any) -> Any:
        if not (isinstance(fields, dict) and isinstance(fields.get("infinite"), dict)):
            return fields
        infinite = {name: math.copysign(math.inf, sign) for name, sign in fields["infinite"].items()}
        return {name: value for name, value in fields.items() if name != "infinite"} | infinite


class MetricRecord(Strict):
    """A metric that was scored."""

    name: str
    id: str
    """The exact definition."""
    identity: dict[str, str]
    """What else decides its numbers: `Metric.identity`. Numbers of two identities are not comparable."""
    definition: str
    unit: str
    higher_is_better: bool
    note: str | None
    """What tables say beside the number."""


class Unavailable(Strict):
    """A metric that was asked for and could not be scored."""

    name: str
    id: str | None
    """None where not even the metric's code could be imported."""
    reason: str


class Estimate(Infinite):
    """The mean of a metric over samples, with its 95 % interval over scenes (`mildbench.statistics`)."""

    metric: str
    region: str
    variant: Variant
    value: float | None
    """None when no sample has a value."""
    low: float | None
    high: float | None
    n: int
    """Samples that have a value."""
    scenes: int | None = None
    """Scenes that they are of; None in results from before these were counted."""
    undefined: int
    """Scored samples without one: their region is empty, or nothing was recorded."""

    @property
    def column(self) -> str:
        """The name in `scores.parquet`."""
        return f"{self.metric}.{self.region}.{self.variant}"


class SetEstimate(Infinite):
    """A metric of the set as a whole."""

    metric: str
    variant: Variant
    value: float | None
    """None when the metric refuses the set; `note` says why."""
    spread: float | None
    """Standard deviation over subsets, where the metric has one."""
    n: int
    note: str | None


class Stratum(Strict):
    """The headline columns over a part of the samples."""

    by: str
    """`visible_ratio`, `people`, `mask_share`, `family`, `difficulty` or `ground`."""
    label: str
    samples: int
    estimates: list[Estimate]


class Failure(Strict):
    """A sample without a score."""

    sample_id: str
    reason: str


class RunSummary(Strict):
    """`summary.json`."""

    schema_version: Literal[3] = 3
    mildbench: str
    run: str
    """The folder's name."""
    label: str
    """What tables call the run."""
    method: MethodRecord
    dataset: str
    """The data set's name; its fingerprint is in `config`."""
    config: Config
    task: str
    split: str
    limit: int | None
    """Samples asked for, when not all."""
    paste_dilation: int
    """Pixels by which the mask was grown before pasting."""
    samples: int
    """Samples there are to score: the split, or the limit."""
    scored: int
    failures: list[Failure]
    metrics: list[MetricRecord]
    unavailable: list[Unavailable]
    estimates: list[Estimate]
    sets: list[SetEstimate]
    strata: list[Stratum]
    seconds_per_image: float | None
    """Mean over the sessions; None where images were only copied."""
    device: str | None
    """What `seconds_per_image` was taken on; None when unknown or several."""
    notes: list[str]
    """What else there is to know."""

    @model_validator(mode="after")
    def _each_thing_once(self) -> Self:
        """Readers look a number up by its name: of two with one name, one would be checked and the other shown."""
        _check_distinct("estimates", (item.column for item in self.estimates))
        _check_distinct("sets", ((item.metric, item.variant) for item in self.sets))
        names = [item.name for item in self.metrics] + [item.name for item in self.unavailable]
        _check_distinct("metrics", names)
        _check_distinct("failures", (item.sample_id for item in self.failures))
        for stratum in self.strata:
            _check_distinct(f"strata {stratum.by}", (item.column for item in stratum.estimates))
        return self

    @property
    def setting(self) -> tuple:
        """What two runs must share to be compared."""
        config = self.config
        return config.dataset, config.task, config.split, config.corruption, config.mask, self.paste_dilation

    @property
    def control(self) -> bool:
        return self.method.provenance == "control"

    @property
    def ranked(self) -> bool:
        """A run is ranked when every sample has a score, and the method is trained and has not seen the answers."""
        fair = self.method.untrained is None and "truth" not in self.method.capabilities
        return fair and not self.failures and self.scored > 0

    def estimate(self, column: str) -> Estimate | None:
        """The estimate of a column of `scores.parquet`, if it was scored."""
        return next((item for item in self.estimates if item.column == column), None)

    def of_set(self, metric: str, variant: Variant) -> SetEstimate | None:
        """The number of the whole set, if it was scored."""
        return next((item for item in self.sets if (item.metric, item.variant) == (metric, variant)), None)


def _check_distinct(what: str, names: Iterable[Hashable]) -> None:
    """Raise ValueError for a name that comes twice."""
    if twice := [str(name) for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{what}: {twice[0]} is there twice")
