# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from monai_genaug.experiments.bundle_quality import (
    bundle_features,
    bundle_quality,
    dataset_folder,
    draw_images,
    measure_bundle,
    measure_bundles,
)
from monai_genaug.experiments.card_text import BEGIN, END
from monai_genaug.experiments.real_parts import LabelledImages, RealParts, as_levels
from monai_genaug.generators import list_generators, load_generator
from tests.experiments.toy_images import FreshBars, bar_spec, parts, unlabelled
from tests.toy import write_toy_bundle

REAL = parts()


class _Interrupted(FreshBars):
    """Makes images of the first class only; then the machine goes down."""

    def _one(self, seed: int, number: int) -> Tensor:
        if number == 1:
            raise KeyboardInterrupt
        return super()._one(seed, number)


class _Done(FreshBars):
    """Has made everything before."""

    def _one(self, seed: int, number: int) -> Tensor:
        raise AssertionError("sampled again")


def test_images_are_those_of_the_seeds(tmp_path: Path) -> None:
    generator = FreshBars(bar_spec("bars"))
    drawn = draw_images(generator, REAL, tmp_path)
    assert {number: tuple(images.shape) for number, images in drawn.items()} == {
        0: (500, 1, 16, 16),
        1: (500, 1, 16, 16),
    }
    expected = as_levels(generator.sample([0, 250, 499], "horizontal")["image"], (-1.0, 1.0))
    assert torch.equal(drawn[1][[0, 250, 499]], expected)


def test_a_stopped_run_goes_on_with_the_next_stage(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bundle_quality(_Interrupted(bar_spec("bars")), REAL, tmp_path, 3)
    assert [path.name.split("_")[0] for path in tmp_path.iterdir()] == ["samples"]
    first = bundle_quality(FreshBars(bar_spec("bars")), REAL, tmp_path, 3)
    names = sorted(path.name.split("_")[0] for path in tmp_path.iterdir())
    assert names == ["judge", "quality", "samples", "samples"]
    assert bundle_quality(_Done(bar_spec("bars").replace(warnings=("x",))), REAL, tmp_path, 3) == first
    with pytest.raises(AssertionError, match="sampled again"):
        bundle_quality(_Done(bar_spec("bars").replace(version="2")), REAL, tmp_path, 3)


def test_other_real_images_are_measured_anew(tmp_path: Path) -> None:
    generator, real = FreshBars(bar_spec("one", classes=None)), unlabelled(REAL)
    first = bundle_quality(generator, real, tmp_path)
    fewer = RealParts(real.train, real.val, LabelledImages(real.test.images[:80]))
    assert bundle_quality(generator, fewer, tmp_path).n_test == 80
    assert bundle_quality(generator, real, tmp_path) == first


def test_broken_samples_are_refused(tmp_path: Path) -> None:
    class Broken(FreshBars):
        def _one(self, seed: int, number: int) -> Tensor:
            return torch.full((1, 16, 16), float("nan"))

    with pytest.raises(ValueError, match="NaN"):
        bundle_quality(Broken(bar_spec("broken")), REAL, tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def toy_bundle(folder: Path, shape: tuple[int, ...], mask: bool = False) -> Path:
    """A bundle of untrained images, with a card and the config of a training."""
    write_toy_bundle(folder, shape, mask)
    items = "$[{'image': image} for image in np.load(@dataset_dir + '/images.npy')[PART]]"
    slices = {"train": "slice(0, 30)", "val": "slice(30, 40)", "test": "slice(40, 60)"}
    config = {f"{part}_items": items.replace("PART", places) for part, places in slices.items()}
    (folder / "configs" / "train.json").write_text(json.dumps({"imports": ["$import numpy as np"], **config}))
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text(f"# Card\n\n{BEGIN}\n{END}\n")
    return folder


def toy_data(folder: Path, shape: tuple[int, ...]) -> Path:
    """Noise."""
    folder.mkdir()
    np.save(folder / "images.npy", np.random.default_rng(0).normal(size=(60, 1, *shape)).astype(np.float32))
    return folder


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 20)])
def test_command_measures_a_bundle_and_writes_its_card(
    tmp_path: Path, shape: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = toy_bundle(tmp_path / "toy", shape), toy_data(tmp_path / "data", shape)
    measure_bundles(str(bundle), data, tmp_path / "work", "random", 20)
    text = (bundle / "docs" / "README.md").read_text()
    measured = json.loads((bundle / "docs" / "measured.json").read_text())
    assert (measured["n_train"], measured["n_val"], measured["n_test"]) == (30, 10, 20)
    assert measured["whole"]["compared"] == 20
    assert "**Coverage: FAILS**" in text  # an untrained network makes nothing like noise
    assert capsys.readouterr().out.removeprefix(str(bundle)).strip() in text
    assert load_generator(bundle).spec.warnings == tuple(measured["warnings"])
    assert "The samples cover" in measured["warnings"][0]
    assert (measured["features"]["extractor"], measured["privacy"]["report"]["n_samples"]) == ("random", 20)
    assert "in random features" in text
    assert "**Privacy:" in text
    assert (bundle / "docs" / "samples.png").stat().st_size > 2000
    assert (bundle / "docs" / "real.png").stat().st_size > 2000


def test_a_card_without_marks_stops_the_command_before_it_works(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "toy", (16, 16))
    (bundle / "docs" / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="measured: begin"):
        measure_bundle(str(bundle), tmp_path / "data", tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_pairs_keep_their_own_figures(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "toy", (16, 16), mask=True)
    (bundle / "docs" / "measured.json").write_text(json.dumps({"something": 1}))
    measure_bundle(str(bundle), toy_data(tmp_path / "data", (16, 16)), tmp_path / "work", "random", 20)
    measured = json.loads((bundle / "docs" / "measured.json").read_text())
    assert list(measured) == ["something", "features", "privacy", "warnings"]
    assert not (bundle / "docs" / "samples.png").exists()


def test_features_are_measured_once_per_extractor(tmp_path: Path) -> None:
    first = bundle_features(FreshBars(bar_spec("bars")), REAL, tmp_path, "random")
    for path in tmp_path.glob("samples_*"):
        assert path.is_file()
    assert bundle_features(_Done(bar_spec("bars")), REAL, tmp_path, "random") == first
    with pytest.raises(ValueError, match="allowed: 'medical', 'random'"):
        bundle_features(FreshBars(bar_spec("bars")), REAL, tmp_path, "pixels")


def test_data_sets_are_found_in_a_folder_of_them(tmp_path: Path) -> None:
    for name in ("medmnist", "ham10000", "Task04_Hippocampus"):
        (tmp_path / name).mkdir()
    specs = list_generators()
    expected = {"chest": "medmnist", "skin": "ham10000", "hippocampus": "Task04_Hippocampus"}
    for name, spec in specs.items():
        found = dataset_folder(spec, tmp_path)
        assert found == tmp_path / expected.get(name.split("_")[0], "medmnist")
        assert dataset_folder(spec, found) == found
    assert dataset_folder(bar_spec("bars"), tmp_path) == tmp_path
