"""Cards that the tools they are for can read, and that say what a data set is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mildbench.dataset import Dataset, card
from mildbench.files import file_sha256


def test_hugging_face_parses_the_card(built: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    info = Dataset.open(built).info
    parsed = huggingface_hub.DatasetCard.load(built / "README.md")
    assert parsed.data.pretty_name == info.name
    assert parsed.data.task_categories == ["image-to-image"]
    assert parsed.data.size_categories == ["n<1K"]
    assert "amodal-completion" in parsed.data.tags
    (config,) = parsed.data.to_dict()["configs"]
    assert (built / config["data_files"]).is_file()


def test_the_card_says_what_is_in_the_data_set(built: Path) -> None:
    info = Dataset.open(built).info
    text = (built / "README.md").read_text()
    for source in info.sources:
        assert f"| {source.role} | `{source.name}` | {source.items} | {source.licence} |" in text
    for split, count in info.samples.items():
        assert f"| {split} | {count} | {info.people[split]} |" in text
    ratio = info.report["visible_ratio"]
    assert ratio["asked_for"] > 0
    assert f"by {ratio['mean_difference']} on average" in text
    assert f"{ratio['wasserstein_recipe_achieved']} (Wasserstein-1" in text
    assert yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0]) == info.recipe


def test_the_card_counts_rejections(datasets: dict[str, Path]) -> None:
    info = Dataset.open(datasets["folder"]).info.model_copy(deep=True)
    info.sources[0].rejected["image unreadable"] = 3
    info.report["rejected_while_building"] = {"no | room": 2}
    info.report["unmet_wishes"] = {"nobody fits": 1}
    text = card.render(info)
    assert f"| `{info.sources[0].name}` | image unreadable | 3 |" in text
    assert "| while building | no \\| room | 2 |" in text
    assert "| wish not met | nobody fits | 1 |" in text


def test_mlcroissant_validates_the_metadata(built: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=built / "croissant.json")
    # Recommended, but they would make every build another file: a date, and a citation that nobody has yet.
    assert len(dataset.metadata.ctx.issues.warnings) == 2
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("samples"))
    ours = list(Dataset.open(built).rows())
    assert len(records) == len(ours)
    for record, row in zip(records, ours, strict=True):
        assert record["samples/id"].decode() == row["id"]
        assert record["samples/people"] == row["people"]
    for item in json.loads((built / "croissant.json").read_text())["distribution"]:
        if item["@type"] == "cr:FileObject":
            path = built / item["contentUrl"]
            assert item["sha256"] == file_sha256(path)
            assert item["contentSize"] == f"{path.stat().st_size} B"
        else:
            assert list(built.glob(item["includes"]))
