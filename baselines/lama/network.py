"""LaMa's inpainting network in plain PyTorch: a ResNet of fast Fourier convolutions.

Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions", WACV 2022
(arXiv 2109.07161), sections 2.1-2.2; the convolution is Chi et al., "Fast Fourier Convolution", NeurIPS 2020.
Written anew. Modules are named and ordered as in the authors' release (github.com/advimman/lama), so that the
names in `state_dict()` are those of the official checkpoints. Ours alone are `EvenDoubling` and `NoisyNorm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Features: TypeAlias = tuple[Tensor, Tensor | None]
"""Local and global channels, each [B, C, H, W]; outside the residual blocks there are no global ones."""


@dataclass(frozen=True)
class LamaConfig:
    """The sizes that differ between variants. What they share is fixed in the code."""

    width: int
    """Channels after the first convolution; each of the three halvings of the resolution doubles them."""
    blocks: int
    """Residual blocks at an eighth of the resolution."""
    global_share: float = 0.75
    """Share of the channels, inside the residual blocks, that see the whole picture through its spectrum."""
    textured: bool = False
    """Whether doublings of the resolution leave no grid, and noise enters the hole after each of them."""
    seamless: bool = False
    """Whether its fills are made to meet what surrounds the hole, unless told otherwise (`baselines.seamless`)."""


VARIANTS = {
    "big": LamaConfig(width=64, blocks=18),  # Big-LaMa, as published: 51 M parameters
    "tiny": LamaConfig(width=16, blocks=9, textured=True, seamless=True),  # ours, small enough to ship
}

_HALVINGS = 3


class FourierUnit(nn.Module):
    """A 1x1 convolution in the frequency domain: every output pixel depends on every input pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, kernel_size=1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """float[B, C, H, W] -> the same shape."""
        # Fourier transforms are not for bfloat16, in which the rest may be trained.
        spectrum = torch.view_as_real(torch.fft.rfft2(x.float(), norm="ortho"))  # [B, C, H, W/2+1, 2]
        # Real and imaginary parts become neighbouring channels: the order the official weights are in.
        stacked = spectrum.permute(0, 1, 4, 2, 3).flatten(1, 2)
        stacked = torch.relu(self.bn(self.conv_layer(stacked)))
        spectrum = stacked.float().unflatten(1, (-1, 2)).permute(0, 1, 3, 4, 2).contiguous()
        return torch.fft.irfft2(torch.view_as_complex(spectrum), s=x.shape[-2:], norm="ortho")


class SpectralTransform(nn.Module):
    """The global-to-global path: a Fourier unit with a shortcut, between two 1x1 convolutions."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels_in, half, kernel_size=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, channels_out, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float[B, channels_in, H, W] -> float[B, channels_out, H, W]."""
        x = self.conv1(x)
        return self.conv2(x + self.fu(x))


class FastFourierConv(nn.Module):
    """Convolution with local and global channels and an exchange between them; absent paths are None."""

    def __init__(
        self, channels: tuple[int, int], shares: tuple[float, float], kernel: int, stride: int, padding: int
    ) -> None:
        """`channels` and `shares` (of global channels among them) are (in, out)."""
        super().__init__()
        global_in, global_out = (int(c * share) for c, share in zip(channels, shares, strict=True))
        local_in, local_out = channels[0] - global_in, channels[1] - global_out

        def conv(into: int, out: int) -> nn.Conv2d:
            return nn.Conv2d(into, out, kernel, stride, padding, bias=False, padding_mode="reflect")

        self.convl2l = conv(local_in, local_out)  # every layer of LaMa keeps some local channels
        self.convl2g = conv(local_in, global_out) if global_out else None
        self.convg2l = conv(global_in, local_out) if global_in else None
        self.convg2g = SpectralTransform(global_in, global_out) if global_in and global_out else None

    def forward(self, features: Features) -> Features:
        """Both parts at the input's resolution over `stride`."""
        x_local, x_global = features
        local = self.convl2l(x_local)
        if self.convg2l is not None:
            local = local + self.convg2l(x_global)
        if self.convl2g is None:
            return local, None
        mixed = self.convl2g(x_local)
        return local, mixed if self.convg2g is None else mixed + self.convg2g(x_global)


class FastFourierLayer(nn.Module):
    """A fast Fourier convolution, batch normalisation and ReLU, on both parts."""

    def __init__(
        self,
        channels: tuple[int, int],
        shares: tuple[float, float] = (0.0, 0.0),
        *,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.ffc = FastFourierConv(channels, shares, kernel, stride, padding)
        global_out = int(channels[1] * shares[1])
        self.bn_l = nn.BatchNorm2d(channels[1] - global_out)
        self.bn_g = nn.BatchNorm2d(global_out) if global_out else None

    def forward(self, features: Features | Tensor) -> Features:
        """Takes a plain tensor as local features."""
        local, other = self.ffc((features, None) if isinstance(features, Tensor) else features)
        local = torch.relu(self.bn_l(local))
        return local, None if self.bn_g is None else torch.relu(self.bn_g(other))


class ResidualBlock(nn.Module):
    """Two fast Fourier layers and a shortcut."""

    def __init__(self, channels: int, share: float) -> None:
        super().__init__()
        self.conv1 = FastFourierLayer((channels, channels), (share, share))
        self.conv2 = FastFourierLayer((channels, channels), (share, share))

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The same shapes."""
        local, other = self.conv2(self.conv1(features))
        return features[0] + local, features[1] + other


class _Join(nn.Module):
    """Local and global channels side by side; a layer of its own because the official numbering has it."""

    def forward(self, features: tuple[Tensor, Tensor]) -> Tensor:
        return torch.cat(features, dim=1)


class EvenDoubling(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 without a grid: even features stay even.

    Its own answer to them has a period of two pixels, which a mean over [1, 2, 1] / 4 each way takes away (Karras et
    al., CVPR 2020, appendix B, smooth so too). In a large hole of a small network nothing else would be seen.
    """

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """float[B, C, h, w] -> float[B, C', 2 h, 2 w]."""
        x = F.pad(super().forward(x), (1, 1, 1, 1), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(x, 2, stride=1), 2, stride=1)


class NoisyNorm(nn.BatchNorm2d):
    """Batch normalisation that adds noise in the hole.

    Deep in a hole all features are alike, and with them all that is made of them. One map of noise for all channels
    gives texture something to begin with, as in Karras et al., CVPR 2019, section 3.2. Each channel takes a fixed
    amount of it (0.2 at the start, for training does not take up noise that starts at 0), and a share of the feature
    itself: what a channel does not see is left smooth.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.strength = nn.Parameter(torch.full((channels, 1, 1), 0.2))
        self.share = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, hole: Tensor) -> Tensor:  # type: ignore[override]
        """Features float[B, C, h, w] and hole float[B, 1, H, W] at the picture's resolution -> float[B, C, h, w].

        In evaluation the noise is the same for every picture of a size, whatever its batch.
        """
        size = x.shape[-2:]
        hole = F.adaptive_max_pool2d(hole, size)
        if self.training:
            noise = torch.rand_like(hole)
        else:
            noise = torch.rand(size, generator=torch.Generator("cpu").manual_seed(0)).to(hole)
        # Uniform, of variance 1: unlike a normal one it is the same to the bit on every machine.
        noise = hole * (noise - 0.5) * 12**0.5
        x = super().forward(x)
        return x + (self.strength + self.share * x) * noise


class Generator(nn.Module):
    """Masked picture and mask -> the whole picture."""

    def __init__(self, config: LamaConfig) -> None:
        super().__init__()
        share = config.global_share
        widths = [config.width * 2**i for i in range(_HALVINGS + 1)]
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            FastFourierLayer((4, widths[0]), kernel=7, padding=0),
        ]
        for i in range(_HALVINGS):
            shares = (0.0, share if i == _HALVINGS - 1 else 0.0)
            layers.append(FastFourierLayer((widths[i], widths[i + 1]), shares, stride=2))
        layers += [ResidualBlock(widths[-1], share) for _ in range(config.blocks)]
        layers.append(_Join())
        for i in reversed(range(_HALVINGS)):
            double, norm = (
                (EvenDoubling, NoisyNorm) if config.textured else (nn.ConvTranspose2d, nn.BatchNorm2d)
            )
            grow = double(widths[i + 1], widths[i], 3, stride=2, padding=1, output_padding=1)
            layers += [grow, norm(widths[i]), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, kernel_size=7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, masked: Tensor) -> Tensor:
        """float[B, 4, H, W] -> float[B, 3, H, W] in [0, 1]; H and W multiples of 8, at least 16."""
        x = masked
        for layer in self.model:
            x = layer(x, masked[:, 3:]) if isinstance(layer, NoisyNorm) else layer(x)
        return x


class LamaNetwork(nn.Module):
    """The network with the authors' way of feeding and composing it.

    It is called as the official TorchScript file is: `network(image, mask)`.
    """

    def __init__(self, config: LamaConfig) -> None:
        super().__init__()
        self.generator = Generator(config)

    def predict(self, image: Tensor, mask: Tensor) -> Tensor:
        """float[B, 3, H, W]: the generator's whole picture, before composition. What a loss is taken on."""
        return self.generator(torch.cat([image * (1 - mask), mask], dim=1))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """The prediction inside the mask, the input outside, as the authors' inference returns it.

        Args:
            image: float[B, 3, H, W], RGB in [0, 1]; H and W multiples of 8, at least 16.
            mask: float[B, 1, H, W], 1 where to inpaint, else 0.
        """
        return mask * self.predict(image, mask) + (1 - mask) * image
