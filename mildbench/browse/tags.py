"""What the user has set in the app, written to a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from mildbench.browse.export import find, marked
from mildbench.browse.gallery import Gallery
from mildbench.errors import UserError
from mildbench.files import write_bytes, write_json

SUFFIXES = (".csv", ".json")
_COLUMNS = ("sample_id", "slice", "tags", "note")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""What a spreadsheet takes for the start of a formula, and the mark that keeps it from that."""


def check_target(path: Path) -> None:
    """Raise `UserError` unless the file's name says CSV or JSON."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"tags cannot be written to {path}: name a file that ends in {' or '.join(SUFFIXES)}")


def export_tags(fo: Any, gallery: Gallery, path: Path) -> int:
    """Write the tags and notes to a CSV or JSON file, by its suffix.

    One row for each picture that has any: sample id, slice (`composite`, `truth`, a run's name, ...), tags (sorted;
    separated by `;` in CSV), note (null, in CSV empty, if none). In CSV a text that a spreadsheet would take for a
    formula has a `'` before it. Returns the number of rows.

    Raises:
        UserError: another suffix, a gallery that was never looked at, a tag that CSV cannot hold.
    """
    check_target(path)
    dataset = find(fo, gallery)
    if dataset is None:
        raise UserError(
            f"FiftyOne has no data set {gallery.name!r} yet: run mildbench browse without --export-tags first"
        )
    rows: list[dict[str, Any]] = [
        {"sample_id": sample_id, "slice": part, "tags": sorted(mark.tags), "note": mark.note}
        for (sample_id, part), mark in sorted(marked(dataset).items(), key=lambda item: item[0])
    ]
    if path.suffix == ".json":
        write_json(path, rows)
    else:
        write_bytes(path, _as_csv(path, rows).encode())
    return len(rows)


def _as_csv(path: Path, rows: list[dict[str, Any]]) -> str:
    if torn := [tag for row in rows for tag in row["tags"] if ";" in tag]:
        raise UserError(
            f"the tag {torn[0]!r} holds a ; which separates tags in {path.name}: write {path.with_suffix('.json')}"
        )
    text = io.StringIO()
    # All quoted: where a ; separates cells, a tag in the middle would be one of its own.
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writeheader()
    for row in rows:
        cells = {name: _marked(row[name] or "") for name in ("sample_id", "slice", "note")}
        table.writerow(cells | {"tags": ";".join(map(_marked, row["tags"]))})
    return text.getvalue()


def _marked(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
