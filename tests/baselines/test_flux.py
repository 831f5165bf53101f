"""A second family of backbones, FLUX-Fill's transformer: against diffusers' pipeline, and explicit softmax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from batches import batch
from diffusers import FluxFillPipeline
from people import crowd
from tiny_pipelines import tiny_pipeline

from baselines.diffusion.attention import Grid, Recorder, RegionAttention, RegionMaps, attend
from baselines.diffusion.backbone import Inputs
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.flux import WORDS, FluxFillBackbone
from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.diffusion.training import noise
from baselines.mild.modules import Modules
from baselines.pipeline import Pipeline
from mildbench.errors import UserError
from mildbench.method import MethodSpec

SIZE = (32, 48)
LATENTS = (16, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pipeline("flux-fill", tmp_path_factory.mktemp("flux"))


@pytest.fixture
def backbone(folder: Path) -> FluxFillBackbone:
    loaded = load_backbone(str(folder), "cpu", torch.float32)
    assert isinstance(loaded, FluxFillBackbone)
    return loaded


def _problem(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    pictures = torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    holes = torch.zeros(count, 1, *SIZE)
    holes[:, :, 9:24, 12:37] = 1
    return pictures, holes


def _packed(latents: torch.Tensor) -> torch.Tensor:
    return FluxFillPipeline._pack_latents(latents, *latents.shape)


@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_one_pathway_is_the_flux_fill_pipeline(
    folder: Path, backbone: FluxFillBackbone, strength: float
) -> None:
    pictures, holes = _problem(2)
    pipeline = FluxFillPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt=["grass", "sand grass"],
        image=pictures,
        mask_image=holes,
        height=SIZE[0],
        width=SIZE[1],
        num_inference_steps=5,
        guidance_scale=3.0,
        strength=strength,
        generator=[torch.Generator().manual_seed(seed) for seed in (7, 8)],
        output_type="latent",
    ).images
    found = denoise(
        backbone,
        Pathways(pictures, holes, backbone.text(["grass", "sand grass"]), (7, 8), start=pictures),
        Settings(5, guidance=3.0, strength=strength),
    )
    torch.testing.assert_close(_packed(found), expected, atol=1e-4, rtol=1e-4)
    assert found.std() > 0.1


@pytest.mark.parametrize("prompt", ["", "grass"])
def test_sd_inpaint_is_the_pipeline_on_it(folder: Path, prompt: str) -> None:
    people = batch(1, *SIZE)
    ours = MethodSpec(
        "sd-inpaint",
        {"backbone": str(folder), "prompt": prompt, "steps": "3", "guidance": "30", "resolution": "48"},
    ).create()
    theirs = Pipeline(str(folder), prompt=prompt, num_inference_steps=3, guidance_scale=30.0)
    for method in (ours, theirs):
        method.load()
    assert isinstance(theirs.pipeline, FluxFillPipeline)
    (found,), (expected,) = ours.run(people), theirs.run(people)
    assert found.image is not None, found.error
    assert expected.image is not None, expected.error
    assert np.abs(found.image.astype(int) - expected.image.astype(int)).max() <= 1


def test_a_negative_prompt_is_refused(folder: Path) -> None:
    method = MethodSpec("sd-inpaint", {"backbone": str(folder), "negative_prompt": "sand"}).create()
    with pytest.raises(UserError, match="distilled with guidance"):
        method.load()


@pytest.mark.parametrize("steps", [1, 5])
def test_an_exact_start_begins_at_its_time(backbone: FluxFillBackbone, steps: int) -> None:
    course = backbone.course(steps, 0.7, (512, 512), exact=True)
    assert len(course.timesteps) == steps
    assert course.time(course.timesteps[0]) == pytest.approx(0.7, abs=2e-3)
    whole = backbone.course(steps, 1.0, (512, 512), exact=True)
    assert course.time(course.timesteps[-1]) <= whole.time(whole.timesteps[-1]) + 1e-6


# --- attention over prompt and picture in one stream

GRID = Grid(6, 8, text=5)
TOKENS = 5 + 3 * 4


def _explicit(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and the attention maps of all heads: float[B, heads, N, N]."""
    maps = (query @ key.mT * query.shape[-1] ** -0.5 + bias[:, None]).softmax(-1)
    return maps @ value, maps


def test_the_prompt_is_a_region_of_its_own() -> None:
    random = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, TOKENS, 8, generator=random)
    pixels = torch.zeros(2, 3, 6, 8)
    pixels[:, 0], pixels[:, 1, :2], pixels[1, 2, 4:, 4:] = 1, 1, 1
    pixels[:, 0] -= pixels[:, 1:].sum(1)
    weights = torch.randn(2, 3, 3, generator=random)
    recorder = Recorder(pixels, GRID, [(0, "picture"), (1, "picture")], [2, 2])
    out, masses = attend(
        query,
        key,
        value,
        maps=RegionMaps(pixels, GRID).at(TOKENS),
        weights=weights,
        labels=recorder.columns(TOKENS),
    )
    shares = torch.nn.functional.avg_pool2d(pixels, 2).flatten(2).mT
    bias = torch.zeros(2, TOKENS, TOKENS)
    bias[:, 5:, 5:] = shares @ weights @ shares.mT  # neither to nor from the prompt
    expected, maps = _explicit(query, key, value, bias)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    assert masses is not None
    attention = maps.mean(1)
    to_regions = attention[:, :, 5:] @ (shares >= 0.9).float()
    torch.testing.assert_close(masses, to_regions, atol=1e-5, rtol=0)
    # What goes to the prompt is in no region, the background least of all.
    torch.testing.assert_close(masses.sum(-1) + attention[:, :, :5].sum(-1), torch.ones(2, TOKENS))
    recorder.add("layer", torch.ones(2), masses)
    for record, own, mass in zip(recorder.records(), shares >= 0.9, to_regions, strict=True):
        assert record.tokens.tolist() == [own.sum(0).tolist()]
        for region in np.flatnonzero(own.sum(0)):
            row = mass[5:][own[:, region]].sum(0)
            np.testing.assert_allclose(record.masses[0, region], row / row.sum(), atol=1e-5)


class Apart:
    """A modulation that parts two halves of the picture."""

    def __init__(self, maps: RegionMaps) -> None:
        self.maps = maps
        self.weights = torch.tensor([[0.0, -2], [-3, 0]])

    def attend(self, layer, time, query, key, value, labels):
        return attend(
            query, key, value, maps=self.maps.at(query.shape[2]), weights=self.weights, labels=labels
        )


def test_a_modulated_network_is_one_with_explicit_attention(
    backbone: FluxFillBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(0)
    _, holes = _problem(2)
    latents, cut = torch.randn(2, 2, backbone.latent_channels, *LATENTS, generator=random)
    inputs = Inputs(backbone.known(holes, cut), backbone.text(["grass", ""]), SIZE)
    halves = torch.zeros(2, 2, *LATENTS)
    halves[:, 0, :8], halves[:, 1, 8:] = 1, 1
    apart = Apart(RegionMaps(halves, backbone.grid(SIZE)))
    recorder = Recorder(halves, backbone.grid(SIZE), [(0, "picture"), (1, "picture")], [1, 1])
    with torch.no_grad():
        plain = backbone.predict(latents, torch.tensor(500.0), inputs)
        with backbone.attention.during(torch.ones(2), apart, recorder):
            found = backbone.predict(latents, torch.tensor(500.0), inputs)
        for record in recorder.records():
            assert record.layers == ("transformer_blocks.0.attn", "single_transformer_blocks.0.attn")
            np.testing.assert_allclose(record.masses.sum(-1), 1, atol=1e-5)

        half = torch.arange(8 * 12) >= 4 * 12
        bias = torch.zeros(2, WORDS + 8 * 12, WORDS + 8 * 12)
        bias[:, WORDS:, WORDS:] = apart.weights[half.long()][:, half.long()]
        monkeypatch.setattr(
            RegionAttention, "attend", lambda _, layer, *parts: _explicit(*parts, bias)[0], raising=True
        )
        expected = backbone.predict(latents, torch.tensor(500.0), inputs)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert (found - plain).abs().max() > 1e-3


# --- what is shared with the other family


class Knowing(torch.nn.Module):
    """Stands in for a network that knows the latents: tells exactly the direction from them to the noise."""

    def __init__(self, latents: torch.Tensor, config: object) -> None:
        super().__init__()
        self.latents, self.config = _packed(latents), config

    def forward(self, inputs: torch.Tensor, timestep: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        share = (timestep + 1e-3).view(-1, 1, 1)
        return ((inputs[..., : self.latents.shape[2]] - self.latents) / share,)


def test_whoever_knows_the_noise_has_no_loss(
    backbone: FluxFillBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = torch.randn(3, backbone.latent_channels, *LATENTS, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(noise, "encode", lambda _, pictures: torch.cat([latents, torch.zeros_like(latents)]))
    backbone.network = Knowing(latents, backbone.network.config)
    pictures, holes = torch.zeros(3, 3, *SIZE), torch.ones(3, 1, *SIZE)
    made = noise.noise_losses(backbone, pictures, pictures, holes, backbone.text([""] * 3))
    assert made.losses.max() < 1e-5
    torch.testing.assert_close(made.clean, latents, atol=1e-3, rtol=1e-3)


def test_mild_runs_on_it(folder: Path, backbone: FluxFillBackbone, tmp_path: Path) -> None:
    fresh = Modules.fresh(backbone, routed=True, guided=True, modulated=True, layered=True)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in fresh.parameters():
            part.add_(torch.randn(part.shape, generator=random) / 20)
    fresh.save(tmp_path)
    options = {"backbone": str(folder), "weights": str(tmp_path), "steps": "2", "resolution": "48"}
    made = {}
    for change in ("", "sma", "hmg"):
        changed = {"sma": "false"} if change == "sma" else {"hmg": "none"} if change == "hmg" else {}
        method = MethodSpec("mild", options | changed).create()
        method.load()
        sizes: list[int] = []
        method.backbone.network.register_forward_pre_hook(  # type: ignore[attr-defined]
            lambda _, args, kept=sizes: kept.append(len(args[0]))
        )
        (made[change],) = method.run(crowd(1))
        assert sizes == [3, 3]  # the background and two people, in one call a step
        assert made[change].error is None
    assert set(made[""].layers) == {0, 1}
    for change in ("sma", "hmg"):
        assert not np.array_equal(made[""].image, made[change].image)


def test_an_adapter_is_one_that_diffusers_reads(backbone: FluxFillBackbone, tmp_path: Path) -> None:
    lora = Modules.fresh(backbone, routed=True, guided=False, modulated=False, layered=False).lora
    lora.save(tmp_path)
    from safetensors.torch import load_file

    keys = set(load_file(tmp_path / "instance.safetensors"))
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in keys
    assert "transformer.single_transformer_blocks.0.attn.to_v.lora_B.weight" in keys


@pytest.mark.parametrize("form", ["constant", "densediffusion"])
def test_magiceraser_refocuses_on_it(folder: Path, form: str) -> None:
    options = {
        "backbone": str(folder),
        "prompt_tuning": "false",
        "init": "telea",
        "steps": "4",
        "resolution": "48",
    }
    pictures = []
    for refocus in (form, "none"):
        method = MethodSpec("magiceraser", options | {"refocus": refocus}).create()
        method.load()
        (outcome,) = method.run(crowd(1))
        assert outcome.error is None
        pictures.append(outcome.image)
    assert not np.array_equal(*pictures)
