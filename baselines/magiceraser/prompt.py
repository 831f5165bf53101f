"""Prompt tuning: a learned word R* of the prompt, and an adapter of the UNet trained with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.parts import load_part, save_part
from baselines.diffusion.routing import DomainLora
from baselines.diffusion.text import Text

WORD = "<R*>"
FIRST = "background"
"""A fresh R* means this [ours]; textual inversion starts from a word that is about right."""
AUTO = "auto"
"""The tag that says: each picture's own."""
EMBEDDING = "embedding.safetensors"
ADAPTER = "eraser"
_SUFFIXES = ("-merged", "-other", "-stuff")


def describe(tag: str, word: str = "") -> str:
    """The prompt for a background that is called `tag`, with the learned word before it if one is given."""
    return " ".join(filter(None, ("a photo of", word, tag)))


def in_words(category: str | None) -> str:
    """A panoptic category as one would say it: `wall-other-merged` is COCO's name for a wall. "background" for none."""
    if not category:
        return FIRST
    for suffix in _SUFFIXES:
        category = category.removesuffix(suffix)
    return category.replace("-", " ")


class LearnedWord(nn.Module):
    """A word whose embedding is learned: textual inversion (Gal et al., ICLR 2023).

    The tokenizers of `text` learn the word and its encoders read the vectors, in place; whatever does not
    contain the word is encoded as before.
    """

    def __init__(self, text: Text, word: str = WORD) -> None:
        super().__init__()
        self.vectors = nn.ParameterList()
        """One float32[D] for each text encoder."""
        for tokenizer, model in zip(text.tokenizers, text.models, strict=True):
            table = model.get_input_embeddings()
            first = tokenizer(FIRST, add_special_tokens=False, return_tensors="pt").input_ids[0]
            vector = nn.Parameter(table(first.to(model.device)).float().mean(0).detach())
            self.vectors.append(vector)
            # Special, so that it is found before the text is put into lower case.
            tokenizer.add_tokens([word], special_tokens=True)
            number = tokenizer(word, add_special_tokens=False).input_ids[0]
            model.set_input_embeddings(_WithWord(table, number, vector))
            _read_at_the_end(model, tokenizer.eos_token_id)


class _WithWord(nn.Module):
    """A table of embeddings, and one vector beside it."""

    def __init__(self, table: nn.Module, number: int, vector: nn.Parameter) -> None:
        super().__init__()
        self.table = table
        self.number = number
        self.vector = vector

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """int64[...] -> float[..., D]."""
        learned = ids == self.number
        known = self.table(ids.masked_fill(learned, 0))
        return torch.where(learned[..., None], self.vector.to(known), known)


def _read_at_the_end(model: Any, end: int) -> None:
    """Let the pooled output be read at the first token `end`.

    Old configurations (SDXL's among them) say so by the number 2, which makes CLIP look for the largest number
    of a text instead; that would be the new word's.
    """
    for module in model.modules():
        if hasattr(module, "eos_token_id"):
            module.eos_token_id = end


class PromptTuning:
    """What prompt tuning trains [paper]: the embedding of R* and a LoRA of the UNet; all else stays frozen.

    Fresh ones leave the UNet as it is. The backbone is changed in place.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.word = LearnedWord(backbone.text)
        self.lora = DomainLora(backbone, (ADAPTER,))

    def parameters(self) -> list[nn.Parameter]:
        """What is to be trained."""
        return [*self.word.parameters(), *self.lora.parameters()]

    def save(self, folder: Path) -> None:
        """Write `embedding.safetensors` and `eraser.safetensors`."""
        save_part(self.word, folder / EMBEDDING)
        self.lora.save(folder)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; raises `UserError` for files that are missing or of another backbone."""
        load_part(self.word, folder / EMBEDDING)
        self.lora.load(folder)
