"""Properties of scenes: exact recomposition, exact truth of any erase task, occlusion from the z-order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import random_layer, random_scene

from mildbench.scene import Layer, Person, Provenance, Scene, over

seeds = st.integers(0, 10**6)
counts = st.integers(0, 5)


def test_over_is_the_rounded_quotient_for_every_pair_of_values() -> None:
    alpha, below = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    for colour in (0, 1, 100, 127, 128, 200, 254, 255):
        canvas = np.repeat(below[..., None], 3, axis=2)
        over(canvas, np.full_like(canvas, colour), alpha)
        exact = (alpha.astype(int) * colour + (255 - alpha.astype(int)) * below) / 255
        assert np.array_equal(canvas[..., 0], np.floor(exact + 0.5).astype(np.uint8))


@given(seeds, counts)
def test_layers_recompose_the_composite_one_by_one(seed: int, count: int) -> None:
    scene = random_scene(seed, count)
    canvas = scene.background.copy()
    for layer in scene.layers:
        canvas = Scene("one", canvas, (layer,)).composite()
    assert np.array_equal(canvas, scene.composite())


@given(seeds, counts)
def test_truth_of_erase_all_is_the_background(seed: int, count: int) -> None:
    scene = random_scene(seed, count)
    triplet = scene.erase(layer.person.id for layer in scene.layers)
    assert np.array_equal(triplet.truth, scene.background)


@given(seeds, st.integers(1, 5), st.data())
def test_truth_of_erasing_a_subset_is_the_composite_of_the_rest(
    seed: int, count: int, data: st.DataObject
) -> None:
    scene = random_scene(seed, count)
    targets = data.draw(st.sets(st.integers(1, count), min_size=1))
    rest = replace(scene, layers=tuple(layer for layer in scene.layers if layer.person.id not in targets))
    triplet = scene.erase(targets)
    assert np.array_equal(triplet.truth, rest.composite())
    assert np.array_equal(triplet.image, scene.composite())


@given(seeds, st.integers(1, 5), st.data())
def test_outside_the_mask_the_image_is_the_truth(seed: int, count: int, data: st.DataObject) -> None:
    scene = random_scene(seed, count)
    triplet = scene.erase(data.draw(st.sets(st.integers(1, count), min_size=1)))
    assert np.array_equal(triplet.image[~triplet.mask], triplet.truth[~triplet.mask])


@given(seeds, st.integers(-30, 30), st.integers(-30, 30))
def test_a_layer_off_the_frame_clips_and_never_shifts(seed: int, x: int, y: int) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, 1, 20, (x, y))
    background = rng.integers(0, 256, (25, 22, 3), dtype=np.uint8)
    margin = 60
    large = np.pad(background, ((margin, margin), (margin, margin), (0, 0)))
    moved = replace(layer, origin=(x + margin, y + margin))
    window = np.s_[margin : margin + 25, margin : margin + 22]
    small_scene, large_scene = Scene("s", background, (layer,)), Scene("l", large, (moved,))
    assert np.array_equal(small_scene.composite(), large_scene.composite()[window])
    assert np.array_equal(small_scene.people().amodal[0], large_scene.people().amodal[0][window])
    assert np.array_equal(small_scene.footprint([1]), large_scene.footprint([1])[window])


@given(seeds, st.integers(1, 5))
def test_visible_masks_partition_the_union_of_the_amodal_ones(seed: int, count: int) -> None:
    people = random_scene(seed, count).people()
    assert (people.visible.sum(axis=0) <= 1).all()
    assert np.array_equal(people.visible.any(axis=0), people.amodal.any(axis=0))
    assert (people.visible <= people.amodal).all()
    assert np.array_equal(people.parsing > 0, people.visible.any(axis=0))


@given(seeds, st.integers(1, 5))
def test_occlusion_is_what_brute_force_counts(seed: int, count: int) -> None:
    people = random_scene(seed, count).people()
    shares = people.occlusion()
    for front in range(count):
        for rear in range(count):
            area = people.amodal[rear].sum()
            covered = (people.amodal[front] & people.amodal[rear]).sum() / max(area, 1) if front > rear else 0
            assert shares[front, rear] == pytest.approx(covered, abs=1e-6)
    alone = people.visible_ratio() == 1
    assert (shares.max(axis=0, initial=0)[alone & (people.amodal.sum(axis=(1, 2)) > 0)] == 0).all()


@given(seeds, st.integers(1, 4))
def test_keypoints_follow_the_z_order_and_the_frame(seed: int, count: int) -> None:
    scene = random_scene(seed, count)
    people = scene.people()
    height, width = scene.background.shape[:2]
    for k, layer in enumerate(scene.layers):
        in_front = people.amodal[k + 1 :].any(axis=0)
        for (x, y, v), (source_x, source_y, source_v) in zip(
            people.keypoints[k], layer.person.keypoints, strict=True
        ):
            column, row = round(source_x + layer.origin[0]), round(source_y + layer.origin[1])
            inside = 0 <= column < width and 0 <= row < height
            if source_v == 0 or not inside:
                assert (x, y, v) == (0, 0, 0)
            else:
                assert v == (1 if in_front[row, column] else source_v)
                assert (x, y) == pytest.approx(
                    (source_x + layer.origin[0], source_y + layer.origin[1]), abs=1e-4
                )


def test_the_overlap_is_where_the_erased_cover_the_kept() -> None:
    scene = random_scene(7, 3, size=40)
    triplet = scene.erase([3])
    people = triplet.people
    assert people is not None
    expected = people.visible[2] & (people.amodal[0] | people.amodal[1])
    assert np.array_equal(triplet.overlap, expected)
    assert not scene.erase([1, 2, 3]).overlap.any()


@given(seeds, st.integers(1, 5))
def test_completing_somebody_uncovers_them_whole(seed: int, count: int) -> None:
    scene = random_scene(seed, count)
    people = scene.people()
    for k, layer in enumerate(scene.layers):
        in_front = {people.ids[f] for f in range(k + 1, count) if (people.amodal[f] & people.amodal[k]).any()}
        assert scene.covering(layer.person.id) == in_front
        triplet = scene.erase(in_front, completing=layer.person.id)
        assert triplet.subject == k
        assert np.array_equal(triplet.subject_keypoints, people.keypoints[k])
        assert {people.ids[f] for f in triplet.targets} == in_front
        assert np.array_equal(triplet.truth, scene.composite(without=in_front))
        rest = replace(scene, layers=tuple(one for one in scene.layers if one.person.id not in in_front))
        uncovered = rest.people()
        index = uncovered.ids.index(layer.person.id)
        assert np.array_equal(uncovered.visible[index], people.amodal[k])
        assert triplet.overlap is not None
        assert np.array_equal(triplet.overlap, people.amodal[k] & ~people.visible[k])
        assert not (triplet.overlap & ~triplet.mask).any()


def test_bad_input_is_refused() -> None:
    scene = random_scene(1, 2)
    with pytest.raises(ValueError, match="no person"):
        scene.erase([9])
    with pytest.raises(ValueError, match="no person"):
        scene.covering(9)
    with pytest.raises(ValueError, match="no person"):
        scene.erase([1], completing=9)
    provenance = Provenance("test", "x", "0", "CC0")
    plane = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match="parsing"):
        Layer(
            np.zeros((4, 4, 4), np.uint8), (0, 0), Person(1, np.zeros((17, 3), np.float32), plane, provenance)
        )
    with pytest.raises(ValueError, match="unique"):
        Scene("s", scene.background, (scene.layers[0], scene.layers[0]))
