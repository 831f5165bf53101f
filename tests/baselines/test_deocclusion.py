"""Two-stage human de-occlusion as a method: layers of whole people, laid back to front inside the mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd

from baselines.deocclusion import mask_completion
from baselines.deocclusion.method import Deocclusion, Parts
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.parts import save_part
from baselines.people import HiddenPerson
from mildbench.errors import UserError

SMALL = {"backbone": "random:tiny", "steps": 2, "mask_steps": 2, "resolution": 64}


def _loaded(**options: object) -> Deocclusion:
    method = Deocclusion(**(SMALL | options))  # type: ignore[arg-type]
    method.load()
    return method


@pytest.fixture(scope="module")
def method() -> Deocclusion:
    return _loaded()


@pytest.fixture
def everything_hidden_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 1 finds that each person fills all of where they could be."""

    def complete(model: object, people: list[HiddenPerson], *_: object) -> list[np.ndarray]:
        return [person.visible | person.observability for person in people]

    monkeypatch.setattr(mask_completion, "complete", complete)


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
def test_those_who_stay_in_front_stay_as_they_are(method: Deocclusion) -> None:
    # A fourth person stands before the one who is erased; the mask goes over them, as soft edges and shadows do.
    people = crowd(1)
    fourth = np.zeros((64, 64), dtype=bool)
    fourth[30:44, 27:37] = True
    masks = np.concatenate([people.instances[0] & ~fourth, fourth[None]])
    keypoints = np.concatenate([people.keypoints[0], people.keypoints[0][:1]])
    (outcome,) = method.run(replace(people, instances=(masks,), keypoints=(keypoints,)))
    assert outcome.layers.keys() == {0, 1}
    assert (outcome.layers[0][fourth, 3] == 255).all()
    assert np.array_equal(outcome.image[fourth], people.images[0][fourth])


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


# --- options and parts


def test_trained_parts_are_read_from_a_folder(tmp_path: Path) -> None:
    parts = Parts.fresh(load_backbone("random:tiny", "cpu", torch.float32).vae)
    with torch.no_grad():
        parts.mask_completion.unet.conv_out.bias += 1000  # everything is found to be outside
    save_part(parts.mask_completion, tmp_path / "mask_completion.safetensors")
    with pytest.raises(UserError, match=r"decoder_skips\.safetensors"):
        _loaded(weights=str(tmp_path))
    plain = _loaded(weights=str(tmp_path), decoder_skips=False)
    save_part(parts.decoder_skips, tmp_path / "decoder_skips.safetensors")
    skipping = _loaded(weights=str(tmp_path))
    assert plain.info.untrained == "backbone random:tiny"
    assert _loaded().info.untrained == "backbone random:tiny, the mask completion"
    people = crowd(1)
    first, second = (method.run(people)[0] for method in (plain, skipping))
    assert np.array_equal(first.image, second.image)
    for person, layer in first.layers.items():
        assert np.array_equal(layer[..., 3] == 255, people.instances[0][person])


def test_mask_steps_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="mask_steps=0"):
        Deocclusion(backbone="random:tiny", mask_steps=0)
