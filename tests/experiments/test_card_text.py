# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_genaug.experiments.card_text import BEGIN, END, insert_measured, measured_section
from monai_genaug.experiments.hippocampus_data import BUNDLE
from monai_genaug.generators import bundle_folder


def test_replaces_what_stands_between_the_marks(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    insert_measured(card, "new")
    assert card.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_a_card_without_marks_is_left_alone(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("no marks\n")
    with pytest.raises(ValueError, match="measured: begin"):
        insert_measured(card, "new")
    assert card.read_text() == "no marks\n"
    assert list(tmp_path.iterdir()) == [card]


def test_the_shipped_card_says_what_was_measured() -> None:
    docs = bundle_folder(BUNDLE) / "docs"
    measured = json.loads((docs / "measured.json").read_text())
    assert measured_section(measured) in (docs / "README.md").read_text()
