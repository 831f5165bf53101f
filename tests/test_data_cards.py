"""A card for every source and every recipe, which Hugging Face's loader can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth import recipe_files as recipes
from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED

CARDS = Path(__file__).resolve().parents[1] / "data_cards"


def test_every_source_and_recipe_has_a_card() -> None:
    wanted = {*PEOPLE.names(), *BACKGROUNDS.names(), *SEGMENTED.names(), *recipes.names()}
    assert wanted <= {path.stem for path in CARDS.glob("*.md")}


@pytest.mark.parametrize("path", sorted(CARDS.glob("*.md")), ids=lambda path: path.stem)
def test_cards_have_front_matter(path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the hub's card loader is not installed")
    card = hub.DatasetCard.load(path)
    assert card.data.pretty_name
    assert card.data.license
    assert card.text.strip().startswith("# ")
