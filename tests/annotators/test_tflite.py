"""TFLite files: Coral's decoder of poses is left out, and what is no model is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mildbench.annotators.tflite import Network
from mildbench.errors import UserError


def with_decoder(model: bytes) -> bytes:
    """BodyPix's heads, with a decoder that reads four of them, as Coral publishes it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromPackedBuf(model, 0)
    (graph,) = content.subgraphs
    (code,) = [k for k, c in enumerate(content.operatorCodes) if c.customCode == b"PosenetDecoderOp"]
    poses = schema.TensorT()
    poses.name, poses.shape, poses.type, poses.buffer = "poses", [1, 10], schema.TensorType.FLOAT32, 0
    graph.tensors.append(poses)
    decoder = schema.OperatorT()
    decoder.opcodeIndex, decoder.inputs, decoder.outputs = (
        code,
        list(graph.outputs[:4]),
        [len(graph.tensors) - 1],
    )
    graph.operators.append(decoder)
    graph.outputs = [*decoder.outputs, *graph.outputs[4:]]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_the_decoder_is_left_out_and_the_heads_stay(testdata: Path, tmp_path: Path) -> None:
    (heads,) = (testdata / "weights").rglob("bodypix*_heads.tflite")
    (tmp_path / "whole.tflite").write_bytes(with_decoder(heads.read_bytes()))
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    right, seen = Network(heads).run(picture), Network(tmp_path / "whole.tflite").run(picture)
    assert set(seen) == set(right)
    for name, value in right.items():
        np.testing.assert_array_equal(seen[name], value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PosenetDecoderOp" * 9])
def test_what_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(UserError, match=r"model.tflite is not a TFLite model that LiteRT can run"):
        Network(tmp_path / "model.tflite")
