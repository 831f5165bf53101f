"""Training MagicEraser: one word and an adapter, nothing else, and the method reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import batch
from people import crowd
from training_fakes import FakeScenes

from baselines.diffusion.checkpoints import load_backbone
from baselines.magiceraser.prompt import FIRST, WORD
from baselines.magiceraser.training import MagicEraserTrainer
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.method import MethodSpec
from mildbench.training import checkpoint
from mildbench.training.crops import RandomCrop
from mildbench.training.loop import TrainingOutcome
from mildbench.training.record import read_log

Run = Callable[..., TrainingOutcome]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.slow
def test_the_loss_falls_and_only_the_word_and_the_adapter_move(run: Run, tmp_path: Path) -> None:
    trainer = MagicEraserTrainer("random:tiny")
    outcome = run(trainer, source=FakeScenes(2, 64), steps=10, batch_size=2, size=64, lr=1e-2, save_every=10)
    rows = read_log(tmp_path / "run/log.csv")
    assert rows[-1]["val_loss"] < 0.98 * rows[0]["val_loss"]  # of the same noise
    assert read_rgb(tmp_path / "run/panels/00000010.png").shape == (2 * 68, 4 * 68, 3)

    newest = checkpoint.read_newest(tmp_path / "run/checkpoints")
    assert newest is not None
    names = set(newest.model)
    assert {name for name in names if name.startswith("word")} == {"word.vectors.0"}
    assert {name.rpartition(".")[2] for name in names if name.startswith("lora")} == {"down", "up"}
    frozen = load_backbone("random:tiny", "cpu", torch.float32)
    unet = {name.replace(".base.", "."): part for name, part in trainer.backbone.network.named_parameters()}
    text = {
        name.replace(".table.", "."): part
        for name, part in trainer.backbone.text.models[0].named_parameters()
    }
    assert all(torch.equal(part, unet[name]) for name, part in frozen.network.named_parameters())
    assert all(torch.equal(part, text[name]) for name, part in frozen.text.models[0].named_parameters())
    first = frozen.text.tokenizers[0](FIRST, add_special_tokens=False, return_tensors="pt").input_ids[0]
    fresh = frozen.text.models[0].get_input_embeddings()(first).mean(0)
    assert not torch.allclose(newest.model["word.vectors.0"], fresh, atol=1e-3)

    results = []
    for spec in (outcome.usage.split()[-1], "magiceraser:backbone=random:tiny"):
        method = MethodSpec.parse(f"{spec},steps=2,resolution=64,init=telea").create()
        method.load()
        result = method.run(crowd(1))[0]
        assert result.error is None
        results.append(result.image)
    assert not np.array_equal(*results)


def test_the_tag_is_that_of_the_method() -> None:
    trainer = MagicEraserTrainer("random:tiny", tag="street")
    trainer.load("cpu", 0)
    method = MethodSpec.parse(trainer.usage(Path("weights")).split()[-1]).create()
    shown = {"image": torch.zeros(2, 32, 32, 3), "tag": ["", "wall-brick"]}
    assert trainer._prompted(shown)["prompt"] == method.prompts(batch(2))  # type: ignore[attr-defined]


@pytest.mark.parametrize("masks", ["people", "random"])
def test_each_picture_has_its_own_tag_through_any_window(masks: str) -> None:
    trainer = MagicEraserTrainer("random:tiny", masks=masks)
    trainer.load("cpu", 0)
    method = MethodSpec.parse(trainer.usage(Path("weights")).split()[-1]).create()
    tags = ("wall-other-merged", None)
    rng = np.random.default_rng(0)
    examples = [
        trainer.make_example(RandomCrop(8, 8, 48, 32).scene(replace(scene, background_tag=tag)), rng)
        for scene, tag in zip(map(partial(FakeScenes(2, 64).scene, "train"), range(2)), tags, strict=True)
    ]
    shown = {"image": torch.zeros(2, 32, 32, 3), "tag": [example["tag"] for example in examples]}
    prompts = trainer._prompted(shown)["prompt"]
    assert prompts == [f"a photo of {WORD} wall", f"a photo of {WORD} background"]
    told = replace(batch(2), background_tags=tags)
    assert prompts == method.prompts(told)  # type: ignore[attr-defined]


def test_random_masks_ask_for_what_is_there() -> None:
    scene = FakeScenes(2, 64).scene("train", 0)
    rng = np.random.default_rng(0)
    restored = MagicEraserTrainer("random:tiny", masks="random").make_example(scene, rng)
    erased = MagicEraserTrainer("random:tiny").make_example(scene, rng)
    assert np.array_equal(restored["image"], restored["truth"])
    assert not np.array_equal(erased["image"], erased["truth"])
    with pytest.raises(UserError, match="did you mean 'random'"):
        MagicEraserTrainer("random:tiny", masks="randm")
