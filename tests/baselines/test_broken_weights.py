"""Weights that are broken are told in one line; values that are not finite are a failed sample, never a picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines import shipped
from baselines.diffusion.checkpoints import find_folder
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation.data import as_batch
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo, MethodSpec


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(shipped.folder(name), folder / name))


def poison(path: Path) -> None:
    """Every number of the file becomes NaN."""
    tensors = {
        key: part + torch.nan if part.is_floating_point() else part for key, part in load_file(path).items()
    }
    save_file(tensors, path, {"format": "pt"})


@pytest.fixture(scope="module")
def samples(data: Path) -> list[EraseBatch]:
    """People to be erased who hide somebody."""
    dataset = Dataset.open(data)
    found = [dataset.triplet("erase-one", name) for name in dataset.task_ids("erase-one", "test")]
    hiding = [triplet for triplet in found if triplet.overlap.any()]
    assert hiding
    return [as_batch(triplet.id, triplet, 0, with_truth=False) for triplet in hiding[:2]]


@pytest.mark.parametrize(
    ("model", "file", "spec"),
    [
        ("mild", "alpha.safetensors", "mild:weights={}"),
        ("mild", "modulation.safetensors", "mild:weights={}"),
        ("deocclusion", "mask_completion.safetensors", "deocclusion:weights={}"),
        ("deocclusion", "decoder_skips.safetensors", "deocclusion:weights={}"),
        ("magiceraser", "embedding.safetensors", "magiceraser:weights={}"),
        ("lama", "model.safetensors", "lama:variant=tiny,weights={}/model.safetensors"),
        ("backbone", "vae/diffusion_pytorch_model.safetensors", "sd-inpaint:steps=1,backbone={}"),
    ],
)
def test_values_that_are_not_finite_are_failed_samples(
    model: str, file: str, spec: str, samples: list[EraseBatch], tmp_path: Path
) -> None:
    folder = copied(model, tmp_path)
    poison(folder / file)
    method = MethodSpec.parse(spec.format(folder)).create()
    method.load()
    for sample in samples:
        (outcome,) = method.run(sample)
        assert outcome.image is None
        assert "not finite" in (outcome.error or "")


class Divided(EraseMethod):
    """Makes pixels of NaN in the pictures that are said to be bad."""

    info = MethodInfo("divided", "external", "for tests")

    def __init__(self, bad: str) -> None:
        self.bad = bad

    def erase(self, batch: EraseBatch) -> EraseResult:
        pictures = batch.images.astype(np.float32)
        for picture, name in zip(pictures, batch.sample_ids, strict=True):
            picture[:2] = np.nan if name == self.bad else 300.0  # out of range is the author's business
        return EraseResult(pictures.astype(np.uint8))


def test_pixels_made_of_nan_fail_for_any_method_and_alone(samples: list[EraseBatch]) -> None:
    (sample,) = samples[:1]
    good = sample.sample_ids[0]
    both = EraseBatch(("bad", good), np.repeat(sample.images, 2, 0), np.repeat(sample.masks, 2, 0), (1, 2))
    first, second = Divided("bad").run(both)
    assert first.error == "ValueError: divided made pixels of values that are not finite"
    assert second.error is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>no</html>",
        b"\x80\x04K\x01.",
        b"PK\x03\x04 cut",
        bytes(range(256)) * 8,
        b"\x80\x02ccollections\nfoo\n.",
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".safetensors", ".png"])
def test_a_file_that_holds_no_weights_is_told(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    method = MethodSpec("lama", {"weights": str(path)}).create()
    with pytest.raises(UserError, match="weights"):
        method.load()


@pytest.mark.parametrize("name", ["a b/c", "a--b/c", "a/b.git", "a/..", f"x/{'y' * 200}"])
def test_names_that_no_repository_can_have_are_told(name: str) -> None:
    with pytest.raises(UserError, match="no repository can be called so"):
        find_folder(name)


@pytest.mark.parametrize("spec", ["mild:weights={}", "magiceraser:weights={}", "deocclusion:weights={}"])
def test_an_empty_folder_of_weights_is_told(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(trained part|weights) not found"):
        MethodSpec.parse(spec.format(tmp_path)).create().load()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _lacking(path: Path) -> None:
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path, {"format": "pt"})


def _reshaped(path: Path) -> None:
    tensors = load_file(path)
    save_file(tensors | {sorted(tensors)[0]: torch.zeros(3)}, path, {"format": "pt"})


@pytest.mark.parametrize("harm", [_cut, _lacking, _reshaped])
@pytest.mark.parametrize(
    "file",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    ],
)
def test_a_backbone_that_is_not_whole_is_told(harm, file: str, tmp_path: Path) -> None:
    folder = copied("backbone", tmp_path)
    harm(folder / file)
    with pytest.raises(UserError, match="cannot be read"):
        MethodSpec("sd-inpaint", {"backbone": str(folder)}).create().load()
