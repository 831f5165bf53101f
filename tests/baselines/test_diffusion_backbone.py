"""Checkpoints in diffusers' format: both families, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from baselines.diffusion import backbone as backbone_module
from baselines.diffusion.architectures import TINY, byte_tokenizer, random_models
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.sampler import Pathways, Settings, denoise
from mildbench.errors import UserError

SIZE = (64, 96)


def _problem() -> tuple[torch.Tensor, torch.Tensor]:
    pictures = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    holes = torch.zeros(1, 1, *SIZE)
    holes[:, :, 16:48, 24:64] = 1
    return pictures, holes


@pytest.fixture(scope="module")
def sd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet, vae, text, tokenizer, schedule = random_models(TINY)
    folder = tmp_path_factory.mktemp("sd")
    StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=schedule,
        safety_checker=None,
        feature_extractor=None,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sdxl() -> StableDiffusionXLInpaintPipeline:
    """SDXL's structure in small: two text encoders, pooled text and sizes as further conditions."""
    _, vae, text, tokenizer, schedule = random_models(TINY)
    torch.manual_seed(0)
    sizes = {**TINY.text, "hidden_act": "gelu", "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    second = CLIPTextModelWithProjection(CLIPTextConfig(max_position_embeddings=77, **sizes))
    unet = UNet2DConditionModel(
        in_channels=9,
        out_channels=4,
        **{**TINY.unet, "cross_attention_dim": 256},
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=128 + 6 * 16,
    )
    return StableDiffusionXLInpaintPipeline(
        vae=vae.eval(),
        text_encoder=text.eval(),
        text_encoder_2=second.eval(),
        tokenizer=tokenizer,
        tokenizer_2=byte_tokenizer(),
        unet=unet.eval(),
        scheduler=schedule,
    )


def test_a_saved_checkpoint_is_read_back(sd_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    read, made = (load_backbone(name, "cpu", torch.float32) for name in (str(sd_folder), "random:tiny"))
    assert capfd.readouterr().err == ""
    assert (read.resolution, read.multiple, read.factor) == (128, 32, 4)
    pictures, holes = _problem()
    first, second = (
        denoise(backbone, Pathways(pictures, holes, backbone.text(["a wall"]), (3,)), Settings(2))
        for backbone in (read, made)
    )
    # Files are mapped into memory at another alignment, which decides the last bits of a product.
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_sdxl_is_its_pipeline(sdxl: StableDiffusionXLInpaintPipeline, tmp_path: Path) -> None:
    sdxl.save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path), "cpu", torch.float32)
    assert len(backbone.text.models) == 2
    pictures, holes = _problem()
    sdxl.set_progress_bar_config(disable=True)
    expected = sdxl(
        prompt=["a street"],
        negative_prompt=["a person"],
        image=pictures,
        mask_image=holes,
        height=SIZE[0],
        width=SIZE[1],
        num_inference_steps=4,
        guidance_scale=3.0,
        strength=1.0,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    found = denoise(
        backbone,
        Pathways(pictures, holes, backbone.text(["a street"]), (7,)),
        Settings(4, guidance=3.0),
        negative=backbone.text(["a person"]),
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_one_that_paints_whole_pictures_keeps_what_is_known_as_its_pipeline_does(
    sd_folder: Path, tmp_path: Path, strength: float
) -> None:
    folder = tmp_path / "painter"
    shutil.copytree(sd_folder, folder)
    torch.manual_seed(1)
    UNet2DConditionModel(in_channels=4, out_channels=4, **TINY.unet).save_pretrained(folder / "unet")
    backbone = load_backbone(str(folder), "cpu", torch.float32, inpainting=False)
    assert not backbone.inpaints
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pictures, holes = _problem()
    expected = pipeline(
        prompt=["a wall"],
        negative_prompt=[""],
        image=pictures,
        mask_image=holes,
        height=SIZE[0],
        width=SIZE[1],
        num_inference_steps=5,
        guidance_scale=3.0,
        strength=strength,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    found = denoise(
        backbone,
        Pathways(pictures, holes, backbone.text(["a wall"]), (7,), start=pictures),
        Settings(5, guidance=3.0, strength=strength),
        negative=backbone.text([""]),
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    outside = torch.nn.functional.interpolate(holes, size=found.shape[2:]) == 0
    start = backbone.encode(pictures, [torch.Generator().manual_seed(7)])
    assert torch.equal(found[outside.expand_as(found)], start[outside.expand_as(found)])


def test_half_precision_files_are_found(sd_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(sd_folder, folder)
    for part in ("unet", "vae", "text_encoder"):
        for path in (folder / part).glob("*.safetensors"):
            path.rename(path.with_suffix(".fp16.safetensors"))
    assert load_backbone(str(folder), "cpu", torch.float32).resolution == 128


def _broken(folder: Path, how: str) -> str:
    index = folder / "model_index.json"
    content = json.loads(index.read_text())
    if how == "pickle only":
        for path in (folder / "unet").glob("*.safetensors"):
            path.rename(path.with_suffix(".bin"))
        return "cannot be read"
    if how == "cut off":
        path = folder / "unet" / "diffusion_pytorch_model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        return "cannot be read"
    if how == "no index":
        index.unlink()
        return "model_index.json"
    if how == "no vae":
        del content["vae"]
        index.write_text(json.dumps(content))
        return "has no vae"
    if how == "strange class":
        content["unet"][1] = "EvilModel"
        index.write_text(json.dumps(content))
        return "EvilModel"
    if how == "strange scheduler":
        content["scheduler"][1] = "os"
        index.write_text(json.dumps(content))
        return "unknown scheduler os"
    if how == "not for inpainting":
        UNet2DConditionModel(in_channels=4, out_channels=4, **TINY.unet).save_pretrained(folder / "unet")
        return "4 input channels"
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "pickle only",
        "cut off",
        "no index",
        "no vae",
        "strange class",
        "strange scheduler",
        "not for inpainting",
    ],
)
def test_other_checkpoints_are_refused_in_one_line(sd_folder: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(sd_folder, folder)
    reason = _broken(folder, how)
    with pytest.raises(UserError, match=reason) as error:
        load_backbone(str(folder), "cpu", torch.float32)
    assert "\n" not in str(error.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknown backbone 'tinny'(?!.*dinov2)"):
        load_backbone("tinny", "cpu", torch.float32)
    with pytest.raises(UserError, match="unknown architecture 'sd-9'"):
        load_backbone("random:sd-9", "cpu", torch.float32)


def test_only_a_family_knows_its_network() -> None:
    root = Path(backbone_module.__file__).parents[1]
    families = {root / "diffusion" / "unet.py", root / "diffusion" / "flux.py"}
    # A network of its own, whole pipelines of diffusers, and the sizes of random UNets.
    others = {
        root / place
        for place in ("deocclusion/mask_completion.py", "pipeline.py", "diffusion/architectures.py")
    }
    words = re.compile(r"\.unet\b|\.transformer\b|alphas_cumprod|\.?attn1\b|added_cond_kwargs")
    for path in set(root.rglob("*.py")) - families - others:
        code = "\n".join(line for line in path.read_text().splitlines() if "import" not in line)
        assert not (found := words.search(code)), f"{path.relative_to(root)}: {found}"
