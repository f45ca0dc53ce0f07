# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.latent import GaussianMixtureLatent
from monai_genaug.weights import (
    MissingWeightsError,
    UnsafeWeightsError,
    WeightsFormatError,
    WeightsHashError,
    WeightsMismatchError,
    file_sha256,
    load_strict,
    read_weights,
    save_weights,
    state_sha256,
)


@pytest.fixture
def state() -> dict[str, Tensor]:
    numbers = torch.Generator().manual_seed(0)
    return {
        "0.weight": torch.randn(5, 3, generator=numbers),
        "0.bias": torch.randn(5, generator=numbers),
        "latent.centroids": torch.randn(4, 2, generator=numbers, dtype=torch.float64),
        "steps": torch.tensor(7),
    }


def test_round_trip_and_hash(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    sha256 = save_weights(state, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == file_sha256(path)
    found = read_weights(path, sha256.upper())
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) and found[name].dtype == state[name].dtype for name in state)
    assert list(tmp_path.iterdir()) == [path]


def test_equal_states_give_equal_bytes_whatever_the_file_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    view = {name: torch.stack([tensor, tensor])[1] for name, tensor in state.items()}
    assert save_weights(state, tmp_path / "a.pt") == save_weights(view, tmp_path / "b.bin")


def test_half_keeps_vectors_integers_and_the_latent_distribution(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_weights(state, tmp_path / "half.pt", half=True)
    found = read_weights(tmp_path / "half.pt")
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        "0.weight": torch.float16,
        "0.bias": torch.float32,
        "latent.centroids": torch.float64,
        "steps": torch.int64,
    }
    save_weights(state, tmp_path / "all.pt", half=True, keep=())
    assert read_weights(tmp_path / "all.pt")["latent.centroids"].dtype == torch.float16


def test_half_keeps_the_latent_distribution_of_every_member(tmp_path: Path) -> None:
    names = {
        "members.1.latent.means": torch.float32,
        "latent.members.0.means": torch.float32,
        "network.latent.factors": torch.float32,
        "members.1.blatent.weight": torch.float16,
        "latents.weight": torch.float16,
        "from_latent.weight": torch.float16,
        "members.1.to_posterior.weight": torch.float16,
    }
    save_weights({name: torch.full((2, 2), 1 / 3) for name in names}, tmp_path / "half.pt", half=True)
    assert {name: tensor.dtype for name, tensor in read_weights(tmp_path / "half.pt").items()} == names


def test_half_refuses_what_float16_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(WeightsFormatError, match=r"65504.*\['w'\]"):
        save_weights({"w": torch.full((2, 2), 1e6)}, tmp_path / "model.pt", half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bad", [{"w": torch.tensor([1.0, torch.nan])}, {"w": torch.tensor(torch.inf)}, {"w": 1.0}, {1: torch.ones(1)}, 5]
)
def test_bad_states_are_not_written(bad: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"before")
    with pytest.raises(WeightsFormatError):
        save_weights(bad, path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_failing_write_leaves_no_file(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_weights(state, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def test_missing_file_names_the_path(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path, tmp_path / "none" / "model.pt"):
        with pytest.raises(MissingWeightsError, match=re.escape(str(path))):
            read_weights(path)
    assert issubclass(MissingWeightsError, FileNotFoundError)


def test_wrong_hash_names_both(state: dict[str, Tensor], tmp_path: Path) -> None:
    sha256 = save_weights(state, tmp_path / "model.pt")
    with pytest.raises(WeightsHashError, match=f"{sha256}, expected {'0' * 64}"):
        read_weights(tmp_path / "model.pt", "0" * 64)


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("writer", ["torch", "torch legacy", "pickle"])
def test_hostile_pickle_is_refused_and_not_run(writer: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "model.pt", tmp_path / "executed"
    content = {"w": torch.ones(2), "x": _Hostile(marker)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(UnsafeWeightsError, match="hold more than tensors"):
        read_weights(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if writer == "torch" else None
    assert marker.exists() == (writer == "torch"), "the payload of this test must work where it is let run"


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 broken zip"])
def test_garbage_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(WeightsFormatError, match="damaged"):
        read_weights(tmp_path / "model.pt")


def test_truncated_file_is_damaged(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save_weights(state, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsFormatError, match="damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([torch.ones(1)], "not a state dict but list"),
        ({"model": {"w": torch.ones(1)}}, "'model' is dict"),
        ({"w": torch.ones(1), "epoch": 3}, "'epoch' is int"),
        ({"w": torch.tensor([torch.nan])}, r"not finite in \['w'\]"),
    ],
)
def test_what_is_no_finite_state_dict_is_refused(content: Any, text: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(WeightsFormatError, match=text):
        read_weights(tmp_path / "model.pt")


def test_load_strict_converts_half_to_the_module_s_dtype(tmp_path: Path) -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    save_weights(source.state_dict(), tmp_path / "model.pt", half=True)
    load_strict(target, read_weights(tmp_path / "model.pt"), "model.pt")
    assert target.weight.dtype == torch.float32
    assert torch.equal(target.weight, source.weight.half().float())
    assert torch.equal(target.bias, source.bias)


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"bias": None}, ["Missing", "bias"]),
        ({"extra": torch.ones(1)}, ["Unexpected", "extra"]),
        ({"weight": torch.ones(2, 4)}, ["size mismatch", "weight"]),
        ({"weight": torch.ones(2, 3).long()}, ["weight is torch.int64", "float32"]),
        ({"weight": torch.ones(2, 4), "bias": None, "extra": torch.ones(1)}, ["weight", "bias", "extra"]),
    ],
)
def test_load_strict_lists_names_and_changes_nothing(change: dict[str, Any], texts: list[str]) -> None:
    module = nn.Linear(3, 2)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = {"weight": torch.ones(2, 3), "bias": torch.ones(2), **change}
    with pytest.raises(WeightsMismatchError) as caught:
        load_strict(module, {name: tensor for name, tensor in state.items() if tensor is not None}, "some/model.pt")
    assert all(text in str(caught.value) for text in ["some/model.pt", "Linear", *texts])
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_load_strict_fills_and_restores_buffers_of_unknown_length() -> None:
    fitted, empty = GaussianMixtureLatent(2, 3), nn.ModuleDict({"latent": GaussianMixtureLatent(2, 3)})
    fitted.fit(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    state = {f"latent.{name}": tensor for name, tensor in fitted.state_dict().items()}
    with pytest.raises(WeightsMismatchError, match="extra"):
        load_strict(empty, {**state, "extra": torch.ones(1)}, "model.pt")
    assert not empty["latent"].is_fitted
    load_strict(empty, state, "model.pt")
    assert torch.equal(empty["latent"].sample([1, 2]), fitted.sample([1, 2]))


def test_state_hash_depends_on_names_shapes_dtypes_and_values(state: dict[str, Tensor]) -> None:
    weight = state["0.weight"]
    variants = [
        state,
        {**state, "0.weight": weight + 1e-6},
        {**state, "0.weight": weight.reshape(3, 5)},
        {**state, "0.weight": weight.double()},
        {name.replace("0.", "1."): tensor for name, tensor in state.items()},
    ]
    assert len({state_sha256(variant) for variant in variants}) == len(variants)
    assert state_sha256(dict(reversed(state.items()))) == state_sha256(state)
    assert state_sha256({**state, "0.weight": weight.T.contiguous().T}) == state_sha256(state)
