"""One TFLite file, run on a CPU by LiteRT."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mildbench import extras
from mildbench.descriptors import stderr_into
from mildbench.errors import UserError

_DECODER = b"PosenetDecoderOp"
"""Coral's own operation, which turns the heads of PoseNet and BodyPix into poses. Only their library has it."""


class Network:
    """A network with one picture as its input.

    Raises `UserError` without LiteRT, and for a file that it cannot run.
    """

    def __init__(self, path: Path) -> None:
        interpreter = extras.require("ai_edge_litert.interpreter", "annotator 'litert'")
        self.path = path
        model = path.read_bytes()
        self.sha256 = hashlib.sha256(model).hexdigest()
        try:
            with _quietly():
                if _DECODER in model:
                    model = without_decoder(model)
                self._runner = interpreter.Interpreter(model_content=model)
                self._runner.allocate_tensors()
        except (MemoryError, ImportError):
            raise
        except Exception as error:  # damaged bytes fail anywhere in the reader of its schema
            raise UserError(f"{path} is not a TFLite model that LiteRT can run ({error})") from None
        (self._input,) = self._runner.get_input_details()
        self._outputs = self._runner.get_output_details()
        self._lock = threading.Lock()
        self.size = int(self._input["shape"][1])

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Output name -> float32 array without the batch axis, for uint8[size, size, 3]."""
        if self._input["dtype"] is not np.uint8:
            image = image.astype(np.float32) / 255
        with self._lock:  # metrics are scored in several threads, an interpreter serves one
            self._runner.set_tensor(self._input["index"], image[None])
            self._runner.invoke()
            raw = [(output, self._runner.get_tensor(output["index"])[0]) for output in self._outputs]
        outputs = {}
        for output, value in raw:
            value = value.astype(np.float32)
            scale, zero = output["quantization"]
            outputs[output["name"]] = (value - zero) * scale if scale else value
        return outputs


def without_decoder(model: bytes) -> bytes:
    """A TFLite model without the decoder of poses that it may end in: what that reads becomes an output."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromPackedBuf(model, 0)
    (graph,) = content.subgraphs
    decoders = [op for op in graph.operators if content.operatorCodes[op.opcodeIndex].customCode == _DECODER]
    if not decoders:  # somebody has left it out already
        return model
    (decoder,) = decoders
    graph.operators.remove(decoder)
    made = set(decoder.outputs)
    graph.outputs = [*decoder.inputs, *(output for output in graph.outputs if output not in made)]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what LiteRT tells of itself on stderr (`INFO: ...`, for each model); the rest follows at the end."""
    with tempfile.TemporaryFile() as told:
        try:
            with stderr_into(told):
                yield
        finally:
            told.seek(0)
            sys.stderr.writelines(
                line.decode(errors="replace") for line in told if not line.startswith(b"INFO: ")
            )
