"""MILD's pathways, guidance, modulation and composition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from groups import group
from people import crowd, reordered

from baselines.diffusion import memory
from baselines.diffusion.architectures import TINY, random_models
from baselines.diffusion.attention import Grid, RegionMaps, attend
from baselines.diffusion.backbone import Inputs
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.text import TextEncoder
from baselines.diffusion.unet import UNetBackbone
from baselines.mild import composition, guidance, modulation
from baselines.mild.method import Mild
from baselines.mild.modules import Conditions
from baselines.mild.pathways import GREY, Pathway, dual_pathways, pathways
from mildbench.errors import UserError
from mildbench.method import AttentionRecord, EraseBatch
from mildbench.scene import over

CANVAS = Canvas.of((64, 64), 64, 32)


def _made(**options: object) -> Mild:
    method = Mild("random:tiny", steps=2, resolution=64, **options)  # type: ignore[arg-type]
    method.load()
    return method


@pytest.fixture(scope="module")
def method() -> Mild:
    return _made()


@pytest.fixture
def trained() -> Mild:
    """Modules whose every weight matters, as after training."""
    made = _made()
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.modules.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=random)
    return made


def _conditions(method: Mild, batch: EraseBatch) -> Conditions:
    return method.conditions(pathways(batch), CANVAS, batch.seeds)


def test_only_survivors_whom_the_erase_mask_touches_have_a_pathway() -> None:
    people = crowd(1)
    assert [each.layer for each in pathways(people)] == [None, 0, 1]
    assert people.instances is not None
    visible = people.instances[0].copy()
    visible[1] &= np.arange(64)[None, :] > 50  # no longer beside the erased person
    apart = replace(people, instances=(visible,))
    assert [each.layer for each in pathways(apart)] == [None, 0]
    # Whoever stands in front of the erased person is not hidden by them.
    assert [each.layer for each in pathways(reordered(people, (0, 2, 1)))] == [None, 0]
    assert [each.name for each in pathways(people)] == ["background", "person 0", "person 1"]


def test_what_a_pathway_sees_and_makes() -> None:
    people = crowd(1)
    assert people.instances is not None
    visible, mask = people.instances[0], people.masks[0]
    background, first, _ = pathways(people)
    assert np.array_equal(background.hole, visible.any(0) | mask)
    assert np.array_equal(background.others, visible[:2].any(0))
    assert np.array_equal(first.visible, visible[0])
    assert np.array_equal(first.picture[visible[0]], people.images[0][visible[0]])
    assert (first.picture[~visible[0]] == GREY).all()
    assert np.array_equal(first.hole, mask)
    assert (first.rank, background.rank) == (0, 0)
    assert not (first.others & first.hole).any()


def test_dual_pathways_are_the_background_and_all_who_stay() -> None:
    people = crowd(2)
    assert people.instances is not None
    visible, mask = people.instances[0], people.masks[0]
    split = dual_pathways(people)
    assert [(each.sample, each.name, each.layer) for each in split] == [
        (0, "background", None),
        (0, "people", 0),
        (1, "background", None),
        (1, "people", 0),
    ]
    everybody, stay = split[1], visible[:2].any(0)
    assert np.array_equal(everybody.visible, stay)
    assert np.array_equal(everybody.picture[stay], people.images[0][stay])
    assert (everybody.picture[~stay] == GREY).all()
    assert np.array_equal(everybody.hole, mask & ~stay)
    assert len(everybody.poses) == 2
    # Nobody is hidden: there is nobody to make.
    assert [each.name for each in dual_pathways(replace(crowd(1), targets=((0,),)))] == ["background"]


def test_one_who_stays_is_made_alike_by_dual_pathways(trained: Mild) -> None:
    people = crowd(1)
    assert people.instances is not None
    alone = replace(people, instances=(people.instances[0][[0, 2]],), targets=((1,),), keypoints=None)
    one, two = pathways(alone)[1], dual_pathways(alone)[1]
    for name in ("picture", "hole", "visible", "in_front", "behind", "parsing"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    (made,) = trained.run(alone)
    trained.dual = True
    (dual,) = trained.run(alone)
    assert dual.image is not None
    assert made.image is not None
    # What differs is how a lone person's depth is told, and no more.
    assert np.abs(dual.image.astype(int) - made.image).mean() < 4
    assert not np.array_equal(dual.image, alone.images[0])


def test_dual_pathways_give_no_layers_of_each_and_two_calls() -> None:
    dual = _made(dual=True)
    sizes = []
    dual.backbone.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    (outcome,) = dual.run(group(3))
    assert outcome.error is None, outcome.error
    assert sizes == [2, 2]
    assert not outcome.layers
    assert "layers" not in dual.info.capabilities
    with pytest.raises(UserError, match="a single path cannot be dual"):
        Mild("random:tiny", dual=True, single_path=True)


def test_a_soft_edge_or_shadow_on_a_survivor_is_made_anew() -> None:
    people = crowd(1)
    assert people.instances is not None
    visible = people.instances[0]
    shadow = people.masks[0] | (visible[0] & (np.arange(64)[:, None] > 50))
    first = pathways(replace(people, masks=shadow[None]))[1]
    assert np.array_equal(first.hole, shadow)
    assert not (first.visible & shadow).any()


def test_pictures_without_people_have_one_pathway_with_the_mask_for_a_hole(method: Mild) -> None:
    unknown = replace(crowd(1), instances=None, targets=None, keypoints=None, parsing=None)
    (only,) = pathways(unknown)
    assert np.array_equal(only.hole, unknown.masks[0])
    (outcome,) = method.run(unknown)
    assert outcome.error is None, outcome.error
    assert outcome.image is not None
    assert not outcome.layers
    outside = ~unknown.masks[0]
    assert np.array_equal(outcome.image[outside], unknown.images[0][outside])


@pytest.mark.parametrize("survivors", [2, 3])
def test_all_pathways_are_one_unet_call_a_step(method: Mild, survivors: int) -> None:
    sizes = []
    hook = method.backbone.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    (outcome,) = method.run(group(survivors))
    hook.remove()
    assert outcome.error is None, outcome.error
    assert sizes == [survivors + 1] * 2
    assert set(outcome.layers) == set(range(survivors))


@pytest.mark.parametrize("most", [1, 2, 4])
def test_pathways_in_chunks_make_what_they_make_together(
    trained: Mild, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = crowd(2)  # three pathways each, so that chunks of two have pathways of both pictures
    together = trained.erase_together(people)
    sizes: list[int] = []
    trained.backbone.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(memory, "_free", lambda _: most)
    monkeypatch.setattr(memory, "SHARE", 1)
    monkeypatch.setattr(memory, "memory_needed", lambda _, trial: int(trial() is None) + 1)
    trained.budget = memory.Budget("cuda")
    apart = trained.erase_together(people)
    number = -(-6 // most)
    assert sizes == [1, 1] + [size for size in [6 // number] * number for _ in range(2)]
    assert np.abs(apart.images.astype(int) - together.images).max() <= 1
    assert together.layers is not None
    assert apart.layers is not None
    for one, other in zip(apart.layers, together.layers, strict=True):
        assert list(one) == list(other) == [0, 1]
        assert all(np.abs(one[person].astype(int) - other[person]).max() <= 1 for person in one)
    assert apart.attention is not None
    assert together.attention is not None
    for record, whole in zip(apart.attention, together.attention, strict=True):
        assert record is not None
        assert whole is not None
        _assert_same_record(record, whole)


def _assert_same_record(one: AttentionRecord, other: AttentionRecord) -> None:
    assert one.painting is not None
    assert other.painting is not None
    for mine, theirs in ((one, other), (one.painting, other.painting)):
        assert mine.layers == theirs.layers
        assert mine.pathways == theirs.pathways
    assert np.array_equal(one.timesteps, other.timesteps)
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.painting.known, other.painting.known)
    np.testing.assert_allclose(one.masses, other.masses, atol=1e-5)
    for name in ("boxes", "masses"):
        for mine, theirs in zip(getattr(one.painting, name), getattr(other.painting, name), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_fresh_guidance_and_adapters_change_nothing(method: Mild) -> None:
    people = crowd(1)
    (guided,) = method.run(people)
    (bare,) = _made(hmg="none", lora_routing=False).run(people)
    assert guided.image is not None
    assert bare.image is not None
    assert np.array_equal(guided.image, bare.image)
    residuals = method.modules.guidance
    assert residuals is not None
    assert all(not part.any() for part in residuals(_conditions(method, people).guidance))


def test_every_part_of_the_guidance_reaches_the_result_and_only_when_it_is_on(trained: Mild) -> None:
    people = crowd(1)
    assert people.keypoints is not None
    moved = (people.keypoints[0] + np.array([0, 6, 0], np.float32),)
    without = {"pose": replace(people, keypoints=moved), "parsing": replace(people, parsing=None)}
    (shown,) = trained.run(people)
    assert shown.image is not None
    for part, changed in without.items():
        (other,) = trained.run(changed)
        assert not np.array_equal(shown.image, other.image)
        trained.hmg = frozenset(guidance.PARTS) - {part}
        (first,), (second,) = trained.run(people), trained.run(changed)
        assert np.array_equal(first.image, second.image)
        trained.hmg = frozenset(guidance.PARTS)


def test_trained_modules_do_not_care_about_the_order_of_people_who_do_not_touch(trained: Mild) -> None:
    people = crowd(1)
    conditions = [_conditions(trained, each) for each in (people, reordered(people, (1, 0, 2)))]
    for name in ("guidance", "regions", "visible"):
        first, second = (getattr(each, name) for each in conditions)
        assert torch.equal(first[[0, 1, 2]], second[[0, 2, 1]])


def test_guidance_channels() -> None:
    people = crowd(1)
    assert people.keypoints is not None
    assert people.instances is not None
    hidden = people.keypoints[0].copy()
    hidden[0, 3, 2], hidden[0, 4, 2] = 1, 0
    people = replace(people, keypoints=(hidden,))
    background, first, _ = (guidance.channels(each, CANVAS, guidance.PARTS) for each in pathways(people))
    assert first.shape == (guidance.CHANNELS, 64, 64)
    x, y = np.rint(hidden[0, 3, :2]).astype(int)
    assert first[3].max() == first[3, y, x] > 0.8
    assert not first[4].any()
    assert not background[:18].any()
    parsing = first[18:38]
    assert np.array_equal(parsing.sum(0) > 0, people.instances[0][0])
    assert parsing[5].any()
    visible, in_front, behind, distance, rank = first[38:]
    assert np.array_equal(visible > 0, people.instances[0][0])
    assert np.array_equal(in_front > 0, people.instances[0][2])
    assert not behind.any()
    assert np.array_equal(distance < 0, people.masks[0])
    assert np.abs(distance).max() <= 1
    assert not rank.any()


STRUCTURES = {
    "tiny": {**TINY.unet},
    "SD-1.5": {"block_out_channels": (32, 64, 64, 96), "attention_head_dim": 4, "cross_attention_dim": 32},
    "SDXL": {
        "block_out_channels": (32, 64, 96),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 4,
        "cross_attention_dim": 32,
    },
}


def _entries(unet: UNet2DConditionModel) -> list[tuple[int, int]]:
    vae, text, tokenizer, schedule = random_models(TINY)[1:]
    return UNetBackbone("random", unet, vae, TextEncoder((tokenizer,), (text,)), schedule).entries


@pytest.mark.parametrize("structure", STRUCTURES)
def test_guidance_fits_every_family_of_unets(structure: str) -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(in_channels=9, out_channels=4, **STRUCTURES[structure])
    encoder = guidance.GuidanceEncoder(_entries(unet), 8)
    for gate in encoder.gates:
        torch.nn.init.normal_(gate.weight, std=0.1)
    residuals = encoder(torch.rand(1, guidance.CHANNELS, 128, 64))
    arguments = (torch.rand(1, 9, 16, 8), 500, torch.rand(1, 7, unet.config.cross_attention_dim))
    found = []
    for part in range(len(residuals)):
        alone = [each if place == part else torch.zeros_like(each) for place, each in enumerate(residuals)]
        found.append(unet(*arguments, down_intrablock_additional_residuals=alone).sample)
    plain = unet(*arguments).sample
    assert all((each - plain).abs().max() > 1e-4 for each in found)


def test_regions_share_every_pixel() -> None:
    for each in pathways(crowd(1)):
        shares = modulation.regions(each, CANVAS, 2)
        np.testing.assert_allclose(shares.sum(0), 1, atol=1e-6)
        assert shares.min() >= 0
        assert shares[3].any()
        assert not shares[2][each.hole & ~each.others].any()
    unknown = replace(crowd(1), instances=None, targets=None)
    assert not modulation.regions(pathways(unknown)[0], CANVAS, 2)[2].any()


def test_modulation_equals_the_explicit_matrix() -> None:
    random = torch.Generator().manual_seed(0)
    module = modulation.SpatialModulation(["first", "second"], 2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    regions = torch.rand(2, 4, 4, 6, generator=random)
    regions[:, 2] = 0  # an empty region
    query, key, value = torch.randn(3, 2, 3, 24, 10, generator=random)
    domains, time = torch.tensor([1, 0]), torch.tensor([0.7, 0.2])
    found, _ = module.over(regions, Grid(4, 6), domains).attend("second", time, query, key, value, None)
    shares = RegionMaps(regions, Grid(4, 6)).at(24)
    course = 1 + module.course[domains, 0] * time + module.course[domains, 1] * time**2
    bias = torch.einsum("bnr,rs,bms,b->bnm", shares, module.matrices[1], shares, course)
    explicit = (query @ key.mT * 10**-0.5 + bias[:, None]).softmax(-1) @ value
    torch.testing.assert_close(found, explicit, atol=1e-5, rtol=1e-5)


def test_a_fresh_modulation_is_a_small_penalty_whatever_the_time() -> None:
    module = modulation.SpatialModulation(["only"], 2)
    weights = module.weights("only", torch.tensor([1.0, 0.1]), torch.tensor([0, 1]))
    expected = -modulation.PENALTY * (1 - torch.eye(4))
    torch.testing.assert_close(weights, expected.expand(2, -1, -1))
    query, key, value = torch.randn(3, 1, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    one = torch.zeros(1, 4, 2, 2)
    one[:, 0] = 1  # within one region nothing changes
    found, _ = module.over(one, Grid(2, 2), torch.tensor([0])).attend(
        "only", torch.ones(1), query, key, value, None
    )
    torch.testing.assert_close(found, attend(query, key, value)[0])


def test_gradients_reach_every_trained_weight(trained: Mild) -> None:
    conditions = _conditions(trained, crowd(1))
    count = len(conditions.pathways)
    random = torch.Generator().manual_seed(0)
    latents, known = torch.randn(count, 9, 16, 16, generator=random).split([4, 5], dim=1)
    with trained.modules.applied(conditions) as (residuals, modulated):
        inputs = Inputs(known, conditions.pathways.prompts, (64, 64), residuals)
        with trained.backbone.attention.during(torch.full((count,), 0.5), modulated, None):
            prediction = trained.backbone.predict(latents, torch.tensor(500), inputs)
    logits = trained.modules.mattes(conditions, prediction, [1, 2])
    assert logits.shape == (2, 1, 64, 64)
    (prediction.pow(2).mean() + logits.pow(2).mean()).backward()
    for name, part in trained.modules.parts().items():
        for key, parameter in part.named_parameters():
            assert parameter.grad is not None, f"{name}.{key}"
            assert parameter.grad.any(), f"{name}.{key}"
    for parameter in trained.modules.lora.parameters():
        assert parameter.grad is not None
        assert all(adapter.any() for adapter in parameter.grad)
    assert all(parameter.grad is None for parameter in trained.backbone.vae.parameters())


def test_saved_modules_are_read_back(trained: Mild, tmp_path: Path) -> None:
    trained.modules.save(tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        "alpha",
        "background",
        "guidance",
        "instance",
        "modulation",
    ]
    again = _made(weights=str(tmp_path))
    for first, second in zip(trained.modules.parameters(), again.modules.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)
    with pytest.raises(UserError, match="weights"):
        _made(weights=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="shared"):
        _made(weights=str(tmp_path), lora_routing=False)


def _instance() -> Pathway:
    return pathways(crowd(1))[1]


def test_a_layer_gives_back_the_person_who_was_laid_on_grey() -> None:
    each, image = _instance(), crowd(1).images[0]
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, image.shape, dtype=np.uint8)
    alpha = rng.integers(64, 256, each.hole.shape, dtype=np.uint8)
    made = np.full_like(image, GREY)
    over(made, colour, alpha)
    layer = composition.layer(each, image, made, alpha / np.float32(255))
    assert np.array_equal(layer[each.visible, :3], image[each.visible])
    assert (layer[each.visible, 3] == 255).all()
    assert np.array_equal(layer[each.hole, 3], alpha[each.hole])
    assert np.abs(layer[each.hole, :3].astype(int) - colour[each.hole]).max() <= 2  # rounding, over alpha
    assert not layer[~(each.visible | each.hole)].any()


def test_a_fresh_head_finds_nobody_hidden(method: Mild) -> None:
    people = crowd(1)
    (outcome,) = method.run(people)
    assert people.instances is not None
    for person, layer in outcome.layers.items():
        assert np.array_equal(layer[..., 3] >= 128, people.instances[0][person])


def test_a_survivor_under_a_generous_mask_keeps_what_is_seen_of_them(method: Mild) -> None:
    # The one in front is not hidden by anybody: the mask overlaps them by mistake.
    people = reordered(crowd(1), (0, 2, 1))
    assert people.instances is not None
    seen = people.instances[0][2]
    (outcome,) = method.run(replace(people, masks=people.masks | seen[None]))
    assert outcome.image is not None
    assert set(outcome.layers) == {0}
    assert np.array_equal(outcome.image[seen], people.images[0][seen])


def test_parts_of_the_guidance_are_checked() -> None:
    with pytest.raises(UserError, match=r"hmg=pose\+parsin: no part 'parsin'.*parsing"):
        Mild("random:tiny", hmg="pose+parsin")


def test_without_pathways_there_are_no_layers() -> None:
    assert "layers" not in Mild("random:tiny", single_path=True).info.capabilities
    assert "layers" in Mild("random:tiny").info.capabilities
