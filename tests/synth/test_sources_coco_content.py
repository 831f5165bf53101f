"""What COCO files get wrong: nobody in a "clean" background by mistake, and everything broken named and counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mildbench.errors import UserError
from synth.material import Rejected
from synth.sources.coco import CocoBackgrounds, CocoPeople
from synth.sources.coco_content import is_crowd, key_of
from synth.sources.coco_folder import check_segmentation, decode

KINDS = ("person_keypoints", "instances")
Content = dict[str, Any]


def edit(root: Path, change: Callable[[Content], object], kinds: tuple[str, ...] = KINDS) -> None:
    for kind in kinds:
        path = root / "annotations" / f"{kind}_train2017.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


def clean(root: Path, **options: Any) -> list[str]:
    return [ref.key for ref in CocoBackgrounds(str(root), **options).backgrounds()]


def people(root: Path, **options: Any) -> list[str]:
    return [ref.key for ref in CocoPeople(str(root), **options).people()]


@pytest.mark.parametrize("name", ["person", "Person", "PERSON", " person "])
@pytest.mark.parametrize("number", [1, 2, "1", 1.0, "human-1"])
def test_people_are_found_by_their_categorys_name(coco: Path, name: str, number: Any) -> None:
    def change(content: Content) -> None:
        content["categories"] = [{"id": number, "name": name}, {"id": 3, "name": "dog"}]
        content["annotations"][0]["category_id"] = number

    edit(coco, change)
    assert people(coco) == ["1"]
    assert clean(coco) == ["2"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["pedestrian", "car"], "did you mean 'pedestrian'"),
        (["persn", "car"], "did you mean 'persn'"),
        (["car", "dog"], "known: car, dog"),
        ([], "known: none"),
    ],
)
def test_a_file_that_does_not_say_who_is_a_person_is_refused(
    coco: Path, names: list[str], message: str
) -> None:
    edit(
        coco,
        lambda content: content.update(categories=[{"id": i + 1, "name": n} for i, n in enumerate(names)]),
    )
    for read in (people, clean):
        with pytest.raises(UserError, match=f"no category 'person'.*{message}.*label=NAME"):
            read(coco)
    if names:
        assert people(coco, label=names[0]) == ["1"]
        assert clean(coco, label=names[0].upper()) == ["2"]


def test_no_background_shows_whatever_is_a_word_for_people(coco: Path) -> None:
    others = [{"id": 2, "name": "Woman"}, {"id": 3, "name": "hiker", "supercategory": "person"}]
    others += [{"id": 4, "name": "individual;someone"}, {"id": 5, "name": "human--rider--bicyclist"}]
    edit(coco, lambda content: content["categories"].extend(others), ("instances",))
    for other in others:
        edit(
            coco, lambda c, number=other["id"]: c["annotations"][0].update(category_id=number), ("instances",)
        )
        assert clean(coco) == ["2"]


def test_a_category_with_two_names_is_refused(coco: Path) -> None:
    edit(coco, lambda content: content["categories"].append({"id": 1, "name": "bicycle"}))
    with pytest.raises(UserError, match="'person' and 'bicycle' have one id, 1"):
        clean(coco)


@pytest.mark.parametrize("write", [str, float, lambda number: f"photo-{number}"])
def test_ids_may_be_text_or_numbers(coco: Path, write: Callable[[int], Any]) -> None:
    def change(content: Content) -> None:
        for record in content["images"]:
            record["id"] = write(record["id"])
        content["annotations"][0]["image_id"] = write(1)

    edit(coco, change)
    source = CocoPeople(str(coco))
    (ref,) = source.people()
    assert source.cutout(ref.key).provenance.file == "000000000001.jpg"
    assert clean(coco) == [key_of(write(2))]


def test_an_id_is_one_however_it_is_written(coco: Path) -> None:
    edit(coco, lambda content: content["annotations"][0].update(image_id="1"))
    assert (people(coco), clean(coco)) == (["1"], ["2"])
    assert [key_of(value) for value in (7, 7.0, "7", " 7 ", "0007")] == ["7"] * 5
    assert (key_of("000"), key_of("07a")) == ("0", "07a")
    assert [key_of(value) for value in (None, True, [1], {}, 7.5, "")] == [None] * 6


@pytest.mark.parametrize("before", ["", "./", "../train2017/"])
def test_a_photo_under_two_ids_is_peopled_under_both(coco: Path, before: str) -> None:
    def list_again(content: Content) -> None:
        first = content["images"][0]
        content["images"].append(first | {"id": 9, "file_name": before + first["file_name"]})

    edit(coco, list_again)
    assert clean(coco) == ["2"]


def test_an_image_with_something_unknown_is_no_background(coco: Path) -> None:
    for category in (None, 77):
        thing = {"id": 5, "image_id": 2, "category_id": category}
        edit(coco, lambda content, thing=thing: content["annotations"].append(thing), ("instances",))
        source = CocoBackgrounds(str(coco))
        assert source.backgrounds() == []
        assert source.rejections.counts == {"image with something of no known category": 1}


def test_a_person_of_no_listed_image_is_told(coco: Path) -> None:
    edit(coco, lambda content: content["annotations"].append(content["annotations"][0] | {"image_id": 7}))
    source = CocoBackgrounds(str(coco))
    assert [ref.key for ref in source.backgrounds()] == ["2"]
    assert source.rejections.counts == {"person in an image that is not listed": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["annotations"][0].update(image_id="000000000001.jpg"),
            "no image that a person is annotated",
        ),
        (lambda c: c["annotations"][0].pop("image_id"), "has no image id"),
        (lambda c: c["annotations"].clear(), "annotates nothing"),
    ],
)
def test_no_picture_counts_as_clean_where_nobody_knows_which_are(
    coco: Path, change: Callable[[Content], object], message: str
) -> None:
    edit(coco, change)
    with pytest.raises(UserError, match=f"{message}.*nobody knows which pictures are free of people"):
        clean(coco)


@pytest.mark.parametrize(
    "box", [None, [], ["90", "50", "40", "160"], [100, 50, 140, 210], [0, 0, 5, 5], [0.3, 0.2, 0.1, 0.6]]
)
def test_a_person_is_as_large_as_the_mask_whatever_the_box_says(coco: Path, box: Any) -> None:
    (right,) = CocoPeople(str(coco)).people()
    rgba = CocoPeople(str(coco)).cutout("1").rgba
    edit(coco, lambda content: content["annotations"][0].update(bbox=box))
    source = CocoPeople(str(coco))
    assert source.people() == [right]
    assert np.array_equal(source.cutout("1").rgba, rgba)


def test_people_of_another_category_are_counted(coco: Path) -> None:
    edit(coco, lambda content: content["categories"].append({"id": 2, "name": "Adult"}))
    edit(coco, lambda content: content["annotations"][0].update(category_id=2))
    source = CocoPeople(str(coco))
    assert source.people() == []
    assert source.left_out == {"called Adult, not person": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["annotations"][0].pop("category_id"), "annotation without a known category"),
        (lambda c: c["annotations"][0].pop("id"), "annotation without an id"),
        (lambda c: c["annotations"][0].pop("bbox"), None),
        (lambda c: c["annotations"][0].pop("segmentation"), "no segmentation"),
        (lambda c: c["annotations"][0].pop("keypoints"), "keypoints broken or not finite"),
        (lambda c: c["annotations"].append("?"), "annotation that is no record"),
        (lambda c: c["annotations"].append(dict(c["annotations"][0])), "the same annotation twice"),
        (lambda c: c["annotations"].append(c["annotations"][0] | {"id": 7}), "the same annotation twice"),
        (lambda c: c["images"][0].pop("id"), "image record without an id"),
        (lambda c: c["images"].append(None), "image record without an id"),
        (lambda c: c["images"][0].pop("file_name"), "image record without a file name or size"),
        (lambda c: c["images"][0].update(width="wide"), "image record without a file name or size"),
        (lambda c: c["images"][1].update(id=1), "image id of two photos"),
        (lambda c: c["images"][1].update(license=[4]), None),
        (lambda c: c.update(licenses=[{"id": 1}, None], info=None), None),
        (lambda c: c["categories"].append({"id": 4}), None),
    ],
)
def test_what_is_missing_is_counted_and_never_a_traceback(
    coco: Path, change: Callable[[Content], object], reason: str | None
) -> None:
    edit(coco, change)
    source, backgrounds = CocoPeople(str(coco)), CocoBackgrounds(str(coco))
    refs = source.people()
    backgrounds.backgrounds()
    assert (reason is None) == (not source.rejections.counts)
    assert reason is None or source.rejections.counts[reason] == 1
    for ref in refs:
        source.cutout(ref.key)


@pytest.mark.parametrize("part", ["images", "annotations"])
def test_a_file_of_another_kind_is_refused(coco: Path, part: str) -> None:
    edit(coco, lambda content: content.update({part: {}}))
    with pytest.raises(UserError, match="is not a COCO file"):
        people(coco)


@pytest.mark.parametrize("stated", [None, 0, 17])
def test_labelled_keypoints_are_counted_not_believed(coco: Path, stated: int | None) -> None:
    edit(coco, lambda content: content["annotations"][0].update(num_keypoints=stated))
    assert people(coco) == ["1"]


def test_an_annotation_id_twice_loses_nobody(coco: Path) -> None:
    def change(content: Content) -> None:
        first = content["annotations"][0]
        shift = 100
        moved = {
            "segmentation": [[v + shift * (i % 2 == 0) for i, v in enumerate(first["segmentation"][0])]],
            "bbox": [first["bbox"][0] + shift, *first["bbox"][1:]],
            "keypoints": [v + shift * (i % 3 == 0) for i, v in enumerate(first["keypoints"])],
        }
        content["annotations"].append(first | moved)

    edit(coco, change)
    source = CocoPeople(str(coco))
    assert [ref.key for ref in source.people()] == ["1", "1#2"]
    noses = [source.cutout(key).keypoints[0, 0] for key in ("1", "1#2")]
    assert abs(noses[0] - noses[1]) < 5, "each in its own crop"
    assert not source.rejections.counts


@pytest.mark.parametrize("crowd", [1, True, "1"])
def test_what_filters_took_is_counted(coco: Path, crowd: Any) -> None:
    edit(coco, lambda content: content["annotations"][0].update(iscrowd=crowd))
    source = CocoPeople(str(coco))
    assert source.people() == []
    assert source.left_out == {"a crowd": 1}
    assert [is_crowd({"iscrowd": none}) for none in (None, 0, False, "0")] == [False] * 4
    background = CocoBackgrounds(str(coco), min_side=281)
    assert background.backgrounds() == []
    assert background.left_out == {"a person in it": 1, "smaller than 281 px": 1}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(100, 120), (1, 1), (37, 3), (480, 640)]
    return [rng.random(shape) < share for shape in shapes for share in (0.0, 0.01, 0.5, 0.99, 1.0)]


def test_run_lengths_are_decoded_as_the_reference_does() -> None:
    for mask in masks():
        segmentation = compressed(mask)
        check_segmentation(segmentation, mask.shape[1], mask.shape[0], "x")
        np.testing.assert_array_equal(decode(segmentation, *mask.shape, "x"), mask)
        columns = mask.T.ravel()
        edges = np.flatnonzero(np.diff(np.concatenate(([False], columns)).astype(int)))
        listed = np.diff(np.concatenate(([0], edges, [columns.size]))).tolist()
        np.testing.assert_array_equal(decode({"counts": listed}, *mask.shape, "x"), mask)


def test_run_lengths_cut_short_anywhere_are_broken() -> None:
    mask = masks()[2]
    whole = compressed(mask)
    for end in range(len(whole["counts"])):
        cut = whole | {"counts": whole["counts"][:end]}
        with pytest.raises(Rejected, match="broken run lengths"):
            check_segmentation(cut, mask.shape[1], mask.shape[0], "x")


@pytest.mark.parametrize(
    "counts", ["", "a b", "\u00e9", "z" * 40, "0", b"", None, 5, [-1, 12001], [True], [1.5]]
)
def test_what_is_no_run_length_is_broken(counts: Any) -> None:
    with pytest.raises(Rejected, match="broken run lengths"):
        check_segmentation({"size": [100, 120], "counts": counts}, 120, 100, "x")


def test_files_are_found_in_either_unicode_form_and_case(coco: Path) -> None:
    def change(content: Content) -> None:
        content["images"][0]["file_name"] = "\u00e9.jpg"
        content["images"][1]["file_name"] = "b.jpg"

    edit(coco, change)
    images = coco / "train2017"
    shutil.move(images / "000000000001.jpg", images / "e\u0301.jpg")
    shutil.move(images / "000000000002.jpg", images / "b.JPG")
    assert CocoPeople(str(coco)).cutout("1").rgba.size
    assert CocoBackgrounds(str(coco)).background("2").image.shape == (280, 320, 3)
