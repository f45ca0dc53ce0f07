# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A trained network -> a bundle folder of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.generators.bundle_reference import CONFIG_FILE, CONFIG_FORMAT
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.networks import LatentDecoder
from monai_genaug.weights import save_weights

__all__ = ["check_export_target", "export_bundle"]

_WEIGHTS = "models/model.pt"
_COPIED = ("configs", "docs", "LICENSE")


def export_bundle(
    network: LatentDecoder,
    network_args: Mapping[str, Any],
    spec: GeneratorSpec,
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
) -> Path:
    """Assembles a new bundle from a trained network and the configs of the bundle that it was trained with.

    Configs, documents and licence are copied. ``configs/generator.json`` gets the spec, the arguments and the hash of
    the weights; class and arguments of the network also replace ``network_def`` and ``network_args`` in ``train.json``
    and ``inference.json``, and sizes in ``metadata.json`` follow. Kernels and matrices are stored as float16. The
    folder appears complete or not at all.

    Args:
        network: trained, with a fitted latent distribution.
        network_args: what its class was called with; scalars and lists.
        spec: what it makes; its ``sha256`` is filled in.
        source: the bundle whose configs are copied.
        folder: the new bundle.

    Returns:
        The folder.

    Raises:
        FileExistsError: the folder exists.
        ValueError: the folder lies inside the source, or network, arguments and spec don't fit each other.
        WeightsError: weights that are not finite or too large for float16.
    """
    source, target = Path(source).resolve(), check_export_target(source, folder)
    incomplete = target.with_name(f".{target.name}.incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    (incomplete / "models").mkdir(parents=True)
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, incomplete / name)
        elif (source / name).is_file():
            shutil.copy2(source / name, incomplete / name)
    sha256 = save_weights(network.state_dict(), incomplete / _WEIGHTS, half=True)
    _write_configs(incomplete / "configs", network, network_args, spec.replace(sha256=sha256))
    load_generator(incomplete).sample([0], class_label=None if spec.classes is None else 0)
    incomplete.rename(target)
    return target


def check_export_target(source: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """The absolute path of a folder into which :func:`export_bundle` may write.

    Raises:
        FileExistsError: the folder exists.
        ValueError: the folder lies inside the source.
    """
    target = Path(folder).resolve()
    if target.is_relative_to(Path(source).resolve()):
        raise ValueError(f"{target} lies inside the bundle {source}, which is never written to.")
    if target.exists():
        raise FileExistsError(f"{target} exists; move it away or export to another folder.")
    return target


def _write_configs(configs: Path, network: LatentDecoder, network_args: Mapping[str, Any], spec: GeneratorSpec) -> None:
    arguments = json.loads(json.dumps(dict(network_args)))
    target = f"monai_genaug.networks.{type(network).__name__}"
    generator = {
        "format": CONFIG_FORMAT,
        "spec": spec.to_dict(),
        "network": {"_target_": target, **arguments},
        "weights": _WEIGHTS,
    }
    _write_json(configs.parent / CONFIG_FILE, generator)
    for path in (configs / "train.json", configs / "inference.json"):
        if path.is_file():
            config = json.loads(path.read_text())
            built = {"network_args": arguments, "network_def": f"${target}(**@network_args)"}
            if config != {**config, **built}:
                _write_json(path, {**config, **built})
    metadata = configs / "metadata.json"
    if metadata.is_file():
        content = json.loads(metadata.read_text())
        data = content["network_data_format"]
        data["inputs"]["image"]["num_channels"] = network.code_dim
        data["outputs"]["pred"]["num_channels"] = network.image_channels + network.mask_classes
        data["outputs"]["pred"]["spatial_shape"] = list(network.spatial_shape)
        _write_json(metadata, content)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
