"""torchvision annotators: Keypoint R-CNN for pose, Mask R-CNN for people (He et al., ICCV 2017).

Pose is the keypoint head of `keypointrcnn_resnet50_fpn` run on the given boxes; people are those of
`maskrcnn_resnet50_fpn_v2`. Both are public files, BSD-3-Clause, trained on COCO: `mildbench weights fetch maskrcnn
keypointrcnn`. What torch's hub cache already has of them is used as well; nothing is downloaded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mildbench import extras, weights
from mildbench.annotators.base import Annotator, AnnotatorInfo, Found, Objects, Part, Picture
from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.weights.checks import problem

if TYPE_CHECKING:
    import torch

WEIGHTS: dict[Part, str] = {"pose": "keypointrcnn", "people": "maskrcnn", "objects": "maskrcnn"}
"""Names in the manifest of weights: parts of one name are one network."""
PERSON = 1
"""COCO's label of a person."""


class Torchvision(Annotator):
    """Keypoint R-CNN and Mask R-CNN of torchvision, trained on COCO.

    Args:
        pose: state dict of `keypointrcnn_resnet50_fpn`. Default: the published one.
        people: state dict of `maskrcnn_resnet50_fpn_v2`; the same.
        score: a detection less sure than this is nobody.
    """

    info = AnnotatorInfo(
        name="torchvision",
        summary="Keypoint R-CNN pose, Mask R-CNN people and what they carry, trained on COCO",
        parts=frozenset(("pose", "people", "objects")),
        packages=("torch", "torchvision"),
    )

    def __init__(self, pose: str = "", people: str = "", score: float = 0.5) -> None:
        self._files = {"keypointrcnn": pose, "maskrcnn": people}
        self._score = score
        self._networks: dict[str, Any] = {}
        self._hashes: dict[str, str] = {}

    def load(self, part: Part) -> None:
        name = WEIGHTS[part]
        if name in self._networks:
            return
        detection = extras.require("torchvision.models.detection", "annotator 'torchvision'")
        builders = {
            "keypointrcnn": detection.keypointrcnn_resnet50_fpn,
            "maskrcnn": detection.maskrcnn_resnet50_fpn_v2,
        }
        build = builders[name]
        network = build(weights=None, weights_backbone=None)
        path = self._path(part)
        try:
            network.load_state_dict(weights.load_state_dict(path))
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise UserError(f"{path} holds no weights of {build.__name__} ({first}): give others") from None
        self._hashes[path.name] = file_sha256(path)
        self._networks[name] = network.eval().to(self.device)

    def check(self, part: Part) -> None:
        self._path(part)

    def weights(self) -> dict[str, str]:
        return dict(self._hashes)

    def _path(self, part: Part) -> Path:
        if given := self._files[WEIGHTS[part]]:
            return Path(given)
        entry = weights.entry(WEIGHTS[part])
        assert isinstance(entry, weights.WeightsFile)
        torch = extras.require("torch", "annotator 'torchvision'")
        shared = Path(torch.hub.get_dir()) / "checkpoints" / entry.file
        # torch checks only what it downloads, and only the eight digits in the name.
        if shared.is_file() and not weights.place(entry).exists() and problem(entry, shared) is None:
            return shared
        return weights.resolve(entry.name)

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        results = [np.zeros((len(picture.boxes), 17, 3), np.float32) for picture in pictures]
        for places in _alike(pictures):
            some = [place for place in places if len(pictures[place].boxes)]
            if some:
                for place, poses in zip(some, self._poses([pictures[p] for p in some]), strict=True):
                    results[place] = poses
        return results

    def _poses(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """The keypoint head on the given boxes instead of the detector's own: one pose for each person."""
        import torch
        from torchvision.models.detection.roi_heads import keypointrcnn_inference

        network = self._networks["keypointrcnn"]
        boxes = [{"boxes": torch.from_numpy(picture.boxes).to(self.device)} for picture in pictures]
        with torch.inference_mode():
            images, targets = network.transform(self._tensors(pictures), boxes)
            features = network.backbone(images.tensors)
            proposals = [target["boxes"] for target in targets]
            heads = network.roi_heads
            pooled = heads.keypoint_roi_pool(features, proposals, images.image_sizes)
            heat = heads.keypoint_predictor(heads.keypoint_head(pooled))
            points, scores = keypointrcnn_inference(heat, proposals)
        results = []
        for picture, size, found, logits in zip(pictures, images.image_sizes, points, scores, strict=True):
            height, width = picture.image.shape[:2]
            keypoints = found.cpu().numpy().astype(np.float32)
            keypoints[..., :2] *= (width / size[1], height / size[0])
            keypoints[..., 2] = logits.sigmoid().cpu().numpy()
            results.append(keypoints)
        return results

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        results = []
        for output in self._detections(pictures):
            people = output["labels"] == PERSON
            scores = output["scores"][people].float()
            results.append(Found(output["masks"][people].cpu().numpy(), scores.cpu().numpy()))
        return results

    def objects(self, pictures: Sequence[Picture]) -> list[Objects]:
        from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights as Published

        names = Published.COCO_V1.meta["categories"]
        results = []
        for output in self._detections(pictures):
            things = output["labels"] != PERSON
            found = tuple(names[label] for label in output["labels"][things].tolist())
            results.append(Objects(output["masks"][things].cpu().numpy(), found))
        return results

    def _detections(self, pictures: Sequence[Picture]) -> list[dict[str, torch.Tensor]]:
        """What Mask R-CNN is sure of in each picture: int64[N] labels, float[N] scores, bool[N, H, W] masks."""
        import torch

        results: dict[int, dict[str, torch.Tensor]] = {}
        for places in _alike(pictures):
            with torch.inference_mode():
                outputs = self._networks["maskrcnn"](self._tensors([pictures[place] for place in places]))
            for place, output in zip(places, outputs, strict=True):
                masks = output["masks"][:, 0] > 0.5
                sure = (output["scores"] >= self._score) & masks.flatten(1).any(1)
                results[place] = {
                    "labels": output["labels"][sure],
                    "scores": output["scores"][sure],
                    "masks": masks[sure],
                }
        return [results[place] for place in range(len(pictures))]

    def _tensors(self, pictures: Sequence[Picture]) -> list[torch.Tensor]:
        import torch

        return [
            torch.from_numpy(picture.image).to(self.device).permute(2, 0, 1).float() / 255
            for picture in pictures
        ]


def _alike(pictures: Sequence[Picture]) -> Iterator[list[int]]:
    """Positions of pictures of one shape: padding to a common one would let a batch change a result."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pictures):
        groups.setdefault(picture.image.shape, []).append(place)
    yield from groups.values()
