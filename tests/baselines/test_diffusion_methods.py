"""What holds for every diffusion method, on a backbone with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from people import crowd, reordered

from mildbench.errors import UserError
from mildbench.method import EraseMethod, MethodSpec
from mildbench.regions import paste

METHODS = {
    "attentive-eraser": "attentive-eraser:backbone=random:tiny,steps=4,resolution=64",
    "deocclusion": "deocclusion:backbone=random:tiny,steps=2,mask_steps=2,resolution=64",
    "magiceraser": "magiceraser:backbone=random:tiny,init=telea,steps=10,resolution=64",
    "magiceraser, densediffusion": (
        "magiceraser:backbone=random:tiny,refocus=densediffusion,strength=1,steps=4,resolution=64"
    ),
    "mild": "mild:backbone=random:tiny,steps=2,resolution=64",
    "mild, some parts": "mild:backbone=random:tiny,hmg=pose+parsing,sma=false,lora_routing=false,steps=2,resolution=64",
    "mild, dual": "mild:backbone=random:tiny,dual=true,steps=2,resolution=64",
    "mild, single path": "mild:backbone=random:tiny,hmg=none,single_path=true,steps=2,resolution=64",
    "powerpaint": "powerpaint:backbone=random:tiny,steps=2,resolution=64",
    "sd-inpaint": "sd-inpaint:backbone=random:tiny,steps=2,resolution=64",
    "smarteraser": "smarteraser:backbone=random:tiny,steps=2,resolution=64",
}
"""What to call it -> a method with small, fast options."""
NAMES = sorted({MethodSpec.parse(text).name for text in METHODS.values()})


@pytest.fixture(scope="module", params=METHODS)
def method(request: pytest.FixtureRequest) -> EraseMethod:
    loaded = MethodSpec.parse(METHODS[request.param]).create()
    loaded.load()
    return loaded


def test_batch_size_never_changes_a_result(method: EraseMethod) -> None:
    together = method.run(crowd(2))
    for index, outcome in enumerate(together):
        (alone,) = method.run(crowd(2).sample(index))
        assert outcome.error is None, outcome.error
        assert np.array_equal(outcome.image, alone.image)
        assert outcome.layers.keys() == alone.layers.keys()
        for person, layer in outcome.layers.items():
            assert np.array_equal(layer, alone.layers[person])
        if outcome.attention is not None:
            assert alone.attention is not None
            assert np.array_equal(outcome.attention.masses, alone.attention.masses, equal_nan=True)
    assert not np.array_equal(together[0].image, together[1].image)


def test_erasing_nobody_returns_the_input(method: EraseMethod) -> None:
    people = crowd(1)
    nobody = replace(people, masks=np.zeros_like(people.masks), targets=((),))
    (outcome,) = method.run(nobody)
    assert np.array_equal(outcome.image, people.images[0])


def test_pasted_pixels_outside_the_mask_are_the_inputs(method: EraseMethod) -> None:
    people = crowd(1)
    (outcome,) = method.run(people)
    assert outcome.image is not None
    pasted = paste(outcome.image, people.images[0], people.masks[0], 0)
    assert np.array_equal(pasted[~people.masks[0]], people.images[0][~people.masks[0]])
    assert not np.array_equal(pasted, people.images[0])


def test_the_order_of_instances_does_not_change_the_result(method: EraseMethod) -> None:
    # The first two do not touch each other, so that either may be listed as the one further back. Only one of them
    # is hidden: behind the same person they might meet, and there the order does matter.
    people = crowd(1, centres=(0.3, 0.9, 0.5))
    (first,) = method.run(people)
    (second,) = method.run(reordered(people, (1, 0, 2)))
    assert first.image is not None
    assert second.image is not None
    assert np.abs(first.image.astype(int) - second.image.astype(int)).max() <= 1
    assert {1 - person for person in first.layers} == set(second.layers)


def test_attention_is_recorded_for_every_layer_and_step(method: EraseMethod) -> None:
    (outcome,) = method.run(crowd(1))
    record = outcome.attention
    assert record is not None
    assert record.masses.shape[1:] == (4, 4)
    seen = record.tokens[:, :, None] * np.ones((1, 1, 4)) > 0
    assert np.isfinite(record.masses[seen]).all()
    rows = record.masses.sum(-1)[record.tokens > 0]
    np.testing.assert_allclose(rows, 1, atol=1e-3)
    assert ((record.timesteps > 0) & (record.timesteps <= 1)).all()


def test_every_token_of_the_mask_is_painted_once(method: EraseMethod) -> None:
    people = crowd(1)
    (outcome,) = method.run(people)
    assert outcome.attention is not None
    painting = outcome.attention.painting
    assert painting is not None
    assert set(painting.layers) == set(outcome.attention.layers)
    assert set(painting.pathways) == set(outcome.attention.pathways)
    for layer in set(painting.layers):
        entries = [entry for entry, name in enumerate(painting.layers) if name == layer]
        boxes = [tuple(box) for entry in entries for box in painting.boxes[entry].tolist()]
        assert len(set(boxes)) == len(boxes)
        for left, top, right, bottom in boxes:
            inside = people.masks[0][round(top) : round(bottom), round(left) : round(right)]
            assert inside.mean() >= 0.85
        assert len({painting.known[entry].tobytes() for entry in entries}) == 1
    assert any(len(boxes) for boxes in painting.boxes)
    for masses in painting.masses:
        assert (masses >= 0).all()
        assert (masses.sum(axis=1) <= 1 + 1e-5).all()


def test_random_weights_are_owned_up_to(method: EraseMethod) -> None:
    assert method.info.untrained is not None
    assert "backbone random:tiny" in method.info.untrained


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_checkpoint_names_the_one_command(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"mildbench weights fetch sd-1\.5-inpainting"):
        MethodSpec(name, {"backbone": "sd-1.5-inpainting"}).create().load()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="hf download some/checkpoint"):
        MethodSpec(name, {"backbone": "some/checkpoint"}).create().load()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("option", "value"), [("steps", -1), ("dtype", "float99"), ("resolution", -1), ("backbone", "nonsense")]
)
def test_bad_options_are_refused_in_one_line(name: str, option: str, value: object) -> None:
    with pytest.raises(UserError) as error:
        MethodSpec(name, {"backbone": "random:tiny", option: str(value)}).create().load()
    assert "\n" not in str(error.value)
