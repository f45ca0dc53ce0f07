# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Model cards: examples, pictures, figures and commands are those of the bundle."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from monai_genaug.experiments.bundle_card import card_section, card_warnings, quality_of
from monai_genaug.experiments.bundle_privacy import BundlePrivacy
from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.experiments.feature_quality import FeatureQuality
from monai_genaug.experiments.filter_effect_criteria import FILTERS
from monai_genaug.experiments.filter_effect_report import FilterEffect
from monai_genaug.experiments.privacy_card import privacy_warnings
from monai_genaug.generators import list_generators
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.quality import AuditThresholds

PAGES = Path(__file__).parents[2] / "docs" / "cards"
SECTIONS = ["Use", "Training data", "Figures", "Limits", "Licence"]


@pytest.fixture
def card(folder: Path) -> str:
    return (folder / "docs" / "README.md").read_text()


@pytest.fixture
def measured(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "docs" / "measured.json").read_text())
    return content


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", card, flags=re.DOTALL | re.MULTILINE)


def test_sections(card: str, name: str) -> None:
    assert card.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", card, flags=re.MULTILINE) == SECTIONS


def test_examples_run(card: str, generator: NetworkGenerator) -> None:
    names: dict[str, Any] = {}
    for block in blocks(card, "python"):
        exec(block, names)
    assert names["generator"].spec == generator.spec
    made = [value for value in names.values() if isinstance(value, dict) and "image" in value]
    shown = re.search(r'"image": \(([\d, ]+)\)', card)
    assert shown is not None
    assert tuple(made[0]["image"].shape) == tuple(int(size) for size in shown.group(1).split(","))


def test_pictures(card: str, folder: Path) -> None:
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", card)
    assert {"samples.png", "real.png"} <= set(names)
    for name in names:
        picture = matplotlib.image.imread(folder / "docs" / name)
        assert min(picture.shape[:2]) > 50
        assert picture.std() > 0.05


def test_figures_are_of_these_weights(card: str, measured: dict[str, Any], generator: NetworkGenerator) -> None:
    spec = generator.spec
    section = card.split(BEGIN)[1].split(END)[0]
    assert section.strip() == card_section(measured).strip()
    assert list(spec.warnings) == measured["warnings"] == list(card_warnings(measured))
    assert spec.provenance is not None
    n_train = len(spec.provenance.item_hashes)
    quality = quality_of(measured)
    if quality is None:  # of image and mask together
        assert measured["counts"]["train"] == n_train
    else:
        assert (quality.name, quality.sha256, quality.n_train) == (spec.name, spec.sha256, n_train)
        assert [entry.name for entry in quality.classes] == list((spec.classes or {}).values())


def test_samples_are_compared_in_features_of_each_class(measured: dict[str, Any], generator: NetworkGenerator) -> None:
    features = FeatureQuality.from_dict(measured["features"])
    scopes = ["all", *(generator.spec.classes or {}).values()]
    assert [(row.scope, row.images) for row in features.rows] == [
        (scope, images) for scope in scopes for images in ("synthetic", "training")
    ]
    assert features.extractor == "medical"


def test_privacy_is_audited_with_default_thresholds(measured: dict[str, Any], generator: NetworkGenerator) -> None:
    spec = generator.spec
    privacy = BundlePrivacy.from_dict(measured["privacy"])
    report = privacy.report
    assert (report.generator, report.sha256, report.thresholds) == (spec.name, spec.sha256, AuditThresholds())
    assert report.n_samples >= 490
    checks = {check.name for check in report.checks if check.scope == "all"}
    assert {"exact_copies", "copies", "distance_ratio", "membership"} <= checks
    assert ("reconstruction" in checks) == bool(spec.encodes)
    assert ("centroids" in checks) == spec.name.endswith("_rhvae")
    assert [verdict.seed for verdict in privacy.repeats] == [1, 2, 3, 4]
    is_ok = all(verdict.ok for verdict in privacy.verdicts)
    assert bool(privacy_warnings(privacy)) == (not is_ok)
    assert set(privacy_warnings(privacy)) <= set(spec.warnings)
    assert (privacy.validation is None) == is_ok


def test_filters_are_measured_with_samples_of_these_weights(
    measured: dict[str, Any], generator: NetworkGenerator
) -> None:
    spec = generator.spec
    is_measured = len(spec.classes or ()) == 2 and len(spec.spatial_shape) == 2  # hours for the others
    assert ("filters" in measured) == is_measured
    if is_measured:
        effect = FilterEffect.from_dict(measured["filters"])
        assert (effect.name, effect.sha256, effect.effort.seeds) == (spec.name, spec.sha256, 5)
        assert set(effect.shares) == set(FILTERS)
        assert "judge" in effect.sets


def test_commands(card: str, folder: Path, generator: NetworkGenerator) -> None:
    lines = " ".join(blocks(card, "bash")).replace("\\\n", "")
    modules = re.findall(r"python -m ([\w.]+)", lines)
    assert "monai.bundle" in modules
    assert any(module.startswith("monai_genaug.experiments.") for module in modules)
    for module in modules:
        assert importlib.util.find_spec(module) is not None
    for file in re.findall(r"`?(configs/\w+\.json)`?", card):
        assert (folder / file).is_file()
    shapes = re.findall(r"--input_shape \"\[1, ?(\d+)\]\"", card)
    assert all(int(size) == generator.network.code_dim for size in shapes)
    (output,) = re.findall(r"--output_dir (.*)$", lines, flags=re.MULTILINE)
    assert "outside of the bundle" in output  # which training refuses to write into


def test_documentation_has_a_page_for_each() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(list_generators())
    for name in list_generators():
        assert f"../../monai_genaug/bundles/{name}/docs/README.md" in (PAGES / f"{name}.md").read_text()
