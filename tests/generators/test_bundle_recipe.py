# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_genaug.generators.bundle_recipe import (
    BundleRecipe,
    ConditionRange,
    NoiseSource,
    merge_recipes,
    read_recipe,
    shipped_recipe,
    shipped_recipe_names,
)

FULL: dict[str, Any] = {
    "sample": "$@network(@noise)",
    "outputs": {"image": 0, "mask": "label"},
    "output_dir": "output_dir",
    "config_files": ["configs/other.json"],
    "noise": {"id": "noise", "distribution": "uniform", "shape": [4, 8, 8], "like": None},
    "overrides": {"steps": 3},
    "setup": ["load", "$@scheduler.set_timesteps(3)"],
    "weights": {"network": "models/net.pt"},
    "postprocessing": "after",
    "conditions": {"age": [0.0, 1.0], "sex": {"choices": [0.0, 1.0]}, "dose": 0.5},
    "class_id": "kind",
    "classes": {"0": "a", "1": "b"},
    "seed_id": "random_seed",
    "spec": {"modality": "CT", "mask_classes": "$@names"},
}


def test_round_trip_through_json() -> None:
    recipe = BundleRecipe.from_dict(FULL)
    assert recipe.noise == NoiseSource("noise", "uniform", (4, 8, 8))
    assert recipe.classes == {0: "a", 1: "b"}
    assert recipe.to_dict() == FULL
    assert BundleRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert read_recipe(recipe) == FULL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": ""}, "sample is ''"),
        ({"setup": "load"}, "setup is 'load'"),
        ({"noise": {"id": "n", "distribution": "cauchy"}}, "noise.distribution is 'cauchy'"),
        ({"noise": {"id": "n", "shape": [0]}}, "noise.shape is"),
        ({"noise": {"name": "n"}}, r"noise: unknown fields \['name'\]"),
        ({"conditions": {"age": "old"}}, "conditions.age is 'old'"),
        ({"conditions": {"age": [1, 0]}}, r"conditions.age is \[1, 0\]"),
        ({"conditions": {"age": {"choices": []}}}, "conditions.age is"),
        ({"classes": None}, "give both or none"),
        ({"outputs": {"mask": 0}}, r"outputs is \{'mask': 0\}, allowed"),
        ({"outputs": {"image": 0, "depth": 1}}, "outputs is .*'depth'"),
        ({"outputs": {"image": -1, "mask": 1}}, "outputs.image is -1"),
        ({"outputs": {"image": True, "mask": 1}}, "outputs.image is True"),
        ({"outputs": {"image": 0}}, "say for a mask both"),
        ({"spec": {}}, "say for a mask both"),
        ({"outputs": ["image"]}, r"outputs is \['image'\], allowed"),
        ({"output_dir": 3}, "output_dir is 3, allowed: a config id"),
        ({"seed_id": ""}, "seed_id is '', allowed: a config id"),
        ({"extra": 1}, r"recipe: unknown fields \['extra'\]"),
    ],
)
def test_what_is_not_allowed_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BundleRecipe.from_dict({**FULL, **change})


def test_sample_is_needed() -> None:
    with pytest.raises(ValueError, match="sample is missing"):
        BundleRecipe.from_dict({"spec": {}})


def test_conditions_cover_their_range() -> None:
    assert [ConditionRange.of("x", [2, 4]).at(u) for u in (0.25, 0.5)] == [2.5, 3.0]
    assert {ConditionRange.of("x", 3).at(u) for u in (0.01, 0.99)} == {3.0}
    chosen = ConditionRange.of("x", {"choices": [5, 6, 7]})
    assert [chosen.at(u) for u in (0.01, 0.34, 0.999999)] == [5, 6, 7]


def test_later_parts_override_earlier_ones() -> None:
    merged = merge_recipes(
        {"sample": "a", "conditions": {"age": 1, "sex": 0}, "setup": ["x"]}, {"conditions": {"age": 2}, "setup": []}
    )
    assert merged == {"sample": "a", "conditions": {"age": 2, "sex": 0}, "setup": []}


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"sample": "x"}')
    assert read_recipe(path) == read_recipe(str(path)) == {"sample": "x"}
    assert read_recipe(None) == {}
    path.write_text("[1]")
    with pytest.raises(ValueError, match="a recipe is list"):
        read_recipe(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        read_recipe(path)


def test_shipped_recipes_are_parts_of_recipes() -> None:
    assert len(shipped_recipe_names()) == 6
    for name in shipped_recipe_names():
        BundleRecipe.from_dict({"sample": "x", **shipped_recipe(name)})
    assert shipped_recipe("something_else") == {}


def test_the_page_names_the_recipes_that_are_shipped() -> None:
    page = Path(__file__).parents[2] / "docs" / "how_to" / "third_party_bundles.md"
    assert all(f"`{name}`" in page.read_text() for name in shipped_recipe_names())
