"""A data set's card: Markdown with Hugging Face's front matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from mildbench.dataset.schema import CHECKSUMS, SAMPLES, DatasetInfo, SourceInfo

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def render(info: DatasetInfo) -> str:
    """The text of a data set's `README.md`; the same description gives the same text."""
    # The table alone: `datasets` wants every sample of a tar file to have the same members, and scenes differ in
    # their layers; `mildbench export --to huggingface` puts the pictures into a table.
    front = front_matter(info, [{"config_name": "default", "data_files": SAMPLES}])
    parts = [front, f"# {info.name}", info.description, _origin(info), counts(info)]
    if info.jpeg:
        parts.append(info.lossy())
    if info.source == "scenes":
        parts += [_visible_ratios(info.report["visible_ratio"]), _rejections(info)]
    else:
        parts += ["## Import", "\n".join(f"- {line}" for line in import_remarks(info))]
    parts += ["## Sources", _sharing(info), sources(info), "## Files", _files(info)]
    if info.recipe:
        recipe = yaml.safe_dump(info.recipe, sort_keys=False, allow_unicode=True)
        parts += ["## Recipe", f"```yaml\n{recipe}```"]
    return "\n\n".join(parts) + "\n"


def front_matter(info: DatasetInfo, configs: list[dict[str, Any]]) -> str:
    """The YAML block that Hugging Face reads, `---` lines included."""
    content = {
        "pretty_name": info.name,
        "license": "other",
        "license_name": "see-sources",
        "task_categories": ["image-to-image"],
        "tags": ["inpainting", "human-erasing", "amodal-completion", "mildbench"],
        "size_categories": [_size_category(sum(info.samples.values()))],
        "configs": configs,
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def counts(info: DatasetInfo) -> str:
    """A table: samples and people by split."""
    rows = ((name, count, info.people.get(name, "unknown")) for name, count in info.samples.items())
    return table(("split", "samples", "people"), rows)


def sources(info: DatasetInfo) -> str:
    """A table: where the pictures come from and under what licence."""
    rows = ((source.role, f"`{source.name}`", source.items, source.licence) for source in info.sources)
    return table(("role", "source", "usable items", "licence"), rows)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _origin(info: DatasetInfo) -> str:
    if info.source == "pairs":
        return (
            f"Imported by mildbench {info.mildbench_version}: inputs, masks and true answers made by others. Who is "
            "in the pictures is unknown, so only the task erase-all can be asked."
        )
    if info.source == "amodal":
        return (
            f"Imported by mildbench {info.mildbench_version}: photos in which others drew people whole, also where "
            "they are hidden, and said who is in front. The colours of what is hidden are unknown, so only the task "
            "deocclude can be asked, and only masks are scored."
        )
    return (
        f"Made by mildbench {info.mildbench_version}, seed {info.seed}, {info.size} x {info.size} pixels. Every "
        "person was pasted as a layer, so the picture without any subset of them is known exactly."
    )


def _visible_ratios(ratio: dict[str, Any]) -> str:
    if not ratio["asked_for"]:
        return "No visible ratios were asked for."
    bins = [f"{low / 10:.1f} to {(low + 1) / 10:.1f}" for low in range(10)]
    histogram = zip(bins, ratio["asked_histogram"], ratio["achieved_histogram"], strict=True)
    return (
        f"{ratio['asked_for']} people were placed to be hidden by a drawn share; the visible ratio achieved differs "
        f"from the one asked for by {ratio['mean_difference']} on average and {ratio['largest_difference']} at most. "
        f"As distributions, asked and achieved are {ratio['wasserstein_asked_achieved']} apart, the recipe's and the "
        f"achieved one {ratio['wasserstein_recipe_achieved']} (Wasserstein-1, in units of the ratio).\n\n"
        + table(("visible ratio", "asked", "achieved"), histogram)
    )


def _rejections(info: DatasetInfo) -> str:
    found = [
        (f"`{source.name}`", reason, count)
        for source in info.sources
        for reasons in (source.rejected, _filtered(source))
        for reason, count in reasons.items()
    ]
    found += [
        ("while building", reason, count) for reason, count in info.report["rejected_while_building"].items()
    ]
    found += [("wish not met", reason, count) for reason, count in info.report["unmet_wishes"].items()]
    return table(("rejected in", "reason", "count"), found) if found else "No input was rejected."


def import_remarks(info: DatasetInfo) -> list[str]:
    """What an import found, a line each, from `DatasetInfo.report`."""
    report = info.report
    return [
        f"Masks were {'inverted and ' if report['inverted'] else ''}read as: "
        + "; ".join(f"{rule} ({count})" for rule, count in report["masks"].items()),
        *(f"{count} {what}; the first: {first}" for what, (count, first) in report["odd"].items()),
        *(f"{count} left out: {reason}" for reason, count in report["skipped"].items()),
        *([f"{report['groups']} groups, which intervals resample"] if report["groups"] else []),
        *report["notes"],
        *([f"Cite: {report['citation']}"] if report["citation"] else []),
    ]


def _filtered(source: SourceInfo) -> dict[str, int]:
    return {f"filtered: {reason}": count for reason, count in source.left_out.items()}


def _sharing(info: DatasetInfo) -> str:
    if info.source != "scenes":
        return "The pictures stay under the terms of those who made them."
    return f"No source picture is used in two splits. The licence of each cut-out is in `{SAMPLES}`."


def _files(info: DatasetInfo) -> str:
    what = (
        "`SPLIT/SPLIT-NNNNNN.tar` are tar files in WebDataset's convention, the members of a sample side by side"
        if info.format == "webdataset"
        else "the folders of the splits hold the pictures"
    )
    annotations = "; `annotations/` holds COCO keypoint files" if info.source != "pairs" else ""
    return (
        f"`{SAMPLES}` has one row a sample, with the names of its files; {what}{annotations}; `{CHECKSUMS}` can be "
        "checked with `sha256sum -c`; `croissant.json` describes the files to machines. The contents, however they "
        f"are stored, have the fingerprint `{info.fingerprint}`, which `mildbench fingerprint` computes anew."
    )


def _size_category(count: int) -> str:
    return next((name for limit, name in _SIZES if count < limit), "n>10M")
