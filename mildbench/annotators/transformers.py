"""Hugging Face transformers annotators: ViTPose, SegFormer clothes parsing, Mask2Former panoptic, metric depth.

- pose: ViTPose (Xu et al., NeurIPS 2022), `usyd-community/vitpose-base-simple`, Apache-2.0;
- parsing: SegFormer (Xie et al., NeurIPS 2021) with ATR's 18 labels, `mattmdjaga/segformer_b2_clothes`, MIT;
- people, segments: Mask2Former (Cheng et al., CVPR 2022) on COCO panoptic,
  `facebook/mask2former-swin-base-coco-panoptic`, MIT;
- depth: Depth Anything V2 (Yang et al., NeurIPS 2024) as trained for metres, by default
  `depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf`, Apache-2.0; or ZoeDepth, Depth Pro, GLPN.

Models are read from a folder or from the local Hugging Face cache, as safetensors; nothing is downloaded, no code
of a model's is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mildbench import extras
from mildbench.annotators.base import Annotator, AnnotatorInfo, Found, Part, Picture, Segments
from mildbench.annotators.crops import alone, lay_labels, squares_of
from mildbench.annotators.mapping import CLOTHES_TO_CIHP, coco17, coco_panoptic_things, parsing_lookup
from mildbench.errors import UserError
from mildbench.weights import tensors_sha256

_CROP = 512
_SCALE = 1.1
"""A person's crop over their box: clothes models learn from pictures of one person."""
_CLASSES: dict[Part, tuple[str, str]] = {
    "pose": ("VitPoseForPoseEstimation", "VitPoseImageProcessor"),
    "parsing": ("SegformerForSemanticSegmentation", "SegformerImageProcessor"),
    "segments": ("Mask2FormerForUniversalSegmentation", "Mask2FormerImageProcessor"),
    "depth": ("AutoModelForDepthEstimation", "AutoImageProcessor"),
}
_METRIC = frozenset(("zoedepth", "depth_pro", "glpn"))
"""Types of depth models that always give metres."""


class Transformers(Annotator):
    """ViTPose pose, SegFormer clothes parsing, Mask2Former panoptic segments and metric depth, from Hugging Face.

    Args:
        pose: folder or hub id of a ViTPose model.
        parsing: of a SegFormer with ATR's labels.
        segments: of a Mask2Former on COCO panoptic; people are its persons.
        depth: of a depth model that gives metres.
        score: a segment less sure than this is dropped.
    """

    info = AnnotatorInfo(
        name="transformers",
        summary="ViTPose pose, SegFormer clothes parsing, Mask2Former people and panoptic segments, metric depth",
        parts=frozenset(("pose", "parsing", "people", "segments", "depth")),
        packages=("torch", "torchvision", "transformers"),
    )

    def __init__(
        self,
        pose: str = "usyd-community/vitpose-base-simple",
        parsing: str = "mattmdjaga/segformer_b2_clothes",
        segments: str = "facebook/mask2former-swin-base-coco-panoptic",
        depth: str = "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf",
        score: float = 0.5,
    ) -> None:
        self._names: dict[Part, str] = {
            "pose": pose,
            "parsing": parsing,
            "segments": segments,
            "depth": depth,
        }
        self._score = score
        self._models: dict[Part, tuple[Any, Any]] = {}
        self._hashes: dict[str, str] = {}

    def load(self, part: Part) -> None:
        part = "segments" if part == "people" else part
        if part in self._models:
            return
        library = extras.require("transformers", "annotator 'transformers'")
        name = self._names[part]
        model_class, processor_class = (getattr(library, kind) for kind in _CLASSES[part])
        # The classes that choose by a model's type would ask whether to run code that comes with one.
        only = {"local_files_only": True} | ({"trust_remote_code": False} if part == "depth" else {})
        try:
            processor = processor_class.from_pretrained(name, **only)
            model = model_class.from_pretrained(name, use_safetensors=True, **only)
        except (OSError, ValueError) as error:
            raise self._absent(part, name, str(error).strip().splitlines()[0]) from None
        labels = [model.config.id2label[k] for k in range(len(model.config.id2label))]
        if part == "depth":
            _check_metric(name, model.config)
        elif part == "parsing":
            self._lookup = parsing_lookup(labels, CLOTHES_TO_CIHP)
        elif part == "pose":
            self._joints = coco17(labels)
        else:
            self._names_of, self._things = labels, coco_panoptic_things(labels)
        self._hashes[f"{name.rstrip('/').rpartition('/')[2]} (tensors)"] = tensors_sha256(model)
        self._models[part] = (model.eval().to(self.device), processor)

    def check(self, part: Part) -> None:
        try_to_load_from_cache = extras.require(
            "huggingface_hub", "annotator 'transformers'"
        ).try_to_load_from_cache
        part = "segments" if part == "people" else part
        name = self._names[part]
        if not Path(name).is_dir() and not isinstance(try_to_load_from_cache(name, "config.json"), str):
            raise self._absent(part, name, "no config.json")

    @staticmethod
    def _absent(part: Part, name: str, reason: str) -> UserError:
        return UserError(
            f"annotator 'transformers': {name} is not in the local cache, or is no model for {part} ({reason}): "
            f"run 'hf download {name}', or give a folder: transformers:{part}=FOLDER"
        )

    def weights(self) -> dict[str, str]:
        return dict(self._hashes)

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        import torch

        results = [np.zeros((len(picture.boxes), 17, 3), np.float32) for picture in pictures]
        some = [place for place, picture in enumerate(pictures) if len(picture.boxes)]
        if not some:
            return results
        model, processor = self._models["pose"]
        boxes = [_as_coco(pictures[place].boxes) for place in some]
        inputs = processor([pictures[place].image for place in some], boxes=boxes, return_tensors="pt")
        inputs = inputs.to(self.device)
        extra = {}
        if getattr(model.config.backbone_config, "num_experts", 1) > 1:  # ViTPose++: expert 0 is COCO's
            extra["dataset_index"] = torch.zeros(
                len(inputs["pixel_values"]), dtype=torch.long, device=self.device
            )
        with torch.inference_mode():
            outputs = model(**inputs, **extra)
        found = processor.post_process_pose_estimation(outputs, boxes=boxes)
        for place, people in zip(some, found, strict=True):
            for k, person in enumerate(people):
                results[place][k, :, :2] = person["keypoints"].cpu().numpy()[self._joints]
                results[place][k, :, 2] = person["scores"].cpu().numpy()[self._joints].clip(0, 1)
        return results

    def parsing(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        results = [np.zeros(picture.image.shape[:2], np.uint8) for picture in pictures]
        jobs = [
            (place, person, square)
            for place, picture in enumerate(pictures)
            for person, square in enumerate(squares_of(picture, _SCALE))
        ]
        for start in range(0, len(jobs), max(len(pictures), 1)):
            chunk = jobs[start : start + len(pictures)]
            crops = [
                square.cut(alone(pictures[place].image, pictures[place].masks, person), _CROP)
                for place, person, square in chunk
            ]
            for (place, person, square), seen in zip(chunk, self._parsed(crops), strict=True):
                masks = pictures[place].masks
                lay_labels(results[place], square, seen, None if masks is None else masks[person])
        return results

    def _parsed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """uint8[B, S, S]: CIHP-20 labels of square crops, 0 where nobody is seen."""
        import torch

        model, processor = self._models["parsing"]
        inputs = processor(list(crops), return_tensors="pt").to(self.device)
        with torch.inference_mode():
            logits = model(**inputs).logits
            logits = torch.nn.functional.interpolate(logits.float(), crops[0].shape[:2], mode="bilinear")
        labels: np.ndarray = self._lookup[logits.argmax(1).cpu().numpy()]
        return labels

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        found = []
        for labels, infos in self._panoptic(pictures):
            persons = [info for info in infos if self._names_of[info["label_id"]] == "person"]
            persons = [info for info in persons if (labels == info["id"]).any()]
            persons.sort(key=lambda info: -info["score"])
            masks = np.array([labels == info["id"] for info in persons], dtype=bool)
            scores = np.array([info["score"] for info in persons], np.float32)
            found.append(Found(masks.reshape(-1, *labels.shape), scores))
        return found

    def segments(self, pictures: Sequence[Picture]) -> list[Segments]:
        results = []
        for labels, infos in self._panoptic(pictures):
            places = np.full(labels.shape, -1, np.int32)
            for place, info in enumerate(infos):
                places[labels == info["id"]] = place
            kinds = [info["label_id"] for info in infos]
            names = tuple(self._names_of[kind] for kind in kinds)
            results.append(Segments(places, names, tuple(self._things[kind] for kind in kinds)))
        return results

    def depth(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        import torch

        model, processor = self._models["depth"]
        results = []
        for picture in pictures:  # one by one: processors keep a picture's proportions, a batch has one size
            inputs = processor(picture.image, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                outputs = model(**inputs)
            (found,) = processor.post_process_depth_estimation(outputs, [picture.image.shape[:2]])
            results.append(found["predicted_depth"].float().cpu().numpy())
        return results

    def _panoptic(self, pictures: Sequence[Picture]) -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
        """Per picture the map of segment ids and what each is, as transformers gives it."""
        import torch

        model, processor = self._models["segments"]
        results = []
        for (
            picture
        ) in pictures:  # one by one: a batch is padded to its largest picture, which changes results
            inputs = processor(picture.image, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                outputs = model(**inputs)
            (found,) = processor.post_process_panoptic_segmentation(
                outputs,
                threshold=self._score,
                target_sizes=[picture.image.shape[:2]],
                label_ids_to_fuse={kind for kind, thing in enumerate(self._things) if not thing},
            )
            results.append((found["segmentation"].cpu().numpy(), found["segments_info"]))
        return results


def _check_metric(name: str, config: Any) -> None:
    """Raise `UserError` for a depth model whose numbers are no metres, for all that its configuration says."""
    kind = config.model_type
    if kind in _METRIC or (kind == "depth_anything" and config.depth_estimation_type == "metric"):
        return
    raise UserError(
        f"annotator 'transformers': {name} gives relative depth and no metres, for all that its config.json says: "
        "name a metric model, e.g. transformers:depth=depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf"
    )


def _as_coco(boxes: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom -> left, top, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
