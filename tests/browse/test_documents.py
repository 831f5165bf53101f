"""What FiftyOne holds after an export: groups, labels, scores, views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browse_fakes import SLICES, documents
from scenes import random_scene

from mildbench.browse.export import export
from mildbench.browse.gallery import Gallery
from mildbench.browse.labels import people_labels
from mildbench.browse.media import FULL_SCALE, difference
from mildbench.errors import UserError
from mildbench.images import read_labels, read_rgb


@pytest.fixture(scope="module")
def gallery(runs: list[Path]) -> Gallery:
    return Gallery.open(runs)


@pytest.fixture(scope="module")
def made(fiftyone: Any, gallery: Gallery) -> Any:
    """All samples; not to be changed."""
    return export(fiftyone, gallery, list(gallery.facts.index))


def whole(detection: Any, shape: Sequence[int]) -> np.ndarray:
    """bool[H, W]: a detection's mask on its picture."""
    height, width = shape[:2]
    x, y, w, h = (
        round(v * side) for v, side in zip(detection.bounding_box, (width, height) * 2, strict=True)
    )
    mask = np.zeros((height, width), dtype=bool)
    mask[y : y + h, x : x + w] = detection.mask
    return mask


def test_every_sample_is_a_group_with_everything_on_its_default_slice(made: Any, gallery: Gallery) -> None:
    ids = list(gallery.facts.index)
    found = documents(made)
    failed = ids[0]
    assert set(found) == {(name, part) for name in ids for part in SLICES} - {
        (failed, f"{run}{part}") for run in ("noise", "attentive") for part in ("", " difference")
    }
    assert (made.default_group_slice, len(made), made.persistent) == ("composite", len(ids), True)
    for name in ids[1:4]:
        triplet = gallery.dataset.triplet("erase-one", name)
        people = triplet.people
        assert people is not None
        pictures = {
            part: read_rgb(Path(found[name, part].filepath)) for part in SLICES if (name, part) in found
        }
        assert np.array_equal(pictures["composite"], triplet.image)
        assert np.array_equal(pictures["truth"], triplet.truth)
        assert np.array_equal(pictures["oracle"], triplet.truth)
        assert len(np.unique(pictures["oracle difference"].reshape(-1, 3), axis=0)) == 1, "equal everywhere"
        assert np.array_equal(
            pictures["attentive difference"], difference(pictures["attentive"], triplet.truth)
        )
        sample = found[name, "composite"]
        assert np.array_equal(read_labels(Path(sample["parsing"].mask_path)), people.parsing)
        assert np.array_equal(read_labels(Path(sample["mask"].mask_path)) == 255, triplet.mask)
        assert (sample.metadata.height, sample.metadata.width) == triplet.mask.shape
        for field, masks in (("visible", people.visible), ("amodal", people.amodal)):
            by_person = {detection.index: detection for detection in sample[field].detections}
            for k, person in enumerate(people.ids):
                assert np.array_equal(whole(by_person[person], triplet.image.shape), masks[k])
                assert by_person[person]["erased"] == (k in triplet.targets)
                assert by_person[person]["occlusion_ratio"] == pytest.approx(
                    1 - people.visible_ratio()[k], abs=1e-4
                )
        assert sample["family"] == triplet.meta["family"]
        assert sample["visible_ratio"] == triplet.meta["visible_ratio"]
        low, high = map(float, sample["visible_bin"].split("-"))
        assert low <= sample["visible_ratio"] <= high
        for run in gallery.runs:
            for column in run.columns:
                expected, value = run.scores.at[name, column], sample[run.field(column)]
                assert value is None if np.isnan(expected) else value == expected
    assert found[failed, "composite"]["noise_failure"].startswith("RuntimeError")
    assert found[ids[1], "composite"]["noise_failure"] is None


def test_joints_lie_where_they_are_and_say_whether_they_are_hidden(fiftyone: Any) -> None:
    scene = random_scene(7, people=4, size=40)
    people = scene.people()
    labels = people_labels(fiftyone, people, (1,))
    height, width = people.parsing.shape
    joints = {pose.index: pose for pose in labels["pose"].keypoints}
    assert joints
    for k, person in enumerate(people.ids):
        if person not in joints:
            assert not people.keypoints[k, :, 2].any()
            continue
        points, visibility = np.array(joints[person].points), np.array(joints[person]["visibility"])
        known = people.keypoints[k, :, 2] > 0
        assert np.array_equal(visibility, people.keypoints[k, :, 2])
        assert np.allclose(points[known] * (width, height) - 0.5, people.keypoints[k, known, :2], atol=1e-4)
        assert np.isnan(points[~known]).all()
        assert joints[person]["hidden_joints"] == (people.keypoints[k, :, 2] == 1).sum()
    amodal, visible = labels["amodal"].detections, labels["visible"].detections
    assert all(detection.mask.any() for detection in (*amodal, *visible))
    covered = {detection.index: set(detection["hidden_by"]) for detection in amodal}
    front, rear = np.nonzero(people.occlusion())
    assert covered == {
        person: {people.ids[f] for f, r in zip(front, rear, strict=True) if r == k}
        for k, person in enumerate(people.ids)
        if people.amodal[k].any()
    }
    assert [detection["erased"] for detection in amodal].count(True) <= 1


def test_the_heat_map_grows_brighter_with_the_difference() -> None:
    truth = np.full((1, FULL_SCALE + 20, 3), 40, np.uint8)
    levels = np.arange(FULL_SCALE + 20, dtype=np.uint8)[None, :, None]
    heat = difference(truth + levels, truth)
    luminance = cv2.cvtColor(heat, cv2.COLOR_RGB2GRAY)[0].astype(int)
    assert luminance[0] <= 1
    assert (np.diff(luminance) >= 0).all()
    assert (heat[0, FULL_SCALE:] == heat[0, FULL_SCALE]).all()
    assert luminance[FULL_SCALE] > 200
    with pytest.raises(UserError, match="the output is 2x1, the truth 148x1 pixels"):
        difference(truth[:, :2], truth)


def test_saved_views_are_in_their_order_and_split_the_samples(made: Any, gallery: Gallery) -> None:
    def values(view: str, field: str) -> list[Any]:
        return list(made.load_saved_view(view).values(field))

    for run in ("noise", "attentive"):
        psnr = values(f"worst PSNR: {run}", f"{run}_psnr_mask_pasted")
        assert psnr == sorted(gallery.runs[run == "attentive"].scores["psnr.mask.pasted"].dropna())
        lpips = values(f"worst LPIPS: {run}", f"{run}_lpips_mask_pasted")
        assert len(lpips) == len(psnr)
        assert lpips == sorted(lpips, reverse=True)
    leak = values("most leakage: attentive", "attentive_leak_attention_raw")
    assert leak
    assert leak == sorted(leak, reverse=True)
    gaps = values("most disagreement: noise, attentive", "disagreement_noise_attentive")
    scores = [run.scores["psnr.mask.pasted"] for run in gallery.runs[:2]]
    assert gaps == sorted((scores[0] - scores[1]).abs().dropna(), reverse=True)
    assert values("failed: noise", "sample_id") == [gallery.facts.index[0]]
    views = made.list_saved_views()
    assert not any("oracle" in view for view in views), "there is nothing to see in what is right"
    for kind, field in (("family", "family"), ("visible ratio", "visible_bin")):
        parts = [values(view, field) for view in views if view.startswith(f"{kind}: ")]
        assert all(len(set(part)) == 1 for part in parts)
        assert sum(map(len, parts)) == len(gallery.facts)


def test_scores_and_facts_are_indexed_and_have_a_group_in_the_sidebar(made: Any, gallery: Gallery) -> None:
    indexes = made.get_index_information()
    single = {"family", "visible_ratio", "noise_psnr_mask_pasted", "disagreement_noise_attentive"}
    assert single <= set(indexes)
    every = {run.field(column) for run in gallery.runs for column in run.columns}
    assert every <= set(indexes["$**"]["wildcardProjection"])
    grouped = [path for group in made.app_config.sidebar_groups for path in group.paths]
    assert len(grouped) == len(set(grouped))
    assert every | {"visible", "amodal", "pose", "parsing", "mask", "tags", "note", "family"} <= set(grouped)
