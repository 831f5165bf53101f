"""The sampler against diffusers' own inpainting pipelines, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionInpaintPipeline,
)

from baselines.diffusion.architectures import ddim
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.sampler import Pathways, Settings, denoise
from mildbench.errors import UserError

SIZE = (64, 128)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("random:tiny", "cpu", torch.float32)


def _problem(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    pictures = torch.rand(count, 3, *SIZE, generator=random) * 2 - 1
    holes = torch.zeros(count, 1, *SIZE)
    holes[:, :, 16:48, 24:80] = 1
    return pictures, holes


SCHEDULES = {
    "ddim": ddim(),
    "pndm": PNDMScheduler.from_config(ddim().config, skip_prk_steps=True),
    "euler ancestral": EulerAncestralDiscreteScheduler.from_config(ddim().config),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_one_pathway_is_the_stable_diffusion_pipeline(
    backbone: Backbone, schedule: str, strength: float
) -> None:
    pictures, holes = _problem(2)
    pipeline = StableDiffusionInpaintPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text.models[0],
        tokenizer=backbone.text.tokenizers[0],
        unet=backbone.network,
        scheduler=SCHEDULES[schedule],
        safety_checker=None,
        feature_extractor=None,
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt=["a street", "grass"],
        negative_prompt=["a person"] * 2,
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
    backbone.noise_schedule = SCHEDULES[schedule]
    found = denoise(
        backbone,
        Pathways(pictures, holes, backbone.text(["a street", "grass"]), (7, 8), start=pictures),
        Settings(5, guidance=3.0, strength=strength),
        negative=backbone.text(["a person"] * 2),
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert found.std() > 0.1


def test_what_lies_in_the_hole_does_not_matter(backbone: Backbone) -> None:
    backbone.noise_schedule = ddim()
    pictures, holes = _problem(1)
    other = torch.where(holes > 0, -pictures, pictures)
    prompts = backbone.text([""])
    first, second = (
        denoise(backbone, Pathways(shown, holes, prompts, (1,)), Settings(2)) for shown in (pictures, other)
    )
    assert torch.equal(first, second)


def test_pathways_do_not_touch_each_other(backbone: Backbone) -> None:
    backbone.noise_schedule = ddim()
    pictures, holes = _problem(3)
    prompts = backbone.text([""] * 3)
    together = denoise(backbone, Pathways(pictures, holes, prompts, (1, 2, 3)), Settings(2))
    for one in range(3):
        row = slice(one, one + 1)
        alone = denoise(
            backbone, Pathways(pictures[row], holes[row], prompts.take([one]), (one + 1,)), Settings(2)
        )
        torch.testing.assert_close(alone[0], together[one], atol=1e-5, rtol=1e-4)


TRAILING = {
    "ddim": ddim(timestep_spacing="trailing"),
    "without signal at the end": ddim(
        timestep_spacing="trailing", rescale_betas_zero_snr=True, prediction_type="v_prediction"
    ),
    "euler": EulerDiscreteScheduler.from_config(ddim().config, timestep_spacing="trailing"),
}


@pytest.mark.parametrize("schedule", TRAILING)
def test_an_exact_start_begins_at_its_time_whatever_the_number_of_steps(
    backbone: Backbone, schedule: str
) -> None:
    backbone.noise_schedule = TRAILING[schedule]
    whole = TRAILING[schedule].alphas_cumprod
    for steps, strength in ((1, 0.9), (2, 0.9), (7, 0.55), (30, 0.2)):
        course = backbone.course(steps, strength, SIZE, exact=True)
        assert len(course.timesteps) == steps
        first = round(float(course.timesteps[0]))
        assert first == round(1000 * strength) - 1
        assert course.time(course.timesteps[0]) == pytest.approx(strength, abs=2e-3)
        torch.testing.assert_close(course.scheduler.alphas_cumprod[first], whole[first])


@pytest.mark.parametrize("schedule", TRAILING)
def test_an_exact_start_is_the_end_of_a_longer_run_where_that_has_its_steps(
    backbone: Backbone, schedule: str
) -> None:
    backbone.noise_schedule = TRAILING[schedule]
    pictures, holes = _problem(1)
    pathways = Pathways(pictures, holes, backbone.text([""]), (7,), start=pictures)
    longer = denoise(backbone, pathways, Settings(10, strength=0.7))
    exact = denoise(backbone, pathways, Settings(7, strength=0.7, exact=True))
    torch.testing.assert_close(exact, longer, atol=1e-4, rtol=1e-4)


def test_settings_out_of_range_are_refused() -> None:
    for arguments in ((0, 1.0, 1.0), (5, 0.5, 1.0), (5, float("nan"), 1.0), (5, 1.0, 0.0), (5, 1.0, 0.1)):
        with pytest.raises(UserError, match="method 'x'"):
            Settings.checked("x", *arguments)
    assert Settings.checked("x", 1, strength=0.1, exact=True).steps == 1


def test_random_backbones_are_the_same_whatever_ran_before() -> None:
    first = load_backbone("random:tiny", "cpu", torch.float32)
    torch.manual_seed(5)
    torch.rand(3)
    state = torch.get_rng_state()
    second = load_backbone("random:tiny", "cpu", torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    for name, part in first.network.state_dict().items():
        assert torch.equal(part, second.network.state_dict()[name])
    assert np.isclose(first.vae.config.scaling_factor, 0.18215)
