"""OLRD: the public scripts' faults do not come along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mildbench.geometry import Box
from mildbench.scene import Provenance
from synth.families.olrd import COARSE, MISSIZED, PictureCatalogue, _objects
from synth.material import BackgroundRef, Rejections, Segment, SegmentedImage
from synth.perspective import TYPICAL
from synth.plan import Plan, PlannedPerson
from synth.planner import Planner
from synth.recipe_files import load
from synth.render import render
from synth.sources.base import SegmentedSource


class Drawn(SegmentedSource):
    """A ring of ground (its centroid is not on it) around a lake with a boat, another boat, and two stones."""

    name, licence = "drawn", "CC0-1.0"

    def __init__(self) -> None:
        self.rejections = Rejections()

    def images(self) -> Sequence[BackgroundRef]:
        return [BackgroundRef(str(number), str(number)) for number in range(6)]

    def image(self, key: str) -> SegmentedImage:
        rng = np.random.default_rng(int(key))
        image = cv2.resize(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), (200, 200))
        yy, xx = np.mgrid[:200, :200]
        distance = np.hypot(yy - 100, xx - 100)
        boat, cut = (abs(yy - 100) < 9) & (abs(xx - 100) < 14), (yy < 12) & (xx < 30)
        stone = np.hypot(yy - 30, xx - 150) < 9
        ring = (distance > 55) & ~stone & ~cut
        masks = [("boat", True, boat), ("boat", True, cut), ("stone", True, stone), ("sand", False, ring)]
        segments = tuple(
            Segment(number, category, thing, False, mask)
            for number, (category, thing, mask) in enumerate(masks, start=1)
        )
        return SegmentedImage(image, segments, Provenance("drawn", key, key, "CC0-1.0"))


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> PictureCatalogue:
    monkeypatch.setattr("synth.families.olrd.open_source", lambda text, registry: Drawn())
    changes = {"size": 160, "background_zoom": (1.0, 1.0), "splits": {"test": 1.0}}
    return PictureCatalogue(load("olrd").model_copy(update=changes), 0)


def test_a_moved_object_is_whole_and_lies_on_free_ground(catalogue: PictureCatalogue) -> None:
    planner = Planner(catalogue)
    origins = set()
    for index in range(30):
        plan, _ = planner.plan(index)
        scene, _, _ = render(plan, catalogue)
        picture = catalogue.picture(0, plan.background["key"], plan.background["view"])
        footprint = scene.footprint([1])
        (layer,) = scene.layers
        assert np.count_nonzero(footprint) == np.count_nonzero(layer.rgba[..., 3]), "cut off by the frame"
        assert picture.regions[footprint].all(), "lies on an object or on nothing known"
        assert np.array_equal(scene.erase([1]).truth, picture.backdrop.image), (
            "the original object was touched"
        )
        assert "segment 2" not in str(layer.person.provenance.annotation), (
            "an object cut off by the frame moved"
        )
        assert layer.person.category == "stone", "a boat left its lake, of which nothing is known"
        origins.add(layer.origin)
    assert len(origins) > 20


def test_whoever_ends_at_a_wall_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fenced(Drawn):
        def image(self, key: str) -> SegmentedImage:
            picture = super().image(key)
            names = {"stone": "person", "sand": "fence-merged"}
            segments = [
                replace(each, category=names.get(each.category, each.category)) for each in picture.segments
            ]
            return replace(picture, segments=tuple(segments))

    monkeypatch.setattr("synth.families.olrd.open_source", lambda text, registry: Fenced())
    changes = {"size": 160, "background_zoom": (1.0, 1.0), "splits": {"test": 1.0}}
    catalogue = PictureCatalogue(load("olrd").model_copy(update=changes), 0)
    assert all(not catalogue.picture(0, str(number), 0).objects for number in range(6))


HORIZON, CAMERA = 40, 4.0


class Street(Drawn):
    """Three cars on a road, each as tall as its row asks under `HORIZON`."""

    def image(self, key: str) -> SegmentedImage:
        image = cv2.resize(
            np.random.default_rng(int(key)).integers(0, 256, (20, 20, 3), np.uint8), (200, 200)
        )
        road = np.zeros((200, 200), bool)
        road[60:] = True
        segments = []
        for number, (foot, left) in enumerate(((100, 10), (130, 60), (160, 120)), start=1):
            tall = round(TYPICAL["car"].metres * (foot - HORIZON) / CAMERA)
            mask = np.zeros((200, 200), bool)
            mask[foot - tall : foot, left : left + tall] = True
            road &= ~mask
            segments.append(Segment(number, "car", True, False, mask))
        segments.append(Segment(4, "road", False, False, road))
        return SegmentedImage(image, tuple(segments), Provenance("drawn", key, key, "CC0-1.0"))


def test_a_moved_object_is_as_large_as_its_new_place_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.families.olrd.open_source", lambda text, registry: Street())
    changes = {"size": 200, "background_zoom": (1.0, 1.0), "splits": {"test": 1.0}}
    catalogue = PictureCatalogue(load("olrd").model_copy(update=changes), 0)
    planner, nearer = Planner(catalogue), set()
    for index in range(30):
        plan, _ = planner.plan(index)
        (person,) = plan.people
        picture = catalogue.picture(0, plan.background["key"], plan.background["view"])
        assert picture.horizon == pytest.approx(HORIZON, abs=4)
        old = next(item for item in picture.objects if str(item.id) == person.key.rsplit("/")[-1])
        before, after = (
            Box.around(mask).bottom - picture.horizon
            for mask in (old.mask, np.pad(figure_mask(catalogue, person), ((person.origin[1], 0), (0, 0))))
        )
        assert after == pytest.approx(person.scale * before, abs=MISSIZED * before + COARSE)
        nearer.add(after > before)
    assert nearer == {True, False}


def figure_mask(catalogue: PictureCatalogue, person: PlannedPerson) -> np.ndarray:
    return catalogue.figure(person.source, person.key, person.scale, person.mirrored, False).mask


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((120, 120), bool)
    mask[top:bottom, left:right] = True
    return mask


def moved(*things: tuple[str, np.ndarray]) -> dict[str, tuple[str, ...]]:
    """What moves as one: categories with all that comes along."""
    segments = [
        Segment(number, category, True, False, mask)
        for number, (category, mask) in enumerate(things, start=1)
    ]
    return {
        f"{item.category} {item.id}": tuple(thing.name for thing in item.carried)
        for item in _objects(segments)
    }


RIDER, BESIDE = box(40, 10, 60, 70), box(40, 10, 60, 99)
BICYCLE = box(30, 60, 80, 100)


def test_a_rider_and_the_mount_move_as_one() -> None:
    bicycle = BICYCLE & ~RIDER
    assert moved(("person", RIDER), ("bicycle", bicycle)) == {"person 1": ("bicycle",)}
    (whole,) = _objects(
        [Segment(1, "person", True, False, RIDER), Segment(2, "bicycle", True, False, bicycle)]
    )
    assert (whole.mask >= RIDER | bicycle).all()


def test_neither_moves_of_whom_it_is_not_known_whether_they_ride() -> None:
    assert moved(("person", BESIDE), ("bicycle", BICYCLE & ~BESIDE), ("chair", box(100, 80, 110, 100))) == {
        "chair 3": ()
    }


def test_the_second_on_a_horse_stays() -> None:
    second = box(62, 12, 78, 66)
    horse = BICYCLE & ~RIDER & ~second
    found = moved(("person", RIDER), ("person", second), ("horse", horse))
    assert len(found) == 1
    assert next(iter(found.values())) == ("horse",)


def test_bags_come_along_and_what_is_merely_near_does_not() -> None:
    bag, car = box(60, 40, 66, 50), box(60, 20, 119, 100)
    assert moved(("person", BESIDE), ("handbag", bag)) == {"person 1": ("handbag",)}
    assert moved(("person", BESIDE), ("car", car)) == {"person 1": (), "car 2": ()}
    assert moved(("person", BESIDE), ("suitcase", box(60, 20, 110, 99))) == {"person 1": (), "suitcase 2": ()}
    assert moved(("person", RIDER), ("bicycle", box(90, 60, 119, 100))) == {"person 1": (), "bicycle 2": ()}


def test_plans_render_from_json_to_the_same_bytes(catalogue: PictureCatalogue) -> None:
    plan, _ = Planner(catalogue).plan(3)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert np.array_equal(render(plan, catalogue)[0].composite(), render(again, catalogue)[0].composite())
