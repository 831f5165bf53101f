"""How the app shows a gallery: saved views, sidebar, colours, indexes."""

from __future__ import annotations

from typing import Any

from mildbench import statistics
from mildbench.browse import fields
from mildbench.browse.gallery import Gallery
from mildbench.browse.media import ERASED
from mildbench.labels import PARSING, UNLABELLED

VIEWED = {"psnr": "worst PSNR", "lpips": "worst LPIPS", "leak": "most leakage", "residue": "most residue"}
"""Metric -> what its saved view is called."""
_VIEWS = "mildbench_views"
"""Key in the data set's `info` of the saved views that are ours."""
_LABELS = ("visible", "amodal", "pose", "parsing", "mask")
_WILDCARD = "$**"
_INDEXED_SCORES = 40
"""Fields that have an index of their own; FiftyOne and the facts need some of MongoDB's 64."""
_COLOURED_PEOPLE = 32
"""People of one picture whose colour is the same in every picture and label."""

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
"""Colours that colour-blind people can tell apart (Okabe and Ito 2008), grey in the place of black."""
_PARSING_COLOURS = (
    "#800000", "#ff0000", "#005500", "#aa0033", "#ff5500", "#000055", "#0077dd", "#555500", "#005555", "#555555",
    "#557755", "#338080", "#0000ff", "#33aadd", "#00ffff", "#55ffaa", "#aaff55", "#ffff00", "#ffaa00",
)  # fmt: skip
"""One for each part from `hat` on, as CIHP's own tools paint them, the three darkest lightened."""


def present(fo: Any, dataset: Any, gallery: Gallery) -> None:
    """Set all of it; what the user has added (views, fields) stays."""
    _mask_targets(dataset)
    _index(dataset, gallery)
    _save_views(fo, dataset, gallery)
    dataset.app_config.sidebar_groups = _sidebar(fo, gallery)
    dataset.app_config.active_fields = fo.ActiveFields(paths=_shown(gallery), exclude=False)
    dataset.app_config.color_scheme = _colours(fo)
    dataset.save()


def headlines(gallery: Gallery) -> list[str]:
    """Fields of the headline column of every metric and run, metric by metric."""
    return [
        run.field(column)
        for metric in gallery.metrics
        for run in gallery.runs
        if (column := run.headline(metric)) is not None
    ]


def _mask_targets(dataset: Any) -> None:
    parts = {number: name for number, name in enumerate(PARSING) if number}
    dataset.mask_targets = {
        "parsing": parts | {UNLABELLED: "without a class"},
        "mask": {ERASED: "to erase"},
    }


def _index(dataset: Any, gallery: Gallery) -> None:
    """An index for each field that views sort by, one for all scores together: MongoDB allows only 64."""
    sorted_by = [*headlines(gallery), *fields.disagreements(gallery)]
    wanted = ["sample_id", *fields.FACTS, *sorted_by[:_INDEXED_SCORES]]
    for name in wanted:
        dataset.create_index(name)
    if _WILDCARD in dataset.list_indexes():
        dataset.drop_index(_WILDCARD)
    if scores := fields.score_fields(gallery):
        dataset.create_index([(_WILDCARD, 1)], wildcardProjection=dict.fromkeys(scores, 1))


def _save_views(fo: Any, dataset: Any, gallery: Gallery) -> None:
    views = _views(fo, dataset, gallery)
    for name in dataset.info.get(_VIEWS, ()):
        if name not in views and dataset.has_saved_view(name):
            dataset.delete_saved_view(name)
    for name, (view, why) in views.items():
        dataset.save_view(name, view, description=why, overwrite=True)
    dataset.info[_VIEWS] = list(views)


def _views(fo: Any, dataset: Any, gallery: Gallery) -> dict[str, tuple[Any, str]]:
    """Name -> view and what it shows."""
    f = fo.ViewField
    found: dict[str, tuple[Any, str]] = {}

    def ordered(name: str, column: str, *, high_first: bool, why: str) -> None:
        found[name] = (dataset.match(f(column) != None).sort_by(column, reverse=high_first), why)  # noqa: E711

    for metric, title in VIEWED.items():
        for run in gallery.contenders:
            record, column = run.metric(metric), run.headline(metric)
            if record is not None and column is not None:
                ordered(
                    f"{title}: {run.name}",
                    run.field(column),
                    high_first=not record.higher_is_better,
                    why=f"{column}, from the worst on",
                )
    for column, (first, second) in fields.disagreements(gallery).items():
        ordered(
            f"most disagreement: {first.name}, {second.name}",
            column,
            high_first=True,
            why="difference of their PSNR in the mask",
        )
    for run in gallery.runs:
        column = fields.failure_field(run)
        if run.summary.failures:
            found[f"failed: {run.name}"] = (dataset.match(f(column) != None), "samples without a score")  # noqa: E711
    if not gallery.runs and gallery.facts["visible_ratio"].notna().any():
        ordered("most hidden", "visible_ratio", high_first=False, why="of the most hidden person")
    for family in sorted(dataset.distinct("family")):
        found[f"family: {family}"] = (dataset.match(f("family") == family), f"the family {family}")
    present_bins = set(dataset.distinct("visible_bin"))
    for label in (*statistics.STRATA["visible_ratio"], statistics.UNKNOWN):
        if label in present_bins:
            found[f"visible ratio: {label}"] = (
                dataset.match(f("visible_bin") == label),
                "of the person who makes the sample hard",
            )
    return found


def _sidebar(fo: Any, gallery: Gallery) -> list[Any]:
    top = headlines(gallery)
    groups = {
        "headline scores": top,
        "people and masks": list(_LABELS),
        "sample": ["sample_id", *fields.FACTS],
        "tags": ["tags", "note"],
        "disagreement (dB)": list(fields.disagreements(gallery)),
    }
    opened = ("headline scores", "people and masks", "sample", "tags")
    for run in gallery.runs:
        mine = [run.field(column) for column in run.columns]
        groups[run.record.label] = [name for name in mine if name not in top] + [fields.failure_field(run)]
    # The app's own name for the group; under another it would have this one as well.
    groups["metadata"] = [
        "id",
        "filepath",
        "metadata.width",
        "metadata.height",
        "created_at",
        "last_modified_at",
    ]
    groups["metadata"] += ["metadata.size_bytes", "metadata.mime_type", "metadata.num_channels", "group.id"]
    return [
        fo.SidebarGroupDocument(name=name, paths=paths, expanded=name in opened)
        for name, paths in groups.items()
        if paths
    ]


def _shown(gallery: Gallery) -> list[str]:
    """What the grid shows before anything is ticked: who is there, and how each run did."""
    first = gallery.metrics[0] if gallery.metrics else None
    columns = [(run, run.headline(first)) for run in gallery.runs if first is not None]
    return ["visible", *(run.field(column) for run, column in columns if column is not None)]


def _colours(fo: Any) -> Any:
    parts = [{"intTarget": label, "color": colour} for label, colour in enumerate(_PARSING_COLOURS, start=1)]
    people = [
        {"value": str(person), "color": OKABE_ITO[(person - 1) % len(OKABE_ITO)]}
        for person in range(1, _COLOURED_PEOPLE + 1)
    ]
    return fo.ColorScheme(
        color_by="value",
        color_pool=list(OKABE_ITO),
        fields=[
            *({"path": name, "colorByAttribute": "index", "valueColors": people} for name in _LABELS[:3]),
            {"path": "parsing", "maskTargetsColors": [*parts, {"intTarget": UNLABELLED, "color": "#999999"}]},
            {"path": "mask", "maskTargetsColors": [{"intTarget": ERASED, "color": "#D55E00"}]},
        ],
        multicolor_keypoints=False,
        show_skeletons=True,
        opacity=0.6,
    )
