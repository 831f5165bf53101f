"""What de-occlusion tells its diffusion model of a hidden person: from their colours, or from a VQA model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering, BlipImageProcessor

from baselines.deocclusion.attributes import COLOURS, HAIR_COLOURS, PERSON, describe, dominant_colour
from baselines.deocclusion.method import Deocclusion
from baselines.deocclusion.vqa import QUESTIONS, Vqa
from baselines.deocclusion.window import Window
from baselines.diffusion.parts import seeded
from baselines.people import HiddenPerson
from mildbench.errors import UserError
from mildbench.labels import PARSING


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 12), "black"), ((250, 250, 250), "white"), ((128, 128, 128), "grey"), ((200, 30, 30), "red"),
        ((30, 50, 180), "blue"), ((25, 35, 80), "blue"), ((60, 150, 60), "green"), ((240, 220, 40), "yellow"),
        ((240, 130, 30), "orange"), ((110, 70, 40), "brown"), ((220, 200, 160), "beige"), ((165, 70, 65), "red"),
        ((120, 40, 150), "purple"), ((250, 130, 190), "pink"),
    ],
)  # fmt: skip
def test_colours_have_their_obvious_names(rgb: tuple[int, int, int], name: str) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(np.array(rgb) + rng.normal(0, 6, (200, 3)), 0, 255).astype(np.uint8)
    other = np.tile(np.array([[0, 255, 0] if name != "green" else [255, 0, 0]], np.uint8), (150, 1))
    assert dominant_colour(np.concatenate([noisy, other]), COLOURS) == name


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((20, 18, 18), "black"), ((80, 52, 34), "brown"), ((215, 185, 120), "blond"), ((120, 120, 120), "grey")],
)
def test_hair_has_colours_of_its_own(rgb: tuple[int, int, int], name: str) -> None:
    assert dominant_colour(np.array([rgb], np.uint8), HAIR_COLOURS) == name


def _dressed() -> HiddenPerson:
    """Brown hair, a red coat over a little of a white top, blue pants; one pixel of shoes; the rest is a face."""
    image = np.full((40, 20, 3), 200, np.uint8)
    parsing = np.full((40, 20), PARSING.index("face"), np.uint8)
    for rows, label, rgb in (
        (slice(0, 6), "hair", (92, 58, 33)),
        (slice(10, 12), "upper-clothes", (240, 240, 240)),
        (slice(12, 24), "coat", (190, 30, 35)),
        (slice(24, 38), "pants", (40, 60, 190)),
    ):
        parsing[rows], image[rows] = PARSING.index(label), rgb
    parsing[39, 0] = PARSING.index("left-shoe")
    visible = np.ones((40, 20), dtype=bool)
    return HiddenPerson(0, 0, image, visible, visible, ~visible, ~visible, None, parsing)


def test_people_are_described_by_their_clothes() -> None:
    person = _dressed()
    assert describe(person) == f"{PERSON}, brown hair, red coat, blue pants"
    assert describe(replace(person, parsing=None)) == PERSON
    # Only what is seen of this person counts.
    seen = person.visible.copy()
    seen[24:] = False
    assert describe(replace(person, seen=seen)) == f"{PERSON}, brown hair, red coat"


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "red", "blue", "coat", "jacket", "brown", "black",
         "what", "color", "is", "are", "the", "person", "'", "s", "hair", "wearing", "on", "upper", "lower", "body",
         "shoes", "?"]  # fmt: skip


@pytest.fixture
def blip(tmp_path: Path) -> Path:
    """A folder with BLIP's real architecture, tiny and random."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    marks = {"pad_token_id": 0, "bos_token_id": 5, "eos_token_id": 3, "sep_token_id": 3}
    config = BlipConfig(
        text_config=sizes
        | marks
        | {"vocab_size": len(WORDS), "encoder_hidden_size": 32, "initializer_range": 1.0},
        vision_config=sizes | {"image_size": 32, "patch_size": 16, "initializer_range": 1.0},
    )
    seeded(lambda: BlipForQuestionAnswering(config)).save_pretrained(tmp_path)
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(tmp_path)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    return tmp_path


def test_a_vqa_model_describes_people(blip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    vqa = Vqa(str(blip), "cpu", torch.float32)
    assert capfd.readouterr().err == ""
    person = _dressed()
    said = vqa(person)
    assert said == vqa(person)
    assert said.startswith(f"{PERSON}, ")

    # What transformers answers to the same picture and question is in the prompt.
    model = BlipForQuestionAnswering.from_pretrained(blip)
    tokenizer = BertTokenizer.from_pretrained(blip)
    crop = Window.around(person.seen, 0.1).picture(person.image, 32)
    pixels = BlipImageProcessor.from_pretrained(blip)(crop, return_tensors="pt").pixel_values
    for question, phrase in QUESTIONS.items():
        ids = tokenizer(question, return_tensors="pt").input_ids
        answer = tokenizer.decode(model.generate(ids, pixels, max_new_tokens=8)[0], skip_special_tokens=True)
        if answer.strip():
            assert phrase.format(answer.strip()) in said


def test_the_vqa_option_reaches_the_prompt(blip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[HiddenPerson] = []
    monkeypatch.setattr(Vqa, "__call__", lambda _, person: asked.append(person) or "somebody")
    method = Deocclusion(backbone="random:tiny", steps=2, mask_steps=2, resolution=64, vqa=str(blip))
    method.load()
    (outcome,) = method.run(crowd(1))
    assert outcome.error is None
    assert [person.index for person in asked] == [0, 1]


def test_a_wrong_vqa_model_is_refused(blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="mildbench weights fetch blip-vqa-base"):
        Vqa("blip-vqa-base", "cpu", torch.float32)
    with pytest.raises(UserError, match="vqa=nowhere"):
        Vqa("nowhere", "cpu", torch.float32)
    (blip / "config.json").write_text((blip / "config.json").read_text().replace('"blip"', '"clip"'))
    with pytest.raises(UserError, match="'clip'"):
        Vqa(str(blip), "cpu", torch.float32)
    (blip / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json"):
        Vqa(str(blip), "cpu", torch.float32)


def test_a_vqa_model_without_safetensors_is_refused(blip: Path) -> None:
    (blip / "model.safetensors").rename(blip / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be read"):
        Vqa(str(blip), "cpu", torch.float32)
