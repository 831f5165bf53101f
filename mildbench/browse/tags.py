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


def check_target(path: Path) -> None:
    """Raise `UserError` unless the file's name says CSV or JSON."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"tags cannot be written to {path}: name a file that ends in {' or '.join(SUFFIXES)}")


def export_tags(fo: Any, gallery: Gallery, path: Path) -> int:
    """Write the tags and notes to a CSV or JSON file, by its suffix.

    One row for each picture that has any: sample id, slice (`composite`, `truth`, a run's name, ...), tags (sorted;
    separated by `;` in CSV), note (null, in CSV empty, if none). Returns the number of rows.

    Raises:
        UserError: another suffix, a gallery that was never looked at.
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
        text = io.StringIO()
        table = csv.DictWriter(text, ("sample_id", "slice", "tags", "note"), lineterminator="\n")
        table.writeheader()
        table.writerows(row | {"tags": ";".join(row["tags"])} for row in rows)
        write_bytes(path, text.getvalue().encode())
    return len(rows)
