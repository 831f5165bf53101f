"""PowerPaint's words, and its authors' files: of the same layout with random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from people import crowd
from safetensors.torch import load_file, save_file
from tiny_pipelines import tiny_pipeline

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.checkpoints import load_backbone
from baselines.powerpaint import VECTORS, WORDS, PowerPaint, read, spelt, teach
from mildbench.errors import UserError

FAST = {"backbone": "random:tiny", "steps": 2, "resolution": 64}


def _taught(seed: int) -> Backbone:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        teach(backbone)
        for model in (backbone.network, *backbone.text.models):
            for part in model.parameters():
                part.add_(torch.randn(part.shape) / 50)
    return backbone


def _published(backbone: Backbone, folder: Path, text: str = "text_encoder") -> None:
    """As in the authors' release: a wrapped table, vectors by their words, older transformers' names."""
    (model,) = backbone.text.models
    table = "text_model.embeddings.token_embedding"
    state = {
        f"text_model.{key}": part for key, part in model.state_dict().items() if "token_embedding" not in key
    }
    words = model.get_input_embeddings()
    state[f"{table}.wrapped.weight"] = words.table.weight
    state |= {f"{table}.trainable_embeddings.{word}": words.vectors[word] for word in WORDS}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    for name in ("unet", text):
        (folder / name).mkdir(exist_ok=True, parents=True)
    save_file(
        {key: part.contiguous() for key, part in state.items()}, folder / text / "text_encoder.safetensors"
    )
    save_file(backbone.network.state_dict(), folder / "unet/unet.safetensors")


@pytest.mark.parametrize("text", ["text_encoder", "unet"])
def test_the_authors_files_are_read(tmp_path: Path, text: str) -> None:
    theirs, ours = _taught(1), _taught(2)
    _published(theirs, tmp_path, text)
    prompts = [spelt("empty scene P_ctxt"), spelt("P_obj"), spelt("P_shape"), "a wall"]
    before = ours.text(prompts).tokens
    read(ours, tmp_path)
    torch.testing.assert_close(ours.text(prompts).tokens, theirs.text(prompts).tokens)
    assert not torch.equal(before, ours.text(prompts).tokens)
    for one, other in zip(ours.network.parameters(), theirs.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_each_token_of_a_word_is_its_own_vector() -> None:
    backbone = load_backbone("random:tiny", "cpu", torch.float32)
    (tokenizer,), (model,) = backbone.text.tokenizers, backbone.text.models
    before = backbone.text(["a wall"]).tokens
    words = teach(backbone)
    torch.testing.assert_close(backbone.text(["a wall"]).tokens, before)
    for word in WORDS:
        ids = tokenizer(spelt(f"a {word} b"), return_tensors="pt").input_ids[0]
        at = [place for place, number in enumerate(ids.tolist()) if number >= 514]
        assert len(at) == VECTORS
        assert at == list(range(at[0], at[0] + VECTORS))
        torch.testing.assert_close(model.get_input_embeddings()(ids)[at], words.vectors[word].detach())


def test_files_of_something_else_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no text_encoder/text_encoder\.safetensors"):
        PowerPaint(**FAST, weights=str(tmp_path)).load()
    _published(_taught(1), tmp_path)
    unet = tmp_path / "unet/unet.safetensors"
    whole = load_file(unet)
    save_file({key: part for key, part in whole.items() if key != "conv_in.weight"}, unet)
    with pytest.raises(UserError, match=r"of another network: conv_in\.weight does not fit"):
        PowerPaint(**FAST, weights=str(tmp_path)).load()


def test_only_one_text_encoder_can_be_taught(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="several text encoders"):
        PowerPaint(str(tiny_pipeline("flux-fill", tmp_path))).load()


def test_words_and_weights_reach_the_picture(tmp_path: Path) -> None:
    def made(**options: object) -> np.ndarray:
        method = PowerPaint(**(FAST | options))  # type: ignore[arg-type]
        method.load()
        (outcome,) = method.run(crowd(1))
        assert outcome.image is not None, outcome.error
        return outcome.image

    _published(_taught(1), tmp_path)
    plain = made()
    for change in (
        {"prompt": "empty scene P_obj"},
        {"negative_prompt": "P_ctxt"},
        {"guidance": 1.0},
        {"weights": str(tmp_path)},
    ):
        assert not np.array_equal(plain, made(**change)), change
    assert PowerPaint(**FAST).info.untrained == "backbone random:tiny, the tasks' words"
    assert PowerPaint(**FAST, weights=str(tmp_path)).info.untrained == "backbone random:tiny"
