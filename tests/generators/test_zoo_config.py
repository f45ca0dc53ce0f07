# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monai_genaug.generators.global_random_state import own_random_state
from monai_genaug.generators.zoo_config import EvaluatedConfig, modernised
from monai_genaug.weights import WeightsFormatError

CPU = torch.device("cpu")


def evaluated(tmp_path: Path, **items: Any) -> EvaluatedConfig:
    return EvaluatedConfig(items, tmp_path, CPU)


def test_given_values_reach_all_that_refers_to_them(tmp_path: Path) -> None:
    config = evaluated(
        tmp_path,
        a=1,
        b="$@a + 1",
        c={"d": ["$@b * 10", "@b"]},
        other="$object()",
        network={"_target_": "torch.nn.ReLU"},
    )
    assert config.value("c", {"a": 1}) == {"d": [20, 2]}
    kept = config.once("other"), config.once("network")
    assert config.value("c", {"a": 4}) == {"d": [50, 5]}
    assert (config.once("other"), config.once("network")) == kept
    assert config.requirements("c") >= {"c", "a", "b"}
    assert config.dependants(["a"]) >= {"a", "b", "c"}
    assert "other" not in config.dependants(["a"])


def test_what_draws_is_drawn_again_and_networks_are_not(tmp_path: Path) -> None:
    config = evaluated(
        tmp_path,
        noise="$torch.randn(2)",
        numpy_noise="$np.random.rand()",
        network={"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1},
        both="$[@network(@noise), @numpy_noise]",
    )
    with torch.no_grad(), own_random_state(3, CPU):
        first = config.value("both", {})
        second = config.value("both", {})
    with torch.no_grad(), own_random_state(4, CPU):
        config.value("both", {})
    with torch.no_grad(), own_random_state(3, CPU):
        third = config.value("both", {})
    assert not torch.equal(first[0], second[0])
    assert first[1] != second[1]
    # the first call also built the network, which draws: later ones repeat each other
    with torch.no_grad(), own_random_state(3, CPU):
        again = config.value("both", {})
    assert torch.equal(third[0], again[0])
    assert third[1] == again[1]
    assert list(config.loading.networks) == ["network"]


def test_folder_and_device_replace_those_of_the_config(tmp_path: Path) -> None:
    config = evaluated(tmp_path, bundle_root=".", device="$torch.device('cuda:7')", path="$@bundle_root + '/x'")
    assert config.once("path") == f"{tmp_path}/x"
    assert config.once("device") == CPU


def test_overrides_reach_inside(tmp_path: Path) -> None:
    config = EvaluatedConfig({"a": {"b": [1, 2]}}, tmp_path, CPU, {"a::b": [3], "new": "$@a::b"})
    assert config.once("new") == [3]


def test_torch_load_reads_the_bundle_alone(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for folder in (tmp_path, bundle):
        torch.save({"w": torch.ones(2)}, folder / "model.pt")
    config = EvaluatedConfig(
        {
            "imports": ["$import torch"],
            "inside": "$torch.load('model.pt', map_location='cuda:0', weights_only=False)",
            "outside": "$torch.load('../model.pt')",
        },
        bundle,
        CPU,
    )
    assert config.once("inside")["w"].device == CPU
    with pytest.raises(RuntimeError) as caught:
        config.once("outside")
    assert isinstance(caught.value.__cause__, WeightsFormatError)


def test_what_saves_is_disabled(tmp_path: Path) -> None:
    transforms = [{"_target_": "SaveImaged", "keys": "pred"}, {"_target_": "Activationsd", "keys": "pred"}]
    config = evaluated(tmp_path, after={"_target_": "Compose", "transforms": transforms})
    assert [type(part).__name__ for part in config.once("after").transforms] == ["Activationsd"]


def test_old_names_become_new_ones_where_the_class_has_them(tmp_path: Path) -> None:
    assert modernised({"a": ["$import generative.networks.nets"], "b": "degenerative.networks generative"}) == {
        "a": ["$import monai.networks.nets"],
        "b": "degenerative.networks generative",
    }
    target = {"in_channels": 1, "num_channels": 4, "spatial_dims": 2, "num_layers_d": 1}
    new = {"_target_": "generative.networks.nets.PatchDiscriminator", **target}
    assert isinstance(evaluated(tmp_path, network=new).once("network"), nn.Module)


def test_targets_that_cannot_be_imported_have_none(tmp_path: Path) -> None:
    config = evaluated(tmp_path, a={"_target_": "not_installed.Thing"}, b={"_target_": "Compose"}, c="$1")
    assert config.target("a") is None
    assert config.target("b").__name__ == "Compose"
    assert config.target("c") is None
