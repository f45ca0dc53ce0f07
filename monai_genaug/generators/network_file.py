# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A decoder in a file of TorchScript or ``torch.export``, with what makes a generator of it in ``<file>.json``."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_genaug.generators.decoder_inputs import DecoderInputs
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.weights import MissingWeightsError, WeightsHashError

__all__ = ["NETWORK_SUFFIXES", "NetworkFile", "load_program", "sidecar_of"]

FILE_FORMAT = "monai_genaug.network_file/1"
NETWORK_SUFFIXES = {".ts": "torchscript", ".pt": "torchscript", ".pt2": "torch_export"}
"""Ending of the file -> what wrote it."""

_FIELDS = {"format", "spec", "inputs", "decoder_range"}


@dataclass(frozen=True)
class NetworkFile:
    """What a process needs to build a decoder from a file; it pickles as a path and a hash.

    Args:
        path: absolute path of the program.
        sidecar_sha256: hash of the JSON file beside it.
        spec: what the generator makes; its ``sha256`` is that of the program's file.
        inputs: what the decoder is called with.
        decoder_range: see :class:`ModuleGenerator`.
    """

    path: Path
    sidecar_sha256: str
    spec: GeneratorSpec
    inputs: DecoderInputs
    decoder_range: tuple[float, float]

    @classmethod
    def read(cls, path: str | os.PathLike[str], trust: bool = False, expected_sha256: str | None = None) -> NetworkFile:
        """Reads the JSON file beside a program; the program itself is not read yet.

        **Reading a program may run code that is in it**: TorchScript is interpreted code, and ``torch.export.load``
        unpickles. The hash in the JSON file guards against damage, not against whoever wrote both.

        Args:
            path: of the program, ``.ts``, ``.pt`` or ``.pt2``.
            trust: whether the origin of the file is known.
            expected_sha256: hash that the JSON file must have.

        Raises:
            ValueError: ``trust`` is not set; no JSON file, or not what :func:`export_network` writes.
        """
        file = Path(path).resolve()
        sidecar = sidecar_of(file)
        if not sidecar.is_file():
            raise ValueError(
                f"{file} has no {sidecar.name} beside it, which says what it makes: export_network(generator, path) "
                "writes both. Of a file of another origin, load the program with torch, make a ModuleGenerator of it "
                "and export that."
            )
        if not trust:
            raise ValueError(
                f"{file} is a program, and reading it may run code that is in it: give trust=True if you know its "
                "origin."
            )
        data = sidecar.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if expected_sha256 is not None and found != expected_sha256:
            raise ValueError(f"{sidecar} has changed: its sha256 is {found}, expected {expected_sha256}.")
        try:
            return cls(file, found, *_parsed(json.loads(data)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # also a JSON or Unicode error
            raise ValueError(f"{sidecar}: {error}") from error

    def load(self, device: torch.device) -> nn.Module:
        """Reads the program onto a device.

        Raises:
            MissingWeightsError: no such file.
            WeightsHashError: not the file that the JSON file describes; nothing was run.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError as error:
            raise MissingWeightsError(f"{self.path}: no such file.") from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.spec.sha256:
            raise WeightsHashError(f"{self.path}: sha256 is {found}, expected {self.spec.sha256}.")
        return load_program(data, NETWORK_SUFFIXES[self.path.suffix], device)

    def __reduce__(self) -> tuple[Any, ...]:
        return NetworkFile.read, (self.path, True, self.sidecar_sha256)


def sidecar_of(path: Path) -> Path:
    """Where the JSON file beside a program is."""
    return path.with_name(f"{path.name}.json")


def load_program(data: bytes, program: str, device: torch.device) -> nn.Module:
    """The module of a program's bytes, on a device.

    Args:
        data: content of the file.
        program: ``"torchscript"`` or ``"torch_export"``.
        device: where its weights go.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning))
        warnings.simplefilter("ignore", (FutureWarning))
        if program == "torchscript":
            module: nn.Module = torch.jit.load(io.BytesIO(data), map_location=device)
            return module
        exported = torch.export.load(io.BytesIO(data))
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, device)
        return exported.module()


def _parsed(values: Mapping[str, Any]) -> tuple[GeneratorSpec, DecoderInputs, tuple[float, float]]:
    if not isinstance(values, dict) or set(values) != _FIELDS:
        found = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"fields are {found}, expected {sorted(_FIELDS)}.")
    if values["format"] != FILE_FORMAT:
        raise ValueError(f"format is {values['format']!r}, expected {FILE_FORMAT!r}.")
    spec, inputs = GeneratorSpec.from_dict(values["spec"]), DecoderInputs.from_dict(values["inputs"])
    inputs.check_fits(spec)
    first, last = (float(value) for value in values["decoder_range"])
    if not first < last:
        raise ValueError(f"decoder_range is {(first, last)}, the first must be below the second.")
    return spec, inputs, (first, last)
