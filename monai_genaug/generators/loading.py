# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generators by name or path."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import torch

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.bundle_reference import CONFIG_FILE, BundleReference
from monai_genaug.generators.diffusion import DiffusionGenerator
from monai_genaug.generators.latent import VAEGenerator
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_record import POOL_FILE
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.networks import DiffusionDecoder, LatentAutoencoder, LatentDecoder

__all__ = ["bundle_folder", "list_generators", "load_generator", "read_spec"]

_BUNDLES = Path(__file__).resolve().parent.parent / "bundles"


def load_generator(
    source: str | os.PathLike[str] | SampleGenerator, device: str | torch.device = "cpu"
) -> SampleGenerator:
    """A generator from wherever it is.

    Args:
        source: the name of a shipped bundle (see :func:`list_generators`), the folder of a bundle or of a finished
            pool, or a generator, which is returned as it is. A name goes before a folder of that name; ``./name``
            is the folder.
        device: where a loaded generator makes and returns samples.

    Raises:
        ValueError: an unknown name (the known ones are listed), a folder that is neither bundle nor pool, or a bundle
            whose config cannot be used.
    """
    if isinstance(source, SampleGenerator):
        return source
    if source in _shipped():
        return _of_bundle(bundle_folder(str(source)), device)
    folder = Path(source)
    if (folder / POOL_FILE).is_file():
        return SamplePool(folder, device)
    if (folder / CONFIG_FILE).is_file():
        return _of_bundle(folder, device)
    if folder.is_dir():
        raise ValueError(f"{folder} is neither a generator bundle ({CONFIG_FILE}) nor a finished pool ({POOL_FILE}).")
    raise ValueError(_unknown(str(source)))


def _of_bundle(folder: Path, device: str | torch.device) -> NetworkGenerator:
    reference = BundleReference.read(folder)
    return _kind_of(reference.network_class).from_reference(reference, device)


def _kind_of(network: type[LatentDecoder]) -> type[NetworkGenerator]:
    if issubclass(network, LatentAutoencoder):
        return VAEGenerator
    return DiffusionGenerator if issubclass(network, DiffusionDecoder) else NetworkGenerator


def list_generators() -> dict[str, GeneratorSpec]:
    """The shipped generators, sorted by name; reads their configs, not their weights."""
    return {name: BundleReference.read(_BUNDLES / name).spec for name in _shipped()}


def read_spec(folder: str | os.PathLike[str]) -> GeneratorSpec:
    """What a bundle folder says that its generator makes; its weights need not be there yet.

    Raises:
        ValueError: no bundle, or a config that cannot be used.
    """
    return BundleReference.read(Path(folder)).spec


def bundle_folder(name: str) -> Path:
    """The folder of a shipped bundle.

    Raises:
        ValueError: an unknown name; the known ones are listed.
    """
    if name not in _shipped():
        raise ValueError(_unknown(name))
    return _BUNDLES / name


def _shipped() -> list[str]:
    return sorted(config.parent.parent.name for config in _BUNDLES.glob(f"*/{CONFIG_FILE}"))


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _shipped(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"generator {name!r} is neither a folder nor a shipped generator; shipped are: {_shipped()}.{hint}"
