# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A blueprint and what is particular to a data set -> a bundle that can be trained."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.blueprints.cards import licence_note, model_card
from monai_genaug.generators.bundle_reference import ALLOWED_TARGETS, CONFIG_FILE, CONFIG_FORMAT, BundleReference
from monai_genaug.generators.spec import GeneratorSpec

__all__ = ["METHODS", "write_untrained_bundle"]

METHODS = ("vae", "gan", "diffusion", "latent_diffusion")
"""How a network is trained; there is a ``train_<method>.json`` for each."""

_FOLDER = Path(__file__).resolve().parent
_UNTRAINED = "0" * 64


def write_untrained_bundle(
    folder: str | os.PathLike[str],
    method: str,
    spec: GeneratorSpec,
    network: str,
    network_args: Mapping[str, Any],
    training: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Path:
    """Writes configs, model card and licence note of a bundle.

    ``monai.bundle run`` trains it, and the training exports the finished bundle.

    Args:
        folder: the bundle; it appears complete or not at all.
        method: one of :data:`METHODS`.
        spec: what the generator will make.
        network: class name of the network in :mod:`monai_genaug.networks`.
        network_args: what it is called with; scalars and lists.
        training: entries of ``train.json`` that replace those of the blueprint, or further ones; a name with ``#``
            reaches inside, as on MONAI's command line, to an entry that must be there.
        metadata: the same for ``metadata.json``.

    Returns:
        The folder.

    Raises:
        ValueError: an unknown method or network, an entry that the blueprint doesn't have, or names that a bundle's
            ``generator.json`` may not hold.
        FileExistsError: the folder exists.
    """
    target = f"monai_genaug.networks.{network}"
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, allowed: {METHODS}.")
    if target not in ALLOWED_TARGETS:
        allowed = [name.rpartition(".")[2] for name in ALLOWED_TARGETS if ".networks." in name]
        raise ValueError(f"network is {network!r}, allowed: {allowed}.")
    bundle = Path(folder).resolve()
    if bundle.exists():
        raise FileExistsError(f"{bundle} exists; move it away or write to another folder.")
    arguments = json.loads(json.dumps(dict(network_args)))
    built = {"network_args": arguments, "network_def": f"${target}(**@network_args)"}
    train = _changed(_blueprint(f"train_{method}"), {**built, **training})
    train["output_dir"] = train["output_dir"] or f"runs/{spec.name}"
    flat = "inference" if len(spec.spatial_shape) == 2 else "inference_3d"
    names = {"n_classes": len(spec.classes or ()), "output_dir": f"runs/{spec.name}/samples"}
    configs = {
        "train": train,
        "inference": _changed(_blueprint(flat), {**built, **names}),
        "metadata": _changed(_blueprint("metadata"), metadata),
        "generator": {
            "format": CONFIG_FORMAT,
            "spec": spec.replace(sha256=_UNTRAINED).to_dict(),
            "network": {"_target_": target, **arguments},
            "weights": "models/model.pt",
        },
    }
    incomplete = bundle.with_name(f".{bundle.name}.incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    (incomplete / CONFIG_FILE).parent.mkdir(parents=True)
    for name, config in configs.items():
        (incomplete / "configs" / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")
    (incomplete / "docs").mkdir()
    (incomplete / "docs" / "README.md").write_text(model_card(spec, network, "datalist" in train))
    (incomplete / "LICENSE").write_text(licence_note(spec))
    try:
        BundleReference.read(incomplete)
    except ValueError:
        shutil.rmtree(incomplete)
        raise
    incomplete.rename(bundle)
    return bundle


def _blueprint(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return config


def _changed(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        *outer, last = name.split("#")
        place: Any = config
        for step in outer:
            place = place[int(step) if isinstance(place, list) else step]
        if outer and last not in place:
            raise ValueError(f"the blueprint has no entry {name!r}; there are {sorted(place)}.")
        place[last] = json.loads(json.dumps(value))
    return config
