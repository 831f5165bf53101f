"""Erasing people from a photo of any size: only where they were, at the photo's own resolution."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from baselines.opencv import Telea
from mildbench.annotators.census import Census
from mildbench.cli import erase as command
from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.images import read_rgb, write_png
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo
from mildbench.panel import panel
from mildbench.photo import BoxedMask, PhotoPerson, dilated, erase_people, number_people
from mildbench.regions import near


class Recorder(EraseMethod):
    """Paints what is to be erased black and remembers what it was shown."""

    info = MethodInfo("recorder", "control", "for tests")

    def __init__(self) -> None:
        self.seen: list[EraseBatch] = []

    def erase(self, batch: EraseBatch) -> EraseResult:
        self.seen.append(batch)
        return EraseResult(np.where(batch.masks[..., None], 0, batch.images).astype(np.uint8))


def scene(height: int = 300, width: int = 900) -> tuple[np.ndarray, list[PhotoPerson]]:
    """A bright photo of noise and four people in a row, the last two side by side."""
    rng = np.random.default_rng(0)
    photo = rng.integers(100, 256, (height, width, 3), dtype=np.uint8)
    people = []
    for left in (20, 400, 800, 840):
        mask = np.zeros((height, width), dtype=bool)
        mask[100:200, left : left + 30] = True
        keypoints = np.full((17, 3), 2, np.float32)
        keypoints[:, :2] = (left + 15, 150)
        people.append(PhotoPerson(BoxedMask.of(mask), keypoints))
    return photo, people


def mask_of(person: PhotoPerson, shape: tuple[int, int] = (300, 900)) -> np.ndarray:
    return person.cut.within(Box(0, 0, shape[1], shape[0]))


@pytest.mark.parametrize("size", [128, 200, 1000])
def test_only_the_targets_change_and_all_of_them(size: int) -> None:
    photo, people = scene()
    before = photo.copy()
    method = Recorder()
    result = erase_people(method, photo, people, [0, 2, 3], name="p", size=size)
    np.testing.assert_array_equal(photo, before)
    allowed = np.any([dilated(mask_of(people[k])) for k in (0, 2, 3)], axis=0) & ~mask_of(people[1])
    np.testing.assert_array_equal(result[~allowed], photo[~allowed])
    core = np.any([mask_of(people[k]) for k in (0, 2, 3)], axis=0)
    assert (result[core] < 20).mean() > 0.95
    assert all(max(batch.images.shape[1:3]) <= size for batch in method.seen)


def test_each_group_has_a_crop_with_its_people_in_place() -> None:
    photo, people = scene()
    method = Recorder()
    erase_people(method, photo, people, [0, 2, 3], name="p", size=200)
    assert len(method.seen) == 2  # the two who stand together share one
    shares = [len(batch.instances[0]) for batch in method.seen if batch.instances]
    assert sorted(shares) == [1, 2]
    for batch in method.seen:
        assert batch.instances is not None
        assert batch.keypoints is not None
        assert batch.targets == (tuple(range(len(batch.instances[0]))),)
        for mask, points in zip(batch.instances[0], batch.keypoints[0], strict=True):
            assert mask.sum() == 3000
            x, y = points[0, :2].round().astype(int)
            assert mask[y, x]
            assert (batch.masks[0] | ~mask).all()


def test_a_person_larger_than_the_method_is_seen_scaled_down() -> None:
    photo, people = scene()
    large = [PhotoPerson(BoxedMask.of(cv2.resize(mask_of(people[0]).astype(np.uint8), (3600, 1200)) > 0))]
    method = Recorder()
    result = erase_people(method, cv2.resize(photo, (3600, 1200)), large, [0], name="p", size=128)
    (batch,) = method.seen
    assert max(batch.images.shape[1:3]) == 128
    assert result.shape == (1200, 3600, 3)
    assert (result[mask_of(large[0], (1200, 3600))] < 20).mean() > 0.95


def test_no_seam_stays_between_neighbours_who_are_erased_in_different_crops() -> None:
    photo, _ = scene()
    masks = np.zeros((3, 300, 900), dtype=bool)
    for k, (left, right) in enumerate(((100, 298), (298, 500), (500, 560))):
        masks[k, 60:240, left:right] = True
    people = [PhotoPerson(BoxedMask.of(mask)) for mask in masks]
    method = Recorder()
    result = erase_people(method, photo, people, [0, 1], name="p", size=128)
    assert len(method.seen) == 2, "both were erased alone"
    hole = dilated(masks[0]) | dilated(masks[1])
    assert not result[hole & ~near(~hole | masks[2], 10)].any(), "black on both sides of where they meet"
    np.testing.assert_array_equal(result[masks[2] | ~hole], photo[masks[2] | ~hole])


def test_the_photo_shows_through_at_the_outer_edge_alone() -> None:
    photo, people = scene()
    result = erase_people(Recorder(), photo, people, [2], name="p", size=1000)
    hole = dilated(mask_of(people[2]))
    edge = hole & near(~hole, 2)
    assert (result[edge].astype(int) > 20).any(), "passing over"
    beside = PhotoPerson(BoxedMask.of(np.roll(mask_of(people[2]), 30, axis=1)))
    result = erase_people(Recorder(), photo, [people[2], beside], [0], name="p", size=1000)
    touching = mask_of(people[2]) & near(mask_of(beside), 3)
    touching[:106] = touching[194:] = False
    assert touching.any()
    assert not result[touching].any(), "what the photo has beside whoever stays is the person who went"


def test_what_is_attached_goes_with_its_person() -> None:
    photo, people = scene()
    shadow = np.zeros((300, 900), dtype=bool)
    shadow[198:230, 100:160] = True
    person = PhotoPerson(people[0].cut, people[0].keypoints, BoxedMask.of(shadow))
    result = erase_people(Recorder(), photo, [person, people[1]], [0], name="p", size=300)
    assert (result[shadow] < 20).mean() > 0.95
    kept = erase_people(Recorder(), photo, [person, people[1]], [1], name="p", size=300)
    np.testing.assert_array_equal(kept[shadow], photo[shadow])


@pytest.mark.parametrize("size", [(60, 80), (7, 300), (1, 1)])
def test_dilation_is_euclidean_and_exact(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((90, 310), dtype=bool)
    mask[5 : 5 + size[0], 3 : 3 + size[1]] = rng.random(size) < 0.5
    mask[5, 3] = mask[4 + size[0], 2 + size[1]] = True
    radius = max(round(0.1 * max(size)), 1)
    np.testing.assert_array_equal(dilated(mask, 0.1), near(mask, radius))


def test_nobody_to_erase_leaves_the_photo() -> None:
    photo, people = scene()
    method = Recorder()
    np.testing.assert_array_equal(erase_people(method, photo, people, [], name="p", size=128), photo)
    np.testing.assert_array_equal(erase_people(method, photo, [], [], name="p", size=1000), photo)
    assert not method.seen


def test_a_real_method_runs_and_its_failure_is_told() -> None:
    photo, people = scene()
    result = erase_people(Telea(), photo, people, [1], name="p", size=256)
    assert (result[mask_of(people[1])] != photo[mask_of(people[1])]).any()

    class Broken(Recorder):
        def erase(self, batch: EraseBatch) -> EraseResult:
            raise RuntimeError("no memory")

    with pytest.raises(UserError, match=r"recorder.*failed on p: RuntimeError: no memory"):
        erase_people(Broken(), photo, people, [1], name="p", size=256)


def test_people_are_numbered_from_the_left() -> None:
    photo, people = scene()
    assert number_people([people[k].cut for k in (3, 1, 0, 2)]) == [2, 1, 3, 0]
    shown = panel(photo, people, [0], photo)
    assert shown.shape[0] == photo.shape[0]
    assert shown.shape[1] > 2 * photo.shape[1]
    large = panel(np.zeros((3000, 4000, 3), np.uint8), [], [], np.zeros((3000, 4000, 3), np.uint8))
    assert large.shape[0] == 1200


def run(photo: Path, **options: object) -> None:
    given = {"method": "telea", "people": "fake", "keep": None, "pose": None, "parsing": None, "size": 512}
    plain = {"format": "png", "with_belongings": False, "with_shadow": False}
    command.erase([photo], device="cpu", seed=0, **(plain | given | options))


def test_the_command_finds_erases_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, _ = scene(80, 100)
    write_png(tmp_path / "me.png", photo)
    run(tmp_path / "me.png", out=tmp_path / "out", pose="fake", parsing="fake")
    assert "2 people found, 2 erased" in capsys.readouterr().out
    everybody = read_rgb(tmp_path / "out" / "me.png")
    assert everybody.shape == photo.shape
    assert (everybody[15:35, 12:18] != photo[15:35, 12:18]).any()
    run(tmp_path / "me.png", out=tmp_path / "one", keep="1")
    kept = read_rgb(tmp_path / "one" / "me.png")
    np.testing.assert_array_equal(kept[10:40, 10:20], photo[10:40, 10:20])
    assert (kept[25:55, 33:47] != photo[25:55, 33:47]).any()
    assert (tmp_path / "one" / "me.panel.png").is_file()


@pytest.mark.parametrize("installed", [True, False])
def test_by_default_the_best_method_without_weights_is_taken(
    installed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        pytest.importorskip("patchmatch_cython")
    else:
        monkeypatch.setitem(sys.modules, "patchmatch_cython", None)
    write_png(tmp_path / "me.png", scene(80, 100)[0])
    run(tmp_path / "me.png", method="auto", out=tmp_path / "out")
    told = "patchmatch" if installed else "navier-stokes"
    assert f"2 people found, 2 erased by {told}" in capsys.readouterr().out


def test_a_mask_file_says_who_is_there(tmp_path: Path) -> None:
    photo, _ = scene(80, 100)
    write_png(tmp_path / "me.png", photo)
    ids = np.zeros((80, 100), np.uint8)
    ids[10:40, 10:30], ids[10:40, 60:80] = 7, 3
    write_png(tmp_path / "mask.png", ids)
    run(tmp_path / "me.png", people=str(tmp_path / "mask.png"), keep="2", out=tmp_path / "out")
    result = read_rgb(tmp_path / "out" / "me.png")
    assert (result[15:35, 15:25] != photo[15:35, 15:25]).any()
    np.testing.assert_array_equal(result[10:40, 60:80], photo[10:40, 60:80])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "5"}, "--keep 5: 2 people were found"),
        ({"keep": "left"}, "give numbers from the panel"),
        ({"method": "oracle"}, "needs a data set"),
        ({"people": "nobody-knows"}, "unknown annotator"),
        ({"format": "jpeg"}, "--format 'jpeg': known: png, same"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, options: dict[str, object], message: str) -> None:
    write_png(tmp_path / "me.png", scene(80, 100)[0])
    with pytest.raises(UserError, match=message):
        run(tmp_path / "me.png", out=tmp_path / "out", **options)


@pytest.mark.parametrize("method", ["typo", "telea:radius=much", "oracle"])
def test_the_method_is_looked_at_before_annotators_are_loaded(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object, **__: object) -> None:
        pytest.fail("an annotator was loaded")

    monkeypatch.setattr(Census, "create", loaded)
    write_png(tmp_path / "me.png", scene(80, 100)[0])
    with pytest.raises(UserError, match=f"method '?{method.partition(':')[0]}"):
        run(tmp_path / "me.png", method=method, out=tmp_path / "out")


def test_without_an_annotator_one_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "me.png", scene(80, 100)[0])
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"mildbench weights fetch maskrcnn .*--people MASK"):
        run(tmp_path / "me.png", people="auto", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_size_is_told(tmp_path: Path) -> None:
    write_png(tmp_path / "me.png", scene(80, 100)[0])
    write_png(tmp_path / "mask.png", np.full((10, 10), 255, np.uint8))
    with pytest.raises(UserError, match="resize it"):
        run(tmp_path / "me.png", people=str(tmp_path / "mask.png"), out=tmp_path / "out")
