"""LaMa: the network is the published one, loads its weights, and runs alike whatever the batch."""

from __future__ import annotations

import hashlib
import warnings
import zipfile

import numpy as np
import pytest
from batches import batch

from mildbench.errors import UserError
from mildbench.weights import WeightsFile, WeightsMissing, manifest

torch = pytest.importorskip("torch")

from baselines.lama.checkpoint import load_network  # noqa: E402 - after the check that torch is installed
from baselines.lama.loss import coarse_l1, contrast, masked_l1  # noqa: E402
from baselines.lama.method import Lama  # noqa: E402
from baselines.lama.network import VARIANTS, EvenDoubling, LamaNetwork, NoisyNorm  # noqa: E402


@pytest.fixture(scope="module")
def network():
    """A tiny network whose output is not grey: random weights, and statistics from a few forward passes."""
    torch.manual_seed(0)
    network = LamaNetwork(VARIANTS["tiny"])
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64))
        network.generator.model[-2].weight *= 20
    return network.eval()


@pytest.fixture
def tiny(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    method = Lama("tiny", str(tmp_path / "tiny.pth"))
    method.load()
    return method


class Contract(torch.nn.Module):
    """What the official TorchScript file promises: (image, mask) -> the composed picture."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if image.shape[2] % 8 != 0 or image.shape[3] % 8 != 0:
            raise RuntimeError("not a multiple of 8")
        return mask * image.flip(3) + (1 - mask) * image


@pytest.fixture
def script(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.* is deprecated")
        torch.jit.script(Contract()).save(str(tmp_path / "script.pt"))
    return tmp_path / "script.pt"


def test_the_big_network_is_the_published_one():
    with torch.device("meta"):
        network = LamaNetwork(VARIANTS["big"])
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(51e6, abs=1e6)
    state = network.state_dict()
    # Names and shapes read from the authors' code; its whole key list agrees.
    assert len(state) == 989
    published = {
        "generator.model.1.ffc.convl2l.weight": (64, 4, 7, 7),
        "generator.model.1.bn_l.running_mean": (64,),
        "generator.model.4.ffc.convl2g.weight": (384, 256, 3, 3),
        "generator.model.5.conv1.ffc.convg2l.weight": (128, 384, 3, 3),
        "generator.model.5.conv1.ffc.convg2g.conv1.0.weight": (192, 384, 1, 1),
        "generator.model.5.conv1.ffc.convg2g.conv1.1.weight": (192,),
        "generator.model.22.conv2.ffc.convg2g.fu.conv_layer.weight": (384, 384, 1, 1),
        "generator.model.22.conv2.ffc.convg2g.fu.bn.bias": (384,),
        "generator.model.22.conv2.ffc.convg2g.conv2.weight": (384, 192, 1, 1),
        "generator.model.22.conv2.bn_g.num_batches_tracked": (),
        "generator.model.24.weight": (512, 256, 3, 3),
        "generator.model.31.bias": (64,),
        "generator.model.34.weight": (3, 64, 7, 7),
        "generator.model.34.bias": (3,),
    }
    assert {key: tuple(state[key].shape) for key in published} == published


def test_tiny_fits_into_a_few_megabytes():
    with torch.device("meta"):
        state = LamaNetwork(VARIANTS["tiny"]).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) * 2 < 4e6  # bytes, as fp16


@pytest.mark.parametrize("size", [(40, 56), (41, 57), (17, 63)])
def test_any_size_keeps_its_shape_and_its_known_pixels(tiny, size):
    samples = batch(2, *size)
    for outcome, image, mask in zip(tiny.run(samples), samples.images, samples.masks, strict=True):
        assert outcome.error is None
        assert outcome.image.shape == image.shape
        assert outcome.image.dtype == np.uint8
        assert np.array_equal(outcome.image[~mask], image[~mask])
        assert outcome.image[mask].std() > 3
        assert not np.array_equal(outcome.image[mask], image[mask])


def test_what_is_under_the_mask_is_not_seen(tiny):
    samples = batch(1)
    before = tiny.run(samples)[0].image
    samples.images[samples.masks] = 99
    assert np.array_equal(tiny.run(samples)[0].image, before)


def test_the_batch_size_changes_nothing(tiny):
    samples = batch(3)
    together = tiny.run(samples)
    for i, outcome in enumerate(together):
        assert np.array_equal(tiny.run(samples.sample(i))[0].image, outcome.image)


@torch.no_grad()
def test_noise_enters_the_hole_alone_and_is_the_same_in_every_evaluation():
    torch.manual_seed(0)
    layer = NoisyNorm(3)
    features, hole = torch.rand(2, 3, 16, 16), torch.zeros(2, 1, 64, 64)
    hole[:, :, 20:44, 20:44] = 1
    added = layer.train()(features, hole) - torch.nn.BatchNorm2d(3)(features)
    filled = torch.nn.functional.max_pool2d(hole, 4).bool()  # a hole of 6 x 6 features, on a grid of 4 pixels
    assert added[(~filled).expand_as(added)].abs().max() == 0
    assert added[filled.expand_as(added)].std() == pytest.approx(0.2, rel=0.2)
    assert not torch.equal(added[0], added[1])
    layer.share.fill_(1)
    layer.strength.fill_(0)
    shared = layer(features, hole) - torch.nn.BatchNorm2d(3)(features)
    assert not torch.equal(shared, added)
    assert shared[(~filled).expand_as(shared)].abs().max() == 0
    layer.eval()
    assert torch.equal(layer(features, hole), layer(features, hole))
    torch.testing.assert_close(layer(features[:1], hole[:1]), layer(features, hole)[:1])


@torch.no_grad()
def test_even_features_are_doubled_without_a_grid():
    torch.manual_seed(0)
    layer = EvenDoubling(4, 3, 3, stride=2, padding=1, output_padding=1)
    plain = torch.nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)
    plain.load_state_dict(layer.state_dict())
    features = torch.rand(1, 4, 1, 1).expand(1, 4, 9, 11)
    inner = layer(features)[..., 2:-2, 2:-2]
    torch.testing.assert_close(inner, inner[..., :1, :1].expand_as(inner))
    assert plain(features)[..., 2:-2, 2:-2].std((2, 3)).min() > 1e-3
    assert layer(features).shape == plain(features).shape


@pytest.mark.slow
def test_state_dicts_load_wherever_the_generator_sits(network, tmp_path):
    state = network.state_dict()
    lightning = {"state_dict": {**state, "discriminator.model0.0.weight": torch.zeros(1)}, "epoch": 1}
    nested = {f"model.{key}": value for key, value in state.items()}
    for content in (state, lightning, nested):
        torch.save(content, tmp_path / "a.ckpt")
        loaded = load_network(tmp_path / "a.ckpt", VARIANTS["tiny"])
        assert not loaded.training
        assert all(torch.equal(loaded.state_dict()[key], value) for key, value in state.items())


def test_safetensors_load(network, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(network.state_dict(), tmp_path / "a.safetensors")
    loaded = load_network(tmp_path / "a.safetensors", VARIANTS["tiny"])
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in network.state_dict().items())


@pytest.fixture
def official(script, monkeypatch):
    """LaMa with the small script in the official file's place."""
    monkeypatch.setattr("baselines.lama.method.resolve", lambda name: script)
    return Lama()


def test_a_torchscript_file_is_run_as_it_is(official):
    method = official
    method.load()
    samples = batch(2, 33, 48)  # padded to 40x48
    for outcome, image, mask in zip(method.run(samples), samples.images, samples.masks, strict=True):
        assert outcome.error is None
        assert np.array_equal(outcome.image, np.where(mask[..., None], image[:, ::-1], image))


def test_every_pixel_value_survives_the_conversion(official):
    method = official
    method.load()
    samples = batch(1, 16, 16)
    samples.images[0] = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    samples.masks[:] = False
    assert np.array_equal(method.run(samples)[0].image, samples.images[0])


def test_the_official_file_is_found_through_the_cache(script, tmp_path, monkeypatch):
    content = script.read_bytes()
    entry = WeightsFile(
        "lama-big", "big-lama.pt", (), len(content), hashlib.sha256(content).hexdigest(), "", ""
    )
    monkeypatch.setattr(manifest, "entries", lambda: {"lama-big": entry})
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    method = Lama()
    with pytest.raises(WeightsMissing, match="mildbench weights fetch lama-big"):
        method.load()
    path = tmp_path / "cache" / "weights" / "big-lama.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    method.load()
    assert method.run(batch(1))[0].error is None
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match="sha256"):
        Lama().load()


def test_a_run_says_whose_weights_it_used(script):
    assert Lama().info.provenance == "official"
    assert Lama().info.weights == ("lama-big",)
    assert Lama(weights=str(script)).info.provenance == "port"
    assert Lama("tiny").info.provenance == "reimplementation"
    assert Lama.info.provenance == "official"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"<html>", "not a checkpoint of plain tensors", id="html"),
        pytest.param({"a.weight": 1.0}, "does not fit this LaMa variant: 527 of 527", id="another model"),
        pytest.param({"generator.model.1.bn_g.weight": 1.0}, "does not fit", id="unknown tensor"),
    ],
)
def test_wrong_weights_are_one_clear_line(tmp_path, content, reason):
    path = tmp_path / "wrong.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({key: torch.tensor(value) for key, value in content.items()}, path)
    with pytest.raises(UserError, match=reason) as error:
        Lama("tiny", str(path)).load()
    assert "\n" not in str(error.value)


def test_weights_of_another_variant_are_refused(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    with torch.device("meta"), pytest.raises(UserError, match="does not fit"):
        Lama("big", str(tmp_path / "tiny.pth")).load()


def test_torchscript_is_not_taken_from_anybody(script):
    with pytest.raises(UserError, match="is a TorchScript program"):
        Lama(weights=str(script)).load()


def test_a_damaged_torchscript_file_is_one_clear_line(official, script):
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("script/constants.pkl", b"nothing")
    with pytest.raises(UserError, match="not a readable TorchScript file") as error:
        official.load()
    assert "\n" not in str(error.value)


def test_other_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="did you mean 'tiny'"):
        Lama("tyny")
    with pytest.raises(UserError, match="lama weights not found"):
        Lama(weights=str(tmp_path / "nothing.pt")).load()


def test_values_that_are_not_finite_fail_their_sample(tiny):
    with torch.no_grad():
        tiny._model.generator.model[-2].bias.fill_(float("nan"))
    outcome = tiny.run(batch(1))[0]
    assert outcome.image is None
    assert "not finite" in outcome.error


def test_a_few_steps_of_training_lower_the_loss():
    torch.manual_seed(0)
    network = LamaNetwork(VARIANTS["tiny"]).train()
    samples = batch(2, 64, 64)
    image = torch.from_numpy(samples.images).permute(0, 3, 1, 2) / 255
    mask = torch.from_numpy(samples.masks)[:, None].float()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = masked_l1(network.predict(image, mask), image, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.95 * losses[0]


def test_the_loss_weighs_regions():
    predicted, target = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    assert masked_l1(predicted, target, mask, known=1, hole=3).item() == 2
    assert masked_l1(predicted, target, mask, known=0, hole=3).item() == 1.5


def test_the_coarse_loss_sees_colour_and_no_texture():
    generator = torch.Generator().manual_seed(0)
    target, mask = torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    texture = target + 0.4 * torch.empty(1, 3, 64, 64).bernoulli_(generator=generator) - 0.2
    assert coarse_l1(target + 0.1, target, mask).item() == pytest.approx(0.1, rel=1e-5)
    assert coarse_l1(texture, target, mask) < 0.03  # of 0.2 a pixel
    assert coarse_l1(torch.lerp(target + 0.1, target, mask), target, mask) == 0
    assert coarse_l1(target, target, torch.zeros_like(mask)) == 0


def test_the_contrast_loss_asks_for_as_much_detail_as_there_is_and_not_for_the_same():
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 8:56, 8:56] = 1
    rough, elsewhere = 0.3 * torch.rand(2, 1, 3, 64, 64, generator=generator)
    plain = torch.full_like(rough, 0.15)
    assert contrast(rough, rough, mask) == 0
    assert contrast(torch.lerp(rough, elsewhere, mask), rough, mask) < 0.1
    assert contrast(torch.lerp(rough, plain, mask), rough, mask) > 0.7
    assert contrast(torch.lerp(plain, rough, mask), plain, mask) > 0.7
    assert contrast(plain + 0.1, plain, mask) < 1e-3
    assert contrast(rough, plain, torch.zeros_like(mask)) == 0
    fill = plain.clone().requires_grad_(True)
    contrast(torch.lerp(rough, fill, mask), rough, mask).backward()
    assert torch.isfinite(fill.grad).all()
