"""detectron2 annotators: Keypoint R-CNN, Mask R-CNN and Panoptic FPN (Wu et al., 2019), DensePose (Guler et al., 2018).

All are Apache-2.0.

detectron2 is not on PyPI. It builds from source against the torch that is installed, in two to four minutes
(commit 02b5c4e, torch 2.15, Python 3.11):

    git clone https://github.com/facebookresearch/detectron2
    pip install ninja "setuptools<81" fvcore "iopath==0.1.9" yacs "omegaconf<2.4" hydra-core cloudpickle tabulate
    pip install --no-build-isolation --no-deps ./detectron2

setuptools from 81 on has no `pkg_resources`, which the model zoo imports. Parsing is DensePose's, a project of the
same repository, and needs two packages more:

    pip install av scipy
    pip install --no-build-isolation --no-deps ./detectron2/projects/DensePose

DensePose knows body parts, not clothes: its parsing is as good as `mapping.DENSEPOSE_TO_CIHP`.

Configs are those of its model zoo, which ship with it; the weights are the zoo's files, downloaded by you. A `.pkl`
is read by an unpickler that lets numpy arrays through and nothing else.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mildbench.annotators.base import Annotator, AnnotatorInfo, Found, Part, Picture, Segments
from mildbench.annotators.crops import Square, lay_labels
from mildbench.annotators.mapping import DENSEPOSE_PARTS, DENSEPOSE_TO_CIHP, parsing_lookup
from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.weights.reading import load_state_dict

if TYPE_CHECKING:
    import torch

ZOO: dict[Part, str] = {
    "pose": "COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml",
    "people": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
    "segments": "COCO-PanopticSegmentation/panoptic_fpn_R_50_3x.yaml",
    "parsing": "densepose_rcnn_R_50_FPN_s1x.yaml",
}
_DENSEPOSE = {
    "MODEL.ROI_HEADS.NAME": "DensePoseROIHeads",
    "MODEL.ROI_HEADS.NUM_CLASSES": 1,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign",
    "MODEL.ROI_DENSEPOSE_HEAD.NAME": "DensePoseV1ConvXHead",
    "MODEL.ROI_DENSEPOSE_HEAD.POOLER_TYPE": "ROIAlign",
}
"""What `densepose_rcnn_R_50_FPN_s1x` adds to Faster R-CNN and DensePose's defaults; its file is not installed."""
PERSON = 0
"""COCO's contiguous category of a person."""
_INSTALL = "build it from source: see mildbench/annotators/detectron2.py"


class Detectron2(Annotator):
    """Keypoint R-CNN, Mask R-CNN and Panoptic FPN of detectron2's model zoo, and DensePose.

    Args:
        pose: weights of the zoo's `keypoint_rcnn_R_50_FPN_3x`.
        people: of `mask_rcnn_R_50_FPN_3x`.
        segments: of `panoptic_fpn_R_50_3x`.
        parsing: of DensePose's `densepose_rcnn_R_50_FPN_s1x`.
        score: a detection less sure than this is nobody.
    """

    info = AnnotatorInfo(
        name="detectron2",
        summary="Keypoint R-CNN pose, DensePose parsing, Mask R-CNN people and Panoptic FPN segments",
        parts=frozenset(("pose", "parsing", "people", "segments")),
        packages=("torch", "detectron2"),
        install=_INSTALL,
    )

    def __init__(
        self, pose: str = "", people: str = "", segments: str = "", parsing: str = "", score: float = 0.5
    ) -> None:
        self._files: dict[Part, str] = {
            "pose": pose,
            "people": people,
            "segments": segments,
            "parsing": parsing,
        }
        self._score = score
        self._models: dict[Part, Any] = {}
        self._inputs: dict[Part, Any] = {}
        self._hashes: dict[str, str] = {}

    def load(self, part: Part) -> None:
        if part in self._models:
            return
        try:
            from detectron2.data import MetadataCatalog
            from detectron2.data.transforms import ResizeShortestEdge
            from detectron2.modeling import build_model

            config = _config(part)
        except ModuleNotFoundError as error:
            raise UserError(
                f"annotator 'detectron2' needs {error.name}, which is not installed: {_INSTALL}"
            ) from None
        self.check(part)
        path = Path(self._files[part])
        config.MODEL.DEVICE = self.device
        config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = self._score
        model = build_model(config).eval()
        state = _read_zoo(path) if path.suffix == ".pkl" else load_state_dict(path)
        lacking = model.load_state_dict(state, strict=False).missing_keys
        if lacking:
            raise UserError(f"{path} holds no weights of {ZOO[part]} ({lacking[0]} is missing): give others")
        self._models[part] = model
        self._inputs[part] = ResizeShortestEdge(config.INPUT.MIN_SIZE_TEST, config.INPUT.MAX_SIZE_TEST)
        self._catalog = MetadataCatalog.get("coco_2017_val_panoptic_separated")
        self._hashes[path.name] = file_sha256(path)

    def check(self, part: Part) -> None:
        if part == "parsing" and find_spec("densepose") is None:
            raise UserError(f"annotator 'detectron2' needs densepose for parsing: {_INSTALL}")
        if not Path(self._files[part]).is_file():
            name = ZOO[part].removesuffix(".yaml")
            raise UserError(
                f"annotator 'detectron2' needs the zoo's weights of {name}: detectron2:{part}=FILE"
            )

    def weights(self) -> dict[str, str]:
        return dict(self._hashes)

    def _run(self, part: Part, picture: Picture, boxes: np.ndarray | None = None) -> dict[str, Any]:
        """The model's output for one picture, in its pixels; with `boxes`, its heads on those instead of its own."""
        import torch
        from detectron2.structures import Boxes, Instances

        height, width = picture.image.shape[:2]
        # The zoo's models take BGR.
        resized = (
            self._inputs[part]
            .get_transform(picture.image)
            .apply_image(np.ascontiguousarray(picture.image[..., ::-1]))
        )
        tensor = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))).float()
        inputs = [{"image": tensor, "height": height, "width": width}]
        model = self._models[part]
        with torch.inference_mode():
            if boxes is None:
                (output,) = model(inputs)
                return dict(output)
            scale = torch.tensor([resized.shape[1] / width, resized.shape[0] / height] * 2)
            given = Instances(resized.shape[:2])
            given.pred_boxes = Boxes((torch.from_numpy(boxes) * scale).to(model.device))
            given.pred_classes = torch.full((len(boxes),), PERSON, device=model.device)
            (output,) = model.inference(inputs, [given])
            return dict(output)

    # Pictures go one by one: a batch is padded to its largest, which changes results.

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        results = []
        for picture in pictures:
            keypoints = np.zeros((0, 17, 3), np.float32)
            if len(picture.boxes):
                found = self._run("pose", picture, picture.boxes)["instances"]
                keypoints = found.pred_keypoints.cpu().numpy().astype(np.float32)
                keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
            results.append(keypoints)
        return results

    def parsing(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        return [self._parsed(picture) for picture in pictures]

    def _parsed(self, picture: Picture) -> np.ndarray:
        labels = np.zeros(picture.image.shape[:2], np.uint8)
        known = picture.masks is not None or len(picture.boxes) > 0
        if known and not len(picture.boxes):
            return labels
        found = self._run("parsing", picture, picture.boxes if known else None)["instances"]
        boxes = picture.boxes if known else found.pred_boxes.tensor.cpu().numpy()
        lookup = parsing_lookup(DENSEPOSE_PARTS, DENSEPOSE_TO_CIHP)
        for person, box in enumerate(boxes):
            left, top = np.floor(box[:2]).astype(int).tolist()
            right, bottom = np.ceil(box[2:]).astype(int).tolist()
            width, height = max(right - left, 1), max(bottom - top, 1)
            square = Square(left, top, max(width, height))
            seen = np.zeros((square.side, square.side), np.uint8)
            output = found.pred_densepose[person]
            seen[:height, :width] = lookup[_charts(output.coarse_segm, output.fine_segm, height, width)]
            lay_labels(labels, square, seen, None if picture.masks is None else picture.masks[person])
        return labels

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        results = []
        for picture in pictures:
            found = self._run("people", picture)["instances"]
            masks = found.pred_masks.cpu().numpy().astype(bool)
            good = (found.pred_classes.cpu().numpy() == PERSON) & masks.any(axis=(1, 2))
            results.append(Found(masks[good], found.scores.cpu().numpy().astype(np.float32)[good]))
        return results

    def segments(self, pictures: Sequence[Picture]) -> list[Segments]:
        return [self._segmented(picture) for picture in pictures]

    def _segmented(self, picture: Picture) -> Segments:
        ids, infos = self._run("segments", picture)["panoptic_seg"]
        ids = ids.cpu().numpy()
        labels = np.full(ids.shape, -1, np.int32)
        names = []
        for place, info in enumerate(infos):
            labels[ids == info["id"]] = place
            known = self._catalog.thing_classes if info["isthing"] else self._catalog.stuff_classes
            names.append(known[info["category_id"]])
        return Segments(labels, tuple(names), tuple(bool(info["isthing"]) for info in infos))


def _config(part: Part) -> Any:
    """The detectron2 config of a part's model; raises ModuleNotFoundError where a package is missing."""
    from detectron2 import model_zoo

    if part != "parsing":
        return model_zoo.get_config(ZOO[part])
    from densepose import add_densepose_config
    from detectron2.config import get_cfg

    config = get_cfg()
    add_densepose_config(config)
    config.merge_from_file(model_zoo.get_config_file("COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml"))
    config.merge_from_list([value for setting in _DENSEPOSE.items() for value in setting])
    return config


def _charts(coarse: torch.Tensor, fine: torch.Tensor, height: int, width: int) -> np.ndarray:
    """uint8[height, width]: DensePose's I over a person's box, decided at full size as DensePose does.

    Args:
        coarse: float[1, 2, S, S], scores of background and person.
        fine: float[1, 25, S, S], scores of background and the charts.
        height, width: of the box in pixels.
    """
    from torch.nn.functional import interpolate

    person, chart = (
        interpolate(scores, (height, width), mode="bilinear", align_corners=False)[0].argmax(0)
        for scores in (coarse, fine)
    )
    return (chart * (person > 0)).cpu().numpy().astype(np.uint8)


class _Arrays(pickle.Unpickler):
    """Reads numpy arrays in plain containers; anything else in a pickle could run code."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def _read_zoo(path: Path) -> dict[str, Any]:
    """Name -> tensor of a model-zoo file, a pickled dict of numpy arrays. Raises `UserError` for anything else."""
    import torch

    if not path.is_file():
        raise UserError(f"weights not found: {path}")
    try:
        content = _Arrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        return {name: torch.from_numpy(np.asarray(value)) for name, value in content["model"].items()}
    except (pickle.UnpicklingError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise UserError(
            f"{path} is no model-zoo file of plain arrays ({error}): give the zoo's own"
        ) from None
