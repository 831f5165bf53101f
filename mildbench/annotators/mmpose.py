"""mmpose annotator: RTMPose and every other top-down model of OpenMMLab, in this interpreter or in another one.

mmpose 1.3 needs old versions of numpy and setuptools, so it mostly lives in an environment of its own. Give that
environment's interpreter, `mmpose:python=PATH`, and it is run there: `mmpose_worker` talks JSON lines over a pipe,
and nothing of it is imported here. Without `python` it is imported in place.

An environment of its own, Python 3.11 on a CPU:

    python3.11 -m venv mmpose-env && . mmpose-env/bin/activate
    pip install torch torchvision
    pip install "numpy<2.4" "setuptools<81" wheel ninja cython mmengine pycocotools shapely terminaltables scipy
    pip install munkres json_tricks matplotlib
    pip uninstall -y opencv-python opencv-python-headless
    pip install --no-deps "opencv-python-headless<5" mmdet==3.2.0 mmpose==1.3.2
    pip install --no-deps --no-build-isolation --no-binary xtcocotools xtcocotools
    pip download --no-deps --no-build-isolation --no-binary :all: mmcv==2.1.0 && tar xf mmcv-2.1.0.tar.gz
    sed -i s/-std=c++17/-std=c++20/g mmcv-2.1.0/setup.py
    MMCV_WITH_OPS=1 pip install --no-deps --no-build-isolation ./mmcv-2.1.0

xtcocotools' wheel fails with this numpy and is built again; mmengine brings opencv-python 5, which overwrites the
headless one; mmpose needs chumpy for body meshes only.

The last line compiles mmcv's operators, for long. mmpose imports all of them, and RTMPose calls none: for it a
`mmcv/_ext.py` whose module-level `__getattr__` gives functions that raise does in their place, with `mmcv-2.1.0` on
the path (a `.pth` file). RTMPose-t of mmpose's `.mim/configs` was run so, with random weights: mmpose 1.3.2, mmcv
2.1.0, mmdet 3.2.0, mmengine 0.10.7, numpy 2.3.5, setuptools 80, torch 2.15, torchvision 0.29; the compiled operators
were not.

A checkpoint is read by torch's guarded loader, which lets weights, plain values and numpy arrays through: those that
OpenMMLab publishes. That of a training run holds more; mmpose's `tools/misc/publish_model.py` removes it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np

from mildbench.annotators import mmpose_worker
from mildbench.annotators.base import Annotator, AnnotatorInfo, Part, Picture
from mildbench.annotators.mapping import coco17
from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.images import encode_png


class MMPose(Annotator):
    """RTMPose and other top-down models of mmpose, in this interpreter or another (`python=PATH`).

    Args:
        config: the model's config file.
        checkpoint: its weights, as published. In an environment with torch before 2.5 they are read as a pickle:
            take them from a source you trust.
        python: interpreter of an environment with mmpose; empty for this one.
    """

    info = AnnotatorInfo(
        name="mmpose",
        summary="RTMPose and other top-down pose models of mmpose, in this interpreter or another",
        parts=frozenset(("pose",)),
        packages=("mmpose", "mmcv", "mmengine"),
        install="name an interpreter that has them, mmpose:python=PATH",
    )

    def __init__(self, config: str = "", checkpoint: str = "", python: str = "") -> None:
        self._config = Path(config)
        self._checkpoint = Path(checkpoint)
        self._python = python
        self._worker: _InPlace | _Elsewhere | None = None

    def load(self, part: Part) -> None:
        if self._worker is not None:
            return
        self.check(part)
        if self._python:
            self._worker = _Elsewhere(self._python)
        elif find_spec("mmpose") is None:
            raise UserError(
                "annotator 'mmpose' needs mmpose, which is not installed here: name an interpreter that has it: "
                "mmpose:python=PATH,config=FILE,checkpoint=FILE"
            )
        else:
            self._worker = _InPlace()
        ready = self._worker.ask(
            {
                "do": "load",
                "config": str(self._config.resolve()),
                "checkpoint": str(self._checkpoint.resolve()),
                "device": self.device,
            }
        )
        self._versions: dict[str, str] = ready["versions"]
        self._count = len(ready["keypoints"])
        self._joints = coco17(ready["keypoints"])

    def check(self, part: Part) -> None:
        for what, path in (("config", self._config), ("checkpoint", self._checkpoint)):
            if not path.is_file():
                raise UserError(f"annotator 'mmpose' needs a {what} file: mmpose:config=FILE,checkpoint=FILE")

    def weights(self) -> dict[str, str]:
        return {path.name: file_sha256(path) for path in (self._config, self._checkpoint)}

    def versions(self) -> dict[str, str]:
        return self._versions

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        assert self._worker is not None
        asked = [
            {
                "png": base64.b64encode(encode_png(picture.image)).decode("ascii"),
                "boxes": picture.boxes.tolist(),
            }
            for picture in pictures
        ]
        answer = self._worker.ask({"do": "pose", "pictures": asked})
        results = []
        for picture, poses in zip(pictures, answer["poses"], strict=True):
            points = np.array(poses, np.float32).reshape(len(picture.boxes), self._count, 3)
            results.append(np.ascontiguousarray(points[:, self._joints]))
            results[-1][..., 2] = results[-1][..., 2].clip(0, 1)
        return results


class _InPlace:
    """mmpose in this process."""

    def __init__(self) -> None:
        self._worker = mmpose_worker.Worker()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._worker.answer(request)


class _Elsewhere:
    """mmpose in another interpreter: one JSON line there, one back."""

    def __init__(self, python: str) -> None:
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [python, "-u", str(Path(mmpose_worker.__file__).resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise UserError(
                f"mmpose:python={python} cannot be run ({error.strerror}): give an interpreter"
            ) from None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises `UserError` when the worker is gone or cannot load, RuntimeError for a picture that failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with self._lock:  # metrics are scored in several threads, and answers carry no name
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise UserError(
                f"the mmpose worker stopped (exit code {self._process.wait()}); its last words are above"
            )
        answer = cast(dict[str, Any], json.loads(line))
        if "error" in answer:
            kind = UserError if request["do"] == "load" else RuntimeError
            raise kind(f"mmpose: {answer['error']}")
        return answer

    def __del__(self) -> None:
        if process := getattr(self, "_process", None):
            with suppress(BrokenPipeError):  # it has ended by itself, with a request unread
                process.stdin.close()  # the worker ends when its input does
            process.stdout.close()
            process.wait()
