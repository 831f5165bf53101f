"""Where people stand in photos: on ground that is known, or cut by the frame; what cannot be used is told by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from small import MANNEQUIN_PLACES, MANNEQUINS, draw_meadow

from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.catalogue import PeopleCatalogue
from synth.framing import Framing, load, table_of
from synth.ground import Ground
from synth.material import Background, Known, SeenObject
from synth.perspective import Perspective
from synth.planner import Planner, open_planner
from synth.recipe import Recipe
from synth.recipe_files import load_with
from synth.rng import generator
from synth.setting import Setting, ground_in, setting_of
from synth.sources.folder import FolderBackgrounds
from synth.splits import Places, split_of_sample
from synth.stage import Candidate, Stage
from synth.views import cut_ground, cut_square


def noise(folder: Path, count: int) -> Path:
    """Pictures that show nothing."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(100 + number)
        coarse = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (330, 280), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"noise{number}.png"), picture)
    return folder


def on(recipe: Recipe, folder: Path, **changes: object) -> Recipe:
    return recipe.model_copy(update={"backgrounds": [f"folder:{folder}"], "splits": {"test": 1.0}} | changes)


def test_pictures_without_known_ground_are_refused_in_one_line_that_names_the_remedy(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"5 left out: ground unknown.*--allow-ungrounded") as caught:
        open_planner(on(recipe, noise(tmp_path / "noise", 5)), 0)
    assert "\n" not in str(caught.value)


def test_the_report_counts_refusals_and_every_scene_says_how_its_ground_is_known(
    recipe: Recipe, tmp_path: Path
) -> None:
    folder = noise(tmp_path / "mixed", 4)
    for number in range(3):
        cv2.imwrite(str(folder / f"meadow{number}.png"), draw_meadow(np.random.default_rng(number)))
    mixed = on(recipe, folder, count=4)
    info = build(mixed, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    (source,) = [source for source in info.sources if source.role == "backgrounds"]
    assert (source.items, source.left_out) == (3, {"ground unknown": 4})
    assert info.report["scenes_by_ground"] == {"estimate": 4}
    assert set(Dataset.open(tmp_path / "data").samples["ground"]) == {"estimate"}


def test_where_ground_is_unknown_the_frame_cuts_everybody(recipe: Recipe, tmp_path: Path) -> None:
    planner = open_planner(on(recipe, noise(tmp_path / "noise", 3), allow_ungrounded=True), 0)
    for index in range(10):
        plan, notes = planner.plan(index)
        assert plan.ground == "unknown"
        assert notes.framings
        assert all(achieved.cut for _, achieved in notes.framings)


def test_whoever_stands_in_the_frame_stands_on_ground(recipe: Recipe) -> None:
    planner = Planner(PeopleCatalogue(recipe, 0))
    catalogue, standing = planner.catalogue, 0
    for index in range(20):
        plan, _ = planner.plan(index)
        view = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
        for person in plan.people:
            shadow = person.finish.shadow > 0
            figure = catalogue.figure(person.source, person.key, person.scale, person.mirrored, shadow)
            x, y = (place + foot for place, foot in zip(person.origin, figure.foot, strict=True))
            if y < recipe.size:
                standing += 1
                assert view.ground[y, x]
    assert standing > 10


def test_all_crops_of_a_picture_agree_how_large_people_are(recipe: Recipe) -> None:
    catalogue = PeopleCatalogue(recipe.model_copy(update={"splits": {"test": 1.0}}), 0)
    for choice in catalogue.backgrounds["test"]:
        background = catalogue.pools()[1].sources[choice.source].background(choice.ref.key)
        settings = [setting_of(background, ground_in(background), recipe, generator(n)) for n in range(3)]
        assert settings[0].perspective.known == "edge"
        assert len({each.perspective for each in settings}) == 1


@pytest.mark.parametrize("box", [(40.0, 60.0, 90.0, 200.0), (200.0, 120.0, 110.0, 110.0)])
def test_nobody_is_pasted_before_what_is_nearer(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, box: tuple[float, float, float, float]
) -> None:
    plain = FolderBackgrounds.background

    def overlaps(objects: tuple[SeenObject, ...]) -> list[bool]:
        """Of everybody in some scenes, whether they cover a part of the box, and stand above its foot."""

        def background(source: FolderBackgrounds, key: str) -> Background:
            return replace(plain(source, key), objects=objects)

        monkeypatch.setattr(FolderBackgrounds, "background", background)
        planner = Planner(PeopleCatalogue(recipe, 0))
        catalogue, found = planner.catalogue, []
        for index in range(16):
            plan, _ = planner.plan(index)
            view = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
            cut = next(iter(view.objects), None)
            for person in plan.people:
                figure = catalogue.figure(
                    person.source, person.key, person.scale, person.mirrored, person.finish.shadow > 0
                )
                foot = person.origin[1] + figure.foot[1]
                if cut is not None and foot < min(cut.bottom, recipe.size) - 1:
                    found.append(bool(figure.mask[cut.pixels(person.origin)].any()))
        return found

    thing = SeenObject("horse", box)
    nearer = overlaps((thing,))
    assert not any(nearer)
    monkeypatch.setattr(Stage, "_is_behind_something", lambda self, candidate, origin: False)
    assert any(overlaps((thing,))), "nobody would have been pasted before it in any case"


def test_of_a_mount_more_is_seen_than_its_front_wheel(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        picture = np.zeros((120, 300, 4), np.uint8)
        picture[20:90] = (40 * number, 90, 120, 255)
        picture[90:, 260:] = (20, 20, 20, 255)  # all that touches the ground is at one end
        cv2.imwrite(str(tmp_path / f"mount{number}.png"), picture)
    mounted = recipe.model_copy(update={"people": [f"folder:{tmp_path}"], "crowd": {1: 1.0}})

    def shares() -> list[float]:
        planner, found = Planner(PeopleCatalogue(mounted, 0)), []
        for index in range(24):
            plan, _ = planner.plan(index)
            for person in plan.people:
                figure = planner.catalogue.figure(
                    person.source, person.key, person.scale, person.mirrored, person.finish.shadow > 0
                )
                left = person.origin[0]
                inside = figure.mask[:, max(0, -left) : max(0, recipe.size - left)]
                found.append(np.count_nonzero(inside) / np.count_nonzero(figure.mask))
        return found

    assert min(shares()) > 0.5
    monkeypatch.setattr(Candidate, "is_wide", False)
    assert min(shares()) <= 0.5, "it would have been seen in any case"


def test_every_background_is_used_once_before_any_is_used_twice(recipe: Recipe) -> None:
    catalogue = PeopleCatalogue(recipe, 0)
    for split, choices in catalogue.backgrounds.items():
        mine = [index for index in range(200) if split_of_sample(index, recipe.splits) == split]
        first = [next(catalogue.background_of(index)) for index in mine[: 2 * len(choices)]]
        used = Counter(choice.ref.key for choice, _ in first)
        assert set(used.values()) == {2}
        assert len({choice.ref.key for choice, _ in first[: len(choices)]}) == len(choices)
        assert len({(choice.ref.key, view) for choice, view in first}) == len(first)  # another crop


def test_recipes_of_other_names_choose_other_backgrounds(recipe: Recipe) -> None:
    catalogues = [PeopleCatalogue(recipe.model_copy(update={"name": name}), 0) for name in ("one", "two")]
    chosen = [[next(each.background_of(index))[0].ref.key for index in range(16)] for each in catalogues]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("splits", [{"test": 1.0}, {"test": 4.0, "train": 5.0, "val": 1.0}])
def test_a_place_in_the_split_is_the_number_of_samples_before(splits: dict[str, float]) -> None:
    places, seen = Places(splits), Counter[str]()
    for index in range(9000):
        split = split_of_sample(index, splits)
        if index % 500 < 3 or 4090 < index < 4100:
            assert places.of(index) == seen[split]
        seen[split] += 1


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_frame_cuts_as_many_as_the_table_has_cut(share: float, tmp_path: Path) -> None:
    heights = np.random.default_rng(1).uniform(0.15, 1.0, 400).tolist()
    people = [
        Framing(tall, 1.1 - tall if number < share * 400 else 0.97 - tall, 0.5)
        for number, tall in enumerate(heights)
    ]
    table = tmp_path / "table.json"
    table.write_text(table_of(people, "drawn").model_dump_json())
    changes = {
        "framing": str(table),
        "size": 128,
        "people": [MANNEQUINS],
        "backgrounds": [MANNEQUIN_PLACES],
        "splits": {"test": 1},
        "crowd": {1: 1},
    }
    planner = open_planner(load_with("multi-ip", changes), 0)
    achieved = [framing for index in range(60) for _, framing in planner.plan(index)[1].framings]
    assert np.mean([framing.cut for framing in achieved]) == pytest.approx(share, abs=0.15)


def test_of_the_cuts_of_a_picture_one_is_taken_that_frames_somebody_as_wanted(recipe: Recipe) -> None:
    height, width = 400, 600
    mask = np.broadcast_to(np.arange(height)[:, None] >= 170, (height, width))
    setting = Setting(Ground(Known.EXACT, mask, None), Perspective(150, 1.6, "exact"), width)
    tall = recipe.model_copy(update={"background_zoom": (1.0, 1.6)})
    taken, drawn = [], []
    for seed in range(40):
        rng = generator(seed, "cut")
        wanted = load("coco").draw(rng)
        taken.append(cut_ground(rng, height, width, tall, setting, wanted).misfit(setting, wanted))
        drawn.append(cut_square(rng, height, width, tall).misfit(setting, wanted))
    assert np.mean(taken) < 0.6 * np.mean(drawn)
