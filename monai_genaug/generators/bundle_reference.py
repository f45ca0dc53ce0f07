# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle folder as a generator sees it: ``configs/generator.json``, read as data, never evaluated.

The file is plain JSON::

    {"format": "monai_genaug.generator/1",
     "spec": {...},                                                  # GeneratorSpec.to_dict()
     "network": {"_target_": "monai_genaug.networks.VAE", ...},      # arguments: scalars, lists, nested objects
     "weights": "models/model.pt"}                                   # inside the bundle folder
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monai_genaug._help import docs_link
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.networks import LatentDecoder
from monai_genaug.weights import load_strict, read_weights

__all__ = ["ALLOWED_TARGETS", "CONFIG_FILE", "CONFIG_FORMAT", "BundleReference"]

CONFIG_FILE = "configs/generator.json"
CONFIG_FORMAT = "monai_genaug.generator/1"
ALLOWED_TARGETS = (
    "monai_genaug.networks.VAE",
    "monai_genaug.networks.RHVAE",
    "monai_genaug.networks.ConditionalVAE",
    "monai_genaug.networks.JointVAE",
    "monai_genaug.networks.PerClassVAE",
    "monai_genaug.networks.DCGANGenerator",
    "monai_genaug.networks.UNetDiffusion",
    "monai_genaug.networks.LatentDiffusion",
    "monai_genaug.latent.NormalLatent",
    "monai_genaug.latent.TruncatedNormalLatent",
    "monai_genaug.latent.GaussianMixtureLatent",
    "monai_genaug.latent.RiemannianLatent",
    "monai_genaug.latent.ClassWiseLatent",
)
"""All that a config may build. A common prefix would not be safe: it would let functions in."""

_FIELDS = {"format", "spec", "network", "weights"}
_EVALUATED_BY_MONAI = re.compile(r"^\s*[$%]|@")


@dataclass(frozen=True)
class BundleReference:
    """What a process needs to build a bundle's network; it pickles as a path and a hash.

    Args:
        folder: absolute path of the bundle.
        config_sha256: hash of its ``generator.json``.
        spec: what the generator makes.
        network: the config of the network, checked.
        weights: absolute path of the weights file.
    """

    folder: Path
    config_sha256: str
    spec: GeneratorSpec
    network: Mapping[str, Any]
    weights: Path

    @classmethod
    def read(cls, folder: Path, expected_sha256: str | None = None) -> BundleReference:
        """Reads and checks ``generator.json``; no weights are read yet.

        Raises:
            ValueError: no such file, not what this module describes, or another hash than expected.
        """
        folder = folder.resolve()
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise ValueError(f"{folder} is no generator bundle: it has no {CONFIG_FILE}.")
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if expected_sha256 is not None and found != expected_sha256:
            raise ValueError(f"{path} has changed: its sha256 is {found}, expected {expected_sha256}.")
        try:
            config = json.loads(data, parse_constant=_refuse_constant)
            _check_config(config)
            spec = GeneratorSpec.from_dict(config["spec"])
        except (ValueError, TypeError, AttributeError) as error:  # also a JSON or Unicode error
            raise ValueError(f"{path}: {error}") from error
        weights = (folder / config["weights"]).resolve()
        if not weights.is_relative_to(folder):
            raise ValueError(f"{path}: weights {config['weights']!r} lie outside the bundle folder.")
        if not re.fullmatch("[0-9a-f]{64}", spec.sha256):
            raise ValueError(f"{path}: spec.sha256 is {spec.sha256!r}, it must be the sha256 of the weights file.")
        return cls(folder, found, spec, config["network"], weights)

    @property
    def network_class(self) -> type[LatentDecoder]:
        """The class of the network; nothing is built."""
        found: type[LatentDecoder] = _target(self.network)
        return found

    def build_network(self) -> LatentDecoder:
        """The network with its weights, on the CPU.

        Raises:
            ValueError: arguments that the network refuses.
            WeightsError: weights that cannot be used, see :mod:`monai_genaug.weights`.
        """
        state = read_weights(self.weights, self.spec.sha256)
        try:
            with torch.random.fork_rng(devices=[]):  # layers draw initial weights from the global state
                network = _build(self.network)
        except TypeError as error:
            raise ValueError(f"{self.folder / CONFIG_FILE}: network: {error}") from error
        if not isinstance(network, LatentDecoder):
            raise ValueError(f"{self.folder / CONFIG_FILE}: network is {type(network).__name__}, no LatentDecoder.")
        load_strict(network, state, str(self.weights))
        return network

    def __reduce__(self) -> tuple[Any, ...]:
        return BundleReference.read, (self.folder, self.config_sha256)


def _check_config(config: Any) -> None:
    if not isinstance(config, dict) or set(config) != _FIELDS:
        found = sorted(config) if isinstance(config, dict) else type(config).__name__
        raise ValueError(f"fields are {found}, expected {sorted(_FIELDS)}.")
    if config["format"] != CONFIG_FORMAT:
        raise ValueError(f"format is {config['format']!r}, expected {CONFIG_FORMAT!r}.")
    if not isinstance(config["weights"], str):
        raise ValueError(f"weights is {config['weights']!r}, expected a path.")
    _refuse_expressions(config, "")
    _check_buildable(config["network"], "network")


def _refuse_expressions(value: Any, where: str) -> None:
    """MONAI's config parser evaluates or replaces such strings; a reader must see that nothing of this happens here."""
    if isinstance(value, str) and _EVALUATED_BY_MONAI.search(value):
        raise ValueError(f"{where} is {value!r}: expressions ($), references (@) and macros (%) are not allowed here.")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _refuse_expressions(name, f"{where}: key {name!r}")
        _refuse_expressions(item, f"{where}.{name}".lstrip("."))


def _check_buildable(config: Any, where: str) -> None:
    if not isinstance(config, dict) or config.get("_target_") not in ALLOWED_TARGETS:
        target = config.get("_target_") if isinstance(config, dict) else config
        raise ValueError(
            f"{where}._target_ is {target!r}, allowed: {ALLOWED_TARGETS}. See "
            f"{docs_link('security', 'third-party-bundles')}."
        )
    for name, value in config.items():
        if name.startswith("_") and name != "_target_":
            raise ValueError(f"{where}.{name}: the only key with an underscore that is allowed is '_target_'.")
        if isinstance(value, dict):
            _check_buildable(value, f"{where}.{name}")
        elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
            raise ValueError(f"{where}.{name}: a list may hold scalars only.")


def _build(config: Mapping[str, Any]) -> Any:
    arguments = {
        key: _build(value) if isinstance(value, dict) else value for key, value in config.items() if key != "_target_"
    }
    return _target(config)(**arguments)


def _target(config: Mapping[str, Any]) -> Any:
    module, _, name = config["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON.")
