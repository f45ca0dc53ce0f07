# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A latent distribution as plain JSON values, with all its state, and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monai_genaug.latent import (
    ClassWiseLatent,
    GaussianMixtureLatent,
    JointLatent,
    LatentDistribution,
    NormalLatent,
    RiemannianLatent,
    TruncatedNormalLatent,
)
from monai_genaug.weights import load_strict

__all__ = ["describe_latent", "latent_from_description"]

# What builds each kind anew; the rest is state.
_ARGUMENTS: dict[type[LatentDistribution], Callable[[Any], dict[str, Any]]] = {
    NormalLatent: lambda latent: {"latent_dim": latent.latent_dim},
    TruncatedNormalLatent: lambda latent: {"latent_dim": latent.latent_dim},
    GaussianMixtureLatent: lambda latent: {"latent_dim": latent.latent_dim},
    RiemannianLatent: lambda latent: {"latent_dim": latent.latent_dim, "chain_dtype": latent.chain_dtype},
    ClassWiseLatent: lambda latent: {"n_classes": len(latent.members), "member": _kind(latent.members[0])},
    JointLatent: lambda latent: {"continuous": _kind(latent.continuous), "n_categories": latent.n_categories},
}
_KINDS = {kind.__name__: kind for kind in _ARGUMENTS}
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}


def describe_latent(latent: LatentDistribution) -> dict[str, Any]:
    """Kind, arguments and state; the inverse of :func:`latent_from_description`.

    Raises:
        ValueError: a kind that is none of the package's, or part of a network (one distribution per member).
    """
    state = {name: _encoded(tensor) for name, tensor in latent.state_dict().items()}
    return {**_kind(latent), "state": state}


def latent_from_description(description: Mapping[str, Any]) -> LatentDistribution:
    """The distribution that :func:`describe_latent` described; nothing in the description is executed.

    Raises:
        ValueError: an unknown kind, or arguments or state that do not fit it.
    """
    try:
        latent = _built({name: value for name, value in description.items() if name != "state"})
        state = {name: _decoded(value) for name, value in description["state"].items()}
    except (TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise ValueError(f"description of a latent distribution: {type(error).__name__}: {error}.") from error
    load_strict(latent, state, "description of a latent distribution")
    return latent


def _kind(latent: LatentDistribution) -> dict[str, Any]:
    if type(latent) not in _ARGUMENTS:
        raise ValueError(f"latent is a {type(latent).__name__}, which cannot be written; allowed: {sorted(_KINDS)}.")
    return {"kind": type(latent).__name__, **_ARGUMENTS[type(latent)](latent)}


def _built(description: Mapping[str, Any]) -> LatentDistribution:
    if description["kind"] not in _KINDS:
        raise ValueError(f"kind of the latent distribution is {description['kind']!r}, allowed: {sorted(_KINDS)}.")
    arguments = {
        name: _built(value) if isinstance(value, dict) else value
        for name, value in description.items()
        if name != "kind"
    }
    kind: Callable[..., LatentDistribution] = _KINDS[description["kind"]]
    return kind(**arguments)


def _encoded(tensor: Tensor) -> dict[str, Any]:
    """Little-endian bytes: JSON numbers would take five times as much."""
    values = tensor.detach().cpu().contiguous().numpy()
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "base64": base64.b64encode(data).decode(),
    }


def _decoded(value: Mapping[str, Any]) -> Tensor:
    if value["dtype"] not in _DTYPES:
        raise ValueError(f"dtype is {value['dtype']!r}, allowed: {sorted(_DTYPES)}.")
    data = base64.b64decode(value["base64"], validate=True)
    values = np.frombuffer(data, np.dtype(value["dtype"]).newbyteorder("<"))
    native = values.astype(values.dtype.newbyteorder("="))
    return torch.from_numpy(native.copy()).reshape(value["shape"])
