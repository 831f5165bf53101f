"""Building: the same bytes for any number of workers, after any interruption; splits, truth and annotations."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest
import scene_shards
import yaml
from command_line import invoke
from processes import PATIENCE, started, until
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from small import small_recipe

from mildbench.dataset import Dataset
from mildbench.dataset.annotations import AnnotationWriter
from mildbench.dataset.schema import annotation_file
from mildbench.dataset.validate import validate
from mildbench.dataset.writers import SCENES, Format
from mildbench.errors import UserError
from mildbench.executors import ProcessExecutor, SerialExecutor
from synth.build import STATE, build
from synth.catalogue import PeopleCatalogue
from synth.plan import Plan
from synth.recipe import Recipe
from synth.render import render
from synth.splits import divide, split_of_sample


def quiet(count: int) -> None:
    pass


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three shards of 20 scenes in both formats."""
    monkeypatch.setitem(SCENES, "webdataset", 8)


@pytest.fixture
def layout(request: pytest.FixtureRequest) -> Format:
    """The format; `folder` unless a test asks for both."""
    return getattr(request, "param", "folder")


both_formats = pytest.mark.parametrize("layout", SCENES, indirect=True)


@pytest.fixture(scope="module")
def whole(drawn: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Format], Path]:
    """The data set of `recipe` in a format, built once; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")

    def whole(layout: Format) -> Path:
        if not (folder / layout).exists():
            build(small_recipe(*drawn), 0, folder / layout, SerialExecutor(1), quiet, format=layout)
        return folder / layout

    return whole


@pytest.fixture
def built(whole: Callable[[Format], Path], tmp_path: Path, layout: Format) -> Path:
    return Path(shutil.copytree(whole(layout), tmp_path / "built"))


@pytest.mark.slow
@both_formats
def test_any_number_of_workers_gives_the_same_bytes(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    build(recipe, 0, tmp_path / "two", ProcessExecutor(2), quiet, format=layout)
    assert tree(tmp_path / "two") == tree(built)


def test_tar_files_are_numbered_without_gaps(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a shard has no sample of a split: streaming readers count from 000000 up."""
    monkeypatch.setitem(SCENES, "webdataset", 2)
    rare = recipe.model_copy(update={"splits": {"test": 1, "train": 4}, "crowd": {1: 1}})
    build(rare, 0, tmp_path / "out", SerialExecutor(1), quiet, format="webdataset")
    counts = {}
    for split in ("test", "train"):
        names = sorted(path.name for path in (tmp_path / "out" / split).iterdir())
        assert names == [f"{split}-{number:06d}.tar" for number in range(len(names))]
        counts[split] = len(names)
    assert counts["test"] < counts["train"] == 10


def test_another_seed_makes_other_scenes(recipe: Recipe, built: Path, tmp_path: Path) -> None:
    other = build(recipe, 1, tmp_path / "other", SerialExecutor(1), quiet)
    assert other.fingerprint != Dataset.open(built).fingerprint


@both_formats
def test_a_prefix_of_a_larger_build_is_the_smaller_build(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    fewer = recipe.model_copy(update={"count": 8})
    build(fewer, 0, tmp_path / "small", SerialExecutor(1), quiet, format=layout)
    small, large = Dataset.open(tmp_path / "small"), Dataset.open(built)
    for sample_id in small.samples["id"]:
        assert small.row(sample_id) == large.row(sample_id)


SMALL_SHARDS = "from mildbench.dataset.writers import SCENES; SCENES['webdataset'] = 8; "
STOPS = "import scene_shards, synth.build; synth.build.Scenes = scene_shards.AShardAndAHalf; "
MAIN = "from mildbench.cli import main; main()"


@pytest.mark.slow
@both_formats
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_resumes_to_the_same_bytes(
    recipe: Recipe,
    built: Path,
    tmp_path: Path,
    kill: int,
    layout: Format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole process group is killed when one shard is complete and the next one half done."""
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    out = tmp_path / "killed"
    monkeypatch.setenv("PYTHONPATH", scene_shards.FOLDER, prepend=os.pathsep)
    arguments = ["build-dataset", "--recipe", str(file), "--out", str(out), "--format", layout]
    command = [sys.executable, "-c", SMALL_SHARDS + STOPS + MAIN, *arguments, "--executor", "serial"]
    with started(command, stderr=subprocess.PIPE) as process:
        until((tmp_path / "half").exists, "half a shard is made", alive=process)
        os.killpg(process.pid, kill)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert len(list((out / STATE).glob("[0-9]*.json"))) == 1
    assert process.returncode == (130 if kill == signal.SIGINT else -kill)
    if kill == signal.SIGINT:
        assert b"same command resumes" in stderr
        assert b"Traceback" not in stderr
    suffix = "*.png" if layout == "folder" else "*.tar"
    before = {path: path.stat().st_mtime_ns for path in out.rglob(suffix)}
    (out / "train").mkdir(exist_ok=True)
    (out / "train" / ".00000003.1234.tmp.png").write_bytes(b"half")  # as a killed writer leaves it
    engine = ["--workers", "2"] if kill == signal.SIGKILL else ["--executor", "serial"]
    assert invoke(*arguments, *engine) == 0
    assert tree(out) == tree(built)
    kept = [path for path, stamp in before.items() if path.exists() and path.stat().st_mtime_ns == stamp]
    assert kept, "nothing of the first run was kept"


@pytest.mark.slow
def test_a_killed_worker_is_one_clear_line_and_the_rest_is_kept(
    recipe: Recipe, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "worker"
    with monkeypatch.context() as patched:
        patched.setattr("synth.build.Scenes", scene_shards.AllButOneShard)
        with pytest.raises(UserError, match="worker process was killed"):
            build(recipe, 0, out, ProcessExecutor(1), quiet)
    assert list((out / STATE).glob("[0-9]*.json"))
    build(recipe, 0, out, ProcessExecutor(1), quiet)
    assert tree(out) == tree(built)


@both_formats
def test_a_tampered_or_foreign_shard_is_made_again(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    """One shard's output is cut short, one's record is cut short, one's record is of another recipe."""
    out = tmp_path / "tampered"

    def stop(count: int) -> None:
        if len(list((out / STATE).glob("[0-9]*.json"))) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(recipe, 0, out, SerialExecutor(1), stop, format=layout)
    first, second, third = sorted((out / STATE).glob("[0-9]*.json"))
    name = next(iter(json.loads(third.read_text())["files"]))
    (out / name).write_bytes((out / name).read_bytes()[:100])
    record = json.loads(second.read_text())
    second.write_text(json.dumps(record | {"identity": "of another recipe"}))
    first.write_text(first.read_text()[:200])
    build(recipe, 0, out, SerialExecutor(1), quiet, format=layout)
    assert tree(out) == tree(built)


@both_formats
def test_a_truncated_output_is_made_again_and_nothing_else(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    out = tmp_path / "truncated"

    def stop(count: int) -> None:
        if len(list((out / STATE).glob("[0-9]*.json"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(recipe, 0, out, SerialExecutor(1), stop, format=layout)
    record = sorted((out / STATE).glob("[0-9]*.json"))[1]
    path = out / list(json.loads(record.read_text())["files"])[-1]
    path.write_bytes(path.read_bytes()[:-1])
    made: list[int] = []
    build(recipe, 0, out, SerialExecutor(1), made.append, format=layout)
    assert made == [8, 8, 4]
    assert tree(out) == tree(built)


@both_formats
def test_a_full_disk_loses_nothing(
    recipe: Recipe, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Format
) -> None:
    out = tmp_path / "full"
    write, append, written = Path.write_bytes, tarfile.TarFile.addfile, 0

    def full() -> bool:
        nonlocal written
        written += 1
        return written > 70

    def fill_up(self: Path, data: bytes) -> int:
        if full():
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, data)

    def fill_up_tar(self: tarfile.TarFile, member: tarfile.TarInfo, data: BinaryIO) -> None:
        if full():
            self.fileobj.write(data.read(100))
            raise OSError(errno.ENOSPC, "No space left on device", self.name)
        append(self, member, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    monkeypatch.setattr(tarfile.TarFile, "addfile", fill_up_tar)
    with pytest.raises(OSError, match="No space left"):
        build(recipe, 0, out, SerialExecutor(1), quiet, format=layout)
    monkeypatch.undo()
    monkeypatch.setitem(SCENES, "webdataset", 8)
    assert not list(out.rglob("*.tmp*")), "half-written files were left behind"
    build(recipe, 0, out, SerialExecutor(1), quiet, format=layout)
    assert tree(out) == tree(built)


def test_a_full_disk_while_the_index_is_written_loses_nothing(
    recipe: Recipe, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "full"

    def fill_up(self: AnnotationWriter, image: object, annotations: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AnnotationWriter, "add", fill_up)
    with pytest.raises(OSError, match="No space left"):
        build(recipe, 0, out, SerialExecutor(1), quiet)
    monkeypatch.undo()
    assert not (out / "dataset.json").exists()
    assert not [path for path in out.rglob("*") if path.name.startswith(".") and path.name != STATE]
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    build(recipe, 0, out, SerialExecutor(1), quiet)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == stamps
    assert tree(out) == tree(built)


def test_a_finished_build_is_not_made_again_and_others_are_refused(
    recipe: Recipe, built: Path, tmp_path: Path
) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    build(recipe, 0, built, SerialExecutor(1), quiet)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == stamps
    with pytest.raises(UserError, match="another recipe, count, seed, format or mildbench version"):
        build(recipe, 1, built, SerialExecutor(1), quiet)
    with pytest.raises(UserError, match="another recipe, count, seed, format or mildbench version"):
        build(recipe, 0, built, SerialExecutor(1), quiet, format="webdataset")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="is not a data set"):
        build(recipe, 0, tmp_path / "mine", SerialExecutor(1), quiet)


def test_validate_passes_a_good_data_set_and_names_what_is_wrong(built: Path) -> None:
    assert not any(validate(Dataset.open(built)))
    row = Dataset.open(built).row("00000003")
    picture = cv2.imread(str(built / row["composite"]))
    picture[5, 5] ^= 1
    cv2.imwrite(str(built / row["composite"]), picture)
    path = built / annotation_file("train")
    content = json.loads(path.read_text())
    content["annotations"][0]["area"] += 1
    path.write_text(json.dumps(content))
    found = [problem for group in validate(Dataset.open(built)) for problem in group]
    assert any("00000003: background + layers do not recompose" in problem for problem in found)
    assert any("do not follow from the layers" in problem for problem in found)
    assert sum("sha256 differs" in problem for problem in found) == 2


def test_pycocotools_loads_and_agrees(built: Path) -> None:
    dataset = Dataset.open(built)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(built / annotation_file("test"))
    people = 0
    for image in coco.loadImgs(coco.getImgIds()):
        scene = dataset.scene(image["sample_id"])
        truth = scene.people()
        annotations = sorted(coco.loadAnns(coco.getAnnIds(imgIds=image["id"])), key=lambda item: item["z"])
        assert len(annotations) == len(scene.layers)
        people += len(annotations)
        for k, item in enumerate(annotations):
            assert np.array_equal(coco.annToMask(item).astype(bool), truth.visible[k])
            assert np.array_equal(coco_mask.decode(item["amodal_segmentation"]).astype(bool), truth.amodal[k])
            assert item["area"] == truth.visible[k].sum() == coco_mask.area(item["segmentation"])
            assert item["num_keypoints"] == sum(v > 0 for v in item["keypoints"][2::3])
    assert people == dataset.info.people["test"] > 0


def test_no_source_image_is_in_two_splits(recipe: Recipe) -> None:
    catalogue = PeopleCatalogue(recipe, 0)
    for pools in (catalogue.people, catalogue.backgrounds):
        groups = [{choice.ref.group for choice in pool} for pool in pools.values()]
        assert all(groups)
        assert sum(map(len, groups)) == len(set.union(*groups))


def test_shares_of_splits_are_kept() -> None:
    splits = {"train": 5.0, "val": 1.0, "test": 4.0}
    of_sample = [split_of_sample(index, splits) for index in range(1000)]
    of_group = list(divide([str(n) for n in range(1000)], splits, 0).values())
    for found in (of_sample, of_group):
        assert abs(found.count("train") - 500) <= 5
        assert abs(found.count("val") - 100) <= 5
    assert set(divide(["a", "b", "c"], splits, 0).values()) == set(splits)


def test_rendering_a_plan_from_its_json_gives_the_same_bytes(recipe: Recipe, built: Path) -> None:
    dataset = Dataset.open(built)
    catalogue = PeopleCatalogue(recipe, 0)
    for sample_id in dataset.samples["id"][:6]:
        plan = Plan.from_json(json.loads(dataset.row(sample_id)["plan"]))
        scene, _, _ = render(plan, catalogue)
        assert np.array_equal(scene.composite(), dataset.scene(sample_id).composite())


def test_too_many_broken_inputs_fail_the_build(recipe: Recipe, cutouts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in cutouts.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for index in range(6):
        (folder / f"bad{index}.png").write_bytes(b"no picture")
    broken = recipe.model_copy(update={"people": [f"folder:{folder}"]})
    with pytest.raises(UserError, match=r"6 of 18 items are broken.*image unreadable.*repair"):
        build(broken, 0, tmp_path / "out", SerialExecutor(1), quiet)
    few = broken.model_copy(update={"max_rejected_share": 0.5})
    info = build(few, 0, tmp_path / "out2", SerialExecutor(1), quiet)
    assert info.sources[0].rejected == {"image unreadable or without alpha": 6}


def test_a_source_that_changed_is_not_mixed_in(recipe: Recipe, cutouts: Path, tmp_path: Path) -> None:
    """Neither into an unfinished build nor behind a finished one's back."""
    people = tmp_path / "people"
    shutil.copytree(cutouts, people)
    changing = recipe.model_copy(update={"people": [f"folder:{people}"]})
    out = tmp_path / "out"

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(changing, 0, out, SerialExecutor(1), stop)
    shutil.copy(people / "00.png", people / "zz.png")
    with pytest.raises(UserError, match="its sources have changed"):
        build(changing, 0, out, SerialExecutor(1), quiet)
    (people / "zz.png").unlink()
    build(changing, 0, out, SerialExecutor(1), quiet)
    shutil.copy(people / "00.png", people / "zz.png")
    with pytest.raises(UserError, match="its sources have changed"):
        build(changing, 0, out, SerialExecutor(1), quiet)


def test_no_path_of_the_machine_is_in_a_data_set(
    recipe: Recipe, built: Path, drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    people, backgrounds = (Path(shutil.copytree(folder, moved / folder.name)) for folder in drawn)
    elsewhere = recipe.model_copy(
        update={"people": [f"folder:{people}"], "backgrounds": [f"folder:{backgrounds}"]}
    )
    build(elsewhere, 0, tmp_path / "there", SerialExecutor(1), quiet)
    assert tree(built) == tree(tmp_path / "there")
    for name, data in tree(built).items():
        if not name.endswith(".png"):
            assert str(drawn[0].parent).encode() not in data, name


def test_inputs_that_turn_out_broken_while_building_fail_the_build(
    recipe: Recipe, backgrounds: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "backgrounds"
    shutil.copytree(backgrounds, folder)
    for index, path in enumerate(sorted(backgrounds.iterdir())):
        small = cv2.rotate(np.asarray(cv2.imread(str(path))), cv2.ROTATE_180)[:200, :200]
        cv2.imwrite(str(folder / f"small{index}.png"), small)
    broken = recipe.model_copy(update={"backgrounds": [f"folder:{folder}"]})
    with pytest.raises(
        UserError, match=r"are broken, more than the recipe's max_rejected_share.*image smaller than 256 px"
    ):
        build(broken, 0, tmp_path / "out", SerialExecutor(1), quiet)


@both_formats
def test_a_folder_deleted_while_it_is_built_is_made_by_the_same_command(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    out = tmp_path / "deleted"
    shards = 0

    def delete_after_the_second(count: int) -> None:
        nonlocal shards
        shards += 1
        if shards == 2:
            shutil.rmtree(out)

    with pytest.raises(UserError, match="was deleted while it was needed: run the same command again"):
        build(recipe, 0, out, SerialExecutor(1), delete_after_the_second, format=layout)
    build(recipe, 0, out, SerialExecutor(1), quiet, format=layout)
    assert tree(out) == tree(built)


@both_formats
def test_a_file_lost_from_a_finished_data_set_is_made_by_the_same_command(
    recipe: Recipe, built: Path, tmp_path: Path, layout: Format
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "lost"))
    (out / Dataset.open(built).row("00000003")["background"].partition("!")[0]).unlink()
    (out / annotation_file("test")).unlink()
    build(recipe, 0, out, SerialExecutor(1), quiet, format=layout)
    assert tree(out) == tree(built)
