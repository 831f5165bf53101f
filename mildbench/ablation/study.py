"""What an ablation compares: a YAML file with one row a variant."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, model_validator

from mildbench import strictyaml
from mildbench.errors import UserError, did_you_mean
from mildbench.records import Strict, validated

WEIGHTS = "{}"
"""In a row's method: the folder of the weights that the row has trained."""


class AblationRow(Strict):
    """A variant: what is trained for it, and what is evaluated."""

    method: str
    """As `evaluate --method` takes it."""
    train: str | None = None
    """A trainer, as `mildbench train` takes it; None for what is shipped or needs no training. Rows with the same
    trainer, options and share have one training."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the ablation's steps."""

    @model_validator(mode="after")
    def _uses_what_it_trains(self) -> AblationRow:
        if (self.train is not None) != (WEIGHTS in self.method):
            raise ValueError(
                f"a row that trains names its weights as {WEIGHTS} in its method, no other row does"
            )
        return self


class AblationPlan(Strict):
    """What an ablation compares."""

    description: str
    task: str
    columns: list[str] = Field(min_length=1)
    """Score columns to show, such as `psnr.mask.pasted`."""
    rows: dict[str, AblationRow] = Field(min_length=2)
    """Name -> variant; the others are compared with the first."""

    @model_validator(mode="after")
    def _differ(self) -> AblationPlan:
        if len({(row.method, row.train, row.share) for row in self.rows.values()}) < len(self.rows):
            raise ValueError("two rows are the same variant")
        return self

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that the columns need."""
        return list(dict.fromkeys(column.partition(".")[0] for column in self.columns))


def names(folder: Path) -> list[str]:
    """The studies of a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(name_or_file: str, folder: Path) -> AblationPlan:
    """A study of the folder by its name, or one from a YAML file; raises `UserError` with the first mistake found."""
    path = Path(name_or_file)
    if path.suffix.lower() not in (".yaml", ".yml"):
        path = folder / f"{name_or_file}.yaml"
        if not path.is_file():
            remedy = did_you_mean(name_or_file, names(folder))
            raise UserError(f"unknown ablation {name_or_file!r}: {remedy}, or give a .yaml file")
    try:
        content = strictyaml.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"ablation {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"ablation {path} is not valid YAML: {' '.join(str(error).split())}") from None
    return validated(AblationPlan, content, f"ablation {path}")
