# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.utils import copy_model_state
from torch import Tensor, nn

from monai_genaug.generators.zoo_weights import StrictLoading, load_from_file, matching_file, safe_load
from monai_genaug.weights import WeightsFormatError, WeightsMismatchError


def network(width: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def watched() -> tuple[StrictLoading, nn.Sequential]:
    loading, module = StrictLoading(), network()
    loading.watch("net", module)
    return loading, module


def state() -> dict[str, Tensor]:
    return {key: value.clone() for key, value in network().state_dict().items()}


def test_a_complete_load_passes() -> None:
    loading, module = watched()
    assert list(loading.unloaded()) == ["net"]
    with pytest.raises(WeightsMismatchError, match=r"network 'net' \(Sequential\): 7 tensors got no weights"):
        loading.check()
    module.load_state_dict(state())
    assert not loading.unloaded()
    loading.check()


def test_two_halves_make_a_whole() -> None:
    loading, module = watched()
    module[0].load_state_dict(nn.Linear(2, 2).state_dict())
    module.load_state_dict({k: v for k, v in state().items() if k.startswith("0")}, strict=False)
    with pytest.raises(WeightsMismatchError, match="5 tensors got no weights"):
        loading.check()
    module.load_state_dict({k: v for k, v in state().items() if k.startswith("1")}, strict=False)
    loading.check()


def test_unexpected_weights_are_refused_also_where_the_config_is_not_strict() -> None:
    loading, module = watched()
    module.load_state_dict({**state(), "more": torch.ones(1)}, strict=False)
    with pytest.raises(WeightsMismatchError, match=r"1 weights belong to no tensor \['more'\]"):
        loading.check()


def test_copies_of_the_network_s_own_tensors_are_no_weights() -> None:
    loading, module = watched()
    copy_model_state(module, {k: v for k, v in state().items() if k.startswith("0")})
    with pytest.raises(WeightsMismatchError, match="5 tensors got no weights"):
        loading.check()


def test_parts_that_are_watched_too_are_loaded_with_the_whole() -> None:
    loading, module = watched()
    loading.watch("part", module[0])
    loading.watch("without_parameters", nn.ReLU())
    module.load_state_dict(state())
    loading.check()
    assert list(loading.networks) == ["net", "part", "without_parameters"]


def test_files_with_several_states(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    expected = state()
    torch.save({"epoch": 3, "discriminator": {"x": torch.ones(1)}, "generator": expected}, models / "all.pt")
    torch.save({"epoch": 3}, models / "none.pt")
    torch.save(network(3).state_dict(), models / "other.pt")
    module = network()
    load_from_file(module, tmp_path, "models/all.pt")
    assert all(torch.equal(value, expected[key]) for key, value in module.state_dict().items())
    assert matching_file(module, tmp_path, sorted(models.glob("*"))) == "models/all.pt"
    torch.save(expected, models / "ema.pt")
    assert matching_file(module, tmp_path, sorted(models.glob("*"))) is None
    torch.save(expected, models / "model.pt")
    assert matching_file(module, tmp_path, sorted(models.glob("*"))) == "models/model.pt"
    with pytest.raises(WeightsFormatError, match=r"hold no state dict, but \['epoch'\]"):
        load_from_file(module, tmp_path, "models/none.pt")
    with pytest.raises(WeightsMismatchError):
        load_from_file(module, tmp_path, "models/other.pt")
    with pytest.raises(WeightsFormatError, match="outside the bundle"):
        safe_load(models, tmp_path / "x.pt")
