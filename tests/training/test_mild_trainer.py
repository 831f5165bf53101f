"""Training MILD: examples are the method's own pathways, and what is trained is what the method reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from training_fakes import FakeScenes, drawn_scene

from baselines.diffusion.canvas import Canvas
from baselines.diffusion.checkpoints import load_backbone
from baselines.diffusion.training import problems
from baselines.layers import compose
from baselines.mild import composition, examples
from baselines.mild.method import Mild
from baselines.mild.pathways import Pathway, dual_pathways, pathways
from baselines.mild.training import MildTrainer, matte_losses
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.method import EraseBatch, MethodSpec
from mildbench.training import checkpoint
from mildbench.training.data import Attempt, collate
from mildbench.training.ema import state_of
from mildbench.training.loop import TrainingOutcome
from mildbench.training.record import read_log

Run = Callable[..., TrainingOutcome]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("parts", ["pose+parsing+relations", "pose", "none"])
def test_an_example_is_what_the_method_makes_of_the_same_task(
    parts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[Pathway]] = []

    def kept(batch: EraseBatch) -> list[Pathway]:
        made.append(pathways(batch))
        return made[-1]

    monkeypatch.setattr(examples, "pathways", kept)
    trainer, method = MildTrainer("random:tiny", hmg=parts), Mild("random:tiny", hmg=parts, resolution=64)
    trainer.load("cpu", 0)
    method.load()
    example = trainer.make_example(drawn_scene(4, 64), np.random.default_rng(0))
    found = trainer._conditions(collate([Attempt(example)]))
    chosen = [made[0][0], made[1][1]]
    wanted = method.conditions(chosen, Canvas.of((64, 64), 64, 32), [0])
    assert [path.name for path in chosen] == ["background", "person 0"]
    for name in ("domains", "visible", "regions"):
        assert torch.equal(getattr(found, name), getattr(wanted, name)), name
    torch.testing.assert_close(found.guidance, wanted.guidance, atol=0.5 / examples.LEVELS, rtol=0)
    for name in ("pictures", "holes"):
        assert torch.equal(getattr(found.pathways, name), getattr(wanted.pathways, name)), name
    assert torch.equal(found.pathways.prompts.tokens, wanted.pathways.prompts.tokens)


def test_pathways_that_make_their_targets_compose_to_the_truth() -> None:
    scene = drawn_scene(4, 64)
    behind, front = (layer.person.id for layer in scene.layers)
    rng = np.random.default_rng(0)
    while True:
        example = examples.two_pathways(scene, rng, (), 8)
        if example["instance"].tolist() == [False, True]:  # type: ignore[union-attr]
            break
    shown, _ = problems.task(scene, frozenset({front}), rng)
    instance = pathways(shown)[1]
    target, matte = example["target"], example["matte"]
    layer = composition.layer(instance, shown.images[0], target[1], np.float32(matte[1]) / 255)  # type: ignore[index, arg-type]
    made = compose(shown.images[0], shown.masks[0], target[0], {0: layer})  # type: ignore[arg-type]
    error = np.abs(made.astype(int) - scene.composite(without={front})).max(axis=2)
    assert (error > 4).mean() < 0.01  # soft edges, which belong to no binary mask
    assert behind in {layer.person.id for layer in scene.layers}
    assert (
        np.abs(scene.composite().astype(int) - scene.composite(without={front})).max(axis=2) > 4
    ).mean() > 0.1


def test_dual_pathways_that_make_their_targets_compose_to_the_truth() -> None:
    scene = drawn_scene(4, 64)
    _, front = (layer.person.id for layer in scene.layers)
    example = examples.dual_pathways_of(scene, np.random.default_rng(0), (), 8)
    assert example["instance"].tolist() == [False, True]  # type: ignore[union-attr]
    shown, _ = problems.task(scene, frozenset({front}), np.random.default_rng(0))
    everybody = dual_pathways(shown)[1]
    target, matte = example["target"], example["matte"]
    layer = composition.layer(everybody, shown.images[0], target[1], np.float32(matte[1]) / 255)  # type: ignore[index, arg-type]
    made = compose(shown.images[0], shown.masks[0], target[0], {0: layer})  # type: ignore[arg-type]
    error = np.abs(made.astype(int) - scene.composite(without={front})).max(axis=2)
    assert (error > 4).mean() < 0.01  # soft edges, which belong to no binary mask


def test_the_matte_of_several_people_is_what_they_cover_together() -> None:
    scene = drawn_scene(4, 64)
    one, other = scene.layers
    paths = dual_pathways(problems.task(scene, frozenset({other.person.id}), np.random.default_rng(0))[0])
    made = examples._stack(paths, [scene.background] * 2, [[], [one, other]], (), 8)
    clear = np.ones((64, 64))
    for layer in (one, other):
        there, here = layer.window(64, 64)
        clear[there] *= 1 - layer.rgba[here][..., 3] / 255
    np.testing.assert_allclose(made["matte"][1] / 255, 1 - clear, atol=1.5 / 255)  # type: ignore[index, operator]


def test_a_dual_trainer_says_so(tmp_path: Path) -> None:
    trainer = MildTrainer("random:tiny", dual=True)
    trainer.load("cpu", 0)
    assert "dual=true" in trainer.usage(tmp_path)
    assert trainer.make_example.func is examples.dual_pathways_of  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="cannot be dual"):
        MildTrainer("random:tiny", dual=True, single_path=True)


def test_somebody_alone_makes_backgrounds() -> None:
    scene = drawn_scene(0, 64)
    alone = type(scene)(scene.id, scene.background, scene.layers[:1])
    example = examples.two_pathways(alone, np.random.default_rng(0), (), 8)
    assert not example["instance"].any()  # type: ignore[union-attr]
    assert all(np.array_equal(target, scene.background) for target in example["target"])
    assert not example["matte"].any()  # type: ignore[union-attr]


@pytest.mark.slow
def test_the_losses_fall_on_a_few_scenes(run: Run, tmp_path: Path) -> None:
    run(
        MildTrainer("random:tiny"),
        source=FakeScenes(2, 64),
        steps=16,
        batch_size=2,
        size=64,
        lr=3e-3,
        save_every=16,
    )
    rows = read_log(tmp_path / "run/log.csv")
    # Of the same noise before and after; the backbone is random and frozen, so they fall slowly.
    for column, share in (("loss", 0.98), ("background", 0.98), ("alpha", 1.0)):
        assert rows[-1][f"val_{column}"] < share * rows[0][f"val_{column}"], column
    assert read_rgb(tmp_path / "run/panels/00000016.png").shape == (2 * 68, 8 * 68, 3)


@pytest.mark.slow
def test_only_its_modules_are_trained_and_the_method_reads_them(run: Run, tmp_path: Path) -> None:
    trainer = MildTrainer("random:tiny")
    outcome = run(trainer, steps=3, batch_size=2, size=64, lr=3e-2, save_every=3)
    newest = checkpoint.read_newest(tmp_path / "run/checkpoints")
    assert newest is not None
    assert {name.partition(".")[0] for name in newest.model} == {"lora", "guidance", "modulation", "alpha"}
    assert {name.rpartition(".")[2] for name in newest.model if name.startswith("lora")} == {"down", "up"}
    fresh = MildTrainer("random:tiny")
    fresh.load("cpu", 0)
    still = {name for name, part in state_of(fresh.trained).items() if torch.equal(part, newest.model[name])}
    assert still == set()
    frozen = load_backbone("random:tiny", "cpu", torch.float32)
    trained = {
        name.replace(".base.", "."): part for name, part in trainer.backbone.network.named_parameters()
    }
    assert all(torch.equal(part, trained[name]) for name, part in frozen.network.named_parameters())
    for part, before in (("vae", frozen.vae), ("text", frozen.text.models[0])):
        after = trainer.backbone.vae if part == "vae" else trainer.backbone.text.models[0]
        pairs = zip(before.parameters(), after.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)

    results = []
    for spec in (
        f"{outcome.usage.split()[-1]},steps=2,resolution=64",
        "mild:backbone=random:tiny,steps=2,resolution=64",
    ):
        method = MethodSpec.parse(spec).create()
        method.load()
        result = method.run(crowd(1))[0]
        assert result.error is None
        results.append(result)
    assert not np.array_equal(results[0].image, results[1].image)
    assert any(not np.array_equal(results[0].layers[person], results[1].layers[person]) for person in (0, 1))


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({"hmg": "none"}, {"background", "instance", "modulation", "alpha"}),
        ({"sma": False, "lora_routing": False}, {"shared", "guidance", "alpha"}),
        ({"single_path": True, "hmg": "pose"}, {"shared", "guidance", "modulation"}),
    ],
)
def test_what_an_ablation_trains_its_method_reads(
    run: Run, tmp_path: Path, options: dict[str, object], files: set[str]
) -> None:
    outcome = run(MildTrainer("random:tiny", **options), steps=1, batch_size=1, size=32, lr=1e-3)  # type: ignore[arg-type]
    assert {path.stem for path in (tmp_path / "run/weights").glob("*.safetensors")} == files
    method = MethodSpec.parse(outcome.usage.split()[-1]).create()
    method.load()
    assert isinstance(method, Mild)
    assert set(method.modules.parts()) == files - {"background", "instance", "shared"}


@pytest.mark.slow
def test_stopped_and_continued_equals_unbroken(run: Run, tmp_path: Path) -> None:
    given = {"steps": 2, "batch_size": 1, "size": 32, "lr": 1e-3, "save_every": 2}
    run(MildTrainer("random:tiny"), out="unbroken", **given)
    run(MildTrainer("random:tiny"), minutes=1e-9, **given)
    run(MildTrainer("random:tiny"), **given)
    one, other = (read_log(tmp_path / folder / "log.csv") for folder in ("run", "unbroken"))
    assert [row["loss"] for row in one[1:]] == [row["loss"] for row in other[1:]]
    for file in (tmp_path / "run/weights").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "unbroken/weights" / file.name).read_bytes()


def test_the_matte_is_learnt_at_every_time_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = MildTrainer("random:tiny")
    trainer.load("cpu", 0)
    rng = np.random.default_rng(0)
    made = (trainer.make_example(drawn_scene(4, 64), rng) for _ in range(20))
    batch = collate([Attempt(next(each for each in made if each["instance"].any()))])  # type: ignore[union-attr]
    assert trainer.modules.alpha is not None
    found = []
    for time in (0, 500, 999):  # the last is pure noise, all that sampling in one step reads
        monkeypatch.setattr(torch, "randint", lambda high, size, time=time: torch.full(size, time))
        trainer.trained.zero_grad()
        loss, logs = trainer.loss(batch)
        loss.backward()
        gradient = trainer.modules.alpha.layers[-1].bias.grad
        found.append([float(logs["alpha"]), float(gradient)])  # type: ignore[arg-type]
    # A fresh head finds the same in whatever it reads.
    assert np.abs(found).min() > 1e-3
    np.testing.assert_allclose(found, found[:1] * 3, rtol=1e-4)


def test_training_goes_on_from_a_start(run: Run, tmp_path: Path) -> None:
    run(MildTrainer("random:tiny"), steps=1, batch_size=1, size=32, lr=1e-1)
    weights = tmp_path / "run/weights"
    trainer = MildTrainer("random:tiny", start=str(weights))
    trainer.load("cpu", 1)
    (tmp_path / "again").mkdir()
    trainer.save(tmp_path / "again")
    files = sorted(weights.glob("*.safetensors"))
    assert len(files) == 5
    for file in files:
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    with pytest.raises(UserError, match="nowhere"):
        MildTrainer("random:tiny", start=str(tmp_path / "nowhere")).load("cpu", 0)


def test_the_alpha_head_can_be_trained_alone(run: Run, tmp_path: Path) -> None:
    given = {"batch_size": 2, "size": 64, "lr": 1e-1}
    run(MildTrainer("random:tiny"), steps=1, **given)
    start = tmp_path / "run/weights"
    trainer = MildTrainer("random:tiny", start=str(start), alpha_only=True)
    run(trainer, out="alone", steps=2, **given)
    changed = {
        file.stem
        for file in start.glob("*.safetensors")
        if file.read_bytes() != (tmp_path / "alone/weights" / file.name).read_bytes()
    }
    assert changed == {"alpha"}
    for options in ({"start": ""}, {"start": str(start), "single_path": True}):
        with pytest.raises(UserError, match="alpha_only"):
            MildTrainer("random:tiny", alpha_only=True, **options)


def test_an_instance_alone_is_the_second_of_the_two_pathways() -> None:
    make = partial(examples.two_pathways, parts=("pose",), edge=8)
    two = make(drawn_scene(4, 64), np.random.default_rng(0))
    alone = examples.instance_alone(drawn_scene(4, 64), np.random.default_rng(0), two=make)
    assert alone.keys() == two.keys()
    for name, value in alone.items():
        assert np.array_equal(value, two[name][1:]), name
        assert len(value) == 1


def test_the_alpha_loss_looks_into_the_hole_only() -> None:
    mattes = torch.zeros(3, 1, 8, 8)
    mattes[:2, :, :4] = 1
    holes = torch.zeros(3, 1, 8, 8)
    holes[:2, :, 2:6] = 1
    right = (2 * mattes - 1) * 20
    wrong = right.clone()
    wrong[0, :, 6:] = 20  # outside the hole
    wrong[1, :, 3] = -20
    assert matte_losses(right, mattes, holes).max() < 1e-3
    losses = matte_losses(wrong, mattes, holes)
    assert losses[0] < 1e-3
    assert losses[1] > 1
    assert losses[2] == 0  # nothing to be found
