"""Croissant metadata (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html) of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from mildbench.dataset.schema import SAMPLE_SCHEMA, SAMPLES, DatasetInfo

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification prescribes."""
_ENCODINGS = {".parquet": "application/x-parquet", ".json": "application/json", ".md": "text/markdown"}


def describe(info: DatasetInfo, files: dict[str, tuple[Path, str]]) -> dict[str, Any]:
    """The content of `croissant.json`.

    Args:
        info: the data set.
        files: name in the data set -> (where it is now, its sha256): the table, the annotations, the card. The
            pictures' own checksums are in `checksums.txt`.
    """
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": _ENCODINGS[Path(name).suffix],
            "sha256": sha256,
        }
        for name, (path, sha256) in files.items()
    ]
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-{kind}",
            "name": f"{split}-{kind}",
            "encodingFormat": encoding,
            "includes": f"{split}/{pattern}",
        }
        for split in info.samples
        for kind, pattern, encoding in _kinds(info, split)
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": info.name,
        "description": info.description,
        "version": info.mildbench_version,
        "license": sorted({source.licence for source in info.sources}),
        "distribution": objects + sets,
        "recordSet": [_samples()],
    }


def _kinds(info: DatasetInfo, split: str) -> list[tuple[str, str, str]]:
    """Of a split's files: what they are called, their pattern and their encoding."""
    if info.format == "webdataset":
        return [("files", "*.tar", "application/x-tar")]
    jpeg = [("photos", "**/*.jpg", "image/jpeg")] if split in info.jpeg else []
    return [("files", "**/*.png", "image/png"), *jpeg]


def _samples() -> dict[str, Any]:
    """The flat columns of `samples.parquet`; Croissant 1.0 has no nested lists."""
    kinds = {
        field.name: "sc:Text"
        if pa.types.is_string(field.type)
        else "sc:Float"
        if pa.types.is_floating(field.type)
        else "sc:Integer"
        for field in SAMPLE_SCHEMA
        if not pa.types.is_nested(field.type)
    }
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One record a sample; file names are relative to the data set's folder.",
        "key": {"@id": "samples/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"samples/{name}",
                "name": f"samples/{name}",
                "dataType": kind,
                "source": {"fileObject": {"@id": SAMPLES}, "extract": {"column": name}},
            }
            for name, kind in kinds.items()
        ],
    }
