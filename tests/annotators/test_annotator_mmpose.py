"""The mmpose back end against a stand-in for mmpose, in another interpreter and in place."""

from __future__ import annotations

import gc
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from mildbench.annotators import mmpose_worker
from mildbench.annotators.base import AnnotatorSpec, Picture
from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS

FAKE = '''
"""Stands in for mmpose.apis: a noisy model of 18 keypoints, of which the first is not COCO's."""
import json
import numpy as np
from types import SimpleNamespace


def init_model(config, checkpoint, device):
    print("Loads checkpoint by local backend")  # as mmpose does, on stdout
    if "broken" in checkpoint:
        raise RuntimeError("size mismatch for head.weight")
    names = json.load(open(config))
    return SimpleNamespace(dataset_meta={"keypoint_id2name": dict(enumerate(names))}, device=device)


def inference_topdown(model, image, boxes, bbox_format):
    assert bbox_format == "xyxy" and len(boxes)
    if image[0, 0].tolist() == [3, 2, 1]:
        raise ValueError("cannot be run")
    assert image[0, 0].tolist() == [30, 20, 10]  # BGR
    results = []
    for left, top, right, bottom in boxes:
        points = np.stack([np.full(18, left), top + np.arange(18)], axis=1)[None]
        scores = np.linspace(0, 1.7, 18)[None]
        results.append(SimpleNamespace(pred_instances=SimpleNamespace(keypoints=points, keypoint_scores=scores)))
    return results
'''


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Options of the annotator; a package mmpose (and versions of its kin) on the path of other interpreters."""
    package = tmp_path / "site" / "mmpose"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "apis.py").write_text(FAKE)
    for name in ("mmpose", "mmcv", "mmengine"):
        info = tmp_path / "site" / f"{name}-9.9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    (tmp_path / "config.json").write_text(json.dumps(["head-top", *KEYPOINTS]))
    for name in ("weights.pth", "broken.pth"):
        (tmp_path / name).write_bytes(b"weights")
    return {
        "config": str(tmp_path / "config.json"),
        "checkpoint": str(tmp_path / "weights.pth"),
        "python": sys.executable,
    }


def picture(colour: tuple[int, int, int], boxes: list[list[float]]) -> Picture:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:] = colour
    return Picture("p", image, np.array(boxes, np.float32).reshape(-1, 4))


def test_poses_come_back_from_another_interpreter(stand_in: dict[str, str]) -> None:
    annotator = AnnotatorSpec("mmpose", stand_in).create("pose")
    assert annotator.versions() == {"mmpose": "9.9", "mmcv": "9.9", "mmengine": "9.9"}
    assert set(annotator.weights()) == {"config.json", "weights.pth"}
    good = (10, 20, 30)
    poses = annotator.pose([picture(good, [[2, 3, 9, 9], [5, 1, 8, 8]]), picture(good, [])])
    assert [found.shape for found in poses] == [(2, 17, 3), (0, 17, 3)]
    # Keypoint k of ours is the model's k + 1.
    np.testing.assert_allclose(poses[0][0, :, 1], 3 + np.arange(1, 18))
    np.testing.assert_allclose(poses[0][1, :, 0], 5)
    np.testing.assert_allclose(poses[0][0, :, 2], np.linspace(0, 1.7, 18)[1:].clip(0, 1), atol=1e-6)
    assert "mmpose" not in sys.modules


def test_a_failure_concerns_its_picture_and_the_worker_goes_on(stand_in: dict[str, str]) -> None:
    annotator = AnnotatorSpec("mmpose", stand_in).create("pose")
    with pytest.raises(RuntimeError, match="ValueError: cannot be run"):
        annotator.pose([picture((1, 2, 3), [[0, 0, 5, 5]])])
    assert annotator.pose([picture((10, 20, 30), [[0, 0, 5, 5]])])[0].shape == (1, 17, 3)


def test_threads_get_their_own_answers(stand_in: dict[str, str]) -> None:
    annotator = AnnotatorSpec("mmpose", stand_in).create("pose")

    def left(at: int) -> float:
        (poses,) = annotator.pose([picture((10, 20, 30), [[at, 0, 29, 9]])])
        return float(poses[0, 0, 0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(left, range(25), chunksize=1)) == list(range(25))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_what_is_missing_is_said(
    stand_in: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = stand_in | {"checkpoint": str(tmp_path / "broken.pth")}
    with pytest.raises(UserError, match=r"mmpose: RuntimeError: size mismatch"):
        AnnotatorSpec("mmpose", broken).create("pose")
    with pytest.raises(UserError, match="needs a checkpoint file"):
        AnnotatorSpec("mmpose", stand_in | {"checkpoint": "nowhere.pth"}).create("pose")
    with pytest.raises(UserError, match=r"the mmpose worker stopped \(exit code 0\)"):
        AnnotatorSpec("mmpose", stand_in | {"python": shutil.which("true") or ""}).create("pose")
    gc.collect()  # the worker's last pipe breaks in silence
    assert "BrokenPipeError" not in capfd.readouterr().err
    with pytest.raises(UserError, match="cannot be run"):
        AnnotatorSpec("mmpose", stand_in | {"python": str(tmp_path / "python")}).create("pose")
    with pytest.raises(UserError, match="name an interpreter that has it"):
        AnnotatorSpec("mmpose", stand_in | {"python": ""}).create("pose")


def test_the_worker_needs_nothing_of_ours() -> None:
    code = f"import sys; sys.argv = ['w']; exec(open({mmpose_worker.__file__!r}).read()); print(sorted(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code], input="", capture_output=True, text=True, check=True
    )
    assert "mildbench" not in shown.stdout


def test_arrays_in_a_checkpoint_pass_and_code_does_not(tmp_path: Path) -> None:
    meta = {
        "sigmas": np.array([0.1, 0.2], np.float32),
        "colours": np.ones((2, 3), np.uint8),
        "one": np.float64(1),
    }
    new, old, evil = (tmp_path / f"{name}.pth" for name in ("new", "old", "evil"))
    torch.save({"state_dict": {"weight": torch.ones(2)}, "meta": {"dataset_meta": meta}}, new)
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:  # as numpy 1 wrote it
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"numpy._core", b"numpy.core"))
    torch.save({"state_dict": {}, "meta": subprocess.Popen}, evil)
    with mmpose_worker._arrays_allowed():
        for path in (new, old):
            found = torch.load(path, weights_only=True)["meta"]["dataset_meta"]
            for name, value in meta.items():
                np.testing.assert_array_equal(found[name], value)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(evil, weights_only=True)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(new, weights_only=True)
