"""A perceptual and a style loss: what a network that segments pictures sees of two of them.

Suvorov et al., WACV 2022, section 2.3 (a segmentation network with a wide view, not a classifier); Gatys et al.,
CVPR 2016, and Liu et al., ECCV 2018 (the style of what was filled in). LaMa's authors use a dilated ResNet-50 that
segments ADE20K. Here it is DeepLab on MobileNet v2 (PASCAL VOC, 2 MB), the one network of the kind that is fetched
for the annotator `litert`: `mildbench weights fetch deeplab`. Its file is quantised; it is read as float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mildbench import extras
from mildbench.errors import UserError

_LEVELS = (0, 5, 12, 31)
"""Results of DeepLab that are compared, by the number of their operation: at 1/2, 1/4, 1/8, 1/16 of the resolution."""
_SILENCE = 1e-6
"""Power that is too little to be compared: that of a picture that differs from its mean by a thousandth."""


class SegmentationFeatures(nn.Module):
    """The first part of a quantised TFLite network of convolutions and sums, in float32, with fixed weights."""

    def __init__(self, path: Path, levels: Sequence[int] = _LEVELS) -> None:
        """Raises `UserError` without the package that knows the format, and for a file that is none of these.

        Args:
            path: the file.
            levels: which operations' results are returned, in rising order.
        """
        super().__init__()
        schema = extras.require("ai_edge_litert.schema_py_generated", "the perceptual loss")
        self.levels = tuple(levels)
        try:
            model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
            (graph,) = model.subgraphs
            (self._input,) = (int(index) for index in graph.inputs)
            self._steps = [self._step(schema, model, graph, number) for number in range(self.levels[-1] + 1)]
        except (MemoryError, ImportError):
            raise
        except Exception as error:  # damaged bytes fail anywhere in the reader of the schema
            raise UserError(
                f"{path} is no network for the perceptual loss ({error}): give DeepLab's file, which mildbench weights "
                "fetch deeplab gets"
            ) from None

    def _step(self, schema: Any, model: Any, graph: Any, number: int) -> _Step:
        """One operation; its weights become buffers."""
        operation = graph.operators[number]
        code = model.operatorCodes[operation.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)  # the second is of files up to 2020
        inputs, (output,) = [int(index) for index in operation.inputs], operation.outputs
        if kind == schema.BuiltinOperator.ADD:
            return _Step(inputs[0], int(output), other=inputs[1])
        by_channel = kind == schema.BuiltinOperator.DEPTHWISE_CONV_2D
        if not (by_channel or kind == schema.BuiltinOperator.CONV_2D):
            raise ValueError(f"operation {number} is neither a convolution nor a sum")
        weights = _values(model, graph.tensors[inputs[1]])
        weights = weights.permute(3, 0, 1, 2) if by_channel else weights.permute(0, 3, 1, 2)
        self.register_buffer(f"weights_{number}", weights.contiguous(), persistent=False)
        self.register_buffer(f"bias_{number}", _values(model, graph.tensors[inputs[2]]), persistent=False)
        return _Step(
            inputs[0],
            int(output),
            number=number,
            stride=operation.builtinOptions.strideH,
            dilation=operation.builtinOptions.dilationHFactor,
            groups=len(weights) if by_channel else 1,
            # Training for the quantised network cut these results off at 6; others have a zero in their middle.
            relu6=int(graph.tensors[output].quantization.zeroPoint[0]) == 0,
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """float[B, 3, H, W] in [0, 1] -> float32[B, C, h, w] of each level."""
        results = {self._input: 2 * pictures.float() - 1}
        levels = []
        for number, step in enumerate(self._steps):
            value = results[step.input]
            if step.other is not None:
                value = value + results[step.other]
            else:
                weights = getattr(self, f"weights_{step.number}")
                reach = step.dilation * (weights.shape[-1] - 1)
                before, after = reach // 2, reach - reach // 2
                value = F.conv2d(
                    F.pad(value, (before, after, before, after)),
                    weights,
                    getattr(self, f"bias_{step.number}"),
                    step.stride,
                    dilation=step.dilation,
                    groups=step.groups,
                )
                value = value.clamp(0, 6) if step.relu6 else value
            results[step.output] = value
            if number in self.levels:
                levels.append(value)
        return levels


@dataclass(frozen=True)
class _Step:
    """One operation: a sum of two results, or a convolution."""

    input: int
    output: int
    other: int | None = None
    number: int = 0
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    relu6: bool = False


def _values(model: Any, tensor: Any) -> Tensor:
    """A constant of a quantised network as float32."""
    stored = {3: np.uint8, 2: np.int32}[tensor.type]  # TensorType.UINT8 and INT32
    numbers = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(stored).reshape(tensor.shape)
    scale, zero = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
    return torch.from_numpy((numbers.astype(np.float32) - np.float32(zero)) * np.float32(scale))


@dataclass(frozen=True, eq=False)
class Perceptual:
    """Scalars, means over the levels."""

    content: Tensor
    """Mean absolute difference of the features where something was filled in."""
    style: Tensor
    """Mean absolute difference of the features' products, averaged over what was filled in."""


def perceptual(features: SegmentationFeatures, generated: Tensor, real: Tensor, holes: Tensor) -> Perceptual:
    """Compare what the network sees of two pictures, where one of them is made up.

    Each channel is divided by its standard deviation over the batch's real pictures. All is in float32, in mixed
    precision too: products of features are sums of many.

    Args:
        features: the network.
        generated, real: float[B, 3, H, W] in [0, 1]; equal outside the holes.
        holes: float[B, 1, H, W], 1 where `generated` is made up.
    """
    with torch.autocast(generated.device.type, enabled=False):
        with torch.no_grad():
            wanted = features(real)
        content, style = [], []
        for made, true in zip(features(generated), wanted, strict=True):
            spread = true.std((0, 2, 3), keepdim=True).clamp(min=0.05)
            made, true = made / spread, true / spread
            weight = F.adaptive_avg_pool2d(holes.float(), made.shape[2:])
            area = weight.sum((1, 2, 3)).clamp(min=1)
            differs = (made - true).abs().mean(1, keepdim=True)
            content.append(((differs * weight).sum((1, 2, 3)) / area).mean())
            style.append((_products(made, weight, area) - _products(true, weight, area)).abs().mean())
        return Perceptual(torch.stack(content).mean(), torch.stack(style).mean())


def _products(features: Tensor, weight: Tensor, area: Tensor) -> Tensor:
    """Gram matrices float[B, C, C] of the features, weighted by place, over the square root of C."""
    flat = (features * weight.sqrt()).flatten(2)
    return flat @ flat.transpose(1, 2) / area[:, None, None] / features.shape[1] ** 0.5


def spectral(generated: Tensor, real: Tensor, holes: Tensor) -> Tensor:
    """How much the power spectra of two pictures differ where one of them is made up; a scalar from 0 to 1.

    The difference over the sum, after a mean over 5 x 5 frequencies, averaged over frequencies: a grid stands out in
    few of them, which a mean error and a style loss hardly see. Only what is in the hole is transformed.

    Args:
        generated, real: float[B, 3, H, W] in [0, 1].
        holes: float[B, 1, H, W], 1 where `generated` is made up.
    """
    with torch.autocast(generated.device.type, enabled=False):
        made, true = (_power(pictures.float(), holes.float()) for pictures in (generated, real))
        return ((made - true).abs() / (made + true + _SILENCE)).mean()


def _power(pictures: Tensor, holes: Tensor) -> Tensor:
    """Smoothed power spectra float[B, 3, H, W / 2 + 1] of what is in the holes, around its mean."""
    area = holes.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (pictures * holes).sum((2, 3), keepdim=True) / area
    spectrum = torch.fft.rfft2((pictures - mean) * holes).abs().square() / area
    return F.avg_pool2d(spectrum, 5, 1, 2, count_include_pad=False)
