"""What a checkpoint's card says of how to sample from it.

A card is the `README.md` in a checkpoint's folder, with YAML between two lines `---` at its top, as on Hugging Face's
hub. Of that, methods go by two keys, unless told otherwise:

- `sampling_steps: 1`: they take one step of this checkpoint.
- `seamless: true`: they correct the colours of what it makes (see `baselines.seamless`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from baselines.diffusion.checkpoints import find_folder, untrained
from mildbench.errors import UserError
from mildbench.weights import checkpoints

CARD = "README.md"
SAMPLING_STEPS, SEAMLESS = "sampling_steps", "seamless"


@dataclass(frozen=True)
class Card:
    """A card that says something of sampling."""

    path: Path
    said: dict[str, int | bool]
    """Key -> value, as it stands there."""

    @property
    def sampling_steps(self) -> int | None:
        """None where it does not say."""
        return self.said.get(SAMPLING_STEPS)

    @property
    def seamless(self) -> bool:
        """False where it does not say."""
        return bool(self.said.get(SEAMLESS))


def card_of(backbone: str) -> Card | None:
    """A backbone's card; None where there is none, or it says nothing of sampling.

    Args:
        backbone: see `baselines.diffusion.checkpoints.load_backbone`. One that is not here has no card: loading it
            says what is missing.

    Raises:
        UserError: where what it says makes no sense.
    """
    if untrained(backbone) or backbone in checkpoints():
        return None
    try:
        path = find_folder(backbone) / CARD
    except UserError:
        return None
    front_matter = _front_matter(path)
    said: dict[str, int | bool] = {}
    if SAMPLING_STEPS in front_matter:
        steps = front_matter[SAMPLING_STEPS]
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise UserError(f"{path}: {SAMPLING_STEPS}={steps!r}: give a whole number of at least 1")
        said[SAMPLING_STEPS] = steps
    if SEAMLESS in front_matter:
        seamless = front_matter[SEAMLESS]
        if not isinstance(seamless, bool):
            raise UserError(f"{path}: {SEAMLESS}={seamless!r}: give true or false")
        said[SEAMLESS] = seamless
    return Card(path, said) if said else None


def _front_matter(card: Path) -> dict[str, object]:
    """Nothing of a card that is not there, or whose top is no YAML."""
    if not card.is_file():
        return {}
    opening, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    top, closing, _ = rest.partition("\n---")
    if opening or not closing:
        return {}
    try:
        found = yaml.safe_load(top)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
