"""What a checkpoint's card says of how to sample from it.

A card is the `README.md` in a checkpoint's folder, with YAML between two lines `---` at its top, as on Hugging Face's
hub. `sampling_steps: 1` there means that methods take one step of this checkpoint, unless told otherwise.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from baselines.diffusion.checkpoints import find_folder, untrained
from mildbench.errors import UserError
from mildbench.weights import checkpoints

CARD = "README.md"
KEY = "sampling_steps"


def card_of(backbone: str) -> Path | None:
    """The card that says how many steps a backbone is sampled with; None where there is none, or it does not say.

    Args:
        backbone: see `baselines.diffusion.checkpoints.load_backbone`. One that is not here has no card: loading it
            says what is missing.
    """
    if untrained(backbone) or backbone in checkpoints():
        return None
    try:
        card = find_folder(backbone) / CARD
    except UserError:
        return None
    return card if KEY in _front_matter(card) else None


def sampling_steps(card: Path) -> int:
    """The number that a card of `card_of` says; raises `UserError` for one that is no number of steps."""
    steps = _front_matter(card)[KEY]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UserError(f"{card}: {KEY}={steps!r}: give a whole number of at least 1")
    return steps


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
