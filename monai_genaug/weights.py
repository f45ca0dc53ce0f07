# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Weight files: the only place that reads or writes them. Safe (no code in them is run), strict, hashed, atomic."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "MissingWeightsError",
    "UnsafeWeightsError",
    "WeightsError",
    "WeightsFormatError",
    "WeightsHashError",
    "WeightsMismatchError",
    "file_sha256",
    "load_strict",
    "read_training_state",
    "read_weights",
    "save_training_state",
    "save_weights",
    "state_sha256",
    "write_atomically",
]

KEPT_WHEN_HALVED = ("latent.",)
"""State whose rounding changes which samples exist: chains on the latent metric are not stable under it."""


class WeightsError(ValueError):
    """A weight file that cannot be used; the subclass says why."""


class MissingWeightsError(WeightsError, FileNotFoundError):
    """There is no file."""


class WeightsHashError(WeightsError):
    """The file is not the one that was promised."""


class UnsafeWeightsError(WeightsError):
    """The file asks for code to be run while it is read. Nothing was run."""


class WeightsFormatError(WeightsError):
    """The file is damaged, is no state dict, or holds values that are not finite."""


class WeightsMismatchError(WeightsError):
    """The file belongs to another network."""


def save_weights(
    state: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    half: bool = False,
    keep: Sequence[str] = KEPT_WHEN_HALVED,
) -> str:
    """Writes a state dict; the file appears complete or not at all, and equal states give equal bytes.

    Args:
        state: name -> tensor, as from ``module.state_dict()``.
        path: the file to write; its folder must exist.
        half: store floating tensors of two or more dimensions (kernels and matrices, nearly all bytes) as float16.
            Vectors, such as biases and the statistics of normalisation layers, stay as they are.
        keep: beginnings of names, also inside a module, that stay as they are also when ``half`` is set.

    Returns:
        The sha256 of the file, as hexadecimal digits.

    Raises:
        WeightsFormatError: not a mapping of names to tensors, values that are not finite, or values that float16
            cannot hold. Nothing is written.
    """
    _check_state(state, "the state to save")
    stored = {name: _stored(name, tensor, half, tuple(keep)) for name, tensor in state.items()}
    _check_state(stored, "the state to save, as float16 (largest value 65504),")
    buffer = io.BytesIO()  # torch.save writes a file's name into it, so that only a buffer gives equal bytes
    torch.save(stored, buffer)
    write_atomically(buffer.getvalue(), Path(path))
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_weights(path: str | os.PathLike[str], sha256: str | None = None) -> dict[str, Tensor]:
    """Reads a state dict onto the CPU without running anything in it.

    Args:
        path: the file.
        sha256: what the file must hash to; checked on the bytes that are then read.

    Raises:
        MissingWeightsError: no such file.
        WeightsHashError: another hash.
        UnsafeWeightsError: the file holds something else than tensors and plain values.
        WeightsFormatError: damaged, no state dict, or values that are not finite.
    """
    data = _read_bytes(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise WeightsHashError(f"weights {os.fspath(path)!r}: sha256 is {found}, expected {sha256}.")
    state = _unpickled(data, path)
    _check_state(state, f"weights {os.fspath(path)!r}")
    return dict(state)


def save_training_state(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes what a training run needs to go on; the file appears complete, or the previous one stays.

    Args:
        state: nested dicts and lists of tensors, numbers, strings and None: ``state_dict()``s and plain values.
        path: the file to write; its folder must exist.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_atomically(buffer.getvalue(), Path(path))


def read_training_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what :func:`save_training_state` wrote onto the CPU, without running anything in it.

    Raises:
        MissingWeightsError: no such file.
        UnsafeWeightsError: the file holds something else than tensors and plain values.
        WeightsFormatError: damaged, or no dict.
    """
    state = _unpickled(_read_bytes(path), path)
    if not isinstance(state, dict):
        raise WeightsFormatError(f"weights {os.fspath(path)!r}: not a training state but {type(state).__name__}.")
    return state


def load_strict(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copies a state into a module, in the module's dtypes; all of it or, on an error, nothing.

    Args:
        module: a module of the same architecture.
        state: name -> tensor.
        source: where the state comes from, for the error.

    Raises:
        WeightsMismatchError: missing, unexpected or mismatched names, all of them listed.
    """
    before = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    wrong = [
        f"{name} is {tensor.dtype}, expected {before[name].dtype}"
        for name, tensor in state.items()
        if name in before and tensor.is_floating_point() != before[name].is_floating_point()
    ]
    if wrong:
        raise WeightsMismatchError(f"{source} does not fit {type(module).__name__}: {'; '.join(wrong)}.")
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:  # torch lists missing, unexpected and mismatched names, after copying the others
        module.load_state_dict(before, strict=True)
        raise WeightsMismatchError(f"{source} does not fit {type(module).__name__}. {error}") from error


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file's bytes, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """The sha256 of a state in memory: of names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1f".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingWeightsError(f"weights {os.fspath(path)!r}: no such file.") from error


def _unpickled(data: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise UnsafeWeightsError(f"weights {os.fspath(path)!r} hold more than tensors; not loaded.") from error
        raise WeightsFormatError(f"weights {os.fspath(path)!r} are damaged, or were not written by torch.") from error
    except Exception as error:  # the zip reader and the unpickler have no common error class
        raise WeightsFormatError(f"weights {os.fspath(path)!r} are damaged: {type(error).__name__}.") from error


def _stored(name: str, tensor: Tensor, half: bool, keep: tuple[str, ...]) -> Tensor:
    halved = half and tensor.is_floating_point() and tensor.ndim >= 2 and not _is_kept(name, keep)
    # the copy drops what else lies in the storage of a view
    return tensor.detach().to("cpu", torch.float16 if halved else tensor.dtype, copy=True).contiguous()


def _is_kept(name: str, keep: tuple[str, ...]) -> bool:
    """Whether the name, or the part of it that follows some module's, begins so."""
    return name.startswith(keep) or any(f".{beginning}" in name for beginning in keep)


def _check_state(state: object, what: str) -> None:
    if not isinstance(state, Mapping):
        raise WeightsFormatError(f"{what}: not a state dict but {type(state).__name__}.")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsFormatError(f"{what}: not a state dict, {name!r} is {type(tensor).__name__}, not a tensor.")
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise WeightsFormatError(f"{what}: values that are not finite in {broken}.")


def write_atomically(data: bytes, path: Path) -> None:
    """Writes a file that appears complete, or the previous one stays; its folder must exist."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
