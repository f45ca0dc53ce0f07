# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_genaug.experiments.bundle_card import (
    card_section,
    card_warnings,
    check_card,
    quality_of,
    read_measured,
    write_measured,
)
from monai_genaug.experiments.bundle_privacy import BundlePrivacy
from monai_genaug.experiments.card_text import BEGIN, END, measured_section
from monai_genaug.experiments.feature_card import feature_section
from monai_genaug.experiments.hippocampus_data import BUNDLE
from monai_genaug.experiments.privacy_card import privacy_section, privacy_warnings
from monai_genaug.experiments.quality_card import quality_section, quality_warnings
from monai_genaug.generators import bundle_folder, load_generator
from tests.experiments.card_figures import FAILING, FEATURES, PASSING
from tests.experiments.test_quality_card import FINE, QUALITY
from tests.toy import write_toy_bundle

FIGURES: dict[str, Any] = {
    **QUALITY.to_dict(),
    "features": FEATURES.to_dict(),
    "privacy": BundlePrivacy(FAILING).to_dict(),
}


def bundle(folder: Path) -> Path:
    write_toy_bundle(folder, (16, 16), mask=False)
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text(f"# Card\n{BEGIN}\nold\n{END}\nend\n")
    return folder


def test_writes_figures_card_and_warnings(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    before = load_generator(folder)
    config = json.loads((folder / "configs" / "generator.json").read_text())
    write_measured(folder, FIGURES)
    docs = folder / "docs"
    assert sorted(path.name for path in docs.iterdir()) == ["README.md", "measured.json"]
    section = "\n\n".join(
        [quality_section(QUALITY), feature_section(FEATURES), privacy_section(BundlePrivacy(FAILING))]
    )
    assert (docs / "README.md").read_text() == f"# Card\n{BEGIN}\n{section}\n{END}\nend\n"
    measured = read_measured(folder)
    assert measured == {**FIGURES, "warnings": [*quality_warnings(QUALITY), *privacy_warnings(BundlePrivacy(FAILING))]}
    assert quality_of(measured) == QUALITY
    after = load_generator(folder)
    assert after.spec == before.spec.replace(warnings=tuple(measured["warnings"]))
    assert torch.equal(after.sample([3])["image"], before.sample([3])["image"])
    assert sorted(path.name for path in (folder / "configs").iterdir()) == ["generator.json"]
    changed = json.loads((folder / "configs" / "generator.json").read_text())
    assert {name: value for name, value in changed.items() if name != "spec"} == {
        name: value for name, value in config.items() if name != "spec"
    }


def test_figures_of_other_kinds_stay_and_warnings_go_with_their_reason(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    write_measured(folder, FIGURES)
    write_measured(folder, FINE.to_dict())
    assert read_measured(folder)["features"] == FEATURES.to_dict()
    assert load_generator(folder).spec.warnings == privacy_warnings(BundlePrivacy(FAILING))
    write_measured(folder, {"privacy": BundlePrivacy(PASSING).to_dict()})
    assert load_generator(folder).spec.warnings == ()
    assert quality_of(read_measured(folder)) == FINE


def test_pairs_have_tables_of_their_own() -> None:
    measured = read_measured(bundle_folder(BUNDLE))
    assert quality_of(measured) is None
    section = card_section({**measured, "features": FEATURES.to_dict(), "privacy": BundlePrivacy(FAILING).to_dict()})
    assert section == "\n\n".join(
        [measured_section(measured), feature_section(FEATURES), privacy_section(BundlePrivacy(FAILING))]
    )
    assert card_warnings({**measured, "privacy": BundlePrivacy(FAILING).to_dict()}) == privacy_warnings(
        BundlePrivacy(FAILING)
    )


def test_nothing_is_written_into_what_is_no_bundle_with_a_card(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    card = folder / "docs" / "README.md"
    config = (folder / "configs" / "generator.json").read_bytes()
    for text in ("no marks", f"{BEGIN}\n{END}\n{END}\n"):
        card.write_text(text)
        with pytest.raises(ValueError, match="measured: begin"):
            write_measured(folder, FIGURES)
        assert list((folder / "docs").iterdir()) == [card]
        assert card.read_text() == text
    assert (folder / "configs" / "generator.json").read_bytes() == config
    card.write_text(f"{BEGIN}\n{END}\n")
    check_card(folder)
    (folder / "configs" / "generator.json").unlink()
    with pytest.raises(ValueError, match="is no generator bundle"):
        check_card(folder)


def test_figures_of_another_version_change_nothing(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    with pytest.raises(ValueError, match="version 9"):
        write_measured(folder, {**FIGURES, "features": {**FEATURES.to_dict(), "version": 9}})
    assert [path.name for path in (folder / "docs").iterdir()] == ["README.md"]
