"""MagicEraser: the filled-in start, the learned prompt, attention refocused on the background."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from baselines.diffusion.architectures import TINY, byte_tokenizer, random_models
from baselines.diffusion.attention import Grid
from baselines.diffusion.backbone import Backbone, Inputs
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.parts import seeded
from baselines.diffusion.text import TextEncoder
from baselines.magiceraser.method import MagicEraser
from baselines.magiceraser.prompt import WORD, LearnedWord, PromptTuning, describe, in_words
from baselines.magiceraser.refocusing import (
    BACKGROUND,
    DECAY,
    ERASED,
    FORMS,
    LOGIT,
    LOOK_ALIKE,
    SHARE,
    Refocusing,
    Regions,
)
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo, MethodSpec, collate

FAST = {"backbone": "random:tiny", "resolution": "64", "steps": "4"}


def _erased(batch: EraseBatch, **options: str) -> np.ndarray:
    method = MethodSpec("magiceraser", FAST | options).create()
    method.load()
    (outcome,) = method.run(batch)
    assert outcome.image is not None, outcome.error
    return outcome.image


HEADS, SIDE, WIDTH = 3, 20, 8
TOKENS = SIDE * SIDE


def _tensors(*, soft: bool = True) -> tuple[torch.Tensor, ...]:
    """Two pathways: query, key, value, maps [2, 3, SIDE, SIDE]."""
    random = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, HEADS, TOKENS, WIDTH, generator=random)
    maps = torch.zeros(2, 3, SIDE, SIDE)
    maps[0, ERASED, 2:, 2:], maps[1, ERASED, :3, :5] = 1, 1  # one needs more than one chunk of queries
    maps[:, LOOK_ALIKE, :2, 8:] = 1
    if soft:
        maps[:, ERASED, 1:4] *= 0.4
    maps[:, BACKGROUND] = 1 - maps[:, ERASED] - maps[:, LOOK_ALIKE]
    return query, key, value, maps


def _labels(maps: torch.Tensor) -> torch.Tensor:
    return (maps.flatten(2).mT >= 0.9).float()


def _refocus(
    form: str, time: torch.Tensor, *tensors: torch.Tensor, labelled: bool = True
) -> tuple[torch.Tensor, torch.Tensor | None]:
    query, key, value, maps = tensors
    refocusing = Refocusing(FORMS[form], Regions(maps, Grid(SIDE, SIDE)), window=0.7)
    labels = _labels(maps) if labelled else None
    with torch.no_grad():
        return refocusing.attend("layer", time, query, key, value, labels)


def _explicit(form: str, time: float, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One pathway, entry by entry as the papers write it: all N x N at once."""
    query, key, value, maps = tensors
    background, erased, alike = maps.flatten(1)
    logits = query @ key.mT / WIDTH**0.5
    raised, lowered = erased[:, None] * background, erased[:, None] * (erased + alike)
    if form == "constant":
        moved = logits + LOGIT * raised - LOGIT * lowered
    else:
        part = SHARE * time**DECAY * (1 - erased.mean())
        highest, lowest = logits.max(-1, keepdim=True).values, logits.min(-1, keepdim=True).values
        moved = logits + part * (raised * (highest - logits) - lowered * (logits - lowest))
    attention = moved.softmax(-1)
    return attention @ value, (attention @ _labels(maps[None])).mean(0)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_refocusing_equals_explicit_attention_maps(form: str, labelled: bool) -> None:
    tensors = _tensors()
    out, masses = _refocus(form, torch.full((2,), 0.9), *tensors, labelled=labelled)
    for pathway in range(2):
        expected, expected_masses = _explicit(form, 0.9, *(part[pathway] for part in tensors))
        torch.testing.assert_close(out[pathway], expected, atol=1e-5, rtol=0)
        if labelled:
            assert masses is not None
            torch.testing.assert_close(masses[pathway], expected_masses, atol=1e-5, rtol=0)
    assert (masses is not None) == labelled


@pytest.mark.parametrize("form", FORMS)
def test_nothing_happens_outside_the_window_or_to_tokens_that_stay(form: str) -> None:
    query, key, value, maps = _tensors(soft=False)
    plain = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    out, masses = _refocus(form, torch.tensor([0.71, 0.69]), query, key, value, maps)
    torch.testing.assert_close(out[1], plain[1], atol=1e-6, rtol=0)
    erased = maps[0, ERASED].flatten() > 0
    torch.testing.assert_close(out[0][:, ~erased], plain[0][:, ~erased], atol=1e-6, rtol=0)
    assert (out[0][:, erased] - plain[0][:, erased]).abs().max() > 1e-3
    late, late_masses = _refocus(form, torch.tensor([0.69, 0.1]), query, key, value, maps)
    torch.testing.assert_close(late, plain, atol=1e-6, rtol=0)
    assert masses is not None
    assert late_masses is not None
    torch.testing.assert_close(late_masses[1], masses[1])


@pytest.mark.parametrize("form", FORMS)
def test_erased_tokens_turn_from_people_to_the_background(form: str) -> None:
    tensors = _tensors(soft=False)
    maps = tensors[-1]

    def mass(time: float) -> torch.Tensor:
        masses = _refocus(form, torch.full((2,), time), *tensors)[1]
        assert masses is not None
        erased = maps[:, ERASED].flatten(1)
        return (erased[..., None] * masses).sum(1) / erased.sum(1, keepdim=True)

    before, after = mass(0.5), mass(1.0)
    assert (after[:, BACKGROUND] > before[:, BACKGROUND] + 0.03).all()
    assert (after[:, LOOK_ALIKE] < before[:, LOOK_ALIKE]).all()
    assert (after[:, ERASED] < before[:, ERASED]).all()


@pytest.mark.parametrize("empty", [BACKGROUND, ERASED, LOOK_ALIKE])
@pytest.mark.parametrize("form", FORMS)
def test_an_empty_region_gives_no_nan(form: str, empty: int) -> None:
    query, key, value, maps = _tensors()
    maps[:, empty] = 0
    out, masses = _refocus(form, torch.ones(2), query, key, value, maps)
    assert masses is not None
    assert torch.isfinite(out).all()
    assert torch.isfinite(masses).all()
    assert (masses[..., empty] == 0).all()
    if empty == ERASED:
        plain = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        torch.testing.assert_close(out, plain, atol=1e-6, rtol=0)


def test_both_forms_change_the_picture_and_what_is_measured() -> None:
    pictures = {form: _erased(crowd(1), refocus=form, strength="1") for form in ("none", *FORMS)}
    assert not np.array_equal(pictures["none"], pictures["constant"])
    assert not np.array_equal(pictures["none"], pictures["densediffusion"])


def test_refocusing_acts_in_the_first_of_however_few_steps() -> None:
    plain, refocused = (_erased(crowd(1), refocus=form, steps="1") for form in ("none", "constant"))
    assert not np.array_equal(plain, refocused)


def test_a_window_that_no_step_enters_is_refused() -> None:
    options = {"backbone": "random:tiny", "resolution": 64, "steps": 4, "window": 0.95}
    with pytest.raises(UserError, match=r"window=0\.95, and the first step is at 0\.899"):
        MagicEraser(**options).load()
    MagicEraser(**options, refocus="none").load()
    MagicEraser(**options, strength=1.0).load()


def test_a_run_measures_that_erased_tokens_look_away_from_who_stays() -> None:
    def early(refocus: str) -> np.ndarray:
        method = MethodSpec("magiceraser", FAST | {"refocus": refocus, "strength": "1"}).create()
        method.load()
        record = method.run(crowd(1))[0].attention
        assert record is not None
        first = (record.timesteps == record.timesteps.max()) & (record.tokens[:, 3] > 0)
        return record.masses[first][:, 3].mean(0)  # background, two who stay, the erased one

    plain = early("none")
    for form in FORMS:
        focused = early(form)
        assert focused[0] > plain[0]
        assert focused[1:3].sum() < plain[1:3].sum()
        assert focused[3] < plain[3]


def test_without_people_there_are_no_look_alikes() -> None:
    people = crowd(1)
    unknown = replace(people, instances=None, targets=None, keypoints=None, parsing=None)
    alone = replace(people, instances=(people.instances[0][2:],), targets=((0,),))
    assert np.array_equal(_erased(unknown, strength="1"), _erased(alone, strength="1"))
    assert not np.array_equal(_erased(unknown, strength="1"), _erased(people, strength="1"))


def test_the_start_matters_below_full_strength() -> None:
    def pictures(strength: str) -> tuple[np.ndarray, np.ndarray]:
        inits = ("telea", "copy")
        first, second = (_erased(crowd(1), init=init, strength=strength) for init in inits)
        return first, second

    assert not np.array_equal(*pictures("0.9"))
    assert np.array_equal(*pictures("1"))


def test_what_was_in_the_hole_does_not_matter() -> None:
    people = crowd(1)
    painted = people.images.copy()
    painted[people.masks] = (255, 0, 255)
    assert np.array_equal(_erased(people), _erased(replace(people, images=painted)))


def test_only_the_hole_is_taken_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class White(EraseMethod):
        info = MethodInfo("white", "control", "white everywhere")

        def erase(self, batch: EraseBatch) -> EraseResult:
            return EraseResult(np.full_like(batch.images, 255))

    method = MagicEraser(backbone="random:tiny", resolution=64, steps=4)
    method.load()
    method.init = White()
    people = crowd(1)
    start = method._start(people, method.canvas(people))
    assert start is not None
    expected = np.where(people.masks[0][..., None], 255, people.images[0])
    assert np.array_equal(method.to_pictures(start)[0], expected)


def test_a_start_that_fails_fails_its_sample_alone() -> None:
    class Picky(EraseMethod):
        info = MethodInfo("picky", "control", "fails on one sample")

        def erase(self, batch: EraseBatch) -> EraseResult:
            if "sample-0" in batch.sample_ids:
                raise RuntimeError("no idea")
            return EraseResult(batch.images)

    method = MagicEraser(backbone="random:tiny", resolution=64, steps=4)
    method.load()
    method.init = Picky()
    first, second = method.run(crowd(2))
    assert first.error is not None
    assert "picky, whose fill is the start, failed: RuntimeError: no idea" in first.error
    assert second.error is None


def test_what_the_run_needs_and_lacks_is_said_before() -> None:
    def info(**options: str) -> MethodInfo:
        return MethodSpec("magiceraser", options).create().info

    stable = "sd-1.5-inpainting"
    assert info(backbone=stable).weights == (stable, "lama-big")
    assert info(backbone=stable, init="telea").weights == (stable,)
    assert info(backbone=stable, strength="1").weights == (stable,)
    files = MethodSpec("magiceraser").create().files
    assert list(files) == ["shipped backbone", "shipped magiceraser", "init shipped lama"]
    assert MethodSpec("magiceraser", {"backbone": stable}).create().files == {}
    plain = MethodSpec("magiceraser", {"prompt_tuning": "false", "init": "telea"}).create()
    assert list(plain.files) == ["shipped backbone"]
    assert info().weights == ()
    assert info(backbone=stable).untrained is info().untrained is None
    random = info(backbone="random:tiny")
    assert random.weights == ()
    assert random.untrained is not None
    assert random.untrained == "backbone random:tiny, prompt tuning, telea in place of lama"
    # Nothing stands in where a start was asked for.
    assert info(backbone="random:tiny", init="lama").weights == ("lama-big",)
    assert info(backbone="random:tiny", init="lama").untrained == "backbone random:tiny, prompt tuning"
    assert (
        info(backbone="random:tiny", prompt_tuning="false", strength="1").untrained == "backbone random:tiny"
    )


def _two_encoders() -> TextEncoder:
    """Like SDXL's: another width and a projection in the second one, and the old number for the end."""
    special = {"bos_token_id": 512, "eos_token_id": 2, "pad_token_id": 513}
    sizes = TINY.text | {"projection_dim": 48}
    wide = sizes | {"hidden_size": 192, "intermediate_size": 64}
    models = seeded(
        lambda: (
            CLIPTextModel(CLIPTextConfig(**special, **sizes)),
            CLIPTextModelWithProjection(CLIPTextConfig(**special, **wide)),
        )
    )
    for model in models:
        model.requires_grad_(False).eval()
    return TextEncoder((byte_tokenizer(), byte_tokenizer()), models)


def _one_encoder() -> TextEncoder:
    text = random_models(TINY)[2].requires_grad_(False).eval()
    return TextEncoder((byte_tokenizer(),), (text,))


@pytest.mark.parametrize("encoders", [_one_encoder, _two_encoders])
def test_a_learned_word_changes_nothing_but_its_own_place(encoders) -> None:
    text = encoders()
    plain = ["a photo of a wall", ""]
    before = text(plain)
    word = LearnedWord(text)
    after = text(plain)
    assert torch.equal(before.tokens, after.tokens)
    assert (before.pooled is None) == (after.pooled is None) == (not text.two)
    if before.pooled is not None and after.pooled is not None:
        assert torch.equal(before.pooled, after.pooled)
    assert [len(vector) for vector in word.vectors] == [m.config.hidden_size for m in text.models]

    (ids,) = {tuple(t(describe("wall", WORD)).input_ids) for t in text.tokenizers}
    assert ids.count(514) == 1
    first = text([describe("wall", WORD)])
    with torch.no_grad():
        word.vectors[-1] += 1
    second = text([describe("wall", WORD)])
    where = ids.index(514)
    assert torch.equal(first.tokens[:, :where], second.tokens[:, :where])
    assert not torch.equal(first.tokens[:, where], second.tokens[:, where])
    if first.pooled is not None and second.pooled is not None:
        # Read at the end, so the tag behind the word counts; at the word it would not.
        other = text([describe("sea", WORD)])
        assert not torch.equal(second.pooled, other.pooled)
        assert not torch.equal(second.pooled, first.pooled)


@pytest.mark.parametrize("encoders", [_one_encoder, _two_encoders])
def test_only_the_learned_word_gets_gradients_from_the_text(encoders) -> None:
    text = encoders()
    word = LearnedWord(text)
    text([describe("wall", WORD)]).tokens.pow(2).sum().backward()
    for vector in word.vectors:
        assert vector.grad is not None
        assert vector.grad.abs().max() > 0
    trained = {id(vector) for vector in word.vectors}
    assert all(
        part.grad is None for model in text.models for part in model.parameters() if id(part) not in trained
    )


def _tuned(seed: int) -> tuple[Backbone, PromptTuning]:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    tuning = PromptTuning(backbone)
    random = torch.Generator().manual_seed(seed)
    for part in tuning.parameters():
        part.data = torch.randn(part.shape, generator=random) / 10
    return backbone, tuning


def test_the_noise_loss_trains_the_word_and_the_adapter_alone() -> None:
    backbone, tuning = _tuned(0)
    with tuning.lora.routed([0]):
        latents, known = torch.randn(1, 9, 8, 8, generator=torch.Generator().manual_seed(0)).split(
            [4, 5], dim=1
        )
        inputs = Inputs(known, backbone.text([describe("wall", WORD)]), (32, 32))
        noise = backbone.predict(latents, torch.tensor(500), inputs)
    noise.pow(2).mean().backward()
    wanted = {id(part) for part in tuning.parameters()}
    assert all(part.grad is not None and part.grad.any() for part in tuning.parameters())
    for model in (backbone.network, *backbone.text.models):
        assert all(part.grad is None for part in model.parameters() if id(part) not in wanted)


def test_trained_parts_are_saved_and_used(tmp_path: Path) -> None:
    _, tuning = _tuned(0)
    tuning.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"embedding.safetensors", "eraser.safetensors"}
    again = _tuned(1)[1]
    again.load(tmp_path)
    for ours, theirs in zip(again.parameters(), tuning.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.half().float())
    assert not np.array_equal(_erased(crowd(1)), _erased(crowd(1), weights=str(tmp_path)))
    untrained = MethodSpec("magiceraser", FAST | {"weights": str(tmp_path)}).create().info.untrained
    assert untrained is not None
    assert "prompt tuning" not in untrained
    (tmp_path / "eraser.safetensors").unlink()
    with pytest.raises(UserError, match=r"eraser\.safetensors"):
        again.load(tmp_path)


def test_the_word_and_the_tag_reach_the_picture() -> None:
    plain = _erased(crowd(1), prompt_tuning="false")
    assert not np.array_equal(plain, _erased(crowd(1)))
    assert not np.array_equal(plain, _erased(crowd(1), prompt_tuning="false", tag="wall"))


@pytest.mark.slow
def test_the_tag_is_each_samples_own_unless_one_is_given() -> None:
    """Whatever else is in the batch; and where no picture was segmented, it is "background" as it ever was."""
    unknown, wall = (replace(crowd(1), background_tags=(tag,)) for tag in (None, "wall-other-merged"))
    plain = _erased(crowd(1), tag="background")
    np.testing.assert_array_equal(_erased(crowd(1)), plain)
    np.testing.assert_array_equal(_erased(unknown), plain)
    tagged = _erased(wall)
    assert not np.array_equal(tagged, plain)
    np.testing.assert_array_equal(tagged, _erased(crowd(1), tag="wall"))
    np.testing.assert_array_equal(_erased(wall, tag="background"), plain)
    method = MethodSpec("magiceraser", FAST).create()
    method.load()
    together = collate([unknown, wall])
    assert method.prompts(together) == [describe("background", WORD), describe("wall", WORD)]
    for outcome, alone in zip(method.run(together), (plain, tagged), strict=True):
        np.testing.assert_array_equal(outcome.image, alone)


def test_categories_are_said_in_words() -> None:
    names = ("sky-other-merged", "mirror-stuff", "grass-merged", "floor-wood", "playingfield", "window-other")
    assert [in_words(name) for name in names] == [
        "sky", "mirror", "grass", "floor wood", "playingfield", "window"
    ]  # fmt: skip


def test_a_trained_backbone_needs_trained_parts_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "baselines.diffusion.method.load_backbone",
        lambda _, device, dtype, **options: load_backbone("random:tiny", device, dtype, **options),
    )
    with pytest.raises(UserError, match=r"weights=FOLDER, or magiceraser:prompt_tuning=false"):
        MagicEraser("sd-1.5-inpainting", init="telea").load()
    plain = MagicEraser("sd-1.5-inpainting", init="telea", prompt_tuning=False)
    plain.load()
    assert plain.prompts(crowd(1)) == ["a photo of background"]
    assert not any("vector" in name for name, _ in plain.backbone.text.models[0].named_parameters())


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("refocus", "densedifusion", "densediffusion"),
        ("window", "1.5", "window=1.5"),
        ("window", "nan", "window=nan"),
        ("strength", "0", "strength=0.0"),
        ("guidance", "0.5", "guidance=0.5"),
        ("init", "teleo", "telea"),
        ("weights", "no/such/folder", "no/such/folder"),
    ],
)
def test_bad_options_of_its_own_are_refused(option: str, value: str, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        MethodSpec("magiceraser", FAST | {option: value}).create().load()
    assert "\n" not in str(error.value)
