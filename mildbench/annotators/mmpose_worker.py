"""What runs where mmpose is: reads requests as JSON lines, answers each with one.

Run as a script by another interpreter, which need not have mildbench: it imports the standard library, numpy, cv2
and mmpose alone. Requests and answers:

    {"do": "load", "config", "checkpoint", "device"}  ->  {"versions": {name: version}, "keypoints": [name, ...]}
    {"do": "pose", "pictures": [{"png": base64, "boxes": [[left, top, right, bottom], ...]}, ...]}
                                                      ->  {"poses": [[[[x, y, score], ...], ...], ...]}

Whatever fails is answered with {"error": text}, and the worker goes on. It ends when its input does.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any


class Worker:
    """One loaded model."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request; raises whatever mmpose raises."""
        return self._load(request) if request["do"] == "load" else self._pose(request["pictures"])

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        from mmpose.apis import init_model

        try:
            with _arrays_allowed():
                self._model = init_model(request["config"], request["checkpoint"], device=request["device"])
        except pickle.UnpicklingError:
            raise ValueError(
                f"{request['checkpoint']} holds more than weights and plain values: "
                "publish it first, with mmpose's tools/misc/publish_model.py"
            ) from None
        names = self._model.dataset_meta["keypoint_id2name"]
        return {
            "versions": {name: version(name) for name in ("mmpose", "mmcv", "mmengine")},
            "keypoints": [names[k] for k in range(len(names))],
        }

    def _pose(self, pictures: list[dict[str, Any]]) -> dict[str, Any]:
        import cv2
        import numpy as np
        from mmpose.apis import inference_topdown

        answers = []
        for picture in pictures:
            data = np.frombuffer(base64.b64decode(picture["png"]), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)  # BGR, as mmpose expects
            boxes = np.array(picture["boxes"], np.float32).reshape(-1, 4)
            poses = []
            # Without boxes mmpose would take the whole picture for one person.
            for sample in (
                inference_topdown(self._model, image, boxes, bbox_format="xyxy") if len(boxes) else ()
            ):
                found = sample.pred_instances
                joined = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=2)
                poses.append(joined[0].tolist())
            answers.append(poses)
        return {"poses": answers}


def _arrays_allowed() -> AbstractContextManager[None]:
    """Lets torch's guarded loader through to the numpy arrays beside an OpenMMLab checkpoint's weights.

    Since torch 2.6 it stops there by itself. A torch before 2.5 has no such list, nor a guard in mmengine's hands.
    """
    import numpy as np
    import torch

    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    multiarray = sys.modules[np.zeros(0).__reduce__()[0].__module__]
    rebuild: list[Any] = [multiarray._reconstruct, multiarray.scalar]
    older = [(function, f"numpy.core.multiarray.{function.__name__}") for function in rebuild]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"]}
    return torch.serialization.safe_globals([*rebuild, *older, np.ndarray, np.dtype, *kinds])


def main() -> None:
    """Answer until the input ends. Whatever mmpose prints goes to stderr: stdout is for answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # the caller decides what a failure means
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its mmpose.py would hide mmpose
    main()
