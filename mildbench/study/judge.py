"""A vision-language model that says which of two results looks better, through transformers.

Models are read from a folder or from the local Hugging Face cache, as safetensors; nothing is downloaded, no code of a
model's is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from mildbench import extras
from mildbench.device import one_thread, resolve_device
from mildbench.errors import UserError
from mildbench.progress import no_bars
from mildbench.study.page import Shown
from mildbench.study.records import Choice
from mildbench.weights import tensors_sha256

_BEFORE = (
    "Somebody was removed from a photo by two computer programs. This is the photo before. Whoever is inside the "
    "orange outline had to disappear."
)
_QUESTION = (
    "Which result looks better? In a good one the person, their shadow and what they carry are gone, what was behind "
    "them looks real, and everybody else is still there. Answer with one letter, A or B."
)
_LETTERS = ("A", "B")


class Judge:
    """One model on one device."""

    def __init__(self, model: str, device: str) -> None:
        """Read a model.

        Args:
            model: folder, or hub id of one in the local cache: any of transformers' models that turn pictures and
                text into text, with a chat template.
            device: auto, cpu, cuda or cuda:N.

        Raises:
            UserError: it is not here, is no such model, lacks tensors, or has no words for A and B.
        """
        transformers = extras.require("transformers", "a vision-language model as a rater")
        self.device = resolve_device(device)
        # A CPU computes in single precision; elsewhere the checkpoint's own is what the model was tested in.
        dtype = "float32" if self.device == "cpu" else "auto"
        here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._processor = transformers.AutoProcessor.from_pretrained(model, **here)
            with no_bars():
                network, report = transformers.AutoModelForImageTextToText.from_pretrained(
                    model, use_safetensors=True, dtype=dtype, output_loading_info=True, **here
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{model} is not in the local cache, or is no vision-language model ({reason}): run 'hf download "
                f"{model}', or give a folder"
            ) from None
        if missing := sorted(report["missing_keys"]):
            raise UserError(f"{model} lacks the tensor {missing[0]}: download it again")
        if getattr(self._processor, "chat_template", None) is None:
            raise UserError(f"{model} has no chat template, so it cannot be asked: give a model for chats")
        self._letters = [self._beginnings(letter) for letter in _LETTERS]
        if set.intersection(*self._letters) or not all(self._letters):
            raise UserError(f"{model} has no words of their own for A and B: give another model")
        self._network = network.eval().to(self.device)
        self.name = f"{model.rstrip('/').rpartition('/')[2]} {tensors_sha256(network)[:12]}"
        """What tells its answers from other models': the last part of where it lies, and the start of the sha256 of its
        tensors."""

    def choose(self, pair: Shown) -> Choice:
        """Ask twice, with the sides exchanged: a preference that goes with the side is none, and counts as a tie."""
        first = self.preference(pair.before, pair.a, pair.b)
        second = -self.preference(pair.before, pair.b, pair.a)
        if first > 0 and second > 0:
            return "A"
        return "B" if first < 0 and second < 0 else "tie"

    def preference(self, before: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        """Log-odds with which its answer begins with A rather than with B; pictures are uint8[H, W, 3]."""
        import torch

        with one_thread(self.device), torch.inference_mode():
            logits = self._network(**self._inputs([before, a, b])).logits[0, -1].float()
            of_a, of_b = (torch.logsumexp(logits[sorted(letter)], dim=0) for letter in self._letters)
        return float(of_a - of_b)

    def _inputs(self, pictures: Sequence[np.ndarray]) -> Any:
        content: list[dict[str, Any]] = []
        texts = (_BEFORE, "Result A:", "Result B:")
        for text, pixels in zip(texts, pictures, strict=True):
            content += [
                {"type": "text", "text": text},
                {"type": "image", "image": Image.fromarray(pixels)},
            ]
        content.append({"type": "text", "text": _QUESTION})
        return self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device, self._network.dtype)

    def _beginnings(self, letter: str) -> set[int]:
        """The tokens that are the letter, with or without a blank before it."""
        spelled = (
            self._processor.tokenizer.encode(text, add_special_tokens=False)
            for text in (letter, f" {letter}")
        )
        return {tokens[0] for tokens in spelled if len(tokens) == 1}
