"""A vision-language model as a rater, on random weights of a real architecture: the path is the shipped one."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import invoke
from PIL import Image
from tiny_vlm import save_llava
from transformers import AutoModelForImageTextToText, AutoProcessor

from mildbench.errors import UserError
from mildbench.study.ask import ask
from mildbench.study.judge import Judge
from mildbench.study.page import Shown, read_page, shown
from mildbench.study.records import Answers, Check, Choice, Study, read_answers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llava(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="module")
def judge(model: Path) -> Judge:
    return Judge(str(model), "cpu")


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)


class Scripted(Judge):
    """Asked twice as ever, and answers by a rule."""

    def __init__(self, rule: str) -> None:
        self.name, self.rule = f"scripted {rule}", rule

    def preference(self, before: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        if self.rule == "brighter":
            return float(a.mean()) - float(b.mean())
        return 1.0 if self.rule == "first" else -1.0


@pytest.mark.parametrize("seed", range(4))
def test_its_preference_is_of_the_first_letter_that_it_would_write(
    judge: Judge, model: Path, seed: int
) -> None:
    pictures = [drawn(3 * seed + place) for place in range(3)]
    processor, network = (
        AutoProcessor.from_pretrained(model),
        AutoModelForImageTextToText.from_pretrained(model),
    )
    told = judge._inputs(pictures)
    text = processor.tokenizer.decode(told["input_ids"][0])
    places = [
        text.index(word) for word in ("This is the photo before", "Result A:", "Result B:", "Which result")
    ]
    assert places == sorted(places)
    by_hand = processor.image_processor([Image.fromarray(pixels) for pixels in pictures], return_tensors="pt")
    torch.testing.assert_close(told["pixel_values"], by_hand["pixel_values"])
    written = network.generate(**told, max_new_tokens=1, output_scores=True, return_dict_in_generate=True)
    chances = torch.softmax(written.scores[0][0], dim=0)
    ids = processor.tokenizer.convert_tokens_to_ids(["A", "B"])
    expected = float(torch.log(chances[ids[0]] / chances[ids[1]]))
    assert abs(expected) > 0.01
    assert judge.preference(*pictures) == pytest.approx(expected, abs=1e-4)


def test_it_sees_the_pictures(judge: Judge) -> None:
    before, a, b = drawn(0), drawn(1), drawn(2)
    found = {judge.preference(*three) for three in ((before, a, b), (before, b, a), (b, a, before))}
    assert len(found) == 3


def test_a_preference_that_goes_with_the_side_is_a_tie() -> None:
    dark, bright = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
    pairs = [Shown("1", dark, bright, dark), Shown("2", dark, dark, bright), Shown("3", dark, dark, dark)]
    assert [Scripted("brighter").choose(pair) for pair in pairs] == ["A", "B", "tie"]
    for side in ("first", "second"):
        assert {Scripted(side).choose(pair) for pair in pairs} == {"tie"}


def test_it_answers_what_people_are_shown(folder: Path, study: Study, tmp_path: Path) -> None:
    page = read_page(folder / "study.html")
    assert [pair.id for pair in shown(page, set())] == [item.id for item in study.shown]
    ask(page, Scripted("brighter"), tmp_path / "answers.json")
    answers = read_answers(tmp_path / "answers.json", study)
    assert (answers.rater.kind, answers.rater.name) == ("model", "scripted brighter")
    brighter: dict[str, Choice] = {
        pair.id: "tie" if pair.a.mean() == pair.b.mean() else "A" if pair.a.mean() > pair.b.mean() else "B"
        for pair in shown(page, set())
    }
    assert {answer.pair: answer.choice for answer in answers.answers} == brighter
    assert len(Counter(brighter.values())) > 1
    assert {item.id for item in study.shown if isinstance(item, Check)} <= set(brighter)


def test_from_the_command_line_to_the_scores(
    folder: Path, study: Study, model: Path, judge: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "study"))
    assert invoke("study", "ask", own, "--model", model, "--device", "cpu") == 0
    (path,) = own.glob("answers-*.json")
    assert str(path) in capsys.readouterr().out
    answers = read_answers(path, study)
    assert answers.rater.name == judge.name
    assert [answer.pair for answer in answers.answers] == [item.id for item in study.shown]
    assert invoke("study", "score", own, path, "--out", tmp_path / "result.json") == 0
    assert "models, not people" in capsys.readouterr().out


def test_an_interrupted_model_goes_on_and_nobody_elses_answers_are_lost(folder: Path, tmp_path: Path) -> None:
    page = read_page(folder / "study.html")
    whole = ask(page, Scripted("brighter"), tmp_path / "whole.json")

    class Interrupted(Scripted):
        left = 5

        def choose(self, pair: Shown) -> Choice:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().choose(pair)

    path = tmp_path / "answers.json"
    with pytest.raises(KeyboardInterrupt):
        ask(page, Interrupted("brighter"), path)
    assert len(Answers.model_validate_json(path.read_text()).answers) == 5
    assert ask(page, Scripted("brighter"), path) == whole
    assert path.read_bytes() == (tmp_path / "whole.json").read_bytes()
    with pytest.raises(UserError, match=r"holds answers of 'scripted brighter' .*: give another --out"):
        ask(page, Scripted("first"), path)
    assert path.read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_what_cannot_be_asked_is_said_in_one_line(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def changed(name: str, file: str, change: object) -> Path:
        path = Path(shutil.copytree(model, tmp_path / name))
        if change is None:
            (path / file).unlink()
        else:
            (path / file).write_text(str(change))
        return path

    config = json.loads((model / "config.json").read_text())
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "other.html").write_text("<html></html>")
    for place, asked, told in (
        (folder, tmp_path / "nowhere", "is not in the local cache, or is no vision-language model"),
        (folder, empty, "is not in the local cache, or is no vision-language model"),
        (folder, changed("mute", "chat_template.jinja", None), "has no chat template"),
        (folder, changed("pickled", "model.safetensors", None), "is no vision-language model"),
        (
            folder,
            changed("text", "config.json", json.dumps(config["text_config"] | {"model_type": "llama"})),
            "is no vision-language model",
        ),
        (empty, model, "is not there: give the folder that mildbench study make wrote"),
        (tmp_path / "other.html", model, "is no study's page"),
    ):
        assert invoke("study", "ask", place, "--model", asked, "--device", "cpu") == 2, told
        line = capsys.readouterr().err.splitlines()[-1]
        assert told in line
