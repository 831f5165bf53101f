"""Near-duplicates are found whatever was done to them, different pictures are not, and no split shares any."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mildbench.errors import UserError
from mildbench.executors import ProcessExecutor
from mildbench.images import read_rgb, read_thumbnail
from synth.build import build
from synth.catalogue import describe
from synth.near_duplicates import DISTANCE, alike, difference_hash
from synth.planner import open_planner
from synth.recipe import Recipe


def altered(image: np.ndarray) -> np.ndarray:
    """Smaller, compressed and brighter."""
    small = cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small)
    return cv2.convertScaleAbs(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), alpha=1.05, beta=3)


def test_a_picture_scaled_compressed_and_brightened_keeps_its_hash(testdata: Path) -> None:
    hashes = []
    for path in sorted((testdata / "backgrounds" / "sun_hays80").iterdir())[:20]:
        image = read_rgb(path)
        own = difference_hash(image)
        for changed in (
            altered(cv2.resize(image, (300, 200), interpolation=cv2.INTER_AREA)),
            read_thumbnail(path),
        ):
            assert (own ^ difference_hash(changed)).bit_count() <= DISTANCE
        hashes.append(own)
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > DISTANCE


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8), st.integers(0, 10**6))
def test_the_search_finds_what_brute_force_finds(values: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = {}
    for number, value in enumerate(values):
        for step in range(3):  # chains: the last may be near the one before it alone
            hashes[f"{number}.{step}"] = value
            value ^= sum(1 << int(bit) for bit in rng.choice(64, int(rng.integers(0, 7)), replace=False))
    expected = {name: {name} for name in hashes}
    for a in hashes:
        for b in hashes:
            if (hashes[a] ^ hashes[b]).bit_count() <= DISTANCE and expected[a] is not expected[b]:
                expected[a] |= expected[b]
                for name in expected[b]:
                    expected[name] = expected[a]
    found = alike(hashes)
    assert sorted(found) == found
    assert {tuple(names) for names in found} == {
        tuple(sorted(names)) for names in expected.values() if len(names) > 1
    }


@pytest.fixture
def twins(recipe: Recipe, backgrounds: Path, tmp_path: Path) -> Recipe:
    """Every background has a near-duplicate under another name."""
    folder = tmp_path / "twins"
    shutil.copytree(backgrounds, folder)
    for path in sorted(backgrounds.iterdir()):
        twin = altered(np.asarray(cv2.imread(str(path))))
        cv2.imwrite(str(folder / f"{path.stem}-again.png"), cv2.resize(twin, (330, 280)))
    return recipe.model_copy(
        update={"backgrounds": [f"folder:{folder}"], "splits": {"train": 3.0, "test": 2.0}}
    )


@pytest.mark.slow
def test_near_duplicates_are_kept_in_one_split(twins: Recipe, tmp_path: Path) -> None:
    for seed in range(5):
        pools = open_planner(twins, seed).catalogue.backgrounds
        assert all(pools.values())
        for pool in pools.values():
            names = [Path(choice.ref.key).stem for choice in pool]
            assert {name.removesuffix("-again") for name in names} == {
                name for name in names if not name.endswith("-again")
            }
            assert len(names) % 2 == 0
    info = build(twins, 0, tmp_path / "out", ProcessExecutor(2), lambda count: None)
    assert [len(names) for names in info.report["near_duplicates"]] == [2] * 9


def test_too_few_different_pictures_for_the_splits_stop_the_build(twins: Recipe, tmp_path: Path) -> None:
    folder = Path(twins.backgrounds[0].removeprefix("folder:"))
    for path in folder.iterdir():
        if not path.stem.startswith("0"):
            path.unlink()
    with pytest.raises(UserError, match=r"has no background.*2 usable.*1 of them nearly equal to another"):
        open_planner(twins, 0)


def test_unreadable_pictures_are_never_called_usable(
    recipe: Recipe, backgrounds: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    shutil.copytree(backgrounds, folder)
    (folder / "bad.png").write_bytes(b"no picture")
    catalogue = open_planner(recipe.model_copy(update={"backgrounds": [f"folder:{folder}"]}), 0).catalogue
    described = describe(catalogue)[-1]
    assert (described.items, described.rejected) == (9, {"image missing or unreadable": 1})
    assert "bad.png" not in {choice.ref.key for pool in catalogue.backgrounds.values() for choice in pool}
