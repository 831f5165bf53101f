"""What holds for every trainer: its loss falls, it resumes, and its method reads what it saves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from batches import batch
from training_fakes import FakeScenes

from baselines.adversarial import PatchCritic, adversarial
from baselines.diffusion.architectures import TINY, random_models
from baselines.diffusion.checkpoints import load_backbone, read_vae
from baselines.diffusion.training import noise
from baselines.diffusion.training.backbone import BackboneTrainer
from baselines.diffusion.training.sd_inpaint import SdInpaintTrainer
from baselines.diffusion.training.vae import VaeTrainer
from baselines.lama.network import VARIANTS, LamaNetwork
from baselines.lama.training import LamaTrainer
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.method import MethodSpec
from mildbench.training.ema import state_of
from mildbench.training.loop import TrainingOutcome
from mildbench.training.record import read_log
from mildbench.training.trainer import TRAINERS, Trainer
from mildbench.weights import add

Run = Callable[..., TrainingOutcome]
FALLS = {"lama": "l1", "backbone-vae": "l1", "backbone": "loss", "sd-inpaint": "loss"}
"""Trainer -> the column of the log that must fall."""


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    random_models(TINY)[1].save_pretrained(folder)
    return folder


@pytest.fixture
def create(vae: Path, quick: None) -> Callable[[str], Trainer]:
    makers = {
        "lama": LamaTrainer,
        "backbone-vae": VaeTrainer,
        "backbone": lambda: BackboneTrainer(vae=str(vae)),
        "sd-inpaint": lambda: SdInpaintTrainer("random:tiny"),
    }
    return lambda name: makers[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", FALLS)
def test_the_loss_falls_on_a_few_scenes(
    name: str, run: Run, create: Callable[[str], Trainer], tmp_path: Path
) -> None:
    run(create(name), source=FakeScenes(2, 64), steps=12, batch_size=2, size=64, lr=1e-3, save_every=12)
    rows = read_log(tmp_path / "run/log.csv")
    losses = [row[FALLS[name]] for row in rows[1:]]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    panel = read_rgb(tmp_path / "run/panels/00000012.png")
    assert panel.shape[0] == 2 * (64 + 4)
    assert not np.array_equal(panel, read_rgb(tmp_path / "run/panels/00000000.png"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FALLS)
def test_stopped_and_continued_equals_unbroken(
    name: str, run: Run, create: Callable[[str], Trainer], tmp_path: Path
) -> None:
    given = {"steps": 3, "batch_size": 1, "size": 32, "lr": 1e-3, "save_every": 3}
    run(create(name), out="unbroken", **given)
    run(create(name), minutes=1e-9, **given)
    run(create(name), **given)
    column = FALLS[name]
    runs = [read_log(tmp_path / folder / "log.csv") for folder in ("run", "unbroken")]
    assert [row[column] for row in runs[0][1:]] == [row[column] for row in runs[1][1:]]
    for file in (tmp_path / "run/weights").rglob("*.safetensors"):
        same = tmp_path / "unbroken/weights" / file.relative_to(tmp_path / "run/weights")
        assert file.read_bytes() == same.read_bytes()


def test_lama_reads_what_its_trainer_saves(run: Run, create: Callable[[str], Trainer]) -> None:
    trainer = create("lama")
    outcome = run(trainer, steps=1, batch_size=2, size=64, lr=1e-3)
    method = MethodSpec.parse(outcome.usage.split()[-1]).create()
    method.load()
    samples = batch(1, 64, 64)
    made = method.run(samples)[0].image
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method._model = LamaNetwork(VARIANTS["tiny"]).eval()  # type: ignore[attr-defined]
    assert not np.array_equal(made, method.run(samples)[0].image)


def test_lama_learns_from_what_a_network_sees(
    run: Run, quick: None, testdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    trainer = LamaTrainer(adversarial=False, perceptual=True)
    with pytest.raises(UserError, match="mildbench weights fetch deeplab"):
        trainer.load("cpu", 0)
    add("deeplab", testdata / "weights/google_coral/deeplabv3_mnv2_pascal_quant.tflite")
    run(trainer, steps=12, batch_size=2, size=64, lr=3e-3)
    rows = read_log(tmp_path / "run/log.csv")[1:]
    for column in ("content", "style"):
        losses = [row[column] for row in rows]
        assert np.mean(losses[-4:]) < 0.95 * np.mean(losses[:4])


@pytest.mark.slow
def test_a_retrained_backbone_is_one(run: Run, create: Callable[[str], Trainer], tmp_path: Path) -> None:
    outcome = run(create("sd-inpaint"), steps=1, batch_size=1, size=64, lr=1e-3)
    method = MethodSpec.parse(f"{outcome.usage.split()[-1]},steps=2,resolution=64").create()
    assert method.info.untrained is None
    method.load()
    assert method.run(batch(1, 64, 64))[0].error is None
    fresh = load_backbone("random:tiny", "cpu", torch.float32)
    saved = load_backbone(str(tmp_path / "run/weights"), "cpu", torch.float32)
    for part, changes in (("network", True), ("vae", False)):
        before, after = (getattr(model, part).state_dict() for model in (fresh, saved))
        assert before.keys() == after.keys()
        different = [name for name in before if not torch.equal(before[name].half(), after[name].half())]
        assert bool(different) == changes


def test_diffusers_reads_a_trained_backbone(
    run: Run, create: Callable[[str], Trainer], tmp_path: Path
) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    run(create("backbone"), steps=1, batch_size=1, size=64, lr=1e-3)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(tmp_path / "run/weights")
    assert pipeline.unet.config.in_channels == 9
    assert pipeline.tokenizer("a person").input_ids


def test_the_latents_scale_is_measured(run: Run, create: Callable[[str], Trainer], tmp_path: Path) -> None:
    run(create("backbone-vae"), steps=1, batch_size=1, size=64, lr=1e-3)
    rows = read_log(tmp_path / "run/log.csv")
    vae = read_vae(tmp_path / "run/weights")
    assert vae.config.scaling_factor == pytest.approx(1 / rows[-1]["val_latent_std"], rel=1e-5)
    assert vae.config.scaling_factor != random_models(TINY)[1].config.scaling_factor


def test_the_adversarial_losses_reach_whom_they_are_for() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(8)
    generated = torch.rand(2, 3, 32, 32, requires_grad=True)
    holes = torch.zeros(2, 1, 32, 32)
    holes[:, :, :16, :16] = 1
    parts = adversarial(critic, generated, torch.rand(2, 3, 32, 32), holes)
    (parts.fooling + parts.matching).backward(retain_graph=True)
    assert generated.grad is not None
    assert generated.grad.abs().sum() > 0
    assert all(part.grad is None for part in critic.parameters())
    generated.grad = None
    (parts.telling + parts.r1).backward()
    assert generated.grad is None
    assert all(part.grad is not None for name, part in critic.named_parameters() if name != "judge.bias")


def test_all_trainers_are_registered_and_their_mistakes_named() -> None:
    assert set(FALLS) <= set(TRAINERS.names())
    for name in TRAINERS.names():
        assert TRAINERS.load(name).info.name == name
    with pytest.raises(UserError, match="did you mean 'tiny'"):
        LamaTrainer("tyny")
    for both_or_none in ({}, {"vae": "somewhere", "start": "tiny"}):
        with pytest.raises(UserError, match="mildbench train backbone-vae"):
            BackboneTrainer(**both_or_none)
    with pytest.raises(UserError, match="autoencoder not found: nowhere"):
        BackboneTrainer("nowhere").load("cpu", 0)


def test_a_backbone_goes_on_from_trained_weights_of_which_the_autoencoder_stays(vae: Path) -> None:
    fresh, going_on = BackboneTrainer(vae=str(vae)), BackboneTrainer(start="random:tiny")
    for trainer in (fresh, going_on):
        trainer.load("cpu", 0)
        assert all(part.requires_grad for part in trainer.trained.parameters())
        assert not any(part.requires_grad for part in trainer.backbone.vae.parameters())
    begun = load_backbone("random:tiny", "cpu", torch.float32)
    assert all(map(torch.equal, going_on.backbone.network.parameters(), begun.network.parameters()))
    assert state_of(going_on.trained).keys() == state_of(fresh.trained).keys()


def test_methods_show_pictures_at_the_resolution_that_a_backbone_was_trained_for(
    vae: Path, tmp_path: Path
) -> None:
    for resolution, shown in ((0, 128), (192, 192)):
        trainer = BackboneTrainer(vae=str(vae), resolution=resolution)
        trainer.load("cpu", 0)
        trainer.save(tmp_path / str(resolution))
        assert load_backbone(str(tmp_path / str(resolution)), "cpu", torch.float32).resolution == shown
    with pytest.raises(UserError, match="resolution=100 is no multiple of 64"):
        BackboneTrainer(vae=str(vae), resolution=100)


def test_lama_goes_on_from_trained_weights(tmp_path: Path) -> None:
    before = LamaTrainer(adversarial=False)
    before.load("cpu", 0)
    before.save(tmp_path)
    after = LamaTrainer(start=str(tmp_path / "model.safetensors"))
    after.load("cpu", 1)
    pairs = zip(after.network.parameters(), before.network.parameters(), strict=True)
    for new, old in pairs:
        assert new.requires_grad
        torch.testing.assert_close(new, old, atol=1e-3, rtol=1e-3)  # half precision in between


class Knowing(torch.nn.Module):
    """Stands in for a UNet that knows the latents: tells exactly the noise, or the velocity."""

    def __init__(self, latents: torch.Tensor, alphas: torch.Tensor, kind: str) -> None:
        super().__init__()
        self.latents, self.alphas, self.kind = latents, alphas, kind

    def forward(self, inputs: torch.Tensor, timestep: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        share = self.alphas[timestep].view(-1, 1, 1, 1)
        noise = (inputs[:, :4] - share.sqrt() * self.latents) / (1 - share).sqrt()
        velocity = share.sqrt() * noise - (1 - share).sqrt() * self.latents
        return (noise if self.kind == "epsilon" else velocity,)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_whoever_knows_the_noise_has_no_loss(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    backbone.noise_schedule.register_to_config(prediction_type=kind)
    latents = torch.randn(3, 4, 8, 8)
    monkeypatch.setattr(noise, "encode", lambda _, pictures: torch.cat([latents, torch.zeros_like(latents)]))
    prompts = backbone.text(["", "a person", ""])
    backbone.network = Knowing(latents, backbone.noise_schedule.alphas_cumprod, kind)
    pictures, holes = torch.zeros(3, 3, 64, 64), torch.ones(3, 1, 64, 64)
    made = noise.noise_losses(backbone, pictures, pictures, holes, prompts)
    assert made.losses.shape == (3,)
    assert made.losses.max() < 1e-6
    torch.testing.assert_close(made.clean, latents, atol=1e-2, rtol=1e-2)
