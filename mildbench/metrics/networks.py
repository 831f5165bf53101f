"""Large networks that several metrics ask: read from the weights cache, each once, in full single precision.

Pictures come in as floating point RGB of 0 to 255, at the size that the network reads. The processors that come with
a checkpoint are not used: how a picture is cut and resized is part of a metric's definition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

import torch
from torch.nn import functional

from mildbench import weights
from mildbench.errors import UserError
from mildbench.extras import require
from mildbench.metrics.precision import full_precision
from mildbench.progress import no_bars

PASS = 8
"""Pictures in one pass of a network, so that no number of people in a picture fills the memory."""

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and standard deviation of RGB."""
OPENAI = ((122.7709383, 116.7460125, 104.0937362), (68.5005327, 66.6321579, 70.3231630))


class Network(ABC):
    """One network on one device. Get one by `shared`."""

    weights: ClassVar[str]
    """Its checkpoint's name in the weights manifest, and its name in metrics' ids."""
    file: ClassVar[str] = "model.safetensors"
    """The file of the checkpoint that holds the tensors."""
    unused: ClassVar[tuple[str, ...]] = ()
    """What the names of tensors start with that the file holds and the network has not."""
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]] = IMAGENET

    def __init__(self, folder: Path, device: str) -> None:
        kind, configuration = self._architecture()
        tensors = weights.load_state_dict(folder / self.file)
        state = {name: tensor for name, tensor in tensors.items() if not name.startswith(self.unused)}
        try:
            config = configuration.from_pretrained(folder, local_files_only=True)
            with no_bars():
                model, report = kind.from_pretrained(
                    None, config=config, state_dict=state, output_loading_info=True
                )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(
                f"{folder} cannot be read as {self.weights} ({reason}): fetch it again"
            ) from error
        if missing := sorted(report["missing_keys"]):
            raise UserError(f"{folder} lacks the tensor {missing[0]}: fetch {self.weights} again")
        self.device = device
        self._model: Any = model.to(device=device, dtype=torch.float32).eval()
        mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in self.statistics)
        self._mean, self._deviation = mean, deviation

    @staticmethod
    @abstractmethod
    def _architecture() -> tuple[Any, Any]:
        """transformers' classes of the model and of its configuration."""

    def normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[N, 3, h, w] as the network was trained on, of float[N, 3, h, w] in 0 to 255."""
        return (pictures.to(torch.float32) - self._mean) / self._deviation

    def _passes(self, run: Any, pictures: torch.Tensor) -> torch.Tensor:
        with full_precision():
            return torch.cat([run(part) for part in pictures.split(PASS)])


class Dinov2(Network):
    """DINOv2, ViT-g/14 (Oquab et al. 2023)."""

    weights = "dinov2-giant"

    @staticmethod
    def _architecture() -> tuple[Any, Any]:
        library = require("transformers", "DINOv2")
        return library.Dinov2Model, library.Dinov2Config

    @property
    def patch(self) -> int:
        """Pixels at a side of one token's patch."""
        return int(self._model.config.patch_size)

    def tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[N, 1 + T, D] after the last norm of float[N, 3, h, w]: the class token, then patches by rows.

        h and w are multiples of `patch`.
        """
        return self._passes(lambda part: self._model(self.normalised(part)).last_hidden_state, pictures)


class Clip(Network):
    """The picture's half of CLIP, ViT-L/14 at 336 pixels (Radford et al. 2021)."""

    weights = "clip-vit-large-336"
    file = "pytorch_model.bin"
    unused = ("text_", "logit_scale")
    statistics = OPENAI

    @staticmethod
    def _architecture() -> tuple[Any, Any]:
        library = require("transformers", "CLIP")
        return library.CLIPVisionModelWithProjection, library.CLIPVisionConfig

    @property
    def side(self) -> int:
        """Pixels at a side of the pictures that it reads."""
        return int(self._model.config.image_size)

    def embeddings(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[N, D], of length 1, of float[N, 3, side, side]."""
        found = self._passes(lambda part: self._model(self.normalised(part)).image_embeds, pictures)
        return functional.normalize(found, dim=1)


class Sam(Network):
    """Segment Anything, ViT-H (Kirillov et al. 2023)."""

    weights = "sam-vit-huge"

    @staticmethod
    def _architecture() -> tuple[Any, Any]:
        library = require("transformers", "Segment Anything")
        return library.SamModel, library.SamConfig

    @property
    def side(self) -> int:
        """Pixels at a side of the square that it reads, of which a picture fills a part from the upper left."""
        return int(self._model.config.vision_config.image_size)

    @property
    def grid(self) -> int:
        """Features at a side."""
        return self.side // int(self._model.config.vision_config.patch_size)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of a picture whose longer side is made `side` pixels."""
        scale = self.side / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def padded(self, picture: torch.Tensor) -> torch.Tensor:
        """float32[3, side, side], normalised and then filled up with zeros, of float[3, h, w] in 0 to 255."""
        height, width = picture.shape[1:]
        return functional.pad(self.normalised(picture), (0, self.side - width, 0, self.side - height))

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32[N, C, grid, grid] of N `padded` pictures."""
        return self._passes(lambda part: self._model.vision_encoder(part).last_hidden_state, pictures)

    def ask(self, features: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What one picture has at each of P points, in pixels of the square: three answers to each.

        Args:
            features: float32[C, grid, grid].
            points: float32[P, 2], x and y.

        Returns:
            Logits float32[P, 3, 4 grid, 4 grid] over the square, and the IoU that it expects of each, float32[P, 3].
        """
        with full_precision():
            found = self._model(image_embeddings=features[None], input_points=points[None, :, None])
        return found.pred_masks[0], found.iou_scores[0]


AnyNetwork = TypeVar("AnyNetwork", bound=Network)

_loaded: WeakValueDictionary[tuple[type[Network], Path, str], Network] = WeakValueDictionary()


def shared(kind: type[AnyNetwork], device: str) -> AnyNetwork:
    """The network of this kind on this device; read once while any metric holds it.

    Raises `mildbench.weights.WeightsMissing`, and `UserError` for a checkpoint that cannot be read.
    """
    folder = weights.resolve_folder(kind.weights)
    key = (kind, folder, device)
    found = _loaded.get(key)
    if not isinstance(found, kind):
        found = _loaded[key] = kind(folder, device)
    return found
