# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_genaug.experiments.bundle_card import read_measured
from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.experiments.filter_effect import measure_filter_effect, measure_filters
from monai_genaug.experiments.filter_effect_criteria import ALL, FILTERS, NONE
from monai_genaug.experiments.filter_effect_downstream import Effort
from monai_genaug.experiments.filter_effect_report import FilterEffect, effect_section, filter_section
from monai_genaug.experiments.real_parts import LabelledImages, RealParts
from monai_genaug.generators import bundle_folder, load_generator
from tests.experiments.toy_images import FreshBars, bar_spec, parts

EFFORT = Effort(real=6, synthetic=12, steps=1, batch_size=8, seeds=2)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("filters")


def measured(real: RealParts, work_dir: Path) -> FilterEffect:
    return measure_filter_effect(FreshBars(bar_spec("fresh")), real, work_dir, 80, 40, 2, EFFORT)


@pytest.fixture(scope="module")
def effect(work_dir: Path) -> FilterEffect:
    return measured(parts(), work_dir)


def test_everything_is_measured(effect: FilterEffect) -> None:
    assert list(effect.shares) == list(effect.real_shares) == list(FILTERS)
    assert effect.shares[NONE] == {0: 1.0, 1: 1.0}
    for number in (0, 1):
        assert effect.shares[ALL][number] <= min(effect.shares[name][number] for name in FILTERS)
    assert {name: list(sets)[:2] for name, sets in effect.sets.items()} == {
        "random": ["training images", NONE],
        "judge": ["training images", NONE],
    }
    assert effect.sets["random"][NONE].count == 90
    assert {share: len(runs) for share, runs in effect.selection.items()} == {1.0: 2, 0.8: 2, 0.5: 2}


def test_a_second_run_reads_what_is_there(effect: FilterEffect, work_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob("*.*")}
    assert measured(parts(), work_dir) == effect
    assert {path: path.stat().st_mtime_ns for path in work_dir.rglob("*.*")} == before


def test_criteria_do_not_see_the_test_part(effect: FilterEffect, work_dir: Path) -> None:
    real = parts()
    other = LabelledImages(255 - real.test.images, real.test.labels)
    changed = measured(RealParts(real.train, real.val, other), work_dir)
    assert (changed.thresholds, changed.shares) == (effect.thresholds, effect.shares)
    assert changed.real_shares != effect.real_shares
    assert changed.sets != effect.sets


def _few_images(source: Path, folder: Path) -> None:
    """Twelve images of each class in every part."""
    folder.mkdir(parents=True)
    with np.load(source) as whole:
        arrays = {}
        for part in ("train", "val", "test"):
            labels = whole[f"{part}_labels"]
            rows = np.concatenate([np.flatnonzero(labels[:, 0] == number)[:12] for number in (0, 1)])
            arrays |= {f"{part}_{kind}": whole[f"{part}_{kind}"][rows] for kind in ("images", "labels")}
    np.savez(folder / source.name, **arrays)


def test_writes_the_page(genaug_data: Path, tmp_path: Path) -> None:
    if not (genaug_data / "medmnist" / "breastmnist.npz").is_file():
        pytest.skip(f"{genaug_data} has no medmnist/breastmnist.npz")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    _few_images(genaug_data / "medmnist" / "breastmnist.npz", tmp_path / "data" / "medmnist")
    bundle = tmp_path / "bundle"
    shutil.copytree(bundle_folder("breast_us_cvae"), bundle)
    measure_filters(tmp_path / "data", [str(bundle)], tmp_path / "work", page, 24, 2, 1, 2)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n### breast_us_cvae\n\nAccepted of 24 samples")
    assert text.endswith(f"{END}\nafter\n")
    assert "| filter | malignant | normal or benign |" in text
    measured = read_measured(bundle)
    effect = FilterEffect.from_dict(measured["filters"])
    assert (effect.name, effect.sha256, effect.candidates) == ("breast_us_cvae", load_generator(bundle).spec.sha256, 24)
    assert filter_section(effect) in (bundle / "docs" / "README.md").read_text()
    assert effect_section([effect]) in text
