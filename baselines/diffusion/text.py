"""Prompts to embeddings; and CLIP's encoders, one (SD-1.x, SD-2.x) or two (SDXL)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from transformers import CLIPTokenizer, PreTrainedModel


@dataclass(frozen=True, eq=False)
class TextEmbedding:
    """P encoded prompts."""

    tokens: torch.Tensor
    """float[P, L, D]: what the network's attention reads."""
    pooled: torch.Tensor | None
    """float[P, D2]; SD-1.x and SD-2.x have none."""

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Sequence[int]) -> TextEmbedding:
        """The embeddings of these rows, in this order."""
        index = list(rows)
        return TextEmbedding(self.tokens[index], None if self.pooled is None else self.pooled[index])

    @staticmethod
    def cat(parts: Sequence[TextEmbedding]) -> TextEmbedding:
        """One batch from several."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return TextEmbedding(
            torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None
        )


class Text(Protocol):
    """The tokenizers and text encoders of a checkpoint."""

    tokenizers: tuple[Any, ...]
    models: tuple[Any, ...]
    """One for each tokenizer."""

    def __call__(self, prompts: Sequence[str]) -> TextEmbedding:
        """Encode P prompts."""
        ...


def tokens_of(tokenizer: Any, prompts: Sequence[str], length: int) -> torch.Tensor:
    """int64[P, length]: filled up, or what exceeds it cut off."""
    return tokenizer(
        list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids


@dataclass(eq=False)
class TextEncoder:
    """CLIP's: one pair, or SDXL's two."""

    tokenizers: tuple[CLIPTokenizer, ...]
    models: tuple[PreTrainedModel, ...]

    @property
    def two(self) -> bool:
        """True for SDXL."""
        return len(self.models) == 2

    def __call__(self, prompts: Sequence[str]) -> TextEmbedding:
        """Encode P prompts; each distinct one is encoded once. What exceeds 77 tokens is cut off, as in CLIP.

        Differentiable in whatever of the encoders is not frozen.
        """
        distinct = list(dict.fromkeys(prompts))
        parts, pooled = [], None
        for tokenizer, model in zip(self.tokenizers, self.models, strict=True):
            ids = tokens_of(tokenizer, distinct, tokenizer.model_max_length)
            output = model(ids.to(model.device), output_hidden_states=self.two)
            # SDXL reads the last layer but one of both, and the second one's pooled output.
            parts.append(output.hidden_states[-2] if self.two else output.last_hidden_state)
            pooled = output[0] if self.two else None
        return TextEmbedding(torch.cat(parts, dim=-1), pooled).take(
            [distinct.index(prompt) for prompt in prompts]
        )
