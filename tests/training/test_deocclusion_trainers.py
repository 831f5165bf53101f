"""Training de-occlusion: hidden people with exact truth, and both stages in one folder for the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from training_fakes import FakeScenes, drawn_scene

from baselines.deocclusion import examples, mask_completion
from baselines.deocclusion.training import DecoderTrainer, MaskTrainer
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.parts import save_part, seeded
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.method import MethodSpec, Outcome
from mildbench.training import checkpoint, loop
from mildbench.training.record import read_log

Run = Callable[..., loop.TrainingOutcome]
pytestmark = pytest.mark.usefixtures("quick")

SCENES = FakeScenes(2, 64)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.deocclusion.training._STEPS", 3)


def test_the_whole_mask_holds_what_is_visible_and_more() -> None:
    hidden = 0
    for seed in range(12):
        example = examples.masks(drawn_scene(4, 64), np.random.default_rng(seed))
        conditions, whole = example["conditions"], example["amodal"][0]  # type: ignore[index]
        assert isinstance(conditions, np.ndarray)
        assert conditions.shape == (mask_completion.CONDITIONS, mask_completion.SIDE, mask_completion.SIDE)
        visible, observability = conditions[3], conditions[4]
        assert (whole > -1)[visible > 0].all()
        assert (visible + observability)[whole == 1].min() > 0.9
        hidden += np.count_nonzero((whole == 1) & (visible == 0))
    assert hidden > 12 * 50


@pytest.mark.parametrize("people", [1, 2])
def test_somebody_is_hidden_where_nobody_was(people: int) -> None:
    """Scene 1's people stand apart; then one is put before the other, or before themselves."""
    scene = drawn_scene(1, 64)
    scene = replace(scene, layers=scene.layers[:people])
    assert (scene.people().visible_ratio() == 1).all()
    for seed in range(8):
        example = examples.figures(scene, np.random.default_rng(seed))
        shown, seen, truth = (example[name] for name in ("shown", "seen", "truth"))
        assert shown.shape == truth.shape == (64, 64, 3)  # type: ignore[union-attr]
        assert isinstance(seen, np.ndarray)
        assert np.array_equal(shown[seen == 1], truth[seen == 1])  # type: ignore[index]


@pytest.mark.slow
def test_masks_are_learnt(run: Run, tmp_path: Path) -> None:
    run(MaskTrainer(), source=SCENES, steps=16, batch_size=2, size=64, lr=5e-3, save_every=16)
    rows = read_log(tmp_path / "run/log.csv")
    assert rows[-1]["val_loss"] < 0.7 * rows[0]["val_loss"]
    assert rows[-1]["val_iou"] > rows[0]["val_iou"]
    assert read_rgb(tmp_path / "run/panels/00000016.png").shape == (2 * 68, 5 * 68, 3)


@pytest.mark.slow
def test_the_decoder_learns_and_the_method_reads_both_stages(run: Run, tmp_path: Path) -> None:
    first = run(
        MaskTrainer(), out="first", source=SCENES, steps=2, batch_size=2, size=64, lr=3e-3, save_every=2
    )
    folder = first.usage.split("mask=")[1]
    trainer = DecoderTrainer("random:tiny", mask=folder)
    second = run(trainer, source=SCENES, steps=10, batch_size=2, size=64, lr=5e-3, save_every=10)
    rows = read_log(tmp_path / "run/log.csv")
    assert rows[-1]["val_visible"] < 0.9 * rows[0]["val_visible"]
    assert read_rgb(tmp_path / "run/panels/00000010.png").shape == (2 * 68, 3 * 68, 3)

    newest = checkpoint.read_newest(tmp_path / "run/checkpoints")
    assert newest is not None
    assert {name.partition(".")[0] for name in newest.model} == {"decoder_skips"}
    vae = load_backbone("random:tiny", "cpu", torch.float32).vae
    pairs = zip(vae.parameters(), trainer.backbone.vae.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)

    names = ("mask_completion.safetensors", "decoder_skips.safetensors")
    weights = Path(second.usage.partition("weights=")[2])
    assert (weights / names[0]).read_bytes() == (Path(folder) / names[0]).read_bytes()
    trained, plain, fresh = (
        _erase(f"{spec},steps=2,resolution=64")
        for spec in (
            second.usage.split()[-1],
            f"{second.usage.split()[-1]},decoder_skips=false",
            "deocclusion:backbone=random:tiny",
        )
    )
    assert not np.array_equal(trained.layers[0], plain.layers[0])
    assert np.array_equal(trained.layers[0][..., 3], plain.layers[0][..., 3])
    assert not np.array_equal(trained.layers[0][..., 3], fresh.layers[0][..., 3])


def _erase(spec: str) -> Outcome:
    method = MethodSpec.parse(spec).create()
    method.load()
    result = method.run(crowd(1))[0]
    assert result.error is None
    return result


def test_stage_two_starts_as_the_plain_decoder(tmp_path: Path) -> None:
    save_part(seeded(mask_completion.MaskCompletion), tmp_path / "mask_completion.safetensors")
    trainer = DecoderTrainer("random:tiny", mask=str(tmp_path))
    trainer.load("cpu", 0)
    example = examples.figures(drawn_scene(4, 64), np.random.default_rng(0))
    batch = {name: torch.from_numpy(value)[None] for name, value in example.items()}  # type: ignore[arg-type]
    torch.manual_seed(0)
    made, truth = trainer._decoded(batch)
    torch.manual_seed(0)
    vae = trainer.backbone.vae
    plain = vae.decode(vae.encode(truth).latent_dist.sample()).sample
    torch.testing.assert_close(made, plain, atol=1e-4, rtol=1e-4)


def test_stage_two_takes_the_shipped_stage_one_unless_told_otherwise(tmp_path: Path) -> None:
    DecoderTrainer("random:tiny").load("cpu", 0)
    with pytest.raises(UserError, match=r"trained part not found: .*mask_completion"):
        DecoderTrainer("random:tiny", mask=str(tmp_path)).load("cpu", 0)
