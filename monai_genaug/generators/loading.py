# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Generators by name or path."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.bundle_recipe import BundleRecipe
from monai_genaug.generators.bundle_reference import CONFIG_FILE, BundleReference
from monai_genaug.generators.diffusion import DiffusionGenerator
from monai_genaug.generators.latent import VAEGenerator
from monai_genaug.generators.module import ModuleGenerator
from monai_genaug.generators.monai_bundle import MonaiBundleGenerator
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.network_file import NETWORK_SUFFIXES, NetworkFile
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_record import POOL_FILE
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.generators.zoo_download import bundle_directory, download_bundle, is_bundle_name
from monai_genaug.generators.zoo_files import DOCS_PAGE, is_zoo_bundle
from monai_genaug.networks import DiffusionDecoder, LatentAutoencoder, LatentDecoder

__all__ = ["bundle_folder", "bundle_path", "list_generators", "load_generator", "read_spec"]

_BUNDLES = Path(__file__).resolve().parent.parent / "bundles"


def load_generator(
    source: str | os.PathLike[str] | SampleGenerator,
    device: str | torch.device = "cpu",
    trust: bool = False,
    recipe: BundleRecipe | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    bundle_dir: str | os.PathLike[str] | None = None,
) -> SampleGenerator:
    """A generator from wherever it is.

    Args:
        source: the name of a shipped bundle (see :func:`list_generators`), the folder of a bundle or of a finished
            pool, a file that :func:`export_network` wrote, the name of a bundle in ``bundle_dir`` or in the MONAI model
            zoo, or a generator, which is returned as it is. A name goes before a folder of that name; ``./name`` is
            the folder.
        device: where a loaded generator makes and returns samples.
        trust: whether files may be read that may run code while they are read, such as exported networks, and code
            that came with a bundle of somebody else. A bundle with our ``configs/generator.json`` is read as data,
            whatever this says. Also whether a bundle that is nowhere on this machine may be downloaded.
        recipe: how a bundle of somebody else makes samples, see :class:`BundleRecipe` and
            docs/how_to/third_party_bundles.md; None: by the conventions of the model zoo.
        bundle_dir: where bundles are looked for by name and downloaded to; None: where MONAI does it.

    Raises:
        ValueError: an unknown name (the known ones are listed), a folder that is neither bundle nor pool, a bundle
            whose config cannot be used, or one that would run code and is not trusted (the code is listed).

    Example:
        >>> generator = mg.load_generator("breast_us_cgan")
        >>> generator.sample(range(4), "malignant")["image"].shape
        torch.Size([4, 1, 28, 28])
    """
    if isinstance(source, SampleGenerator):
        return source
    if source in _shipped():
        return _of_bundle(bundle_folder(str(source)), device)
    folder = Path(source)
    if folder.suffix in NETWORK_SUFFIXES and folder.is_file():
        return ModuleGenerator.from_file(NetworkFile.read(folder, trust), device)
    if (folder / POOL_FILE).is_file():
        return SamplePool(folder, device)
    if not folder.is_dir() and isinstance(source, str):
        folder = _by_name(source, trust, bundle_dir)
    if (folder / CONFIG_FILE).is_file():
        return _of_bundle(folder, device)
    if is_zoo_bundle(folder):
        return MonaiBundleGenerator(folder, device, trust, recipe)
    if folder.is_dir():
        raise ValueError(
            f"{folder} is neither a generator bundle ({CONFIG_FILE}), nor a finished pool ({POOL_FILE}), nor a MONAI "
            f"bundle (configs/inference.json, see {DOCS_PAGE})."
        )
    raise ValueError(_unknown(str(source)))


def _by_name(name: str, trust: bool, bundle_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of a bundle that is not shipped."""
    if not is_bundle_name(name):
        raise ValueError(_unknown(name))
    folder = bundle_directory(bundle_dir) / name
    if folder.is_dir():
        return folder
    if trust:
        return download_bundle(name, bundle_dir)
    raise ValueError(
        f"{_unknown(name)} It is not in {folder.parent} either; with trust=True a bundle of that name would be "
        f"downloaded from the MONAI model zoo and code that comes with it run, see {DOCS_PAGE}."
    )


def _of_bundle(folder: Path, device: str | torch.device) -> NetworkGenerator:
    reference = BundleReference.read(folder)
    return _kind_of(reference.network_class).from_reference(reference, device)


def _kind_of(network: type[LatentDecoder]) -> type[NetworkGenerator]:
    if issubclass(network, LatentAutoencoder):
        return VAEGenerator
    return DiffusionGenerator if issubclass(network, DiffusionDecoder) else NetworkGenerator


def list_generators() -> dict[str, GeneratorSpec]:
    """The shipped generators, sorted by name; reads their configs, not their weights.

    Example:
        >>> mg.list_generators()["breast_us_cgan"].classes
        {0: 'malignant', 1: 'normal or benign'}
    """
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


def bundle_path(bundle: str) -> Path:
    """The folder that a user means: that of a shipped bundle, or the folder of this name."""
    return bundle_folder(bundle) if bundle in _shipped() else Path(bundle)


def _shipped() -> list[str]:
    return sorted(config.parent.parent.name for config in _BUNDLES.glob(f"*/{CONFIG_FILE}"))


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _shipped(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"generator {name!r} is neither a folder nor a shipped generator; shipped are: {_shipped()}.{hint}"
