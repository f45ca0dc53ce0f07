# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.experiments.image_quality import ClassQuality, ImageQuality, SetQuality
from monai_genaug.experiments.quality_card import check_card, quality_section, quality_warnings, write_card
from monai_genaug.generators import bundle_folder, list_generators, load_generator
from tests.toy import write_toy_bundle

GOOD = ClassQuality("normal", 1214, 234, 0.8, 0.9, 0.87, 0.5, 0.7, 0.9)
BAD = ClassQuality("pneumonia", 3494, 390, 0.96, 0.4, 0.357, 0.5, None, None)
WHOLE = SetQuality(624, 620, 0.75, 0.9, 1.1, 0.95, 4.25, 3.5, 0.06, 0.08)
QUALITY = ImageQuality("chest", "0" * 64, 4708, 524, 624, 1500, (GOOD, BAD), WHOLE)
FINE = dataclasses.replace(QUALITY, classes=(GOOD,))
PICTURES = {"normal": torch.full((3, 1, 16, 16), 90, dtype=torch.uint8)}


def bundle(folder: Path) -> Path:
    write_toy_bundle(folder, (16, 16), mask=False)
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text(f"# Card\n{BEGIN}\nold\n{END}\nend\n")
    return folder


def test_tables_of_classes_and_of_the_whole() -> None:
    text = quality_section(QUALITY)
    assert "Real images: 4708 for training, 524 for validation, 624 for the test." in text
    assert "1500 steps" in text
    assert "| normal | 1214 | 234 | 0.800 | 0.900 [0.870] | 1.125 | 0.700 | 0.900 | passes |" in text
    assert "| pneumonia | 3494 | 390 | 0.960 | 0.400 [0.357] | 0.417 | - | - | FAILS |" in text
    assert "| coverage of test images (higher) | 0.750 | 0.900 |" in text
    assert "| Frechet distance to test images (lower) | 4.250 | 3.500 |" in text
    assert "samples 0.060, real test images 0.080, ratio 0.750" in text
    assert "above guessing (0.500)" in text
    assert "**Conditionality: FAILS**" in text
    assert "**Coverage: passes**" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {10, 4}


def test_without_classes_there_is_no_table_of_them() -> None:
    text = quality_section(dataclasses.replace(QUALITY, classes=(), judge_steps=0))
    assert "onditionality" not in text
    assert "recognised" not in text
    assert "random weights" in text
    assert "**Coverage: passes**" in text


def test_warnings_name_the_class_and_the_shares() -> None:
    assert quality_warnings(FINE) == ()
    assert quality_warnings(QUALITY) == (
        "A classifier of real images recognises 40% of the synthetic images of class 'pneumonia', of the real ones "
        "96%.",
    )
    narrow = dataclasses.replace(FINE, whole=dataclasses.replace(WHOLE, coverage=0.12))
    assert quality_warnings(narrow) == (
        "The samples cover 12% of the real test images; equally many real training images cover 90%.",
    )


def test_writes_everything_into_the_bundle(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    before = load_generator(folder)
    config = json.loads((folder / "configs" / "generator.json").read_text())
    write_card(folder, QUALITY, PICTURES, PICTURES)
    docs = folder / "docs"
    assert sorted(path.name for path in docs.iterdir()) == ["README.md", "measured.json", "real.png", "samples.png"]
    assert (docs / "README.md").read_text() == f"# Card\n{BEGIN}\n{quality_section(QUALITY)}\n{END}\nend\n"
    measured = json.loads((docs / "measured.json").read_text())
    assert tuple(measured.pop("warnings")) == quality_warnings(QUALITY)
    assert ImageQuality.from_dict(measured) == QUALITY
    after = load_generator(folder)
    assert after.spec == before.spec.replace(warnings=quality_warnings(QUALITY))
    assert torch.equal(after.sample([3])["image"], before.sample([3])["image"])
    assert sorted(path.name for path in (folder / "configs").iterdir()) == ["generator.json"]
    changed = json.loads((folder / "configs" / "generator.json").read_text())
    assert {name: value for name, value in changed.items() if name != "spec"} == {
        name: value for name, value in config.items() if name != "spec"
    }


def test_warnings_go_when_the_reason_goes(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    write_card(folder, QUALITY, PICTURES, PICTURES)
    write_card(folder, FINE, PICTURES, PICTURES)
    assert load_generator(folder).spec.warnings == ()
    assert json.loads((folder / "docs" / "measured.json").read_text())["warnings"] == []


def test_nothing_is_written_into_what_is_no_bundle_with_a_card(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    card = folder / "docs" / "README.md"
    config = (folder / "configs" / "generator.json").read_bytes()
    for text in ("no marks", f"{BEGIN}\n{END}\n{END}\n"):
        card.write_text(text)
        with pytest.raises(ValueError, match="measured: begin"):
            write_card(folder, QUALITY, PICTURES, PICTURES)
        assert list((folder / "docs").iterdir()) == [card]
        assert card.read_text() == text
    assert (folder / "configs" / "generator.json").read_bytes() == config
    card.write_text(f"{BEGIN}\n{END}\n")
    check_card(folder)
    (folder / "configs" / "generator.json").unlink()
    with pytest.raises(ValueError, match="is no generator bundle"):
        check_card(folder)


def measured_bundles() -> list[str]:
    """Shipped bundles with figures of this kind."""
    found = []
    for name in list_generators():
        path = bundle_folder(name) / "docs" / "measured.json"
        if path.is_file() and "whole" in json.loads(path.read_text()):
            found.append(name)
    return found


@pytest.mark.parametrize("name", measured_bundles())
def test_shipped_cards_and_warnings_say_what_was_measured(name: str) -> None:
    docs = bundle_folder(name) / "docs"
    measured = json.loads((docs / "measured.json").read_text())
    warnings = measured.pop("warnings")
    quality, spec = ImageQuality.from_dict(measured), list_generators()[name]
    assert quality_section(quality) in (docs / "README.md").read_text()
    assert tuple(warnings) == quality_warnings(quality) == spec.warnings
    assert (quality.name, quality.sha256) == (spec.name, spec.sha256)
