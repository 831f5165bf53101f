"""A data set's card: Markdown with Hugging Face's front matter."""

from __future__ import annotations

import yaml

from mildbench.dataset.schema import DatasetInfo


def render(info: DatasetInfo) -> str:
    """The text of a built data set's `README.md`."""
    total = sum(info.samples.values())
    front = {
        "pretty_name": info.name,
        "license": "other",
        "task_categories": ["image-to-image"],
        "tags": ["inpainting", "human-erasing", "amodal-completion", "mildbench"],
        "size_categories": [_size_category(total)],
    }
    splits = "\n".join(f"| {name} | {count} | {info.people[name]} |" for name, count in info.samples.items())
    sources = "\n".join(
        f"| {source.role} | `{source.name}` | {source.items} | {source.licence} |" for source in info.sources
    )
    ratio = info.report["visible_ratio"]
    met = (
        f"{ratio['asked_for']} people were placed to be hidden by a drawn share; the visible ratio achieved differs "
        f"from the one asked for by {ratio['mean_difference']} on average and {ratio['largest_difference']} at most."
        if ratio["asked_for"]
        else "No visible ratios were asked for."
    )
    return f"""---
{yaml.safe_dump(front, sort_keys=False).strip()}
---

# {info.name}

{info.recipe["description"]}

Made by mildbench {info.mildbench_version}, seed {info.seed}, {info.size} x {info.size} pixels. Every person was
pasted as a layer, so the picture without any subset of them is known exactly.

| split | scenes | people |
| --- | --- | --- |
{splits}

{met}

## Sources

No source picture is used in two splits. The licence of each cut-out is in `samples.parquet`.

| role | source | usable items | licence |
| --- | --- | --- | --- |
{sources}

## Files

`samples.parquet` has one row a scene, with the names of its files; `annotations/` holds COCO keypoint files;
`checksums.txt` can be checked with `sha256sum -c`. The recipe is in `dataset.json`.
"""


def _size_category(count: int) -> str:
    for limit, name in (
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
    ):
        if count < limit:
            return name
    return "n>1M"
