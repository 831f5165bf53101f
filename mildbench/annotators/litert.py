"""LiteRT (TFLite) annotators: small models that run anywhere on a CPU. The light default.

| part | model | file | licence |
| --- | --- | --- | --- |
| pose | MoveNet SinglePose Lightning, 192 px | `movenet_single_pose_lightning_ptq.tflite` | Apache-2.0 |
| parsing, people | BodyPix MobileNet v1 0.75, 512 px | `bodypix*512_512*.tflite` | Apache-2.0 |
| people's outlines | MediaPipe selfie segmentation, 256 px | `selfie_segmentation.tflite` | Apache-2.0 |
| objects, whether it is people | DeepLab v3 MobileNet v2, 513 px | `deeplabv3_mnv2_pascal*.tflite` | Apache-2.0 |

`mildbench weights fetch movenet bodypix selfie deeplab` gets them: 7 MB. BodyPix is Coral's multi-person one; its pose
decoder is left out, so that the heads are outputs. MoveNet sees one person at a time, the others turned grey.
BodyPix knows body parts, not clothes: its parsing is as good as `mapping.BODYPIX_TO_CIHP`.
DeepLab knows PASCAL VOC's 20 classes, and does not tell apart two things of one class that touch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mildbench.annotators import personlab
from mildbench.annotators.agreement import agreed
from mildbench.annotators.base import Annotator, AnnotatorInfo, Found, Objects, Part, Picture, box_of
from mildbench.annotators.crops import Square, alone, lay_labels, squares_of
from mildbench.annotators.mapping import BODYPIX_PARTS, BODYPIX_TO_CIHP, parsing_lookup
from mildbench.annotators.tflite import Network
from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.weights import cache_dir

POSE, HEADS, OUTLINE = "movenet*lightning*.tflite", "bodypix*512_512*.tflite", "selfie_segmentation.tflite"
SEMANTIC = "deeplabv3_mnv2_pascal*.tflite"
_NEEDED: dict[Part, tuple[str, ...]] = {
    "pose": (POSE,),
    "parsing": (HEADS,),
    "people": (HEADS, OUTLINE, SEMANTIC),
    "objects": (SEMANTIC,),
}
_CLASSES = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
"""PASCAL VOC's, by COCO's names."""
_PERSON_CLASS = _CLASSES.index("person")
_ANIMALS = [_CLASSES.index(name) for name in ("bird", "cat", "cow", "dog", "horse", "sheep")]

_POSE_SCALE = 1.0
"""MoveNet's crop over the person's box: on COCO photos a tight crop did better than one with a margin."""
_SCALE = 1.2
"""BodyPix's crop over the person's box."""
_WIDER = 2.0
"""The same, of a person who goes on beyond the view they were seen in."""
_SEMANTIC_SCALE = 1.4
"""DeepLab's crop over the person's box: it wants to see more of the place."""
_LOOKS = 4
"""Crops of one person, at most."""
_AT_EDGE = 2
"""Pixels from a view's edge within which a mask goes on beyond it."""
_TILE = 0.5
_PERSON, _OUTLINE = 0.5, 0.25
"""Likelihoods from which a pixel is a person's: in one look, and in the mean of three. On COCO's people the mean did
best so low, where single looks miss limbs."""
_NO_PERSON = 0.1
_LEAST_PERSON = 0.0004
"""Share of the picture below which what was found is no person: 10 x 10 pixels of 512 x 512."""
_LEAST_THING = 0.001
"""The same of an object: DeepLab's cells are 16 pixels wide."""
_SAME_PERSON = 0.5
"""Overlap (over the smaller mask) from which two found people are one."""
_SURELY_THE_SAME = 0.8
"""The same, at which a closer look is not worth its time."""
_FOUND_AGAIN = 0.4
"""Overlap (over the larger mask) from which a person in the closer crop is the one that was looked for."""


class LiteRT(Annotator):
    """MoveNet, BodyPix, selfie segmentation and DeepLab as TFLite files: small, CPU only.

    Args:
        models: folder with the files named above, at any depth. Default: `litert` in the weights' folder
            (`mildbench weights list` says where that is).
    """

    info = AnnotatorInfo(
        name="litert",
        summary="MoveNet pose, BodyPix parsing and people, outlines by DeepLab and selfie segmentation; small, CPU",
        parts=frozenset(("pose", "parsing", "people", "objects")),
        packages=("ai-edge-litert",),
        install='pip install "mildbench[litert]"',
        revision=3,
    )

    def __init__(self, models: str = "") -> None:
        self._folder = Path(models) if models else cache_dir() / "litert"
        self._remedy = (
            "put it there, or leave the option models out and say"
            if models
            else "name a folder where it is, litert:models=FOLDER, or say"
        )
        self._networks: dict[str, Network] = {}

    def load(self, part: Part) -> None:
        for pattern in _NEEDED[part]:
            if pattern not in self._networks:
                self._networks[pattern] = Network(self._find(pattern))

    def check(self, part: Part) -> None:
        for pattern in _NEEDED[part]:
            self._find(pattern)

    def weights(self) -> dict[str, str]:
        return {network.path.name: network.sha256 for network in self._networks.values()}

    def _find(self, pattern: str) -> Path:
        found = sorted(self._folder.rglob(pattern))
        if not found:
            raise UserError(
                f"annotator 'litert': no {pattern} under {self._folder}: {self._remedy} mildbench weights fetch "
                "movenet bodypix selfie deeplab"
            )
        return found[0]

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        return [self._poses(picture) for picture in pictures]

    def _poses(self, picture: Picture) -> np.ndarray:
        network = self._networks[POSE]
        keypoints = np.zeros((len(picture.boxes), 17, 3), np.float32)
        for person, box in enumerate(picture.boxes):
            square = Square.around(box, _POSE_SCALE)
            crop = square.cut(alone(picture.image, picture.masks, person), network.size)
            (found,) = network.run(crop).values()
            keypoints[person, :, :2] = square.points(found[0, :, 1::-1])  # y, x, score
            keypoints[person, :, 2] = found[0, :, 2].clip(0, 1)
        return keypoints

    def parsing(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        return [self._parsed(picture) for picture in pictures]

    def _parsed(self, picture: Picture) -> np.ndarray:
        labels = np.zeros(picture.image.shape[:2], np.uint8)
        masks = picture.masks
        # Inside a known mask, only what is surely no person is something carried.
        least = 0.5 if masks is None else _NO_PERSON
        for person, square in enumerate(squares_of(picture, _SCALE)):
            outputs = self._outputs(alone(picture.image, masks, person), square)
            seen = np.where(self._person(outputs) >= least, self._parts(outputs), 0).astype(np.uint8)
            lay_labels(labels, square, seen, None if masks is None else masks[person])
        return labels

    def _parts(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """uint8[size, size]: the likeliest CIHP-20 class, everywhere."""
        lookup = parsing_lookup(BODYPIX_PARTS, BODYPIX_TO_CIHP)
        parts = outputs["float_part_heatmaps"]
        best: np.ndarray = lookup[personlab.upsampled(parts, self._size, self._stride(parts)).argmax(axis=2)]
        return best

    def _person(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """float32[size, size]: how likely each pixel is a person's."""
        cells = _logistic(outputs["float_segments"])
        return personlab.upsampled(cells, self._size, self._stride(cells))[..., 0]

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        return [self._people(picture.image) for picture in pictures]

    def _people(self, image: np.ndarray) -> Found:
        found = self._by_joints(image)
        whole = self._classes(image, Square.of_picture(image))
        crops = [Square.around(box_of(mask), _SEMANTIC_SCALE) for mask in found.masks]
        closer = (self._classes(image, crop) == _PERSON_CLASS for crop in crops)
        return agreed(found, whole == _PERSON_CLASS, np.isin(whole, _ANIMALS), closer)

    def _classes(self, image: np.ndarray, square: Square) -> np.ndarray:
        """uint8[H, W]: indices into `_CLASSES`, 0 outside the square."""
        network = self._networks[SEMANTIC]
        (classes,) = network.run(square.cut(image, network.size)).values()
        return square.put_back(classes.astype(np.uint8), *image.shape[:2])

    def objects(self, pictures: Sequence[Picture]) -> list[Objects]:
        return [self._objects(picture.image) for picture in pictures]

    def _objects(self, image: np.ndarray) -> Objects:
        classes = self._classes(image, Square.of_picture(image))
        found: list[tuple[int, str, np.ndarray]] = []
        for index in np.unique(classes):
            if index not in (0, _PERSON_CLASS):
                _, pieces, facts, _ = cv2.connectedComponentsWithStats((classes == index).view(np.uint8))
                for piece, area in enumerate(facts[1:, cv2.CC_STAT_AREA], start=1):
                    if area >= _LEAST_THING * classes.size:
                        found.append((int(area), _CLASSES[index], pieces == piece))
        found.sort(key=lambda thing: -thing[0])
        masks = np.array([mask for _, _, mask in found], bool).reshape(-1, *classes.shape)
        return Objects(masks, tuple(name for _, name, _ in found))

    def _by_joints(self, image: np.ndarray) -> Found:
        """Whoever is seen in the whole picture and its tiles, then each again in closer crops, for a finer outline."""
        height, width = image.shape[:2]
        masks: list[np.ndarray] = []
        scores: list[float] = []
        for square in _views(image):  # what a tile cuts off was seen better in the whole, which goes first
            view = self._look(image, square)
            for mask, score in sorted(view.people(view.person >= _PERSON), key=lambda found: -found[1]):
                if any(_overlap(mask, other, min) >= _SURELY_THE_SAME for other in masks):
                    continue
                fine = self._closer(image, mask, view)
                if np.count_nonzero(fine) < _LEAST_PERSON * height * width:
                    continue
                if all(_overlap(fine, other, min) < _SAME_PERSON for other in masks):
                    masks.append(fine)
                    scores.append(score)
        best_first = np.argsort(-np.array(scores), kind="stable")
        stacked = np.stack(masks)[best_first] if masks else np.zeros((0, height, width), bool)
        return Found(stacked, np.array(scores, np.float32)[best_first])

    def _closer(self, image: np.ndarray, mask: np.ndarray, view: _View) -> np.ndarray:
        """bool[H, W]: a person of a view, seen in a crop that they fill; as far as they were not lost there.

        Of whoever goes on beyond the view, a wider crop shows the rest first.
        """
        for _ in range(_LOOKS):
            cut = reaches_edge(mask, view.square)
            wide, view = view, self._look(image, Square.around(box_of(mask), _WIDER if cut else _SCALE))
            again = [other for other, _ in view.people(self._outline(image, view, wide) >= _OUTLINE)]
            whole = min if cut else max
            best = max(again, key=lambda other: _overlap(mask, other, whole), default=mask)
            if _overlap(best, mask, whole) < _FOUND_AGAIN:
                break
            mask = best
            if not cut and not reaches_edge(mask, view.square):
                break
        return mask

    def _look(self, image: np.ndarray, square: Square) -> _View:
        outputs = self._outputs(image, square)
        person = square.put_back(self._person(outputs), *image.shape[:2])
        heads = self._heads(outputs)
        return _View(square, person, heads, personlab.decode(heads), self._size)

    def _outline(self, image: np.ndarray, close: _View, wide: _View) -> np.ndarray:
        """float32[H, W]: how likely each pixel is a person's, the mean of three looks.

        BodyPix close and from afar, and selfie segmentation, whose cells are half as wide.
        """
        network = self._networks[OUTLINE]
        (fine,) = network.run(close.square.cut(image, network.size)).values()
        mean: np.ndarray = (
            close.person + wide.person + close.square.put_back(fine[..., 0], *image.shape[:2])
        ) / 3
        return mean

    def _outputs(self, image: np.ndarray, square: Square) -> dict[str, np.ndarray]:
        return self._networks[HEADS].run(square.cut(image, self._size))

    @property
    def _size(self) -> int:
        return self._networks[HEADS].size

    def _stride(self, cells: np.ndarray) -> int:
        return round(self._size / (cells.shape[0] - 1))

    def _heads(self, outputs: dict[str, np.ndarray]) -> personlab.Heads:
        cells = len(outputs["float_segments"])
        pairs = {
            name: outputs[f"float_{name}_offsets"].reshape(cells, cells, 2, -1) for name in ("short", "long")
        }
        mid = outputs["float_mid_offsets"].reshape(cells, cells, 2, 2, -1)
        return personlab.Heads(
            keypoints=_logistic(outputs["float_heatmaps"]),
            forward=mid[:, :, 0],
            backward=mid[:, :, 1],
            stride=self._stride(outputs["float_segments"]),
            **pairs,
        )


@dataclass(frozen=True, eq=False)
class _View:
    """What BodyPix sees in a square of a picture."""

    square: Square
    person: np.ndarray
    """float32[H, W]: how likely each pixel of the picture is a person's; 0 outside the square."""
    heads: personlab.Heads
    poses: list[personlab.FoundPose]
    size: int
    """Pixels of the network's input."""

    def people(self, person: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """The people in the square, as masks bool[H, W] of the picture, not empty, and scores.

        Args:
            person: bool[H, W], what is anybody's.
        """
        if not self.poses:
            return []
        owner = (personlab.assign(self.heads, self.poses, self.size) + 1).astype(np.uint8)
        whose = self.square.put_back(owner, *person.shape) * person
        masks = [whose == index + 1 for index in range(len(self.poses))]
        return [(mask, pose.score) for mask, pose in zip(masks, self.poses, strict=True) if mask.any()]


def _views(image: np.ndarray) -> list[Square]:
    """Where to look for people: the whole picture, then overlapping tiles of it, for small ones."""
    whole = Square.of_picture(image)
    side = round(whole.side * _TILE)
    starts = [sorted({0, (length - side) // 2, length - side}) for length in (image.shape[1], image.shape[0])]
    places = [[start for start in along if start >= 0] or [0] for along in starts]
    return [whole, *(Square(left, top, side) for top in places[1] for left in places[0])]


def reaches_edge(mask: np.ndarray, view: Square) -> bool:
    """Does a mask, bool[H, W], end at an edge of the view that is not the picture's as well?"""
    height, width = mask.shape
    box, right, bottom = Box.around(mask), view.left + view.side, view.top + view.side
    return (
        0 < view.left >= box.left - _AT_EDGE
        or 0 < view.top >= box.top - _AT_EDGE
        or width > right <= box.right + _AT_EDGE
        or height > bottom <= box.bottom + _AT_EDGE
    )


def _logistic(values: np.ndarray) -> np.ndarray:
    scores: np.ndarray = 1 / (1 + np.exp(-values))
    return scores


def _overlap(one: np.ndarray, other: np.ndarray, whole: Callable[[int, int], int]) -> float:
    """The common area of two masks, none empty, over the smaller (`min`) or the larger (`max`) of them."""
    common = int(np.count_nonzero(one & other))
    return common / whole(int(np.count_nonzero(one)), int(np.count_nonzero(other)))
