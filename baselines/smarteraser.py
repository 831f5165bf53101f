"""SmartEraser: the network is shown what it is to remove, in its place and as a word of the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from baselines.diffusion.checkpoints import CONFIGURATION, find_folder, read_image_encoder
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.parts import load_part, seeded
from baselines.diffusion.sampler import Settings
from baselines.diffusion.text import TextEmbedding, tokens_of
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseResult, MethodInfo
from mildbench.weights import checkpoints

if TYPE_CHECKING:
    from transformers import CLIPVisionConfig

PROMPT = "Remove the instance of object"
"""The authors'. Its last word gives way to what is seen of the object."""
LENGTH = 7
"""Tokens of a prompt: those five words, and the marks of beginning and end."""
STEPS = 50
PROJECTION = "clip_mlp_weight.pth"
"""The authors' file of what makes a word of CLIP's embedding, beside the checkpoint's parts."""
CLIP = "clip-vit-large"
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of RGB in 0 to 1, as CLIP was trained."""
LARGEST = 0.7
"""Share of the picture up to which a mask is grown."""


class Projection(nn.Module):
    """CLIP's embedding of a picture -> a word among the prompt's tokens. The names are those of the authors' file."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc_out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """float[..., D] -> float[..., D]."""
        return embedding + self.fc_out(self.norm(embedding))


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What is in the mask, on white: uint8[H, W, 3], bool[H, W] -> uint8[h, w, 3], as large as the mask's box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(mask[box][..., None], image[box], np.uint8(255))


def as_clip_sees(picture: np.ndarray, side: int) -> torch.Tensor:
    """uint8[h, w, 3] -> float32[3, side, side]: the shorter side to `side`, the middle of the longer, normalised."""
    height, width = picture.shape[:2]
    shorter = min(height, width)
    size = side * height // shorter, side * width // shorter
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    inner = resized[:, top : top + side, left : left + side].round().clamp(0, 255) / 255
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (inner - mean) / deviation


def grown(mask: np.ndarray, share: float) -> np.ndarray:
    """bool[H, W], by as few pixels on all sides as add `share` of its area; as it is where that fills the picture."""
    wanted = (1 + share) * np.count_nonzero(mask)
    square = np.ones((3, 3), np.uint8)
    larger = mask
    while np.count_nonzero(larger) < min(wanted, mask.size):
        larger = cv2.dilate(larger.astype(np.uint8), square) > 0
    return mask if larger.mean() > LARGEST else larger


class SmartEraser(DiffusionMethod):
    """SmartEraser (Jiang et al., CVPR 2025), from the paper and the authors' public code.

    - Masked-region guidance [paper]: a network for inpainting is told of the picture as it is, object included; the
      mask alone says what goes.
    - Visual guidance [paper]: the last word of the prompt is CLIP's embedding of the object on white, through a learned
      projection. What is guided away from has the embedding of nothing in its place.
    - The mask is grown by a tenth of its area, prompt, 50 steps and guidance 1.5 are as in the authors' evaluation; by
      how many pixels at a time it is grown is [ours]. The authors' demo looks at 512 pixels around the object, here it
      is the whole picture [ours].
    - Nothing of it is trained here: `backbone` is a folder with the authors' files. Their training grows, shrinks and
      rounds masks at random; here that is data, not method.
    """

    info = MethodInfo(
        "smarteraser",
        "port",
        "is shown what it removes, in its place and as a word of the prompt",
        paper="Jiang et al., SmartEraser: remove anything from images using masked-region guidance, CVPR 2025",
        licence="the checkpoint's",
        revision=1,
        capabilities=frozenset({"device", "attention"}),
    )

    def __init__(
        self,
        backbone: str = "",
        clip: str = "",
        region: bool = True,
        visual: bool = True,
        grow: float = 0.1,
        steps: int = 0,
        guidance: float = 1.5,
        resolution: int = 0,
        dtype: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: the authors' checkpoint, a folder in diffusers' format with `clip_mlp_weight.pth`; or as
                `baselines.diffusion.checkpoints.load_backbone` takes random ones. With one text encoder.
            clip: CLIP's ViT-L/14, by its name in the weights manifest, a folder in transformers' format, or a
                repository's id; empty for `clip-vit-large`, or, on a random backbone, a random one.
            region: without it the hole is cut out of what the network is told.
            visual: without it the prompt is words alone.
            grow: by what share of its area the mask is grown.
            steps: of the checkpoint's own scheduler; 0 for 50.
            guidance: scale of classifier-free guidance.
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
        """
        name = self.info.name
        if not backbone:
            raise UserError(
                f"method {name!r} needs the authors' checkpoint, a folder in diffusers' format with {PROJECTION}: "
                f"{name}:backbone=FOLDER"
            )
        super().__init__(backbone, resolution, dtype)
        if not 0 <= grow <= 1:
            raise UserError(f"method {name!r}: grow={grow}: give a number from 0 to 1")
        self.settings = Settings.checked(name, steps or STEPS, guidance)
        self.region, self.visual, self.grow = region, visual, grow
        self.clip = clip or ("" if self.info.untrained else CLIP)
        if not visual:
            return
        if self.info.untrained:
            self.info = replace(self.info, untrained=f"{self.info.untrained}, the object's word")
        if self.clip in checkpoints():
            self.info = replace(self.info, weights=(*self.info.weights, self.clip))

    @property
    def files(self) -> Mapping[str, Path]:
        """Also CLIP."""
        own = self.visual and self.clip and self.clip not in checkpoints()
        return {**super().files, **({"clip": find_folder(self.clip, CONFIGURATION)} if own else {})}

    def load(self) -> None:
        """Load the checkpoint, and CLIP; raises `UserError` where they are not the authors'."""
        from transformers import CLIPVisionModelWithProjection

        super().load()
        name = self.info.name
        if len(self.backbone.text.models) != 1:
            raise UserError(
                f"method {name!r}: the backbone {self.backbone_name} has several text encoders: give the authors'"
            )
        if not self.visual:
            return
        width = int(self.backbone.text.models[0].config.hidden_size)
        self.projection = seeded(lambda: Projection(width))
        if not self.info.untrained:
            load_part(self.projection, find_folder(self.backbone_name) / PROJECTION)
        if self.clip:
            self.eye = read_image_encoder(find_folder(self.clip, CONFIGURATION))
        else:
            self.eye = seeded(lambda: CLIPVisionModelWithProjection(_random_clip(width)))
        if self.eye.config.projection_dim != width:
            raise UserError(
                f"method {name!r}: CLIP's embeddings have {self.eye.config.projection_dim} numbers, the prompt's "
                f"words {width}: {name}:clip= is for the ViT-L/14 that the authors used"
            )
        for model in (self.projection, self.eye):
            nn.Module.to(model, device=self.device, dtype=self.backbone.dtype)
            model.requires_grad_(False).eval()

    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """One pathway a sample."""
        canvas = self.canvas(batch)
        holes = [grown(canvas.hole(mask), self.grow) for mask in batch.masks]
        pictures = [canvas.picture(image) for image in batch.images]
        prompts, negative = self.prompts(pictures, holes)
        return self.inpaint(
            batch,
            canvas,
            self.settings,
            holes=self.holes(holes),
            prompts=prompts,
            negative=negative,
            cut=not self.region,
        )

    @torch.no_grad()
    def prompts(
        self, pictures: Sequence[np.ndarray], holes: Sequence[np.ndarray]
    ) -> tuple[TextEmbedding, TextEmbedding]:
        """Canvas pictures uint8[H, W, 3] with their holes bool[H, W] -> prompts, and those to be guided away from.

        With visual guidance the object's word comes last before the end mark; in those to be guided away from, whose
        object is a picture of zeros, it comes first, and the last token is left out. So the authors trained it.
        """
        (tokenizer,), (model,) = self.backbone.text.tokenizers, self.backbone.text.models
        ids = tokens_of(tokenizer, [PROMPT, ""], LENGTH)
        towards, away = model(ids.to(model.device)).last_hidden_state
        count = len(pictures)
        if not self.visual:
            return TextEmbedding(towards.repeat(count, 1, 1), None), TextEmbedding(
                away.repeat(count, 1, 1), None
            )
        side = int(self.eye.config.image_size)
        objects = [
            as_clip_sees(cut_out(picture, hole), side) for picture, hole in zip(pictures, holes, strict=True)
        ]
        seen = torch.stack([*objects, torch.zeros_like(objects[0])])
        *words, nothing = self.projection(self.eye(seen.to(self.device, self.backbone.dtype)).image_embeds)
        return (
            TextEmbedding(
                torch.stack([torch.cat([towards[:-2], word[None], towards[-1:]]) for word in words]), None
            ),
            TextEmbedding(torch.cat([away[:1], nothing[None], away[1:-1]]).repeat(count, 1, 1), None),
        )


def _random_clip(width: int) -> CLIPVisionConfig:
    """A small one whose embeddings are as wide as the prompt's tokens."""
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        projection_dim=width,
    )
