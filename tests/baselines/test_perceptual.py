"""The perceptual loss sees what its network computes elsewhere, and texture where a mean error sees none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from baselines.perceptual import SegmentationFeatures, perceptual, spectral
from mildbench.errors import UserError
from mildbench.images import read_rgb

SIDE = 33


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantised network of each kind of operation: two convolutions, one of them by channel and dilated, a sum."""
    path = tmp_path_factory.mktemp("network") / "network.tflite"
    path.write_bytes(_Quantised().packed())
    return path


def test_features_are_those_of_the_format_s_own_interpreter(network: Path) -> None:
    _agree(network, (0, 1, 2, 3), np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)), 0.998)


def test_deeplab_sees_what_it_sees_when_it_is_quantised(testdata: Path) -> None:
    photo = read_rgb(next((testdata / "backgrounds").rglob("*.png")))
    path = testdata / "weights/google_coral/deeplabv3_mnv2_pascal_quant.tflite"
    _agree(path, (0, 5, 12, 31), cv2.resize(photo, (513, 513), interpolation=cv2.INTER_AREA), 0.99)


@pytest.mark.parametrize("of", ["noise", "deeplab"])
def test_a_blur_looks_less_like_the_truth_than_its_texture_elsewhere(
    of: str, network: Path, request: pytest.FixtureRequest
) -> None:
    """A mean error says the contrary: that is why fills are blurred without these losses."""
    if of == "deeplab":
        testdata = request.getfixturevalue("testdata")
        features = SegmentationFeatures(testdata / "weights/google_coral/deeplabv3_mnv2_pascal_quant.tflite")
    else:
        features = SegmentationFeatures(network, (0, 3))
    texture = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.float32) / 255
    true = torch.from_numpy(cv2.GaussianBlur(texture, (0, 0), 0.8)).permute(2, 0, 1)[None]
    blurred = torch.from_numpy(cv2.GaussianBlur(texture, (0, 0), 12)).permute(2, 0, 1)[None]
    hole = torch.zeros(1, 1, 128, 128)
    hole[:, :, 24:104, 24:104] = 1
    filled = [torch.lerp(true, fill, hole) for fill in (blurred, true.roll((40, 40), (2, 3)))]
    blur, moved = (perceptual(features, fill, true, hole) for fill in filled)
    assert (filled[0] - true).abs().mean() < (filled[1] - true).abs().mean()
    assert moved.style < 0.5 * blur.style


def test_nothing_differs_where_nothing_was_filled_in(network: Path) -> None:
    features = SegmentationFeatures(network, (0, 3))
    true, hole = torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64)
    hole[0, :, :16, :16] = 1
    far = true.clone()
    far[:, :, 40:] = 0
    for generated in (true, far):
        seen = perceptual(features, generated, true, hole)
        assert seen.content == 0
        assert seen.style == 0


def test_mixed_precision_changes_nothing(network: Path) -> None:
    features = SegmentationFeatures(network, (0, 3))
    pictures = torch.rand(2, 2, 3, 64, 64), torch.ones(2, 1, 64, 64)
    full = perceptual(features, *pictures[0], pictures[1])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = perceptual(features, *pictures[0], pictures[1])
    assert (mixed.content, mixed.style) == (full.content, full.style)
    assert full.style > 0


def test_only_the_generated_picture_is_led(network: Path) -> None:
    features = SegmentationFeatures(network, (0, 3))
    generated = torch.rand(2, 3, 64, 64, requires_grad=True)
    seen = perceptual(features, generated, torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64))
    (seen.content + seen.style).backward()
    assert generated.grad is not None
    assert (generated.grad != 0).float().mean() > 0.9
    assert not list(features.parameters())


def test_a_grid_differs_in_its_spectrum_and_texture_elsewhere_does_not() -> None:
    texture = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.float32) / 255
    true = torch.from_numpy(cv2.GaussianBlur(texture, (0, 0), 0.8)).permute(2, 0, 1)[None]
    hole = torch.zeros(1, 1, 96, 96)
    hole[:, :, 16:80, 16:80] = 1
    grid = true[:, :, :8, :8].repeat(1, 1, 12, 12)
    moved = true.roll((40, 40), (2, 3))
    assert spectral(true, true, hole) == 0
    assert spectral(moved, true, hole) < 0.5 * spectral(grid, true, hole)
    assert spectral(torch.lerp(true, 1 - true, 1 - hole), true, hole) == 0
    assert spectral(true, moved, torch.zeros_like(hole)) == 0
    generated = grid.clone().requires_grad_(True)
    spectral(generated, true, hole).backward()
    assert generated.grad is not None
    assert torch.isfinite(generated.grad).all()
    assert generated.grad[:, :, :16].abs().max() == 0


def test_another_file_is_told(tmp_path: Path, network: Path) -> None:
    whole = network.read_bytes()
    for content in (b"", b"no network at all", whole[:40], whole[: len(whole) // 2]):
        path = tmp_path / "other.tflite"
        path.write_bytes(content)
        with pytest.raises(UserError, match="weights fetch deeplab"):
            SegmentationFeatures(path, (0,))
    with pytest.raises(UserError, match="weights fetch deeplab"):
        SegmentationFeatures(network, (9,))
    with pytest.raises(UserError, match="weights fetch deeplab"):
        SegmentationFeatures(tmp_path / "nowhere.tflite")


def _agree(path: Path, levels: tuple[int, ...], picture: np.ndarray, correlation: float) -> None:
    from ai_edge_litert.interpreter import Interpreter

    picture = picture.astype(np.uint8)
    runner = Interpreter(str(path), experimental_preserve_all_tensors=True)
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], picture[None])
    runner.invoke()
    results = [operation["outputs"][0] for operation in runner._get_ops_details()]
    details = {detail["index"]: detail for detail in runner.get_tensor_details()}
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    for level, found in zip(levels, SegmentationFeatures(path, levels)(pixels), strict=True):
        scale, zero = details[results[level]]["quantization"]
        expected = (runner.get_tensor(results[level])[0].astype(np.float32) - zero) * scale
        made = found[0].permute(1, 2, 0).numpy()
        assert made.shape == expected.shape
        assert np.corrcoef(made.ravel(), expected.ravel())[0, 1] > correlation


class _Quantised:
    """Builds a TFLite file."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.random = np.random.default_rng(1)
        self.tensors: list[Any] = []
        self.buffers = [schema.BufferT()]
        self.operators: list[Any] = []
        self.kinds = [schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D]
        self.kinds.append(schema.BuiltinOperator.ADD)

    def packed(self) -> bytes:
        import flatbuffers

        schema = self.schema
        half = SIDE // 2 + 1
        picture = self._tensor((1, SIDE, SIDE, 3), 2 / 255, 127)
        first = self._tensor((1, half, half, 8), 6 / 255, 0)
        self._convolution(0, picture, first, (8, 3, 3, 3), stride=2)
        second = self._tensor((1, half, half, 8), 6 / 255, 0)
        self._convolution(1, first, second, (1, 3, 3, 8), dilation=2)
        third = self._tensor((1, half, half, 8), 0.1, 128)
        self._convolution(0, second, third, (8, 1, 1, 8))
        last = self._tensor((1, half, half, 8), 0.12, 120)
        add = schema.OperatorT()
        add.opcodeIndex, add.inputs, add.outputs = 2, [third, first], [last]
        add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        self.operators.append(add)
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [picture], [last]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], self.buffers, []
        for kind in self.kinds:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = kind
            code.version = 2
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, shape: tuple[int, ...], scale: float, zero: int, data: np.ndarray | None = None) -> int:
        schema = self.schema
        tensor = schema.TensorT()
        tensor.shape, tensor.name = list(shape), f"t{len(self.tensors)}"
        tensor.type = schema.TensorType.UINT8
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
            if data.dtype == np.int32:
                tensor.type = schema.TensorType.INT32
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _convolution(
        self, kind: int, into: int, out: int, shape: tuple[int, ...], stride: int = 1, dilation: int = 1
    ) -> None:
        schema = self.schema
        fan = int(np.prod(shape[1:3])) * (shape[3] if kind == 0 else 1)
        scale = 4 / fan**0.5 / 255
        weights = self._tensor(shape, scale, 120, self.random.integers(0, 256, shape).astype(np.uint8))
        channels = shape[0] if kind == 0 else shape[3]
        bias_scale = scale * self.tensors[into].quantization.scale[0]
        bias_data = (self.random.uniform(0, 1, channels) / bias_scale).astype(np.int32)
        bias = self._tensor((channels,), bias_scale, 0, bias_data)
        options = schema.Conv2DOptionsT() if kind == 0 else schema.DepthwiseConv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = dilation
        if kind == 1:
            options.depthMultiplier = 1
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = kind, [into, weights, bias], [out]
        names = schema.BuiltinOptions
        operator.builtinOptionsType = names.Conv2DOptions if kind == 0 else names.DepthwiseConv2DOptions
        operator.builtinOptions = options
        self.operators.append(operator)
