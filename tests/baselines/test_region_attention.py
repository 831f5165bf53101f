"""Region attention against explicit attention maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from baselines.diffusion.architectures import TINY, random_models
from baselines.diffusion.attention import Grid, Recorder, RegionLabels, RegionMaps, attend
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.text import TextEncoder
from baselines.diffusion.unet import UNetBackbone
from mildbench.evaluation.painted import pooled
from mildbench.metrics.attention import CompletionKappa

HEADS, TOKENS, WIDTH, REGIONS = 3, 36, 10, 4


def _tensors(batch: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, batch, HEADS, TOKENS, WIDTH, generator=random)
    maps = torch.rand(batch, TOKENS, REGIONS, generator=random)
    maps = maps / maps.sum(-1, keepdim=True)
    weights = torch.randn(batch, REGIONS, REGIONS, generator=random)
    labels = F.one_hot(torch.randint(0, REGIONS + 1, (batch, TOKENS), generator=random), REGIONS + 1).float()
    return query, key, value, maps, weights, labels[..., :REGIONS]  # some tokens belong to no region


def _explicit(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = query @ key.mT * query.shape[-1] ** -0.5 + bias[:, None]
    maps = logits.softmax(-1)
    return maps @ value, (maps @ labels[:, None]).mean(1)


def test_bias_and_masses_equal_explicit_softmax() -> None:
    query, key, value, maps, weights, labels = _tensors()
    out, masses = attend(query, key, value, maps=maps, weights=weights, labels=labels)
    expected, expected_masses = _explicit(query, key, value, maps @ weights @ maps.mT, labels)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(masses, expected_masses, atol=1e-5, rtol=0)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
def test_each_part_alone(biased: bool, labelled: bool) -> None:
    query, key, value, maps, weights, labels = _tensors()
    out, masses = attend(
        query,
        key,
        value,
        maps=maps if biased else None,
        weights=weights if biased else None,
        labels=labels if labelled else None,
    )
    bias = maps @ weights @ maps.mT if biased else torch.zeros(2, TOKENS, TOKENS)
    expected, expected_masses = _explicit(query, key, value, bias, labels)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    assert (masses is None) != labelled
    if masses is not None:
        torch.testing.assert_close(masses, expected_masses, atol=1e-5, rtol=0)


def test_gradients_reach_the_bias_as_through_explicit_attention() -> None:
    query, key, value, maps, weights, labels = _tensors()
    weights.requires_grad_()
    ours = torch.autograd.grad(attend(query, key, value, maps=maps, weights=weights)[0].pow(2).sum(), weights)
    explicit = torch.autograd.grad(
        _explicit(query, key, value, maps @ weights @ maps.mT, labels)[0].pow(2).sum(), weights
    )
    torch.testing.assert_close(ours[0], explicit[0], atol=1e-3, rtol=1e-4)


def test_an_empty_region_gives_no_nan_and_no_mass() -> None:
    query, key, value, maps, weights, labels = _tensors()
    maps[..., 2] = 0
    labels[..., 2] = 0
    out, masses = attend(query, key, value, maps=maps, weights=weights, labels=labels)
    assert torch.isfinite(out).all()
    assert masses is not None
    assert (masses[..., 2] == 0).all()


def test_a_cross_region_penalty_scales_every_odds_by_its_exponential() -> None:
    query, key, value, *_ = _tensors()
    maps = F.one_hot(torch.arange(TOKENS) % 2, 2).float().expand(2, -1, -1)
    penalty = 1.7

    def odds(strength: float) -> torch.Tensor:
        # One head: averaging masses over heads does not commute with taking odds.
        weights = -strength * (1 - torch.eye(2))
        one = (query[:, :1], key[:, :1], value[:, :1])
        masses = attend(*one, maps=maps, weights=weights, labels=maps)[1]
        assert masses is not None
        own = (masses * maps).sum(-1)
        return (1 - own) / own

    torch.testing.assert_close(odds(penalty) / odds(0.0), torch.full((2, TOKENS), -penalty).exp())


def test_recorded_gap_is_zero_for_uniform_attention_and_one_for_an_infinite_penalty() -> None:
    query, _, value, *_ = _tensors()
    labels = torch.zeros(2, 2, 6, 6)
    labels[:, 0, :, :2], labels[:, 1, :, 2:] = 1, 1
    for penalty, gap in ((0.0, 0.0), (1e4, 1.0)):
        recorder = Recorder(labels, Grid(6, 6), [(0, "background"), (1, "background")], [1, 1])
        tokens = recorder.columns(TOKENS)
        weights = -penalty * (1 - torch.eye(2))
        masses = attend(query, torch.zeros_like(query), value, maps=tokens, weights=weights, labels=tokens)[1]
        assert masses is not None
        recorder.add("layer", torch.ones(2), masses)
        for record in recorder.records():
            chance = record.tokens[0] / record.tokens[0].sum()
            kappa = (record.masses[0].diagonal() - chance) / (1 - chance)
            assert kappa == pytest.approx([gap, gap], abs=1e-6)


def test_recorder_splits_samples_and_drops_their_padding() -> None:
    labels = torch.zeros(2, 3, 6, 6)
    labels[0, 0, :2], labels[0, 1, 2:4], labels[0, 2, 4:] = 1, 1, 1
    labels[1, 0, :3], labels[1, 1, 3:] = 1, 1
    recorder = Recorder(labels, Grid(6, 6), [(0, "background"), (0, "person 1"), (1, "background")], [2, 1])
    for time in (1.0, 0.5):
        for tokens in (36, 9):
            recorder.add(f"layer{tokens}", torch.full((3,), time), recorder.columns(tokens))
    two, one = recorder.records()
    assert two.masses.shape == (8, 3, 3)
    assert one.masses.shape == (4, 2, 2)
    assert two.pathways[:2] == ("background", "person 1")
    assert one.layers == ("layer36", "layer9", "layer36", "layer9")
    assert one.timesteps.tolist() == [1, 1, 0.5, 0.5]
    # These masses are the labels themselves: everything stays in its region. In 3x3 tokens of the sample with
    # two regions the middle row is half of each, so it belongs to neither.
    assert one.masses[0].tolist() == [[1, 0], [0, 1]]
    assert one.tokens.tolist() == [[18, 18], [3, 3], [18, 18], [3, 3]]


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0, 30.0])
def test_a_penalty_in_the_network_is_found_in_what_it_painted(penalty: float) -> None:
    """From the masses of `attend` to the number of a table; queries and keys differ in their regions."""
    labels = torch.zeros(1, 3, 6, 6)
    labels[:, 0], labels[:, 1, 4:, :2], labels[:, 2, 4:, 4:] = 1, 1, 1
    labels[:, 0] -= labels[:, 1:].sum(1)
    erased = torch.zeros(1, 1, 6, 6)
    erased[..., 2:5, :] = 1  # of both people the upper row is behind the mask
    recorder = Recorder(labels, Grid(6, 6), [(0, "picture")], [2], 1 - erased, erased)
    known = recorder.columns(TOKENS)[..., 3:]
    answer = torch.zeros(6, 6, dtype=torch.long)
    answer[3:, :2], answer[3:, 4:] = 1, 2
    maps = torch.cat([F.one_hot(answer.flatten(), 3).float()[None], known], dim=-1)
    weights = torch.zeros(6, 6)
    weights[:3, 3:] = -penalty * (1 - torch.eye(3))
    query, _, value, *_ = _tensors(batch=1)
    for time in (1.0, 0.5):
        attended = attend(
            query,
            torch.zeros_like(query),
            value,
            maps=maps,
            weights=weights,
            labels=recorder.columns(TOKENS),
        )
        assert attended[1] is not None
        recorder.add("layer", torch.tensor([time]), attended[1])
    canvas = Canvas.of((48, 48), 48, 8)
    (record,) = recorder.records(erased, canvas.boxes)
    assert record.masses.shape == (2, 3, 3)
    assert record.painting is not None
    contents = answer.numpy().repeat(8, axis=0).repeat(8, axis=1).astype(np.int16)
    found = pooled(record.painting, contents)
    assert found.known.tolist() == [[14, 2, 2]]
    assert found.tokens.tolist() == [[10, 4, 4]]
    shares = np.array([14, 2, 2]) / 18
    right = shares / (shares + (1 - shares) * np.exp(-penalty))
    o, p = (np.average(values, weights=[10, 4, 4]) for values in (right, shares))
    kappa = CompletionKappa().score(replace(record, painted=found), [])
    assert kappa == pytest.approx((o - p) / (1 - p), abs=1e-5)
    assert (kappa > 1e-5) == (penalty > 0)


def test_boxes_of_tokens_lie_where_the_canvas_shows_them() -> None:
    canvas = Canvas.of((100, 200), 64, 16)  # shown at 32 x 64
    boxes = canvas.boxes(4, 8)
    assert boxes.shape == (32, 4)
    np.testing.assert_allclose(boxes[0], [0, 0, 25, 25])
    np.testing.assert_allclose(boxes[9], [25, 25, 50, 50])
    padded = Canvas.of((60, 200), 64, 16)  # 19 rows, filled up to 32
    assert (padded.boxes(4, 8)[:, 3] > 60).sum() == 16


def test_maps_follow_the_levels_of_a_unet() -> None:
    maps = torch.rand(1, 2, 40, 24)
    at = RegionMaps(maps, Grid(5, 3))
    assert at.at(15).shape == (1, 15, 2)
    assert at.at(6).shape == (1, 6, 2)  # 5 x 3 halves to 3 x 2, as a strided convolution does
    torch.testing.assert_close(at.at(15)[0, :, 0].reshape(5, 3), maps[0, 0].reshape(5, 8, 3, 8).mean((1, 3)))
    with pytest.raises(ValueError, match="no level"):
        at.at(7)
    half = torch.zeros(1, 1, 4, 4)
    half[..., :3] = 1
    assert RegionLabels(half, Grid(4, 2)).at(8).flatten().tolist() == [1, 0] * 4


def test_installed_without_anything_to_do_the_unet_computes_the_same() -> None:
    unet, vae, text, tokenizer, schedule = random_models(TINY)
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 9, 16, 8, generator=random)
    prompts = torch.randn(2, 77, 128, generator=random)
    with torch.no_grad():
        before = unet(inputs, 500, prompts).sample
        UNetBackbone("random", unet, vae, TextEncoder((tokenizer,), (text,)), schedule)
        after = unet(inputs, 500, prompts).sample
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)


def test_only_the_conditional_half_is_modulated_and_recorded() -> None:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    unet, attention = backbone.network, backbone.attention
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, 9, 16, 16, generator=random).repeat(2, 1, 1, 1)
    prompts = torch.randn(1, 77, 128, generator=random).repeat(2, 1, 1)
    regions = torch.zeros(1, 2, 16, 16)
    regions[:, 0, :8], regions[:, 1, 8:] = 1, 1
    maps = RegionMaps(regions, Grid(16, 16))

    class Apart:
        def attend(self, layer, time, query, key, value, labels):
            assert len(query) == len(time) == 1
            return attend(
                query,
                key,
                value,
                maps=maps.at(query.shape[2]),
                weights=torch.tensor([[0.0, -9], [-9, 0]]),
                labels=labels,
            )

    recorder = Recorder(regions, Grid(16, 16), [(0, "background")], [1])
    with torch.no_grad():
        plain = unet(inputs, 500, prompts).sample
        with attention.during(torch.ones(1), Apart(), recorder):
            both = unet(inputs, 500, prompts).sample
        again = unet(inputs, 500, prompts).sample
    torch.testing.assert_close(both[0], plain[0], atol=1e-6, rtol=1e-5)
    assert (both[1] - plain[1]).abs().max() > 1e-3
    torch.testing.assert_close(again, plain)
    (record,) = recorder.records()
    assert set(record.layers) == set(attention.layers)
    assert (record.masses[:, 0, 0] > 0.9).all()
