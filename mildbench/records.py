"""JSON files with a schema: strict records, read with one clear line where they do not fit, and written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mildbench.errors import UserError
from mildbench.files import read_json, write_bytes


class Strict(BaseModel):
    """Base of everything this package writes as JSON: no unknown keys, no silent conversion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)

_REMEDY = "perhaps of another mildbench version: delete it to have it made anew"
_OUTDATED = "make it anew, in another place or once this is moved away"


def validated(kind: type[Model], content: Any, what: str, remedy: str = "") -> Model:
    """`content` as a record; `UserError` names `what`, the first mistake and the remedy."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        parts = (what, place, first["msg"].removeprefix("Value error, "), remedy)
        raise UserError(": ".join(part for part in parts if part)) from None


def read_model(
    kind: type[Model], path: Path, what: str, remedy: str = _REMEDY, outdated: str = _OUTDATED
) -> Model:
    """Read a JSON file of this package; `UserError` when it is missing, broken or from another version."""
    content = read_json(path, what)
    if isinstance(content, dict) and "schema_version" in kind.model_fields:
        found, ours = content.get("schema_version"), kind.model_fields["schema_version"].default
        if found != ours:
            raise UserError(
                f"{what} {path} is of schema version {found}, this mildbench reads {ours}: {outdated}"
            )
    return validated(kind, content, f"{what} {path}", remedy)


def write_model(path: Path, model: BaseModel) -> None:
    """Write atomically; the file ends with a newline."""
    write_bytes(path, (model.model_dump_json(indent=2) + "\n").encode())
