"""FiftyOne as a source, against a real FiftyOne with a real database of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mildbench.errors import UserError
from mildbench.images import read_rgb
from synth.material import Rejected
from synth.sources.fiftyone import FiftyoneBackgrounds, FiftyonePeople, match_points

W, H = 320, 400
PERSON = (120, 60, 180, 340)
"""Left, top, right and bottom of the drawn people, in pixels."""


def figure(height: int = H) -> np.ndarray:
    """bool[H, W]: an upright ellipse in the box `PERSON`."""
    mask = np.zeros((height, W), np.uint8)
    left, top, right, bottom = PERSON
    cv2.ellipse(mask, ((left + right) // 2, (top + bottom) // 2), (30, 140), 0, 0, 360, 1, -1)
    return mask > 0


def keypoints(**moved: tuple[float, float]) -> list[tuple[float, float]]:
    """COCO-17 of an upright person in the box, in shares of the image."""
    y = (80, 76, 76, 80, 80, 110, 110, 150, 150, 190, 190, 190, 190, 260, 260, 325, 325)
    points = [(150 + (5 if index % 2 else -5), row) for index, row in enumerate(y)]
    for name, place in moved.items():
        points[int(name[1:])] = place  # type: ignore[call-overload]
    return [(x / W, row / H) for x, row in points]


@pytest.fixture(scope="session")
def dataset(fiftyone: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Samples: a person (mask in the database); one (mask on disk) and a crowd; a dog; nobody looked; broken ones."""
    fo, root = fiftyone, tmp_path_factory.mktemp("media")
    noise = np.random.default_rng(0).integers(0, 256, (20, 16, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (W, H))
    left, top, right, bottom = PERSON
    share = [left / W, top / H, (right - left) / W, (bottom - top) / H]
    crop = figure()[top:bottom, left:right]
    cv2.imwrite(str(root / "mask.png"), crop.astype(np.uint8) * 255)

    def detection(label: str = "person", **more: Any) -> Any:
        return fo.Detection(label=label, **({"bounding_box": share} | more))

    contents = {
        "a/1.png": [detection("dog"), detection(mask=crop)],
        "b/1.png": [detection(mask_path=str(root / "mask.png")), detection(mask=crop, iscrowd=1)],
        "dog.png": [detection("dog")],
        "unseen.png": None,
        "unmasked.png": [detection()],
        "outside.png": [detection(mask=crop, bounding_box=[0.5, 0.1, 0.9, 0.5])],
        "lost.png": [detection(mask=crop)],
        "pieces.png": [detection(mask=np.arange(280)[:, None] % 140 < np.full(60, 60))],
        "nopath.png": [detection(mask_path=str(root / "gone.png"))],
    }
    samples = []
    for name, detections in contents.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        if name != "lost.png":
            cv2.imwrite(str(path), picture)
        sample = fo.Sample(filepath=str(path), license="CC0-1.0" if name == "a/1.png" else None)
        if detections is not None:
            sample["truth"] = fo.Detections(detections=detections)
        samples.append(sample)
    samples[0]["pose"] = fo.Keypoints(keypoints=[fo.Keypoint(points=keypoints())])
    seated = keypoints(j13=(140, 192), j14=(160, 192))
    samples[1]["pose"] = fo.Keypoints(keypoints=[fo.Keypoint(points=seated)])
    made = fo.Dataset("mine", persistent=True)
    made.add_samples(samples, progress=False)
    made.save_view("first", made[:1])
    return made


def test_people_keep_their_place_and_provenance(dataset: Any) -> None:
    source = FiftyonePeople("mine", keypoints="pose")
    refs = {ref.key: ref for ref in source.people()}
    assert set(refs) == {"a/1.png#1", "pieces.png#0", "nopath.png#0"}, "in b/1.png somebody sits"
    assert refs["a/1.png#1"].height == 280
    assert source.rejections.counts == {
        "detection without a mask": 1,
        "box out of the image's bounds": 1,
        "image missing or unreadable": 1,
    }
    cutout = source.cutout("a/1.png#1")
    x, y = cutout.keypoints[5, :2].astype(int)
    image = read_rgb(Path(dataset.first().filepath))
    assert np.array_equal(cutout.rgba[y, x, :3], image[110, 155])
    assert abs(int((cutout.parsing > 0).sum()) - int(figure().sum())) < 0.03 * figure().sum()
    assert (cutout.keypoints[:, 2] == 2).all()
    provenance = cutout.provenance
    assert (provenance.source, provenance.file) == ("fiftyone:mine?keypoints=pose", "a/1.png")
    assert (provenance.licence, provenance.annotation) == ("CC0-1.0", "1")


def test_masks_on_disk_and_without_pose(dataset: Any) -> None:
    source = FiftyonePeople("mine", field="truth")
    assert "b/1.png#0" in {ref.key for ref in source.people()}
    assert "b/1.png#1" not in {ref.key for ref in source.people()}, "a crowd is nobody in particular"
    on_disk, stored = source.cutout("b/1.png#0"), source.cutout("a/1.png#1")
    assert np.array_equal(on_disk.parsing, stored.parsing)
    assert not on_disk.keypoints.any()
    for key, reason in (("pieces.png#0", "person in pieces"), ("nopath.png#0", "mask missing")):
        with pytest.raises(Rejected, match=reason):
            source.cutout(key)


def test_backgrounds_are_annotated_and_without_people(dataset: Any) -> None:
    source = FiftyoneBackgrounds("mine")
    (ref,) = source.backgrounds()
    assert ref.key == "dog.png"
    assert source.background(ref.key).image.shape == (H, W, 3)
    assert FiftyoneBackgrounds("mine", min_side=321).backgrounds() == []
    source.backgrounds()
    assert source.left_out["a person in it"] == 7
    assert source.left_out["never annotated"] == 1
    # Whatever a data set calls a person, no background shows one.
    assert FiftyoneBackgrounds("mine", label="dog").backgrounds() == []


def test_people_are_found_by_their_label_in_any_case(dataset: Any) -> None:
    other = dataset.clone("capitals", persistent=True)
    renamed = {"person": "Person"}
    for sample in other:
        for detection in sample["truth"].detections if sample["truth"] else ():
            detection.label = renamed.get(detection.label, detection.label)
        sample.save()
    assert [ref.key for ref in FiftyonePeople("capitals").people()] == [
        ref.key for ref in FiftyonePeople("mine").people()
    ]
    assert [ref.key for ref in FiftyoneBackgrounds("capitals").backgrounds()] == ["dog.png"]


@pytest.mark.parametrize("source", [FiftyonePeople, FiftyoneBackgrounds])
def test_a_data_set_without_that_label_is_refused(dataset: Any, source: Any) -> None:
    with pytest.raises(
        UserError, match=r"'mine' has no category 'people'.*did you mean 'person'.*label=NAME"
    ):
        source("mine", label="people")


def test_saved_views(dataset: Any) -> None:
    (ref,) = FiftyonePeople("mine", view="first").people()
    assert ref.key == "a/1.png#1", "keys do not depend on the view"


def test_every_process_reads_the_same_rows(dataset: Any) -> None:
    code = (
        "from synth.sources.fiftyone import FiftyonePeople as Source;"
        "print([ref.key for ref in Source('mine').people()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([ref.key for ref in FiftyonePeople("mine").people()])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "write fiftyone:NAME"),
        ("mime", {}, "did you mean 'mine'"),
        ("mine", {"view": "fist"}, "did you mean 'first'"),
        ("mine", {"field": "pose"}, "has no field 'pose' of detections"),
        ("mine", {"keypoints": "poses"}, "did you mean 'pose'"),
        ("coco-2017", {"zoo": "validation"}, "fiftyone zoo datasets download coco-2017 --splits validation"),
        ("coco-2018", {"zoo": "validation"}, "did you mean 'coco-2017'"),
    ],
)
def test_mistakes_are_explained(dataset: Any, name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FiftyonePeople(name, **options)


@pytest.mark.slow
def test_a_downloaded_zoo_data_set_is_used(fiftyone: Any, dataset: Any) -> None:
    """A zoo folder as a download leaves it: our samples in the place of quickstart's."""
    folder = Path(fiftyone.config.dataset_zoo_dir) / "quickstart"
    dataset[:1].export(str(folder), dataset_type=fiftyone.types.FiftyOneDataset, progress=False)
    info = {
        "name": "quickstart",
        "zoo_dataset": "fiftyone.zoo.datasets.base.QuickstartDataset",
        "dataset_type": "fiftyone.types.FiftyOneDataset",
        "num_samples": 1,
    }
    (folder / "info.json").write_text(json.dumps(info))
    code = (
        "from synth.sources.fiftyone import FiftyonePeople as Source;"
        "print([ref.key for ref in Source('quickstart', zoo='all').people()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    source = FiftyonePeople("quickstart", zoo="all")
    (ref,) = source.people()
    assert done.stdout.strip() == str([ref.key]), "what FiftyOne says is not mixed with results"
    assert source.cutout(ref.key).provenance.source == "fiftyone:quickstart?zoo=all"


def test_keypoints_find_their_person() -> None:
    boxes = {0: (0.0, 0.0, 1.0, 1.0), 3: (0.4, 0.4, 0.2, 0.2)}
    rng = np.random.default_rng(0)
    small, large = rng.uniform(0.42, 0.58, (17, 2)), rng.uniform(0.05, 0.95, (17, 2))
    small[4] = np.nan
    assert match_points(boxes, [large, small]) == {0: 0, 3: 1}
    assert match_points(boxes, [rng.uniform(0.4, 0.6, (5, 2)), np.full((17, 2), np.nan)]) == {}
