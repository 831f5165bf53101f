"""Whether an entry agrees with itself, and with what the registry knows: no picture is looked at."""

from __future__ import annotations

from leaderboard.findings import Findings, disagreements, same, text
from leaderboard.store import StoredEntry, pictures_sha256
from mildbench.errors import UserError
from mildbench.marking import MARKINGS
from mildbench.method import MethodSpec
from mildbench.options import alike
from mildbench.results.record import Config, MethodRecord, titles
from mildbench.results.scores import Scores
from mildbench.results.summary import VARIANTS, Estimate, MetricRecord

AGGREGATES = 1e-9
"""Relative: aggregates of the same scores differ by the order of additions only."""


def check(stored: StoredEntry) -> Findings:
    """Recompute everything in the entry that follows from its per-sample scores, from its other fields, or from
    what is registered here under its method's and its metrics' names."""
    scores = Scores(stored.rows, stored.panel)
    found = Findings(differences=[*_counts(stored, scores), *_names(stored), *_metrics(stored)])
    estimates = stored.entry.summary.estimates
    if [item.column for item in estimates] != list(scores.values):
        found.differences.append("aggregates: the entry has other columns than the scores")
    else:
        for said in estimates:
            found.differences += _estimate_differences(scores.estimate(said.column), said)
    found.checked.append(
        f"{len(estimates)} aggregates with their intervals follow from {len(scores.ids)} samples"
    )
    if sets := stored.entry.summary.sets:
        names = ", ".join(dict.fromkeys(item.metric for item in sets))
        found.notes.append(f"{names}: of the set as a whole: recomputed only from predictions")
    _method(stored, found)
    return found


def _counts(stored: StoredEntry, scores: Scores) -> list[str]:
    """What the entry says of its samples, against the samples."""
    entry, summary = stored.entry, stored.entry.summary
    counts = {
        "rows": (len(scores.ids), entry.scores.rows),
        "samples": (len(scores.ids), summary.samples),
        "scored": (int(scores.scored.sum()), summary.scored),
        "predictions": (pictures_sha256(stored.rows), entry.predictions.sha256),
    }
    if summary.limit is not None:
        counts["limit"] = (len(scores.ids), summary.limit)
    differences = [
        f"{what}: the scores have {found}, the entry says {said}"
        for what, (found, said) in counts.items()
        if found != said
    ]
    failed = {name: error for name, error in zip(scores.ids, scores.errors, strict=True) if error is not None}
    if failed != {failure.sample_id: failure.reason for failure in summary.failures}:
        differences.append("failures: the entry lists others than the scores")
    if others := sorted({str(split) for split in scores.column("split")} - {summary.split}):
        differences.append(f"split: the scores are of {', '.join(others)}, the entry says {summary.split}")
    for what, value in (("seconds", summary.seconds_per_image), ("peak memory", entry.peak_memory_bytes)):
        if value is not None and not 0 <= value < float("inf"):
            differences.append(f"{what}: {value} is no amount")
    return differences


def _names(stored: StoredEntry) -> list[str]:
    """What the entry says twice, or what follows from its configuration."""
    summary, config = stored.entry.summary, stored.entry.summary.config
    spec = MethodSpec(summary.method.name, dict(summary.method.options))
    looks_up = "names" in summary.method.capabilities and "directory" in spec.options
    label, run = titles(spec, config, config.options.get("directory", "") if looks_up else None)
    found = {"task": config.task, "split": config.split, "method": config.method, "label": label, "run": run}
    said = {name: getattr(summary, name) for name in found} | {"method": summary.method.name}
    differences = disagreements("by its configuration the", found, said)
    differences += _options(spec, config, looks_up=looks_up)
    if config.mask not in MARKINGS:
        differences.append(f"mask: nothing is shown as {config.mask}")
    if summary.strata:
        differences.append("strata: they follow from the scores, and an entry holds none")
    return differences


def _options(spec: MethodSpec, config: Config, *, looks_up: bool) -> list[str]:
    """Whether the options that were given, and no others, are in the configuration; see `identity_of`."""
    elsewhere = {*config.files, *({"dtype"} if config.dtype is not None else ())}
    elsewhere |= {"directory"} if looks_up else set()
    try:
        later = spec.create().info.later
        came_to, defaults = spec.texts, MethodSpec(spec.name).texts
    except UserError:  # it is not here: `_method` says so
        came_to = config.options | {
            name: value
            for name, value in spec.options.items()
            if not alike(value, config.options.get(name, value))
        }
    else:
        elsewhere |= {name for name in later if came_to[name] == defaults[name]}
    return [
        f"options: {name} is {config.options.get(name, 'not there')} in the configuration, and "
        f"{came_to.get(name, 'not there')} by those that were given"
        for name in sorted({*config.options, *spec.options} - elsewhere)
        if name not in config.options or came_to.get(name) != config.options[name]
    ]


def _metrics(stored: StoredEntry) -> list[str]:
    """What the entry says of its metrics, against the metrics."""
    summary, panel = stored.entry.summary, stored.panel
    # What an annotator or a network held at the time can only be told by scoring again.
    fields = [name for name in MetricRecord.model_fields if name != "identity"]
    known = {
        metric.info.name: {name: getattr(metric.info, name) for name in fields}
        for metric in (*panel.samples, *panel.sets)
    }
    differences = [
        difference
        for metric in summary.metrics
        for difference in disagreements(
            metric.name, known.get(metric.name, {}), metric.model_dump(exclude={"identity"})
        )
    ]
    if [metric.name for metric in summary.metrics] != list(known):
        differences.append("metrics: the entry has them in another order than evaluate writes")
    expected = [(metric.info.name, variant) for metric in panel.sets for variant in VARIANTS]
    if [(item.metric, item.variant) for item in summary.sets] != expected:
        differences.append("sets: the entry has numbers of other metrics than it names")
    differences += [
        f"{item.metric} ({item.variant}): of {item.n} samples, and {summary.scored} were scored"
        for item in summary.sets
        if item.value is not None and item.n != summary.scored
    ]
    return differences


def _method(stored: StoredEntry, found: Findings) -> None:
    """What the entry says of its method, against the method."""
    said = stored.entry.summary.method
    spec = MethodSpec(said.name, dict(said.options))
    try:
        registered = MethodRecord.of(spec, spec.create().info)
    except UserError as error:
        found.notes.append(f"what it says of its method is not checked: {error}")
        return
    found.differences += disagreements("method:", registered.model_dump(), said.model_dump())


def _estimate_differences(found: Estimate, said: Estimate) -> list[str]:
    return [
        f"{said.column}: {name} is {text(mine)} by the scores, the entry says {text(theirs)}"
        for name in ("value", "low", "high", "n", "scenes", "undefined")
        if not same(mine := getattr(found, name), theirs := getattr(said, name), AGGREGATES)
    ]
