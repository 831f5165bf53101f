"""Two-stage human de-occlusion: who is completed, where, with what, and that its parts can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from people import crowd
from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering, BlipImageProcessor

from baselines.deocclusion import mask_completion
from baselines.deocclusion.attributes import COLOURS, HAIR_COLOURS, PERSON, describe, dominant_colour
from baselines.deocclusion.decoder import DecoderSkips
from baselines.deocclusion.mask_completion import SIDE, MaskCompletion, conditions, joints
from baselines.deocclusion.method import Deocclusion, Parts
from baselines.deocclusion.people import HiddenPerson, hidden_people, occluders
from baselines.deocclusion.vqa import QUESTIONS, Vqa
from baselines.deocclusion.window import GREY, Window
from baselines.diffusion.backbone import Backbone, load_backbone
from baselines.diffusion.parts import save_part, seeded
from baselines.sd_inpaint import SdInpaint
from mildbench.errors import UserError
from mildbench.labels import PARSING

SMALL = {"backbone": "tiny", "steps": 2, "mask_steps": 2, "resolution": 64}


def _loaded(**options: object) -> Deocclusion:
    method = Deocclusion(**(SMALL | options))  # type: ignore[arg-type]
    method.load()
    return method


@pytest.fixture(scope="module")
def method() -> Deocclusion:
    return _loaded()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("tiny", "cpu", torch.float32)


@pytest.fixture
def everything_hidden_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 finds that each person fills all of where they could be."""

    def complete(model: object, people: list[HiddenPerson], *_: object) -> list[np.ndarray]:
        return [person.visible | person.observability for person in people]

    monkeypatch.setattr(mask_completion, "complete", complete)


# --- who


def test_only_those_whom_an_erased_person_hides_are_completed() -> None:
    both = hidden_people(crowd(1))
    assert [person.index for person in both] == [0, 1]
    apart = hidden_people(crowd(1, centres=(0.3, 0.9, 0.5)))
    assert [person.index for person in apart] == [0]
    erasing_the_first = replace(crowd(1), targets=((0,),))  # nobody stands behind them
    assert not hidden_people(erasing_the_first)
    mask_elsewhere = replace(crowd(1), masks=np.eye(64, dtype=bool)[None] & crowd(1).instances[0][0])
    assert not hidden_people(mask_elsewhere)


def test_people_may_be_hidden_by_those_in_front_only() -> None:
    people = crowd(1)
    for person in hidden_people(people):
        assert person.observability.any()
        assert not (person.observability & ~people.instances[0][2]).any()


def test_occluders_are_in_front_and_touch_or_hide_one_who_does() -> None:
    chain = np.eye(4, dtype=bool)
    for one, other in ((0, 1), (1, 3), (2, 0)):
        chain[one, other] = chain[other, one] = True
    assert occluders(chain, 0) == [1, 2, 3]
    assert occluders(chain, 1) == [3]
    assert occluders(chain, 3) == []
    # 2 touches 1 and is behind it: it says nothing of what hides 0.
    behind = np.eye(3, dtype=bool)
    behind[0, 2] = behind[2, 0] = behind[1, 2] = behind[2, 1] = True
    assert occluders(behind, 0) == [2]


def test_where_people_are_unknown_only_the_background_is_made(method: Deocclusion) -> None:
    people = crowd(1)
    unknown = replace(people, instances=None, targets=None, keypoints=None, parsing=None)
    (outcome,) = method.run(unknown)
    assert outcome.error is None
    assert outcome.layers == {}
    assert np.array_equal(outcome.image[~people.masks[0]], people.images[0][~people.masks[0]])


def test_pose_and_parsing_may_be_missing(method: Deocclusion) -> None:
    (outcome,) = method.run(replace(crowd(1), keypoints=None, parsing=None))
    assert outcome.error is None
    assert outcome.layers.keys() == {0, 1}


# --- the crop


@pytest.mark.parametrize("box", [(20, 50, 10, 30), (0, 64, 40, 60), (60, 64, 0, 3)])
def test_a_window_comes_back_to_its_place(box: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = box
    region = np.zeros((64, 70), dtype=bool)
    region[top:bottom, left:right] = True
    window = Window.around(region, 0.1)
    assert np.array_equal(window.inside(region), region)
    for side in (window.size, 3 * window.size):
        coverage = window.coverage(region, side)
        assert coverage.sum() == pytest.approx(region.sum() * (side / window.size) ** 2, rel=0.02)
        assert np.array_equal(window.back(coverage, 64, 70) > 0.5, region)
    image = np.random.default_rng(0).integers(0, 256, (64, 70, 3), dtype=np.uint8)
    back = window.back(window.picture(image, window.size), 64, 70)
    assert np.array_equal(back[region], image[region])
    beyond = window.coverage(np.ones_like(region), window.size) == 0
    assert (window.picture(image, window.size)[beyond] == GREY).all()


def test_joints_move_with_the_pixels() -> None:
    region = np.zeros((64, 70), dtype=bool)
    region[31:34, 11:14] = True
    window = Window.around(np.eye(64, 70, dtype=bool), 0.1)
    x, y, _ = window.points(np.array([12, 32, 2], np.float32), 200)
    rows, columns = np.nonzero(window.coverage(region, 200))
    assert (x, y) == pytest.approx((columns.mean(), rows.mean()), abs=0.6)


# --- stage one


def test_hidden_joints_are_flagged() -> None:
    points = np.zeros((17, 3), np.float32)
    points[3] = (20, 30, 2)
    points[5] = (40, 10, 1)
    maps = joints(points)
    assert maps.shape == (18, SIDE, SIDE)
    assert maps[3, 30, 20] == maps[5, 10, 40] == 1
    assert np.array_equal(maps[17], maps[5])
    assert not maps[[0, 1, 2, 4, *range(6, 17)]].any()


def test_a_completed_mask_only_adds_where_the_person_may_be_hidden() -> None:
    people = hidden_people(crowd(1))
    model = seeded(MaskCompletion).eval()
    masks = [mask_completion.complete(model, people, [seed, seed], 3) for seed in (1, 2)]
    for completed in masks:
        for person, mask in zip(people, completed, strict=True):
            assert mask[person.visible].all()
            assert not mask[~(person.visible | person.observability)].any()
    assert any(mask[~person.visible].any() for person, mask in zip(people, masks[0], strict=True))
    assert not np.array_equal(masks[0][0], masks[1][0])
    # All are sampled together, and each as if alone.
    (alone,) = mask_completion.complete(model, people[1:], [1], 3)
    assert (alone != masks[0][1]).mean() < 1e-3


def _example() -> tuple[torch.Tensor, torch.Tensor]:
    """Two people of a crowd: the whole masks, and what stage 1 is told."""
    people = hidden_people(crowd(1))
    y, x = np.mgrid[:64, :64] / 64
    wholes = [((x - cx) / 0.16) ** 2 + ((y - 0.55) / 0.38) ** 2 < 1 for cx in (0.3, 0.7)]
    crops = [mask_completion.window(person) for person in people]
    told = np.stack([conditions(*pair) for pair in zip(people, crops, strict=True)])
    amodal = np.stack([crop.coverage(whole, SIDE) for crop, whole in zip(crops, wholes, strict=True)])
    # At half the size, to be quick: the network is convolutional.
    return F.avg_pool2d(torch.from_numpy(amodal[:, None] * 2 - 1), 2), F.avg_pool2d(torch.from_numpy(told), 2)


def test_mask_completion_learns() -> None:
    amodal, told = _example()
    model = seeded(MaskCompletion).train()

    def loss(seed: int) -> torch.Tensor:
        return model.training_loss(amodal, told, torch.Generator().manual_seed(seed))

    with torch.no_grad():
        before = sum(float(loss(seed)) for seed in range(100, 104))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(30):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()
    with torch.no_grad():
        after = sum(float(loss(seed)) for seed in range(100, 104))
    assert after < 0.4 * before


# --- stage two


def test_layers_are_whole_people_with_the_inputs_visible_pixels(method: Deocclusion) -> None:
    people = crowd(2)
    for outcome, image, instances in zip(method.run(people), people.images, people.instances, strict=True):
        assert outcome.layers.keys() == {0, 1}
        for person, layer in outcome.layers.items():
            visible = instances[person]
            assert set(np.unique(layer[..., 3])) == {0, 255}
            assert (layer[visible, 3] == 255).all()
            assert np.array_equal(layer[visible, :3], image[visible])
            assert not layer[layer[..., 3] == 0].any()
            assert not (layer[..., 3] > 0)[~(visible | instances[2])].any()


@pytest.mark.usefixtures("everything_hidden_is_theirs")
def test_survivors_are_laid_back_to_front_inside_the_mask(method: Deocclusion) -> None:
    people = crowd(1)
    (outcome,) = method.run(people)
    mask = people.masks[0]
    front, back = outcome.layers[1], outcome.layers[0]
    in_front = mask & (front[..., 3] > 0)
    assert in_front.any()
    assert np.array_equal(outcome.image[in_front], front[in_front, :3])
    behind = mask & (back[..., 3] > 0) & ~in_front
    assert np.array_equal(outcome.image[behind], back[behind, :3])
    assert np.array_equal(outcome.image[~mask], people.images[0][~mask])
    # Both stand behind the same person, and are told apart by their text and their crop.
    assert not np.array_equal(front[mask], back[mask])


@pytest.mark.usefixtures("everything_hidden_is_theirs")
def test_nobody_is_laid_over_those_who_stay_in_front(method: Deocclusion) -> None:
    # A fourth person stands before the one who is erased; the mask goes over them, as soft edges and shadows do.
    people = crowd(1)
    fourth = np.zeros((64, 64), dtype=bool)
    fourth[30:44, 27:37] = True
    masks = np.concatenate([people.instances[0] & ~fourth, fourth[None]])
    keypoints = np.concatenate([people.keypoints[0], people.keypoints[0][:1]])
    (outcome,) = method.run(replace(people, instances=(masks,), keypoints=(keypoints,)))
    assert outcome.layers.keys() == {0, 1}
    assert (outcome.layers[0][fourth, 3] == 255).all()

    background = SdInpaint(backbone="tiny", steps=2, resolution=64)
    background.load()
    (plain,) = background.run(people)
    assert np.array_equal(outcome.image[fourth], plain.image[fourth])
    assert not np.array_equal(outcome.image[masks[2]], plain.image[masks[2]])


@pytest.mark.usefixtures("everything_hidden_is_theirs")
def test_visible_pixels_under_the_mask_are_painted_anew(method: Deocclusion) -> None:
    people = crowd(1)
    visible = people.instances[0][0]
    edge = visible & np.roll(people.masks[0], -2, axis=1)
    assert edge.any()
    (outcome,) = method.run(replace(people, masks=people.masks | edge))
    layer = outcome.layers[0]
    assert (layer[visible, 3] == 255).all()
    assert not (layer[edge, :3] == people.images[0][edge]).all(axis=-1).any()
    assert np.array_equal(layer[visible & ~edge, :3], people.images[0][visible & ~edge])


def test_a_person_of_whom_nothing_is_missing_is_their_visible_pixels(
    method: Deocclusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_completion, "complete", lambda _, people, *__: [p.visible for p in people])
    people = crowd(1)
    (outcome,) = method.run(people)
    for person, layer in outcome.layers.items():
        assert np.array_equal(layer[..., 3] == 255, people.instances[0][person])


@pytest.mark.usefixtures("everything_hidden_is_theirs")
def test_text_and_guidance_matter() -> None:
    people = crowd(1)
    plain = _loaded(guidance=1.0).run(people)[0].layers[0]
    assert not np.array_equal(plain, _loaded().run(people)[0].layers[0])
    bare = replace(people, parsing=None)
    assert not np.array_equal(plain, _loaded(guidance=1.0).run(bare)[0].layers[0])


# --- the decoder


def _decoding(backbone: Backbone) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 4, 8, generator=random)
    pictures = torch.rand(2, 3, 32, 64, generator=random) * 2 - 1
    return latents, pictures, (torch.rand(2, 1, 32, 64, generator=random) > 0.5).float()


def test_fresh_decoder_skips_change_nothing(backbone: Backbone) -> None:
    latents, pictures, seen = _decoding(backbone)
    skips = seeded(lambda: DecoderSkips(backbone.vae))
    with torch.no_grad():
        plain = backbone.decode(latents)
        assert torch.equal(skips.decode(backbone, latents, pictures, seen), plain)
        for layer in skips.out:
            torch.nn.init.ones_(layer.weight)
        changed = skips.decode(backbone, latents, pictures, seen)
        assert not torch.allclose(changed, plain, atol=1e-2)
        hidden = torch.where(seen > 0, pictures, -pictures)
        assert torch.equal(skips.decode(backbone, latents, hidden, seen), changed)
        assert torch.equal(backbone.decode(latents), plain)  # nothing is left behind in the backbone


def test_gradients_reach_the_decoder_skips_and_no_further(backbone: Backbone) -> None:
    latents, pictures, seen = _decoding(backbone)
    skips = seeded(lambda: DecoderSkips(backbone.vae))
    optimiser = torch.optim.SGD(skips.parameters(), lr=1e-2)

    def loss() -> torch.Tensor:
        decoded = skips.decode(backbone, latents, pictures, seen)
        return ((decoded - pictures) * seen).pow(2).mean()

    first = loss()
    first.backward()
    assert all(layer.weight.grad.any() for layer in skips.out)
    optimiser.step()
    optimiser.zero_grad()
    loss().backward()
    assert all(part.grad is not None and part.grad.any() for part in skips.parameters())
    assert all(part.grad is None for part in backbone.vae.parameters())
    optimiser.step()
    assert loss() < first


# --- text


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
    return HiddenPerson(0, 0, image, visible, visible, ~visible, None, parsing)


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
    (outcome,) = _loaded(vqa=str(blip)).run(crowd(1))
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


# --- options and parts


def test_trained_parts_are_read_from_a_folder(tmp_path: Path, backbone: Backbone) -> None:
    parts = Parts.fresh(backbone.vae)
    with torch.no_grad():
        parts.mask_completion.unet.conv_out.bias += 1000  # everything is found to be outside
    save_part(parts.mask_completion, tmp_path / "mask_completion.safetensors")
    with pytest.raises(UserError, match=r"decoder_skips\.safetensors"):
        _loaded(weights=str(tmp_path))
    plain = _loaded(weights=str(tmp_path), decoder_skips=False)
    save_part(parts.decoder_skips, tmp_path / "decoder_skips.safetensors")
    skipping = _loaded(weights=str(tmp_path))
    assert plain.info.untrained == "backbone tiny"
    assert _loaded().info.untrained == "backbone tiny, the mask completion"
    people = crowd(1)
    first, second = (method.run(people)[0] for method in (plain, skipping))
    assert np.array_equal(first.image, second.image)
    for person, layer in first.layers.items():
        assert np.array_equal(layer[..., 3] == 255, people.instances[0][person])


def test_mask_steps_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="mask_steps=0"):
        Deocclusion(backbone="tiny", mask_steps=0)
