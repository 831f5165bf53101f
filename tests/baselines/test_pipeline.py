"""Any inpainting pipeline of diffusers as a method: equal to calling it oneself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import batch
from PIL import Image
from tiny_pipelines import MAKERS, tiny_pipeline

from baselines.pipeline import Pipeline, presets
from mildbench.errors import UserError
from mildbench.method import MethodSpec

CALL: dict[str, Any] = {"prompt": "grass", "num_inference_steps": 2, "strength": 0.99}
OPTIONS = {"prompt": "grass", "num_inference_steps": "2", "strength": "0.99"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    return {name: tiny_pipeline(name, root / name) for name in MAKERS}


def loaded(folder: Path, **options: str) -> Pipeline:
    method = MethodSpec("pipeline", {"checkpoint": str(folder), **OPTIONS, **options}).create()
    assert isinstance(method, Pipeline)
    method.load()
    return method


@pytest.mark.parametrize("name", MAKERS)
def test_the_result_is_that_of_calling_the_pipeline(name: str, checkpoints: dict[str, Path]) -> None:
    method = loaded(checkpoints[name])
    samples = batch(1, 32, 48)
    (outcome,) = method.run(samples)
    ours = method.pipeline(
        image=Image.fromarray(samples.images[0]),
        mask_image=Image.fromarray(samples.masks[0].astype(np.uint8) * 255),
        height=32,
        width=48,
        generator=torch.Generator().manual_seed(samples.seeds[0]),
        **CALL,
    ).images[0]
    assert outcome.error is None
    assert np.array_equal(outcome.image, np.asarray(ours))
    assert (
        type(method.pipeline).__name__
        == json.loads((checkpoints[name] / "model_index.json").read_text())["_class_name"]
    )


@pytest.mark.parametrize("name", MAKERS)
def test_the_batch_and_odd_sizes_change_nothing(name: str, checkpoints: dict[str, Path]) -> None:
    method = loaded(checkpoints[name])
    samples = batch(4, 37, 51)
    together = method.run(samples)
    assert [outcome.error for outcome in together] == [None] * 4
    for index in (0, 3):
        (alone,) = method.run(samples.sample(index))
        assert np.array_equal(alone.image, together[index].image)
        assert alone.image is not None
        assert alone.image.shape == (37, 51, 3)


def test_a_size_brings_pictures_to_the_pipeline_and_back(checkpoints: dict[str, Path]) -> None:
    samples = batch(1, 61, 90)
    (outcome,) = loaded(checkpoints["sd"], size="48").run(samples)
    assert outcome.image is not None
    assert outcome.image.shape == (61, 90, 3)
    known = ~samples.masks[0]
    assert np.array_equal(outcome.image[known], samples.images[0][known])
    assert not np.array_equal(outcome.image[~known], samples.images[0][~known])


def test_a_dilation_paints_beyond_the_mask(checkpoints: dict[str, Path]) -> None:
    samples = batch(1, 64, 64)
    (outcome,) = loaded(checkpoints["sd"], size="48", dilation="5").run(samples)
    changed = (outcome.image != samples.images[0]).any(-1)
    assert changed[~samples.masks[0]].any()


def test_a_sample_with_nothing_to_erase_is_returned(checkpoints: dict[str, Path]) -> None:
    samples = batch(1)
    samples.masks[:] = False
    (outcome,) = loaded(checkpoints["sd"]).run(samples)
    assert np.array_equal(outcome.image, samples.images[0])


def test_options_have_the_types_that_yaml_gives_them(checkpoints: dict[str, Path]) -> None:
    method = loaded(checkpoints["sd"], guidance_scale="3", negative_prompt="sand: dunes")
    assert method.call["guidance_scale"] == 3
    assert method.call["strength"] == 0.99
    assert method.call["negative_prompt"] == "sand: dunes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_inference_step": "3"}, "num_inference_steps"),
        ({"generator": "3"}, "takes no option 'generator'"),
    ],
)
def test_an_option_that_the_pipeline_does_not_take_is_refused(
    options: dict[str, str], message: str, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=message):
        loaded(checkpoints["sd"], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs a checkpoint"),
        ({"preset": "flux-fil"}, "flux-fill"),
        ({"preset": "rorem"}, "needs unet=FOLDER"),
        ({"checkpoint": "x", "dtype": "half"}, "float16|float32"),
        ({"checkpoint": "x", "size": "-1"}, "give a size"),
    ],
)
def test_bad_options_are_refused_at_once(options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MethodSpec("pipeline", options).create()


def test_a_checkpoint_that_is_not_here_or_broken_is_one_line(
    tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match="not in Hugging Face's cache"):
        loaded(Path("nobody/nothing"))
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "FluxFillPipeline", "vae": ["diffusers", "AutoencoderKL"]}'
    )
    with pytest.raises(UserError, match="cannot be read as an inpainting pipeline"):
        loaded(tmp_path)


def test_a_checkpoint_that_names_another_package_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxFillPipeline", "vae": ["evil", "Code"]}')
    with pytest.raises(UserError, match="'evil', which is not trusted"):
        loaded(tmp_path)


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_names_its_source_and_what_diffusers_takes(name: str) -> None:
    import inspect

    import diffusers

    preset = presets()[name]
    assert {"checkpoint", "licence", "source", "paper", "call"} <= preset.keys()
    if kind := preset.get("class"):
        takes = inspect.signature(getattr(diffusers, kind).__call__).parameters
        assert preset["call"].keys() <= takes.keys()
    method = MethodSpec(
        "pipeline", {"preset": name, "prompt": "mine", **({"unet": "u"} if "needs" in preset else {})}
    ).create()
    assert isinstance(method, Pipeline)
    assert method.call["prompt"] == "mine"


def test_a_unet_of_ones_own_takes_the_place_of_the_checkpoints(checkpoints: dict[str, Path]) -> None:
    sd = checkpoints["sd"]
    method = loaded(sd, unet=str(sd / "unet"))
    (same,) = method.run(batch(1, 32, 48))
    (expected,) = loaded(sd).run(batch(1, 32, 48))
    assert np.array_equal(same.image, expected.image)
    with pytest.raises(UserError, match="cannot be read"):
        loaded(sd, unet=str(sd / "vae" / "none"))
