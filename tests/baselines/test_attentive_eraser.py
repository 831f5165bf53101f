"""Attentive Eraser's redirection against explicit softmax, its guidance, and its options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from tiny_pipelines import tiny_pipeline

from baselines.attentive_eraser import AttentiveEraser, Redirection, Touched
from baselines.diffusion.attention import Grid, attend
from baselines.diffusion.backbone import Inputs
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.sampler import Pathways, Settings, denoise
from mildbench.errors import UserError

HEADS, SIDE, WIDTH = 3, 6, 8
TOKENS = SIDE * SIDE


def _problem(text: int = 0) -> tuple[torch.Tensor, ...]:
    """Query, key and value of two pathways; the objects' pixels; and which tokens they touch."""
    random = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, HEADS, text + TOKENS, WIDTH, generator=random)
    pixels = torch.zeros(2, 1, 2 * SIDE, 2 * SIDE)
    pixels[0, :, 3:8, 4:9], pixels[1, :, 0, 0] = 1, 1  # a token is the object's if one pixel is
    touched = torch.nn.functional.max_pool2d(pixels, 2).flatten(1) > 0
    return query, key, value, pixels, torch.nn.functional.pad(touched, (text, 0))


def _explicit(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, touched: torch.Tensor, scale: float
) -> torch.Tensor:
    """One pathway, as the paper writes it: object and background apart, then put together."""
    logits = query @ key.mT * query.shape[-1] ** -0.5
    hidden = torch.zeros(len(touched)).masked_fill(touched, -torch.inf)
    background = (logits + hidden).softmax(-1) @ value
    objects = (scale * logits + hidden).softmax(-1) @ value
    return torch.where(touched[:, None], objects, background)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_redirection_equals_explicit_softmax(dtype: torch.dtype) -> None:
    query, key, value, pixels, touched = _problem()
    redirection = Redirection(Touched(pixels, Grid(SIDE, SIDE)), frozenset({"here"}), 0.3, window=0.6)
    time = torch.tensor([0.7, 0.5])  # the second is past the window
    labels = torch.ones(2, TOKENS, 1) * touched[..., None]
    parts = (query.to(dtype), key.to(dtype), value.to(dtype))
    found, masses = redirection.attend("here", time, *parts, labels)
    assert found.dtype == dtype
    close = {"atol": 1e-5, "rtol": 0} if dtype == torch.float32 else {"atol": 3e-2, "rtol": 3e-2}
    for pathway, scale in ((0, 0.3), (1, 1.0)):
        expected = _explicit(*(part[pathway].float() for part in parts), touched[pathway], scale)
        torch.testing.assert_close(found[pathway].float(), expected, **close)
    assert masses is not None
    assert not masses.any()  # nothing of the object is seen
    elsewhere, _ = redirection.attend("there", time, *parts, None)
    assert torch.equal(elsewhere, attend(*parts)[0])


def test_the_last_time_of_the_window_is_in_it() -> None:
    query, key, value, pixels, touched = _problem()
    redirection = Redirection(Touched(pixels, Grid(SIDE, SIDE)), frozenset({"here"}), 0.3, window=0.6)
    found, _ = redirection.attend("here", torch.full((2,), 0.6), query, key, value, None)
    torch.testing.assert_close(
        found[0], _explicit(query[0], key[0], value[0], touched[0], 0.3), atol=1e-5, rtol=0
    )


def test_where_everything_is_object_everything_is_seen() -> None:
    query, key, value, pixels, _ = _problem()
    redirection = Redirection(
        Touched(torch.ones_like(pixels), Grid(SIDE, SIDE)), frozenset({"here"}), 1.0, 0.6
    )
    found, _ = redirection.attend("here", torch.ones(2), query, key, value, None)
    torch.testing.assert_close(found, attend(query, key, value)[0], atol=1e-3, rtol=1e-3)


def test_the_prompt_in_the_stream_sees_and_is_seen_as_before() -> None:
    text = 5
    query, key, value, pixels, touched = _problem(text)
    redirection = Redirection(Touched(pixels, Grid(SIDE, SIDE, text)), frozenset({"here"}), 0.3, window=0.6)
    found, _ = redirection.attend("here", torch.ones(2), query, key, value, None)
    plain = attend(query, key, value)[0]
    for pathway in range(2):
        expected = _explicit(query[pathway], key[pathway], value[pathway], touched[pathway], 0.3)
        torch.testing.assert_close(found[pathway, :, text:], expected[:, text:], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:, :, :text], plain[:, :, :text], atol=1e-5, rtol=0)


def test_guidance_leads_from_plain_attention_through_redirected() -> None:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    random = torch.Generator().manual_seed(0)
    pictures = torch.rand(1, 3, 64, 64, generator=random) * 2 - 1
    holes = torch.zeros(1, 1, 64, 64)
    holes[..., 16:48, 20:50] = 1
    redirection = Redirection(Touched(holes, backbone.grid((64, 64))), backbone.composing, 0.3, 0.6)
    pathways = Pathways(pictures, holes, backbone.text([""]), (3,), start=pictures)
    found = denoise(
        backbone, pathways, Settings(1, guidance=9.0), negative=backbone.text([""]), modulation=redirection
    )
    course = backbone.course(1, 1.0, (64, 64))
    generator = [torch.Generator().manual_seed(3)]
    noise = torch.randn(1, 4, 16, 16, generator=generator[0])
    cut = backbone.encode(pictures * (1 - holes), generator)
    inputs = Inputs(backbone.known(holes, cut), backbone.text([""]), (64, 64))
    with torch.no_grad():
        plain = backbone.predict(noise, course.timesteps[0], inputs)
        with backbone.attention.during(torch.ones(1), redirection, None):
            redirected = backbone.predict(noise, course.timesteps[0], inputs)
    assert (plain - redirected).abs().max() > 1e-4
    expected = course.step(plain + 9 * (redirected - plain), course.timesteps[0], noise, generator)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def _erased(**options: object) -> np.ndarray:
    method = AttentiveEraser("random:tiny", steps=4, resolution=64, **options)  # type: ignore[arg-type]
    method.load()
    (outcome,) = method.run(crowd(1))
    assert outcome.image is not None, outcome.error
    return outcome.image


@pytest.mark.slow
def test_every_option_reaches_the_picture() -> None:
    whole = _erased()
    for change in (
        {"redirect": False},
        {"guidance": 1.0},
        {"suppression": 1.0},
        {"window": 0.0},
        {"layers": "all"},
        {"strength": 1.0},
        {"grow": 0.1},
    ):
        assert not np.array_equal(whole, _erased(**change)), change


def test_a_mask_of_the_whole_picture_is_painted() -> None:
    method = AttentiveEraser("random:tiny", steps=4, resolution=64)
    method.load()
    people = crowd(1)
    (outcome,) = method.run(replace(people, masks=np.ones_like(people.masks)))
    assert outcome.error is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"layers": "some"}, "no layers 'some'"),
        ({"suppression": 2.0}, "suppression=2.0: give a number from 0 to 1"),
        ({"window": -1.0}, "window=-1.0"),
        ({"strength": 0.0}, "strength=0.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        AttentiveEraser("random:tiny", **options)  # type: ignore[arg-type]


def test_a_distilled_backbone_is_redirected_without_guidance(tmp_path: Path) -> None:
    folder = str(tiny_pipeline("flux-fill", tmp_path))
    with pytest.raises(UserError, match="attentive-eraser:guidance=1"):
        AttentiveEraser(folder).load()
    method = AttentiveEraser(folder, guidance=1.0, steps=4, resolution=48)
    method.load()
    (outcome,) = method.run(crowd(1))
    assert outcome.error is None
