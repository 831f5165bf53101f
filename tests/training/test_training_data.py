"""From scenes to batches: windows that keep the truth exact, and streams addressed by position."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenes import random_scene
from small import draw_sources, small_dataset, small_recipe
from training_fakes import FakeScenes, drawn_scene, killed

from baselines.diffusion.training import problems
from mildbench.errors import UserError
from mildbench.scene import Scene
from mildbench.training.crops import RandomCrop
from mildbench.training.data import Examples, collate, load, positions
from mildbench.training.examples import draw_targets, erasing
from mildbench.training.scenes import DatasetScenes, generator
from synth.stream import RenderedScenes


def cut(picture: np.ndarray, window: RandomCrop) -> np.ndarray:
    part = picture[window.top : window.top + window.side, window.left : window.left + window.side]
    return part[:, ::-1] if window.mirrored else part


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_window_without_scaling_is_exact(seed: int, mirrored: bool) -> None:
    scene = random_scene(seed, people=4, size=48)
    window = RandomCrop(7, 5, 32, 32, mirrored)
    seen = window.scene(scene)
    kept = {layer.person.id for layer in seen.layers}
    left_out = {layer.person.id for layer in scene.layers} - kept
    for gone in (left_out, {*left_out, next(iter(kept), 0)}):
        assert np.array_equal(seen.composite(gone), cut(scene.composite(gone), window))
    before, after = scene.people(), seen.people()
    rows = [before.ids.index(name) for name in after.ids]
    for mask, found in zip(before.amodal[rows], after.amodal, strict=True):
        assert np.array_equal(found, cut(mask, window))


def test_mirroring_twice_is_nothing() -> None:
    scene = random_scene(3, people=4, size=32)
    whole, turned = RandomCrop(0, 0, 32, 32), RandomCrop(0, 0, 32, 32, mirrored=True)
    first, second = whole.scene(scene), turned.scene(turned.scene(scene))
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.origin == other.origin
        assert np.array_equal(one.rgba, other.rgba)
        assert np.array_equal(one.person.parsing, other.person.parsing)
        np.testing.assert_allclose(one.person.keypoints, other.person.keypoints, atol=1e-4)


@pytest.mark.parametrize("size", [48, 160])
def test_a_scaled_window_is_nearly_the_scaled_picture(size: int) -> None:
    scene = drawn_scene(3, 96)
    window = RandomCrop(4, 2, 88, size, mirrored=True)
    seen = window.scene(scene)
    method = cv2.INTER_AREA if size < 88 else cv2.INTER_LINEAR
    expected = cv2.resize(cut(scene.composite(), window), (size, size), interpolation=method)
    assert np.abs(seen.composite().astype(int) - expected).mean() < 2
    before, after = scene.people().keypoints[:, 0, :2], seen.people().keypoints[:, 0, :2]
    np.testing.assert_allclose(after[:, 1], (before[:, 1] - 2 + 0.5) * size / 88 - 0.5, atol=1e-3)
    np.testing.assert_allclose(
        after[:, 0], size - 1 - ((before[:, 0] - 4 + 0.5) * size / 88 - 0.5), atol=1e-3
    )


def test_windows_lie_inside_and_are_not_enlarged() -> None:
    rng = np.random.default_rng(0)
    windows = [RandomCrop.draw(rng, (100, 140, 3), 64) for _ in range(200)]
    assert all(70 <= w.side <= 100 and w.left + w.side <= 140 and w.top + w.side <= 100 for w in windows)
    assert {window.mirrored for window in windows} == {True, False}
    assert {RandomCrop.draw(rng, (64, 64, 3), 64).side for _ in range(9)} == {64}


def test_every_subset_is_drawn_and_never_nobody() -> None:
    scene = random_scene(0, people=3)
    drawn = {draw_targets(scene, np.random.default_rng(seed)) for seed in range(200)}
    assert len(drawn) == 7
    assert frozenset() not in drawn


@pytest.mark.parametrize("make", [erasing, problems.erasing_without_words, problems.inpainting])
def test_outside_the_hole_the_picture_is_the_truth(make) -> None:  # type: ignore[no-untyped-def]
    for seed in range(8):
        example = make(drawn_scene(seed, 64), generator(0, seed))
        assert example["mask"].any()
        assert np.array_equal(example["image"][~example["mask"]], example["truth"][~example["mask"]])


def test_the_prompt_says_who_is_in_the_hole() -> None:
    background = np.full((64, 64, 3), 90, np.uint8)
    scene = Scene("0", background, drawn_scene(1, 64).layers)
    found = {"": 0, problems.PERSON: 0}
    for seed in range(40):
        example = problems.inpainting(scene, generator(0, seed))
        inside = (example["truth"] != 90).any(-1)[example["mask"]].mean()
        found[str(example["prompt"])] += 1
        if example["prompt"] == problems.PERSON:
            assert inside > 0.1
    assert min(found.values()) > 3


def test_an_autoencoder_sees_all_four_kinds() -> None:
    shares = {
        round(float(problems.pictures(drawn_scene(1, 64), generator(0, s))["grey"].mean()), 1)
        for s in range(40)
    }
    assert 0.0 in shares
    assert max(shares) > 0.5


def test_a_step_has_the_same_scenes_however_it_is_divided() -> None:
    whole = list(positions(range(2, 4), 8, 1, [0]))
    assert whole == [list(range(16, 24)), list(range(24, 32))]
    parts = [list(positions(range(2, 4), 8, 4, mine)) for mine in ([0, 2], [1, 3])]
    assert sorted(place for process in parts for batch in process[:2] for place in batch) == whole[0]


def test_an_example_depends_on_its_position_alone() -> None:
    examples = Examples(FakeScenes(), "train", erasing, 32, 0)
    first = [examples[i].example for i in (3, 4, 3)]
    assert np.array_equal(first[0]["image"], first[2]["image"])
    assert not np.array_equal(first[0]["image"], first[1]["image"])
    again = pickle.loads(pickle.dumps(examples))[3].example
    assert np.array_equal(first[0]["mask"], again["mask"])
    batch = collate([examples[3], examples[4]])
    assert batch["image"].shape == (2, 32, 32, 3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("small"))


def test_a_data_set_comes_round_in_another_order(dataset: Path) -> None:
    source = DatasetScenes(dataset, 0)
    source.check("train")
    count = len(source._ids["train"])
    rounds = [[source.scene("train", e * count + i).id for i in range(count)] for e in range(2)]
    assert sorted(rounds[0]) == sorted(rounds[1]) == sorted(source._ids["train"])
    assert rounds[0] != rounds[1]
    assert pickle.loads(pickle.dumps(source)).scene("train", 3).id == rounds[0][3]
    with pytest.raises(UserError, match=r"no scenes with people in the split 'val'; it has"):
        source.check("val")


def test_rendered_scenes_are_those_of_a_build(dataset: Path, tmp_path: Path) -> None:
    """Each split is a stream of its own scenes, and nobody of one is in another."""
    recipe = small_recipe(*draw_sources(tmp_path))
    source = RenderedScenes(recipe, 0)
    source.check("train")
    people = {
        split: {layer.person.provenance.file for i in range(8) for layer in source.scene(split, i).layers}
        for split in ("train", "test")
    }
    assert people["train"]
    assert people["test"]
    assert not people["train"] & people["test"]
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.scene("train", 5).composite(), source.scene("train", 5).composite())
    assert len({source.scene("train", i).id for i in range(8)}) == 8
    with pytest.raises(UserError, match="has no split 'val'; it has test, train"):
        source.check("val")


def test_a_killed_worker_is_one_line() -> None:
    examples = Examples(FakeScenes(2, 64), "train", killed, 64, 0)
    with pytest.raises(UserError, match=r"a data worker was killed.*fewer --workers than 1"):
        next(load(examples, iter([[0]]), workers=1, pin=False))
