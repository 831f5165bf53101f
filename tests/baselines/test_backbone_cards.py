"""How a backbone is sampled is its card's to say, wherever it lies and whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines import shipped
from baselines.diffusion.cards import SAMPLING_STEPS, SEAMLESS, card_of
from baselines.diffusion.method import STEPS, DiffusionMethod
from baselines.diffusion.training.backbone import BackboneTrainer
from baselines.diffusion.training.sd_inpaint import SdInpaintTrainer
from mildbench.errors import UserError
from mildbench.evaluation.identity import identity_of
from mildbench.method import MethodSpec

METHODS = ("attentive-eraser", "deocclusion", "magiceraser", "mild", "sd-inpaint")


def backbone(folder: Path, card: str) -> Path:
    """The shipped one with another card."""
    folder.mkdir()
    for part in shipped.folder("backbone").iterdir():
        if part.name != "README.md":
            (folder / part.name).symlink_to(part)
    (folder / "README.md").write_text(card)
    return folder


def made(name: str, folder: Path | str, **options: object) -> DiffusionMethod:
    method = MethodSpec(name, {"backbone": str(folder), **options}).create()
    assert isinstance(method, DiffusionMethod)
    return method


@pytest.mark.parametrize("name", METHODS)
def test_a_copy_of_the_shipped_backbone_is_sampled_as_it_is(name: str, tmp_path: Path) -> None:
    card = (shipped.folder("backbone") / "README.md").read_text()
    copy = made(name, backbone(tmp_path / "copy", card))
    ours = made(name, shipped.BACKBONE)
    assert copy.settings.steps == ours.settings.steps  # type: ignore[attr-defined]
    assert ours.usual_steps == 1
    assert copy.seamless
    assert ours.seamless
    assert not made(name, "random:tiny").seamless
    assert made(name, "random:tiny", seamless="true").seamless
    assert not made(name, copy.backbone_name, seamless="false").seamless
    assert made(name, "random:tiny").usual_steps == STEPS
    assert made(name, copy.backbone_name, steps=4).settings.steps == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "card",
    ["", "# A card\n", "---\npretty_name: one\n---\n", "---\n{\n---\n", "x---\nsampling_steps: 3\n---\n"],
)
def test_a_card_that_says_nothing_leaves_the_usual_steps_and_the_identity(card: str, tmp_path: Path) -> None:
    method = made("sd-inpaint", backbone(tmp_path / "mine", card))
    assert method.usual_steps == STEPS
    assert set(method.files) == {"backbone"}
    assert made("sd-inpaint", tmp_path / "nowhere").usual_steps == STEPS


def test_the_number_of_steps_is_part_of_what_a_method_is(tmp_path: Path) -> None:
    def identity(steps: int, words: str = "") -> object:
        folder = backbone(tmp_path / f"{steps}{words}", f"---\n{SAMPLING_STEPS}: {steps}\n---\n{words}")
        spec = MethodSpec("sd-inpaint", {"backbone": str(folder)})
        method = spec.create()
        assert isinstance(method, DiffusionMethod)
        assert method.usual_steps == steps
        return identity_of(spec, method)

    assert identity(2) != identity(3)
    # The shipped one's card is code: a change of what it says is a new revision, which the pins ask for.
    spec = MethodSpec("sd-inpaint", {})
    assert set(identity_of(spec, spec.create()).files) == {"shipped backbone"}


@pytest.mark.parametrize("steps", ["0", "-1", "many", "2.5", "true", "[]"])
def test_a_number_of_steps_that_cannot_be_is_one_clear_line(steps: str, tmp_path: Path) -> None:
    folder = backbone(tmp_path / "mine", f"---\n{SAMPLING_STEPS}: {steps}\n---\n")
    with pytest.raises(UserError, match=r"README\.md: sampling_steps=.*: give a whole number of at least 1"):
        made("sd-inpaint", folder)


def test_a_backbone_that_is_trained_on_is_sampled_as_before(tmp_path: Path) -> None:
    folder = backbone(tmp_path / "mine", f"---\n{SAMPLING_STEPS}: 5\n---\n")
    assert SdInpaintTrainer(str(folder)).front_matter() == {SAMPLING_STEPS: 5}
    assert BackboneTrainer(start=str(folder)).front_matter() == {SAMPLING_STEPS: 5}
    assert BackboneTrainer(vae="anything").front_matter() == {}
    card = card_of(shipped.BACKBONE)
    assert card is not None
    assert card.said == {SAMPLING_STEPS: 1, SEAMLESS: True}


@pytest.mark.parametrize("word", ["1", "maybe", "[]"])
def test_a_card_that_is_seamless_in_another_way_is_one_clear_line(word: str, tmp_path: Path) -> None:
    folder = backbone(tmp_path / "mine", f"---\n{SEAMLESS}: {word}\n---\n")
    with pytest.raises(UserError, match=r"README\.md: seamless=.*: give true or false"):
        made("sd-inpaint", folder)
