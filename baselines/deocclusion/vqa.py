"""What a person wears, in words, by asking a visual question answering model (BLIP, Li et al., ICML 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BertTokenizer, BlipForQuestionAnswering, BlipImageProcessor

from baselines.deocclusion.attributes import prompt
from baselines.deocclusion.rgb_completion import MARGIN, on_grey
from baselines.deocclusion.window import Window
from baselines.people import HiddenPerson
from mildbench import weights
from mildbench.errors import UserError
from mildbench.files import read_json
from mildbench.progress import no_bars

QUESTIONS: dict[str, str] = {
    "What color is the person's hair?": "{} hair",
    "What is the person wearing on the upper body?": "{}",
    "What is the person wearing on the lower body?": "{}",
    "What color are the person's shoes?": "{} shoes",
}
"""Question -> the attribute that the answer makes."""

NO_ANSWER = frozenset({"", "no", "none", "nothing", "unknown", "not visible", "can't tell"})


class Vqa:
    """Asks the same questions of every person.

    Args:
        name: a name in the weights manifest, or a folder in transformers' format.
        device: a torch device.
        dtype: of the model.

    Raises:
        UserError: the model is not here, broken, or of another kind. Nothing is downloaded or executed.
    """

    @no_bars()
    def __init__(self, name: str, device: str, dtype: torch.dtype) -> None:
        folder = weights.resolve_folder(name) if name in weights.checkpoints() else Path(name)
        if not (folder / "config.json").is_file():
            raise UserError(
                f"vqa={name}: no config.json there: give blip-vqa-base, or a folder in its format"
            )
        kind = read_json(folder / "config.json", "model configuration").get("model_type")
        if kind != "blip":
            raise UserError(f"vqa={name}: a model of the type {kind!r}: give a BLIP question answering model")
        try:
            loaded: Any = BlipForQuestionAnswering.from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
            self._tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
            self._processor = BlipImageProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"vqa={name}: {folder} cannot be read ({reason}): fetch it again") from error
        model, report = loaded
        if missing := sorted(report["missing_keys"]):
            raise UserError(f"vqa={name}: {folder} lacks {missing[0]}: give a BLIP question answering model")
        self._model = model.to(device=device, dtype=dtype).eval()

    @torch.no_grad()
    def __call__(self, person: HiddenPerson) -> str:
        """A prompt from the answers; the model sees the person's visible pixels on grey."""
        side = self._model.config.vision_config.image_size
        crop = Window.around(person.seen, MARGIN).picture(on_grey(person), side)
        pixels = self._processor(crop, size={"height": side, "width": side}, return_tensors="pt").pixel_values
        pixels = pixels.to(self._model.device, self._model.dtype)
        answers = {question: self._ask(pixels, question) for question in QUESTIONS}
        return prompt(
            QUESTIONS[question].format(answer)
            for question, answer in answers.items()
            if answer.lower() not in NO_ANSWER
        )

    def _ask(self, pixels: torch.Tensor, question: str) -> str:
        # One by one: transformers' BLIP attends to the padding of shorter questions.
        ids = self._tokenizer(question, return_tensors="pt").input_ids.to(self._model.device)
        answer = self._model.generate(ids, pixels, max_new_tokens=8, do_sample=False, num_beams=1)[0]
        return self._tokenizer.decode(answer, skip_special_tokens=True).strip()
