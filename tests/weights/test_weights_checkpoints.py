"""Checkpoints of several files: whole and verified, from the hub or from a folder, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, Files
from typer.testing import CliRunner

from mildbench import weights
from mildbench.cli.weights import app
from mildbench.errors import UserError
from mildbench.files import read_json
from mildbench.weights import CheckpointFile, HubCheckpoint, manifest

hub_constants = pytest.importorskip("huggingface_hub.constants")

UNET = "unet/model.fp16.safetensors"
VAE = "vae/model.fp16.safetensors"
CONFIG = "unet/config.json"
REPOSITORY: Files = {
    UNET: bytes(range(256)) * 3000,
    VAE: bytes(range(256)) * 40,
    CONFIG: b'{"in_channels": 9}',
    "unet/model.bin": b"a pickle",
    "pipeline.py": b"code",
}
LISTED = {UNET, VAE, CONFIG}


@pytest.fixture
def hub(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    hub = FakeHub()
    template = hub_constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(hub_constants.ENDPOINT, hub.endpoint)
    monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(hub_constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    hub.repositories["us/small"] = dict(REPOSITORY)
    yield hub
    hub.http.shutdown()
    hub.http.server_close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Callable[..., HubCheckpoint]:
    """Make the manifest hold one checkpoint, `small`; the UNet's digest is known, the others' are not."""

    def register(*repositories: str) -> HubCheckpoint:
        digest = hashlib.sha256(REPOSITORY[UNET]).hexdigest()
        files = (
            CheckpointFile(UNET, len(REPOSITORY[UNET]), digest),
            CheckpointFile(VAE),
            CheckpointFile(CONFIG),
        )
        entry = HubCheckpoint("small", repositories or ("us/small",), files, "CC0-1.0", "tests")
        monkeypatch.setattr(manifest, "entries", lambda: {"small": entry})
        return entry

    return register


def content(folder: Path) -> Files:
    """Everything in a folder but the record."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop("fetched.json", None)
    return found


def in_cache(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"}


def write(folder: Path, files: Files) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def change(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(0, 1))  # a clock tick passes, whatever the file system's resolution


def test_the_listed_files_are_fetched_once_and_no_others(hub, small, cache):
    small()
    folder = weights.fetch("small")
    assert folder == cache / "small" == weights.resolve_folder("small") == weights.resolve("small")
    assert content(folder) == {path: REPOSITORY[path] for path in LISTED}
    record = read_json(folder / "fetched.json", "record")
    assert record["source"] == f"us/small@{hub.commit('us/small')}"
    assert record["sha256"].keys() == LISTED
    hub.requests.clear()
    assert weights.fetch("small") == folder
    assert not hub.requests
    assert in_cache(cache) == {"small"}


def test_a_pinned_commit_is_the_one_asked_for(hub, small):
    commit = hub.commit("us/small")
    small(f"us/small@{commit}")
    weights.fetch("small")
    assert f"/api/models/us/small/revision/{commit}" in hub.requests
    assert all(commit in path for path in hub.requests)


def test_mirrors_are_tried_in_turn(hub, small):
    hub.repositories["us/partial"] = {path: REPOSITORY[path] for path in (UNET, VAE)}
    hub.repositories["us/other"] = REPOSITORY | {UNET: REPOSITORY[UNET][::-1]}
    hub.repositories["us/mirror"] = dict(REPOSITORY)
    small("us/gone", "us/partial", f"us/mirror@{'0' * 40}", "us/other", "us/mirror")
    folder = weights.fetch("small")
    assert content(folder) == {path: REPOSITORY[path] for path in LISTED}
    assert read_json(folder / "fetched.json", "record")["source"].startswith("us/mirror@")


def test_no_mirror_is_one_clear_error(hub, small, cache):
    hub.repositories["us/partial"] = {UNET: REPOSITORY[UNET]}
    small("us/gone", "us/partial")
    with pytest.raises(UserError, match="no mirror gave the files") as error:
        weights.fetch("small")
    told = str(error.value)
    assert "us/gone: RepositoryNotFoundError" in told
    assert f"us/partial: it has no {VAE}" in told
    assert "mildbench weights add small FOLDER" in told
    assert "\n" not in told
    assert not hub.downloads
    assert not (cache / "small").exists()


@pytest.mark.parametrize("path", [UNET, VAE], ids=["known to the manifest", "known to the hub"])
def test_bytes_that_arrive_wrong_are_refused(hub, small, cache, path):
    small()
    hub.damaged.add(path)
    with pytest.raises(UserError, match=re.escape(path)):
        weights.fetch("small")
    assert not (cache / "small").exists()
    hub.damaged.clear()
    assert content(weights.fetch("small"))[path] == REPOSITORY[path]


def test_another_file_than_the_manifests_is_refused(hub, small, cache):
    small()
    hub.repositories["us/small"][UNET] = REPOSITORY[UNET][::-1]
    with pytest.raises(UserError, match="sha256"):
        weights.fetch("small")
    assert not (cache / "small").exists()


def test_what_broke_off_is_gone_on_with(hub, small, cache, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits before it tries again
    small()
    hub.broken[UNET] = 100_000
    with pytest.raises(UserError, match="no mirror gave the files"):
        weights.fetch("small")
    with pytest.raises(weights.WeightsMissing):
        weights.resolve("small")
    hub.broken.clear()
    hub.downloads.clear()
    assert content(weights.fetch("small")) == {path: REPOSITORY[path] for path in LISTED}
    assert set(hub.downloads) == {UNET}
    assert in_cache(cache) == {"small"}


@pytest.mark.parametrize("path", sorted(LISTED))
def test_a_changed_file_is_never_handed_out_and_is_fetched_again(hub, small, path):
    small()
    folder = weights.fetch("small")
    change(folder / path, REPOSITORY[path][::-1])
    assert [status.state for status in weights.overview()] == ["here"]
    assert [status.state for status in weights.verify()] == ["wrong"]
    with pytest.raises(UserError, match=re.escape(path)) as error:
        weights.resolve_folder("small")
    assert "mildbench weights fetch small" in str(error.value)
    weights.fetch("small")
    assert content(weights.resolve_folder("small"))[path] == REPOSITORY[path]


@pytest.mark.parametrize("lost", [UNET, CONFIG, "fetched.json"])
def test_a_lost_file_is_noticed_at_a_glance(hub, small, lost):
    small()
    (weights.fetch("small") / lost).unlink()
    (status,) = weights.overview()
    assert status.state == "wrong"
    assert status.problem is not None
    assert lost in status.problem


def test_a_broken_record_is_one_clear_line(hub, small):
    small()
    folder = weights.fetch("small")
    for text in ("{", "[]"):
        (folder / "fetched.json").write_text(text)
        with pytest.raises(UserError, match=r"fetched\.json"):
            weights.resolve_folder("small")


def test_missing_says_how_to_get_it(small):
    small()
    with pytest.raises(weights.WeightsMissing) as error:
        weights.resolve_folder("small")
    assert str(error.value) == "small weights missing: mildbench weights fetch small"


def test_a_file_is_no_folder():
    with pytest.raises(UserError, match="a single file"):
        weights.resolve_folder("lama-big")


@pytest.mark.parametrize("variable", [None, "MILDBENCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(hub, small, monkeypatch, variable):
    small()
    if variable:
        monkeypatch.setenv(variable, "1")
    with pytest.raises(UserError, match="forbids the network"):
        weights.fetch("small", offline=variable is None)
    assert not hub.requests


def test_no_room_is_said_before_the_download(hub, small, monkeypatch):
    small()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 10**9, 5))
    with pytest.raises(UserError, match="no room in"):
        weights.fetch("small")
    assert not hub.requests


def test_without_huggingface_hub_the_extra_is_named(small, monkeypatch):
    small()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=re.escape("mildbench[diffusion]")):
        weights.fetch("small")


def test_add_takes_the_listed_files_of_a_folder(small, cache, tmp_path):
    small()
    theirs = write(tmp_path / "theirs", REPOSITORY)
    seen: list[tuple[int, int]] = []
    folder = weights.add("small", theirs, progress=lambda done, total: seen.append((done, total)))
    assert content(folder) == {path: REPOSITORY[path] for path in LISTED}
    assert seen[-1][0] == seen[-1][1] == sum(len(REPOSITORY[path]) for path in LISTED)
    assert weights.resolve_folder("small") == folder
    assert weights.add("small", folder) == folder  # what is in its place already can be taken again
    assert in_cache(cache) == {"small"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({path: REPOSITORY[path] for path in (UNET, VAE)}, "config.json is missing"),
        (REPOSITORY | {UNET: b"<html>"}, "HTML page"),
        (REPOSITORY | {UNET: REPOSITORY[UNET][::-1]}, "sha256"),
    ],
)
def test_add_refuses_a_wrong_folder(small, cache, tmp_path, files, reason):
    small()
    with pytest.raises(UserError, match=reason):
        weights.add("small", write(tmp_path / "theirs", files))
    assert in_cache(cache) == set()


def test_add_refuses_a_missing_folder(small, tmp_path):
    small()
    with pytest.raises(UserError, match="folder not found"):
        weights.add("small", tmp_path / "nothing")


def test_the_digest_tells_contents_apart(hub, small, tmp_path):
    small()
    before = weights.digest("small")
    weights.fetch("small")
    fetched = weights.digest("small")
    weights.add("small", write(tmp_path / "theirs", REPOSITORY | {CONFIG: b"{}"}))
    assert len({before, fetched, weights.digest("small")}) == 3


def test_the_command_line(hub, small, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    small()

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.exception
        return result.output

    assert "missing" in run("list")
    assert str(weights.cache_dir() / "small") in run("fetch", "small")
    assert "sha256 of 1 of 3 files; the others to what was fetched first" in run("list", "--wide")
    assert "here" in run("verify", "small")
    assert "small" in run("add", "small", str(write(tmp_path / "theirs", REPOSITORY)))


def test_the_manifests_checkpoints():
    entries = weights.entries()
    assert set(weights.checkpoints()) >= {
        "sd-1.5-inpainting",
        "sd-2-inpainting",
        "sdxl-inpainting",
        "blip-vqa-base",
        "dinov2-giant",
        "clip-vit-large-336",
        "clip-vit-large",
        "sam-vit-huge",
    }
    for name in weights.checkpoints():
        entry = entries[name]
        assert isinstance(entry, HubCheckpoint)
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+(@[0-9a-f]{40})?", text) for text in entry.repositories)
        assert "@" in entry.repositories[0]
        for file in entry.files:
            assert not Path(file.path).is_absolute()
            assert ".." not in Path(file.path).parts
            # Nothing that can hold code, but a pickle that is known to the byte and read as plain tensors.
            assert Path(file.path).suffix in {".json", ".txt", ".safetensors"} or file.sha256
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert (file.size is None) == (file.sha256 is None)
            if file.path.endswith(".safetensors") and name != "sam-vit-huge":
                assert file.sha256
        folders = {Path(file.path).parent.name for file in entry.files}
        if name.endswith("-inpainting"):
            assert folders >= {"", "unet", "vae", "text_encoder", "tokenizer", "scheduler"}


def test_checkpoints_and_files_lie_side_by_side():
    places = [status.path for status in weights.overview()]
    assert len(set(places)) == len(places)
