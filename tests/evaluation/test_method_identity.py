"""What a method is: its revision or its code, its options, its dtype, and the contents of what it reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from evaluation_fakes import Calls, FakeDataset

from baselines import shipped
from mildbench.errors import UserError
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.identity import MethodIdentity, identity_of
from mildbench.evaluation.run import Run
from mildbench.method import METHODS, MethodSpec
from mildbench.records import read_model
from mildbench.results.record import RunRecord

HOSTED = {
    "deocclusion": "baselines.deocclusion.method:Deocclusion",
    "lama": "baselines.lama.method:Lama",
    "magiceraser": "baselines.magiceraser.method:MagicEraser",
    "mild": "baselines.mild.method:Mild",
    "sd-inpaint": "baselines.sd_inpaint:SdInpaint",
    "telea": "baselines.opencv:Telea",
}
PLUGIN = """
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo
{base}

class Mine({kind}):
    {info}

    def __init__(self, weights: str = "", size: float = 3.0) -> None:
        pass

    def erase(self, batch: EraseBatch) -> EraseResult:
        return EraseResult(batch.images)  # {comment}
"""


def of(text: str, device: str = "cpu") -> MethodIdentity:
    spec = MethodSpec.parse(text)
    return identity_of(spec, spec.create(device))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; hosted methods are registered."""
    points = {name: EntryPoint(name, value, METHODS.group) for name, value in HOSTED.items()}
    monkeypatch.setattr(METHODS, "_targets", points, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plugin(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MethodIdentity]]:
    """`plugin(info=..., comment=...)`: the identity of a method of somebody's own, in a module written so."""
    monkeypatch.syspath_prepend(here)
    monkeypatch.setattr(METHODS, "_targets", {"mine": EntryPoint("mine", "my_plugin:Mine", METHODS.group)})

    def identity(
        revision: int | None, comment: str = "", base: str = "", kind: str = "EraseMethod", options: str = ""
    ) -> MethodIdentity:
        info = f'info = MethodInfo("mine", "external", "for tests", revision={revision})'
        text = PLUGIN.format(info="" if base else info, comment=comment, base=base, kind=kind)
        (here / "my_plugin.py").write_text(text)
        sys.modules.pop("my_plugin", None)
        return of(f"mine:{options}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        yield identity
    sys.modules.pop("my_plugin", None)


def backbone(folder: Path, weights: bytes = b"first") -> Path:
    """What is enough of a checkpoint to be found; returns the file of its weights."""
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(weights)
    return folder / "unet" / "weights.safetensors"


def test_a_declared_revision_is_all_that_counts_of_the_code(plugin: Callable[..., MethodIdentity]) -> None:
    assert plugin(1, "one") == plugin(1, "another")
    assert plugin(1).versions == {"mine": "revision 1"}
    assert plugin(2).versions == {"mine": "revision 2"}


def test_undeclared_code_is_its_source(plugin: Callable[..., MethodIdentity]) -> None:
    assert plugin(None, "one") == plugin(None, "one") != plugin(None, "another")


def test_a_subclass_does_not_inherit_that_its_code_was_declared(
    plugin: Callable[..., MethodIdentity],
) -> None:
    inherited = {"base": "from baselines.opencv import Telea", "kind": "Telea"}
    assert plugin(None, "one", **inherited) != plugin(None, "another", **inherited)
    assert plugin(None, "one", **inherited).versions["mine"].startswith("source ")


def test_of_a_method_that_does_not_say_what_it_reads_every_path_counts(
    plugin: Callable[..., MethodIdentity], here: Path
) -> None:
    for place in ("w", "3.0"):
        (here / place).mkdir()
        (here / place / "x.pth").write_bytes(b"first")
    before = plugin(1, options="weights=w,size=3.0")
    assert (list(before.files), before.options) == (["weights"], {"size": "3.0"})
    assert plugin(1, options="weights=./w/") == before
    (here / "w" / "x.pth").write_bytes(b"other")
    assert plugin(1, options="weights=w") != before


def test_a_backbone_is_what_it_holds_however_it_is_written(here: Path) -> None:
    weights = backbone(here / "bb")
    (here / "link").symlink_to("bb")
    (here / "deep").mkdir()
    (here / "deep" / "bb").symlink_to("../link")
    places = ["bb", "./bb", "bb/", str(here / "bb"), "link", "deep/bb"]
    before = [of(f"sd-inpaint:backbone={place}") for place in places]
    assert all(found == before[0] for found in before)
    facts = weights.stat()
    weights.write_bytes(b"other")  # of the same size, and by its times not changed at all
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    after = [of(f"sd-inpaint:backbone={place}") for place in places]
    assert all(found == after[0] != before[0] for found in after)
    (here / "bb" / "README.md").write_text("a card")
    assert of("sd-inpaint:backbone=bb") == after[0]


def test_a_link_that_leads_elsewhere_is_another_backbone(here: Path) -> None:
    backbone(here / "one", b"one")
    backbone(here / "two", b"two")
    (here / "mine").symlink_to("one")
    before = of("mild:backbone=mine")
    (here / "mine").unlink()
    (here / "mine").symlink_to("two")
    assert of("mild:backbone=mine") != before == of("mild:backbone=one")


@pytest.mark.parametrize(
    "method", ["sd-inpaint:backbone=bb", "mild:backbone=bb,weights=own", "lama:weights=own/w"]
)
def test_what_is_not_there_is_told_before_anything_runs(method: str, here: Path) -> None:
    if method.startswith("mild"):
        backbone(here / "bb")
    with pytest.raises(UserError, match=r"not found: own|unknown backbone 'bb'"):
        of(method)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("lama:weights=own/w.safetensors", "own/w.safetensors"),
        ("lama:variant=tiny,weights=own/w.safetensors", "own/w.safetensors"),
        ("mild:weights=own", "own/w.safetensors"),
        ("magiceraser:weights=own", "own/w.safetensors"),
        ("deocclusion:weights=own", "own/w.safetensors"),
        ("deocclusion:vqa=own", "own/w.safetensors"),
    ],
)
def test_weights_of_any_option_count_by_content(text: str, path: str, here: Path) -> None:
    (here / "own").mkdir()
    (here / path).write_bytes(b"first")
    before = of(text)
    (here / path).write_bytes(b"other")
    assert of(text) != before


def test_a_folder_that_is_called_like_a_choice_is_not_taken_for_it(here: Path) -> None:
    texts = ("lama:variant=tiny", "magiceraser", "mild", "sd-inpaint:prompt=tiny")
    before = [of(text) for text in texts]
    for name in ("tiny", "auto", "lama", "constant", "none", "pose+parsing+relations"):
        (here / name).mkdir()
        (here / name / "x").write_bytes(b"x")
    assert [of(text) for text in texts] == before


@pytest.mark.parametrize("name", ["backbone", "lama", "magiceraser"])
def test_shipped_weights_count_by_content_and_the_start_of_magiceraser_too(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of("magiceraser")
    assert before.versions == {
        name: f"revision {METHODS.load(name).info.revision}" for name in ("magiceraser", "lama")
    }
    (here / "own").mkdir()
    (here / "own" / "x.safetensors").write_bytes(b"trained on")
    folder = shipped.folder
    monkeypatch.setattr(shipped, "folder", lambda asked: here / "own" if asked == name else folder(asked))
    assert of("magiceraser").files != before.files


@pytest.mark.usefixtures("here")
def test_the_dtype_is_the_one_that_is_used() -> None:
    assert of("mild").dtype == "float32"
    assert of("mild", "cuda").dtype == "bfloat16"
    assert of("mild:dtype=float32") == of("mild") != of("mild:dtype=float16")
    assert of("mild", "cuda:1") == of("mild", "cuda") == of("mild:dtype=bfloat16") != of("mild")
    assert of("telea").dtype is None


def test_a_run_of_another_schema_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 1, "label": "old"}')
    with pytest.raises(UserError, match="is of schema version 1, this mildbench reads 2: make it anew"):
        read_model(RunRecord, tmp_path / "run.json", "run description")
    assert "old" in (tmp_path / "run.json").read_text()


def test_the_identity_is_in_the_run(tmp_path: Path) -> None:
    def folder(text: str, device: str = "cpu") -> str:
        spec = MethodSpec.parse(text)
        options = {"seed": 0, "device": device, "corruption": Corruption()}
        return Run.of(tmp_path, FakeDataset(), "erase-all", "test", spec, **options).folder.name

    Calls.clear()
    assert (
        folder("noise")
        == folder("noise:strength=16")
        == folder("noise", "cuda")
        != folder("noise:strength=17")
    )
    assert not Calls.loaded


@pytest.mark.usefixtures("here")
def test_an_option_that_came_later_counts_once_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    mild = METHODS.load("mild")
    monkeypatch.setattr(mild, "info", replace(mild.info, later=frozenset({"dual"})))
    options = of("mild").options
    assert "dual" not in options
    assert of("mild:dual=false") == of("mild")
    assert of("mild:dual=true").options == options | {"dual": "true"}


@pytest.mark.usefixtures("here")
def test_an_option_is_its_value_however_it_is_written() -> None:
    assert of("telea") == of("telea:radius=3") == of("telea:radius=3.00") != of("telea:radius=4")
    assert of("mild:dual=yes") == of("mild:dual=True") != of("mild:dual=0")
