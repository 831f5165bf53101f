"""Corrupted inputs: what changes, by how much, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from evaluation_fakes import Calls, FakeDataset
from scipy import ndimage

from mildbench.errors import UserError
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import as_batch
from mildbench.method import EraseBatch, collate
from mildbench.records import read_model
from mildbench.results.record import RunRecord
from mildbench.results.summary import RunSummary

HEIGHT, WIDTH = 64, 80
EVERYTHING = ("pose=0.2", "parsing=0.5", "mask=dilate:3")
Evaluate = Callable[..., list[RunSummary]]


def batch(seed: int = 1, targets: tuple[int, ...] = (0, 2)) -> EraseBatch:
    """Three people side by side: 0 and 2 are erased, 1 stays between them; the mask is a pixel wider."""
    rng = np.random.default_rng(seed)
    instances = np.zeros((3, HEIGHT, WIDTH), dtype=bool)
    for k, left in enumerate((8, 26, 40)):
        instances[k, 14:52, left : left + 13] = True
    instances[2, 30:52, 46:53] = False  # an L, whose hull and box differ
    keypoints = np.zeros((3, 17, 3), dtype=np.float32)
    keypoints[..., 0] = rng.uniform(10, 60, (3, 17))
    keypoints[..., 1] = rng.uniform(15, 50, (3, 17))
    keypoints[..., 2] = rng.integers(0, 3, (3, 17))
    keypoints[keypoints[..., 2] == 0] = 0
    parsing = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    parsing[14:30, 8:53], parsing[30:40, 8:53], parsing[40:52, 8:53] = 13, 5, 9
    parsing[~instances.any(axis=0)] = 0
    parsing[20:23, 10:14] = 255
    mask = ndimage.binary_dilation(instances[list(targets)].any(axis=0))
    return EraseBatch(
        sample_ids=(f"s{seed}",),
        images=rng.integers(0, 256, (1, HEIGHT, WIDTH, 3), dtype=np.uint8),
        masks=mask[None],
        seeds=(seed,),
        instances=(instances,),
        targets=(targets,),
        keypoints=(keypoints,),
        parsing=parsing[None],
    )


def people(given: EraseBatch) -> np.ndarray:
    assert given.instances is not None
    return given.instances[0]


def points(given: EraseBatch) -> np.ndarray:
    assert given.keypoints is not None
    return given.keypoints[0]


def labels(given: EraseBatch) -> np.ndarray:
    assert given.parsing is not None
    return given.parsing[0]


def same(a: EraseBatch, b: EraseBatch) -> bool:
    return all(
        np.array_equal(np.asarray(getattr(a, name)), np.asarray(getattr(b, name)))
        for name in ("sample_ids", "images", "masks", "seeds", "instances", "targets", "keypoints", "parsing")
    )


@pytest.mark.parametrize("texts", [(), ("pose=0",), ("parsing=0.0",), ("mask=dilate:0",), ("mask=erode:0",)])
def test_nothing_is_nothing(texts: tuple[str, ...]) -> None:
    corruption = Corruption.parse(texts)
    assert corruption == Corruption()
    assert corruption.texts == ()
    assert same(corruption.apply(batch()), batch())


@pytest.mark.parametrize(
    "texts",
    [("pose=0.3",), ("parsing=1.0",), ("mask=erode:2",), ("mask=hull",), ("mask=box",), EVERYTHING],
)
def test_the_text_form_reads_back(texts: tuple[str, ...]) -> None:
    corruption = Corruption.parse(reversed(texts))
    assert corruption.texts == texts
    assert Corruption.parse(corruption.texts) == corruption


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("colour=1",), "write pose=SIGMA"),
        (("pose",), "'' is not a number"),
        (("pose=-1",), "a number, 0 or more"),
        (("pose=nan",), "a number, 0 or more"),
        (("pose=inf",), "a number, 0 or more"),
        (("parsing=1.5",), "a number from 0 to 1"),
        (("mask=blur",), "mask=hull or mask=box"),
        (("mask=dilate",), "mask=dilate:N"),
        (("mask=hull:3",), "mask=dilate:N"),
        (("mask=erode:-1",), "'-1' is not a number of pixels"),
        (("mask=erode:1.5",), "'1.5' is not a number of pixels"),
        (("mask=hull", "mask=box"), "mask is given twice"),
    ],
)
def test_mistakes_are_one_line(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as error:
        Corruption.parse(texts)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["pose=0.3", "parsing=0.7", "mask=dilate:3", "mask=hull"])
def test_only_what_was_asked_for_changes_and_the_batch_is_left_alone(text: str) -> None:
    given = batch()
    changed = Corruption.parse([text]).apply(given)
    assert same(given, batch())
    untouched = {"pose": "keypoints", "parsing": "parsing", "mask": "masks instances"}
    for kind, names in untouched.items():
        for name in names.split():
            equal = np.array_equal(np.asarray(getattr(given, name)), np.asarray(getattr(changed, name)))
            assert equal == (not text.startswith(kind)), name
    assert changed.images is given.images


def test_draws_depend_on_the_sample_alone() -> None:
    corruption = Corruption.parse(EVERYTHING)
    samples = [batch(seed) for seed in (1, 2, 3)]
    together = corruption.apply(collate(samples))
    backwards = corruption.apply(collate(samples[::-1]))
    for index, sample in enumerate(samples):
        alone = corruption.apply(sample)
        assert same(together.sample(index), alone)
        assert same(backwards.sample(2 - index), alone)
    shifts = [points(corruption.apply(sample)) - points(sample) for sample in samples]
    assert all(shift.any() for shift in shifts)
    assert not np.allclose(shifts[0], shifts[1])


def test_one_corruption_does_not_change_anothers_draws() -> None:
    alone = [Corruption.parse([text]).apply(batch()) for text in EVERYTHING]
    # Nor does a changed mask change a person's scale.
    together = Corruption.parse(EVERYTHING).apply(batch())
    assert np.array_equal(points(together), points(alone[0]))
    assert np.array_equal(labels(together), labels(alone[1]))
    assert np.array_equal(people(together), people(alone[2]))


def test_pose_noise_has_the_stated_spread() -> None:
    sigma, shifts = 0.02, []
    for seed in range(150):
        given = batch(seed)
        moved = points(Corruption(pose=sigma).apply(given))
        for person, before, after in zip(people(given), points(given), moved, strict=True):
            known = before[:, 2] > 0
            rows, columns = np.nonzero(person)
            x = np.concatenate([before[known, 0], columns])
            y = np.concatenate([before[known, 1], rows])
            area = 0.53 * (x.max() - x.min() + 1) * (y.max() - y.min() + 1)
            shifts.append(((after - before)[known, :2] / np.sqrt(area)).ravel())
            assert np.array_equal(before[:, 2], after[:, 2])
            assert np.array_equal(before[~known], after[~known])
    found = np.concatenate(shifts)
    assert found.std() == pytest.approx(sigma, rel=0.03)
    assert abs(found.mean()) < 4 * sigma / np.sqrt(found.size)
    # Severities are nested: twice the noise moves everything twice as far.
    once, twice = (points(Corruption(pose=s).apply(batch())) - points(batch()) for s in (sigma, 2 * sigma))
    assert np.allclose(2 * once, twice, atol=1e-4)


def test_pose_stays_in_the_frame() -> None:
    moved = points(Corruption(pose=50.0).apply(batch()))
    assert moved[..., 0].min() >= 0
    assert moved[..., 0].max() == WIDTH - 1
    assert moved[..., 1].max() == HEIGHT - 1


def test_every_part_gets_another_label_as_a_whole() -> None:
    before, after = labels(batch()), labels(Corruption(parsing=1.0).apply(batch()))
    for person in people(batch()):
        for label in (13, 5, 9):
            numbers, count = ndimage.label(person & (before == label), np.ones((3, 3)))
            for number in range(1, count + 1):
                (found,) = np.unique(after[numbers == number])
                assert found != label
                assert 1 <= found <= 19
    fixed = (before == 255) | ~people(batch()).any(axis=0)
    assert np.array_equal(before[fixed], after[fixed])


def test_parts_are_relabelled_with_the_stated_probability_and_nested() -> None:
    def share(probability: float) -> tuple[float, list[np.ndarray]]:
        changed = [
            labels(Corruption(parsing=probability).apply(batch(seed))) != labels(batch(seed))
            for seed in range(200)
        ]
        return float(np.mean([mask[:, 8:53].sum() / people(batch()).sum() for mask in changed])), changed

    few, first = share(0.3)
    many, second = share(0.6)
    assert few == pytest.approx(0.3, abs=0.05)
    assert many == pytest.approx(0.6, abs=0.05)
    assert all(not (a & ~b).any() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("text", "grows"), [("mask=dilate:4", True), ("mask=erode:4", False)])
def test_masks_grow_and_shrink_by_euclidean_distance(text: str, grows: bool) -> None:
    given = batch()
    changed = Corruption.parse([text]).apply(given)

    def reference(region: np.ndarray) -> np.ndarray:
        if grows:
            return ndimage.distance_transform_edt(~region) <= 4
        return ndimage.distance_transform_edt(np.pad(region, 9, mode="edge"))[9:-9, 9:-9] > 4

    assert np.array_equal(changed.masks[0], reference(given.masks[0]))
    for k in (0, 2):
        shape = reference(people(given)[k])
        others = people(given)[[j for j in (0, 2) if j != k]].any(axis=0)
        assert np.array_equal(people(changed)[k] & ~others, shape & ~others)


def test_hull_and_box_follow_each_person() -> None:
    given = batch()
    hull, box = (Corruption.parse([f"mask={kind}"]).apply(given) for kind in ("hull", "box"))
    rows, columns = np.nonzero(people(given)[2])
    full = np.zeros((HEIGHT, WIDTH), dtype=bool)
    full[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    assert np.array_equal(people(box)[2], full)
    triangle = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    corners = np.array([[40, 14], [52, 14], [52, 29], [45, 51], [40, 51]], dtype=np.int32)
    cv2.fillConvexPoly(triangle, corners, 1)
    assert np.array_equal(people(hull)[2], triangle > 0)
    for changed in (hull, box):
        assert np.array_equal(people(changed)[0], people(given)[0])  # a rectangle is both
        grown: np.ndarray = people(changed)[[0, 2]].any(axis=0)
        assert np.array_equal(changed.masks[0], given.masks[0] | grown)


@pytest.mark.parametrize("text", ["mask=dilate:9", "mask=erode:3", "mask=hull", "mask=box"])
@pytest.mark.parametrize("targets", [(0, 2), (1,), (0, 1, 2), (2, 0)])
def test_visible_masks_stay_disjoint_and_agree_with_the_mask(text: str, targets: tuple[int, ...]) -> None:
    given = batch(targets=targets)
    changed = Corruption.parse([text]).apply(given)
    before, after = people(given), people(changed)
    assert after.shape == before.shape
    assert after.sum(axis=0).max() <= 1
    erased: np.ndarray = after[list(targets)].any(axis=0)
    assert not (erased & ~changed.masks[0]).any()
    for k in set(range(3)).difference(targets):
        assert np.array_equal(after[k], before[k] & ~erased)  # who stays loses what a grown mask takes
    assert changed.targets == given.targets


@pytest.mark.parametrize("text", ["mask=dilate:2", "mask=erode:2", "mask=hull", "mask=box"])
def test_masks_of_unknown_people_change_by_region(text: str) -> None:
    known = batch()
    mask: np.ndarray = people(known)[[0, 2]].any(axis=0)[None]
    pair = EraseBatch(("pair",), known.images, mask, (1,))
    expected = Corruption.parse([text]).apply(
        EraseBatch(("known",), known.images, mask, (1,), known.instances, known.targets)
    )
    assert np.array_equal(Corruption.parse([text]).apply(pair).masks, expected.masks)


@pytest.mark.parametrize("text", ["pose=0.1", "parsing=0.1"])
def test_unknown_people_cannot_be_corrupted(text: str) -> None:
    known = batch()
    pair = EraseBatch(("pair",), known.images, known.masks, (1,))
    with pytest.raises(UserError, match="nothing is known of the people in pair"):
        Corruption.parse([text]).apply(pair)


def test_a_corrupted_run_is_another_run_scored_against_the_truth(run: Evaluate, tmp_path: Path) -> None:
    (clean,) = run("watcher")
    plain = dict(Calls.shown)
    (corrupted,) = run("watcher", corruption=Corruption.parse(["mask=dilate:2"]))
    assert corrupted.label == "watcher (corrupt mask=dilate:2)"
    folders = {summary.label: next(tmp_path.glob(f"*/*/{summary.run}")) for summary in (clean, corrupted)}
    assert len(set(folders.values())) == 2
    for label, folder in folders.items():
        record = read_model(RunRecord, folder / "run.json", "run description")
        assert record.config.corruption == (("mask=dilate:2",) if "corrupt" in label else ())
        assert record.config_hash == record.config.hash
    for name, shown in Calls.shown.items():
        assert (shown.masks & ~plain[name].masks).any()
        assert np.array_equal(shown.images, plain[name].images)


def test_the_scoring_regions_are_the_true_ones(run: Evaluate, tmp_path: Path) -> None:
    """A method that ignores its mask scores the same, to the bit, whatever was done to the mask."""
    (clean,) = run("copy")
    (corrupted,) = run("copy", corruption=Corruption.parse(["mask=box", "pose=1"]))
    folders = [next(tmp_path.glob(f"*/*/{summary.run}")) for summary in (clean, corrupted)]
    assert folders[0] != folders[1]
    rows = [pd.read_parquet(folder / "scores.parquet") for folder in folders]
    measured = [name for name in rows[0] if name.startswith(("psnr", "difference"))]
    assert any(".mask." in name for name in measured)
    assert rows[0][measured].equals(rows[1][measured])


def test_a_run_without_corruption_keeps_its_folder(run: Evaluate) -> None:
    (plain,) = run("noise")
    (zero,) = run("noise", corruption=Corruption.parse(["pose=0", "mask=dilate:0"]))
    assert plain.run == zero.run


@pytest.mark.parametrize("batch_size", [1, 4])
def test_batch_size_never_changes_what_is_shown(run: Evaluate, tmp_path: Path, batch_size: int) -> None:
    corruption = Corruption.parse(EVERYTHING)
    run("watcher", corruption=corruption, batch_size=batch_size, out=tmp_path / str(batch_size))
    source = FakeDataset()
    for name, shown in Calls.shown.items():
        triplet = source.triplet("erase-all", name)
        expected = corruption.apply(as_batch(name, triplet, 0, with_truth=False))
        assert same(shown, expected)


def test_pictures_made_elsewhere_cannot_be_corrupted(run: Evaluate, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="made elsewhere"):
        run(f"precomputed:directory={tmp_path / 'mine'}", corruption=Corruption(pose=0.1))
