"""The model card of trained weights: Markdown with Hugging Face's front matter."""

from __future__ import annotations

from typing import Any

import yaml

from mildbench.dataset.card import table
from mildbench.training.record import TrainingRecord
from mildbench.training.trainer import Trainer


def render(
    trainer: Trainer, record: TrainingRecord, step: int, parameters: int, usage: str, last: dict[str, float]
) -> str:
    """The text of `README.md`.

    Args:
        trainer: whose weights they are.
        record: of the run.
        step: steps done.
        parameters: how many numbers were trained.
        usage: the command that uses the weights.
        last: the last validation, column of the log -> value.
    """
    info = trainer.info
    front = {
        "pretty_name": f"{info.name}, {step} steps",
        "license": "other",
        "license_name": "see-sources",
        "pipeline_tag": "image-to-image",
        "tags": ["inpainting", "human-erasing", "mildbench"],
        **trainer.front_matter(),
    }
    settings = record.settings | {"options": _options(record)}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {info.name}",
        f"{info.summary}. Averaged weights after {_done(step, record)}, "
        f"{parameters / 1e6:.2f} million trained parameters.",
        f"```\n{usage}\n```",
        "## Validation",
        f"On scenes of the split `{record.validation_split}`, whose people and backgrounds were not trained on.",
        table(
            ("quantity", "value"),
            ((name.removeprefix("val_"), f"{value:.5g}") for name, value in last.items()),
        ),
        "## Settings",
        table(("setting", "value"), settings.items()),
        "## Data",
        f"Split `{record.split}` of:\n\n```yaml\n{yaml.safe_dump(record.scenes, sort_keys=False)}```",
        "## Sessions",
        table(("steps", "seconds", "device", "precision", "skipped scenes", "versions"), _sessions(record)),
    ]
    return "\n\n".join(parts) + "\n"


def _done(step: int, record: TrainingRecord) -> str:
    wanted = record.settings.get("steps")  # unknown where a run may be prolonged
    return f"{step} steps" if wanted is None else f"{step} of {wanted} steps"


def _options(record: TrainingRecord) -> str:
    return ", ".join(f"{key}={value}" for key, value in record.options.items()) or "the defaults"


def _sessions(record: TrainingRecord) -> list[tuple[Any, ...]]:
    return [
        (
            f"{session.first_step} to {session.first_step + session.steps}",
            round(session.seconds),
            f"{session.processes} x {session.environment.get('gpu', session.device)}",
            session.precision + (", compiled" if session.compiled else ""),
            session.skipped_scenes,
            ", ".join(
                f"{name} {version}"
                for name, version in {"mildbench": session.mildbench, **session.environment}.items()
                if name in ("mildbench", "python", "torch", "cuda")
            ),
        )
        for session in record.sessions
    ]
