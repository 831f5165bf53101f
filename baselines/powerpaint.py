"""PowerPaint: inpainting whose task is said by learned words, away from the word for an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.parts import seeded
from baselines.diffusion.sampler import Settings
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseResult, MethodInfo
from mildbench.weights import load_state_dict

WORDS = ("P_ctxt", "P_shape", "P_obj")
"""What the surroundings suggest, what fits a shape, what a text describes; in the order in which they were learned."""
VECTORS = 10
"""Tokens of each word."""
STEPS = 45
BASE = "sd-1.5-inpainting"
"""What the authors fine-tuned."""
UNET = ("unet/unet.safetensors",)
TEXT = ("text_encoder/text_encoder.safetensors", "unet/text_encoder.safetensors")
"""Where the authors have had their files."""
_TABLE = "embeddings.token_embedding."


def spelt(prompt: str) -> str:
    """The prompt with each of `WORDS` as its tokens."""
    for word in WORDS:
        prompt = prompt.replace(word, " ".join(f"{word}_{number}" for number in range(VECTORS)))
    return prompt


class TaskWords(nn.Module):
    """A table of embeddings with the tasks' words after it.

    Args:
        table: the text encoder's own.
        first: the number of the first token of the first word.
    """

    def __init__(self, table: Any, first: int) -> None:
        super().__init__()
        self.table = table
        self._first = first
        width = table.weight.shape[1]
        self.vectors = nn.ParameterDict(
            {word: nn.Parameter(torch.randn(VECTORS, width) / 50) for word in WORDS}
        )

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """int64[...] -> float[..., D]."""
        place = ids - self._first
        learned = place >= 0
        known = self.table(ids.masked_fill(learned, 0))
        vectors = torch.cat([self.vectors[word] for word in WORDS]).to(known)
        return torch.where(learned[..., None], vectors[place.clamp(min=0)], known)


def teach(backbone: Backbone) -> TaskWords:
    """Teach the tokenizer and the text encoder the tasks' words, with random vectors, in place."""
    (tokenizer,), (model,) = backbone.text.tokenizers, backbone.text.models
    first = len(tokenizer)
    # Special, so that they are found before the text is put into lower case.
    tokenizer.add_tokens(
        [f"{word}_{number}" for word in WORDS for number in range(VECTORS)], special_tokens=True
    )
    words = TaskWords(model.get_input_embeddings(), first).requires_grad_(False)
    model.set_input_embeddings(words.to(model.device, model.dtype))
    return words


def read(backbone: Backbone, folder: Path) -> None:
    """Read the authors' files into a backbone that was taught; raises `UserError` where they do not fit it."""
    state = _state(folder, TEXT)
    text = {}
    for key, part in state.items():
        key = key.removeprefix("text_model.")
        key = key.replace(f"{_TABLE}wrapped.", f"{_TABLE}table.")
        text[key.replace(f"{_TABLE}trainable_embeddings.", f"{_TABLE}vectors.")] = part
    text.pop("embeddings.position_ids", None)  # of older transformers: the numbers in their order
    _fill(backbone.text.models[0], text, folder, "text encoder")
    _fill(backbone.network, _state(folder, UNET), folder, "network")


def _state(folder: Path, places: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
    for place in places:
        if (folder / place).is_file():
            return load_state_dict(folder / place)
    raise UserError(f"powerpaint weights not found: {folder} has no {places[0]}")


def _fill(model: Any, state: Mapping[str, torch.Tensor], folder: Path, what: str) -> None:
    expected = model.state_dict()
    for key in sorted({*state, *expected}):
        if key not in state or key not in expected or state[key].shape != expected[key].shape:
            raise UserError(f"powerpaint weights in {folder} are of another {what}: {key} does not fit")
    model.load_state_dict(state)


class PowerPaint(DiffusionMethod):
    """PowerPaint's first version (Zhuang et al., ECCV 2024), for removing objects, from the paper and its code.

    - Task words [paper]: `P_ctxt` for what the surroundings suggest and `P_obj` for an object, ten tokens each, learned
      with the UNet and the text encoder. Removal is guided towards the first and away from the second.
    - Words, steps and guidance are those of the authors' demo: "empty scene" before the task's word, 45 steps, at
      least 10 recommended for removal. It shows pictures at 640 pixels, here they have the backbone's size [ours].
    - Nothing of it is trained here: `weights` is a folder with the authors' files.
    """

    info = MethodInfo(
        "powerpaint",
        "port",
        "learned words for the task: towards the surroundings, away from any object",
        paper="Zhuang et al., A task is worth one word: learning with task prompts for high-quality versatile image "
        "inpainting, ECCV 2024",
        licence="the checkpoint's",
        revision=1,
        capabilities=frozenset({"device", "attention"}),
    )

    def __init__(
        self,
        backbone: str = BASE,
        weights: str = "",
        prompt: str = "empty scene P_ctxt",
        negative_prompt: str = "P_obj",
        steps: int = 0,
        guidance: float = 10.0,
        resolution: int = 0,
        dtype: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`: its VAE and tokenizer; UNet and text encoder
                are those of `weights`. With one text encoder.
            weights: folder with the authors' files (`unet/unet.safetensors`, `text_encoder/text_encoder.safetensors`).
            prompt: what is painted; `P_ctxt`, `P_shape` and `P_obj` are the tasks' words.
            negative_prompt: what it is guided away from.
            steps: of the checkpoint's own scheduler; 0 for 45.
            guidance: scale of classifier-free guidance.
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, weights)
        self.prompt, self.negative_prompt = prompt, negative_prompt
        self.settings = Settings.checked(self.info.name, steps or STEPS, guidance)
        if self.info.untrained and not weights:
            self.info = replace(self.info, untrained=f"{self.info.untrained}, the tasks' words")

    def load(self) -> None:
        """Load the backbone and what the authors trained; raises `UserError` where it does not fit."""
        super().load()
        if len(self.backbone.text.models) != 1:
            raise UserError(
                f"method 'powerpaint': the backbone {self.backbone_name} has several text encoders: give one of the "
                f"SD-1.x family, as {BASE}"
            )
        folder = self.parts_folder()
        seeded(lambda: teach(self.backbone))
        if folder is not None:
            read(self.backbone, folder)

    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """One pathway a sample."""
        return self.inpaint(
            batch,
            self.canvas(batch),
            self.settings,
            prompts=self.backbone.text([spelt(self.prompt)] * len(batch)),
            negative=self.backbone.text([spelt(self.negative_prompt)] * len(batch)),
        )
