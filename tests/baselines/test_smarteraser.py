"""SmartEraser's prompts by their formula, what the network is told, and the authors' files with random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from PIL import Image
from tiny_pipelines import tiny_pipeline
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from baselines.diffusion.architectures import TINY, random_models
from baselines.smarteraser import LENGTH, PROJECTION, PROMPT, SmartEraser, as_clip_sees, cut_out, grown
from mildbench.errors import UserError

FAST = {"backbone": "random:tiny", "steps": 2, "resolution": 64}
WIDTH = 128


def _loaded(**options: object) -> SmartEraser:
    method = SmartEraser(**(FAST | options))  # type: ignore[arg-type]
    method.load()
    return method


def _erased(**options: object) -> np.ndarray:
    (outcome,) = _loaded(**options).run(crowd(1))
    assert outcome.image is not None, outcome.error
    return outcome.image


def _picture(height: int = 60, width: int = 90) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mask = np.zeros((height, width), bool)
    mask[10:40, 20:33] = True
    mask[30:50, 25:31] = True
    return random.integers(0, 256, (height, width, 3), np.uint8), mask


def test_the_object_is_the_last_word_and_nothing_the_first_of_what_is_guided_away_from() -> None:
    method = _loaded()
    picture, mask = _picture()
    towards, away = method.prompts([picture, picture], [mask, ~mask])
    (tokenizer,), (model,) = method.backbone.text.tokenizers, method.backbone.text.models

    def encoded(text: str) -> torch.Tensor:
        ids = tokenizer(text, padding="max_length", max_length=7, truncation=True, return_tensors="pt")
        return model(ids.input_ids).last_hidden_state[0]

    def word(pixels: torch.Tensor) -> torch.Tensor:
        seen = method.eye(pixels[None]).image_embeds[0]
        weight, bias = method.projection.fc_out.weight, method.projection.fc_out.bias
        return seen + weight @ functional.layer_norm(seen, (WIDTH,)) + bias

    words, empty = encoded(PROMPT), encoded("")
    for row, hole in enumerate((mask, ~mask)):
        seen = word(as_clip_sees(cut_out(picture, hole), 32))
        expected = torch.stack([*words[:5], seen, words[6]])
        torch.testing.assert_close(towards.tokens[row], expected, atol=1e-5, rtol=1e-5)
        nothing = torch.stack([empty[0], word(torch.zeros(3, 32, 32)), *empty[1:6]])
        torch.testing.assert_close(away.tokens[row], nothing, atol=1e-5, rtol=1e-5)
    assert towards.tokens.shape == (2, LENGTH, WIDTH)
    plain, empties = _loaded(visual=False).prompts([picture], [mask])
    torch.testing.assert_close(plain.tokens[0], words)
    torch.testing.assert_close(empties.tokens[0], empty)


def test_the_object_is_cut_out_on_white() -> None:
    picture, mask = _picture()
    cut = cut_out(picture, mask)
    assert cut.shape == (40, 13, 3)
    inside = mask[10:50, 20:33]
    assert np.array_equal(cut[inside], picture[mask])
    assert (cut[~inside] == 255).all()


@pytest.mark.parametrize("size", [(90, 60), (300, 410), (224, 224)])
def test_clip_is_shown_what_its_own_processor_makes(size: tuple[int, int]) -> None:
    smooth = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    picture = np.array(Image.fromarray(smooth).resize(size[::-1], Image.Resampling.BICUBIC))
    theirs = CLIPImageProcessor()(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(
        as_clip_sees(picture, 224), theirs, atol=0.02, rtol=0
    )  # a level of 255 is 0.015


def test_a_mask_is_grown_by_its_share_and_no_more_than_it_must() -> None:
    _, mask = _picture()
    assert np.array_equal(grown(mask, 0), mask)
    larger = grown(mask, 0.1)
    assert larger[mask].all()
    assert larger.sum() >= 1.1 * mask.sum()
    assert larger[9:41, 19:34].all()
    assert not larger[:9].any()
    assert grown(mask, 1.0).sum() > larger.sum()
    most = np.ones((60, 90), bool)
    most[:10] = False
    assert np.array_equal(grown(most, 0.1), most)
    everything = np.ones_like(mask)
    assert np.array_equal(grown(everything, 0.1), everything)


@pytest.mark.parametrize("region", [True, False])
def test_only_the_masked_region_tells_one_object_from_another(region: bool) -> None:
    people = crowd(1)
    other = people.images.copy()
    other[people.masks] = 255 - other[people.masks]
    method = _loaded(region=region, visual=False, grow=0.0)
    (one,), (two,) = method.run(people), method.run(crowd(1).take([0]))
    assert one.image is not None
    assert two.image is not None
    assert np.array_equal(one.image, two.image)
    changed = crowd(1)
    changed.images[:] = other
    (three,) = method.run(changed)
    assert three.image is not None
    assert np.array_equal(one.image, three.image) != region


def test_every_option_reaches_the_picture() -> None:
    whole = _erased()
    for change in ({"region": False}, {"visual": False}, {"grow": 0.8}, {"guidance": 1.0}):
        assert not np.array_equal(whole, _erased(**change)), change


def _published(folder: Path, clip: Path) -> dict[str, torch.Tensor]:
    """As the authors' release, saved by diffusers, and as CLIP's own, saved by transformers: random numbers.

    The checkpoint is that of `random:tiny`, and CLIP's picture half is returned.
    """
    unet, vae, text, tokenizer, schedule = random_models(TINY)
    pipeline = {"unet": unet, "vae": vae, "text_encoder": text, "tokenizer": tokenizer, "scheduler": schedule}
    for name, part in pipeline.items():
        part.save_pretrained(folder / name)
    libraries = {
        name: ["transformers" if name in ("text_encoder", "tokenizer") else "diffusers", type(part).__name__]
        for name, part in pipeline.items()
    }
    index = {
        "_class_name": "StableDiffusionInpaintRegionPipeline",
        **libraries,
        "safety_checker": [None, None],
    }
    (folder / "model_index.json").write_text(str(index).replace("'", '"').replace("None", "null"))
    generator = torch.Generator().manual_seed(5)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / 10

    state = {
        "fc_out.weight": numbers(WIDTH, WIDTH),
        "fc_out.bias": numbers(WIDTH),
        "norm.weight": numbers(WIDTH),
        "norm.bias": numbers(WIDTH),
    }
    torch.save(state, folder / PROJECTION)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(6)
        config = CLIPConfig(
            text_config=CLIPTextConfig(**sizes, vocab_size=20, bos_token_id=0, eos_token_id=1).to_dict(),
            vision_config=CLIPVisionConfig(
                **sizes, image_size=32, patch_size=16, projection_dim=WIDTH
            ).to_dict(),
            projection_dim=WIDTH,
        )
        model = CLIPModel(config)
    model.save_pretrained(clip)
    return {
        key: part
        for key, part in model.state_dict().items()
        if key.startswith(("vision_model", "visual_projection"))
    } | state


def test_the_authors_files_are_read(tmp_path: Path) -> None:
    folder, clip = tmp_path / "release", tmp_path / "clip"
    wanted = _published(folder, clip)
    method = _loaded(backbone=str(folder), clip=str(clip))
    found = {**method.eye.state_dict(), **method.projection.state_dict()}
    assert {key for key in found if "position_ids" not in key} == {
        key for key in wanted if "position_ids" not in key
    }
    for key, part in found.items():
        torch.testing.assert_close(part, wanted[key], msg=key)
    assert set(method.files) == {"backbone", "clip"}
    assert method.info.untrained is None
    (outcome,) = method.run(crowd(1))
    assert outcome.error is None


@pytest.mark.slow
def test_other_files_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"smarteraser:backbone=FOLDER"):
        SmartEraser()
    folder, clip = tmp_path / "release", tmp_path / "clip"
    _published(folder, clip)
    with pytest.raises(UserError, match="mildbench weights fetch clip-vit-large"):
        _loaded(backbone=str(folder))
    assert SmartEraser(str(folder)).info.weights == ("clip-vit-large",)
    with pytest.raises(UserError, match=r"has no config\.json: give a checkpoint in transformers' format"):
        _loaded(backbone=str(folder), clip=str(tmp_path))
    _other_width(clip)
    with pytest.raises(UserError, match="have 32 numbers, the prompt's words 128"):
        _loaded(backbone=str(folder), clip=str(clip))
    torch.save({"fc_out.weight": torch.zeros(2, 2)}, folder / PROJECTION)
    with pytest.raises(UserError, match=r"clip_mlp_weight\.pth is of another architecture"):
        _loaded(backbone=str(folder), clip=str(clip))
    (folder / PROJECTION).unlink()
    with pytest.raises(UserError, match=r"trained part not found: .*clip_mlp_weight\.pth"):
        _loaded(backbone=str(folder), clip=str(clip))
    with pytest.raises(UserError, match="several text encoders"):
        _loaded(backbone=str(tiny_pipeline("flux-fill", tmp_path)))
    with pytest.raises(UserError, match=r"grow=2\.0"):
        SmartEraser("random:tiny", grow=2.0)


def _other_width(folder: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    vision = CLIPVisionConfig(**sizes, image_size=32, patch_size=16, projection_dim=32)
    CLIPModel(CLIPConfig(vision_config=vision.to_dict(), projection_dim=32)).save_pretrained(folder)


def test_random_parts_are_owned_up_to() -> None:
    assert SmartEraser(**FAST).info.untrained == "backbone random:tiny, the object's word"  # type: ignore[arg-type]
    assert SmartEraser(**FAST, visual=False).info.untrained == "backbone random:tiny"  # type: ignore[arg-type]
