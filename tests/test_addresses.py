"""Data sets in an object store: built, read and evaluated as in a folder, against a server of S3's kind."""

from __future__ import annotations

import importlib.util
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from command_line import invoke
from plug_ins import installed
from small import draw_sources, small_recipe

import mildbench as mb
from mildbench.addresses import is_address, place
from mildbench.annotators import ANNOTATORS
from mildbench.dataset import Dataset
from mildbench.dataset.validate import validate
from mildbench.dataset.writers import SCENES, Format
from mildbench.errors import UserError
from mildbench.executors import HERE, ProcessExecutor
from mildbench.records import read_model
from mildbench.results.finished import reopen
from mildbench.results.record import RunRecord
from synth.build import STATE, build
from synth.recipe import Recipe

MISSING = [name for name in ("moto", "s3fs", "upath", "flask") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Of two shards."""
    recipe = small_recipe(*draw_sources(tmp_path_factory.mktemp("drawn")))
    return recipe.model_copy(update={"count": 10})


@pytest.fixture(scope="module")
def local(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    root = tmp_path_factory.mktemp("local")
    for format in SCENES:
        build(recipe, 0, root / format, HERE, lambda count: None, format=format)
    return {format: root / format for format in SCENES}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # one that knows another test's server
    address = f"s3://{secrets.token_hex(8)}"  # moto's buckets outlive its server
    place(address).mkdir()
    yield address
    server.stop()


def tree(root: Path) -> dict[str, bytes]:
    """Every file, of a folder or at an address."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_an_address_is_told_from_a_folder() -> None:
    assert all(map(is_address, ("s3://bucket/a", "gs://b", "hf://datasets/me/mine")))
    assert not any(map(is_address, ("data/demo", "C:\\data", "/s3:/a", "folder:cutouts/", Path("s3://a"))))


@pytest.mark.slow
@pytest.mark.parametrize("format", SCENES)
def test_a_data_set_in_a_store_is_the_one_in_a_folder(
    format: Format, recipe: Recipe, local: dict[Format, Path], bucket: str
) -> None:
    out = place(f"{bucket}/data")
    told: list[int] = []
    info = build(recipe, 0, out, ProcessExecutor(2), told.append, format=format)
    assert sum(told) == recipe.count
    assert info.fingerprint == Dataset.open(local[format]).fingerprint
    assert tree(out) == tree(local[format])
    read = Dataset.open(f"{bucket}/data")
    assert not any(map(any, validate(read)))
    assert len(read.task_ids("erase-one", "test")) == len(
        Dataset.open(local[format]).task_ids("erase-one", "test")
    )


@pytest.mark.slow
def test_an_interrupted_build_goes_on_in_the_store(
    recipe: Recipe, local: dict[Format, Path], bucket: str
) -> None:
    out = place(f"{bucket}/stopped")

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(recipe, 0, out, HERE, stop)
    assert (out / STATE / "00000000.json").is_file()
    with pytest.raises(UserError, match="unfinished build of another recipe"):
        build(recipe, 1, out, HERE, lambda count: None)
    first = next(path for path in (out / "train").rglob("*.png"))
    before = first.stat().st_mtime
    build(recipe, 0, out, HERE, lambda count: None)
    assert first.stat().st_mtime == before, "made twice"
    assert tree(out) == tree(local["folder"])


@pytest.mark.slow
def test_the_commands_take_addresses(
    recipe: Recipe, local: dict[Format, Path], bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    arguments = ["--recipe", str(file), "--executor", "serial", "--out", f"{bucket}/data"]
    assert invoke("build-dataset", *arguments) == 0
    for dataset, out in ((f"{bucket}/data", "far"), (str(local["folder"]), "near")):
        asked = ["--dataset", dataset, "--method", "telea", "--metric", "psnr", "--device", "cpu"]
        assert invoke("evaluate", *asked, "--out", str(tmp_path / out)) == 0
    scores = {
        out: {
            path.relative_to(tmp_path / out).as_posix(): path.read_bytes()
            for path in (tmp_path / out).rglob("*")
            if path.suffix in (".png", ".parquet")
        }
        for out in ("far", "near")
    }
    assert scores["far"] == scores["near"]
    (run,) = (tmp_path / "far").rglob("run.json")
    again, _ = reopen(read_model(RunRecord, run, "run"))
    assert str(again.root) == f"{bucket}/data"

    near = tmp_path / "data"
    shutil.copytree(local["folder"], near)
    with installed(ANNOTATORS, "fake", "fake_annotator:FakeAnnotator", tmp_path / "site", monkeypatch):
        for dataset in (f"{bucket}/data", near):
            assert invoke("annotate", dataset, "--pose", "fake", "--parsing", "fake") == 0
    assert tree(place(f"{bucket}/data/annotations/fake")) == tree(near / "annotations" / "fake")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["segment", "s3://b/photos", "--with", "fake", "--out", "here"], "photos"),
        (["segment", "photos", "--with", "fake", "--out", "s3://b/out"], "out"),
        (["evaluate", "--method", "telea", "--out", "s3://b/runs"], "out"),
        (["browse", "s3://b/runs"], "folders"),
        (["leaderboard", "build", "--out", "s3://b/page.html"], "out"),
        (["export", "data", "--to", "coco", "--out", "s3://b/coco"], "out"),
    ],
)
def test_what_cannot_be_at_an_address_is_one_line_and_leaves_nothing(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(*arguments) == 2
    address = next(argument for argument in arguments if is_address(argument))
    message = f"mildbench: {address}: {what} cannot be at an address: give a place on this machine\n"
    assert capsys.readouterr().err == message
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_an_address_is_one_line(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=f"data set not found: {bucket}/nothing"):
        mb.open(f"{bucket}/nothing")
    with pytest.raises(UserError, match="runs cannot be at an address"):
        mb.evaluate(bucket, "telea", out=f"{bucket}/runs")
    with pytest.raises(UserError, match=r"^nosuch://a cannot be reached: .*nosuch"):
        place("nosuch://a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(UserError, match=rf"^{bucket}/a cannot be reached: .*127\.0\.0\.1:9"):
        place(f"{bucket}/a")
