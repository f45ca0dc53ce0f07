# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Randomizable

from monai_genaug.generators import LatentGenerator
from monai_genaug.transforms import (
    ReplaceWithSynthetic,
    ReplaceWithSyntheticD,
    ReplaceWithSyntheticd,
    ReplaceWithSyntheticDict,
)
from tests.toy import toy_generator

KEYS = ("image", "label")
SMALL = toy_generator((16, 16), mask=False)


def test_aliases_and_kind() -> None:
    assert ReplaceWithSyntheticD is ReplaceWithSyntheticd is ReplaceWithSyntheticDict
    assert not issubclass(ReplaceWithSyntheticd, Randomizable)


def test_an_items_sample_belongs_to_its_id(generator: LatentGenerator, real: dict[str, Any]) -> None:
    before = copy.deepcopy(real)
    first, again = (ReplaceWithSyntheticd(KEYS, generator, "id")({**real, "id": "a"}) for _ in range(2))
    other = ReplaceWithSyntheticd(KEYS, generator, "id")({**real, "id": "b"})
    reseeded = ReplaceWithSyntheticd(KEYS, generator, "id", seed=1)({**real, "id": "a"})
    assert first["is_synthetic"] is True
    for key in KEYS:
        assert torch.equal(first[key], again[key])
        assert not torch.equal(first[key], other[key])
        assert not torch.equal(first[key], reseeded[key])
        assert isinstance(first[key], MetaTensor)
        assert torch.equal(real[key], before[key])
    sample = generator.sample([first["image"].meta["synthetic_seed"]])
    assert torch.equal(first["label"].as_tensor(), sample["mask"][0])


def test_recorded_choice(plain: LatentGenerator, square: torch.Tensor) -> None:
    """The choice and the seeds are part of a shared data set: they must not change with a release."""
    transform = ReplaceWithSyntheticd("image", plain, "id", fraction=0.5)
    made = [transform({"image": square, "id": f"case_{k}"}) for k in range(8)]
    assert [item["is_synthetic"] for item in made] == [False] * 6 + [True] * 2
    assert [item["image"].meta["synthetic_seed"] for item in made[6:]] == [4676186020903821439, 1195640392605796936]


@given(fraction=st.floats(0, 1), more=st.floats(0, 1), name=st.one_of(st.text(), st.integers()))
@settings(max_examples=15)
def test_a_larger_fraction_replaces_the_same_items_and_more(fraction: float, more: float, name: Any) -> None:
    image = torch.zeros(1, 16, 16)
    low, high = sorted((fraction, more))
    less, greater = (
        ReplaceWithSyntheticd("image", SMALL, "id", fraction=f)({"image": image, "id": name}) for f in (low, high)
    )
    assert less["is_synthetic"] <= greater["is_synthetic"]
    if less["is_synthetic"]:
        assert torch.equal(less["image"], greater["image"])


def test_fraction_is_met(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = ReplaceWithSyntheticd("image", plain, "id", fraction=0.3)
    flags = [transform({"image": square, "id": k})["is_synthetic"] for k in range(400)]
    assert 0.23 < np.mean(flags) < 0.37  # 3 standard deviations


def test_flag_key_restricts(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = ReplaceWithSyntheticd("image", plain, "id", flag_key="unseen")
    flags = [True, False, 1, 0, torch.tensor(True), np.bool_(False)]
    made = [transform({"image": square, "id": k, "unseen": flag}) for k, flag in enumerate(flags)]
    assert [item["is_synthetic"] for item in made] == [True, False, True, False, True, False]


def test_an_item_that_came_as_synthetic_stays_so(plain: LatentGenerator, square: torch.Tensor) -> None:
    transform = ReplaceWithSyntheticd("image", plain, "id", fraction=0.0)
    made = [transform({"image": square, "id": 0, "is_synthetic": flag})["is_synthetic"] for flag in (True, False)]
    assert made == [True, False]


def test_classes(classified: LatentGenerator, square: torch.Tensor) -> None:
    transform = ReplaceWithSyntheticd("image", classified, "id", class_key="y", class_map={0: "malignant"})
    made = transform({"image": square, "id": 1, "y": torch.tensor(0)})
    seed = made["image"].meta["synthetic_seed"]
    assert torch.equal(made["image"].as_tensor(), classified.sample([seed], "malignant")["image"][0])


def test_array_version_makes_the_same(plain: LatentGenerator, square: torch.Tensor) -> None:
    for fraction in (0.0, 0.5, 1.0):
        single = ReplaceWithSynthetic(plain, fraction=fraction, seed=4)
        pair = ReplaceWithSyntheticd("image", plain, "id", fraction=fraction, seed=4)
        for name in ("a", "b", "c"):
            assert torch.equal(single(square, name), pair({"image": square, "id": name})["image"])


def test_bad_arguments_and_items(plain: LatentGenerator, classified: LatentGenerator, square: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"1.2.*0 to 1"):
        ReplaceWithSyntheticd("image", plain, "id", fraction=1.2)
    with pytest.raises(ValueError, match="class_key"):
        ReplaceWithSyntheticd("image", classified, "id")
    with pytest.raises(ValueError, match="parallel"):
        ReplaceWithSyntheticd(("image", "label"), plain, "id")
    transform = ReplaceWithSyntheticd("image", plain, "id", flag_key="unseen")
    with pytest.raises(KeyError, match=r"'id'.*image"):
        transform({"image": square, "unseen": 1})
    with pytest.raises(KeyError, match="unseen"):
        transform({"image": square, "id": 1})
    with pytest.raises(KeyError, match=r"\['image'\].*'unseen'"):
        transform({"id": 1, "unseen": 1})
    with pytest.raises(ValueError, match=r"1.5"):
        transform({"image": square, "id": 1.5, "unseen": 1})
    with pytest.raises(ValueError, match="0 to 1"):
        transform({"image": square * 2, "id": 1, "unseen": 0})
    with pytest.raises(ValueError, match="class label"):
        ReplaceWithSynthetic(classified)(square, "a")
    with pytest.raises(ValueError, match=r"no_such_bundle.*shipped are"):
        ReplaceWithSyntheticd("image", "no_such_bundle", "id")
    for change, text in (
        ({}, r"class_key 'y' is not in the item.*'image'"),
        ({"y": "cyst"}, r"'cyst' does not name.*benign.*malignant"),
        ({"y": 1}, r"1 does not name.*malignant.*class_map"),
        ({"y": "benign", "image": torch.full((1, 16, 16), torch.nan)}, "'image' contains NaN"),
        ({"y": "benign", "image": torch.zeros(1, 4, 16, 16)}, r"\(1, 4, 16, 16\).*\(1, 16, 16\)"),
    ):
        with pytest.raises((KeyError, ValueError), match=f"(?s){text}"):
            ReplaceWithSyntheticd("image", classified, "id", fraction=0.0, class_key="y")(
                {"image": square, "id": 1, **change}
            )
