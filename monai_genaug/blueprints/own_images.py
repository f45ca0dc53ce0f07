# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images -> a trained generator bundle."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.blueprints.folder_data import FolderData, name_unusable, read_folder
from monai_genaug.blueprints.models import BlueprintModel, check_size, model_named
from monai_genaug.blueprints.training_run import change_learning_rate, checkpoints_of, run_training
from monai_genaug.blueprints.writing import write_untrained_bundle
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance
from monai_genaug.plotting import sample_grid

__all__ = ["train_on_folder"]

_SIZES = {2: 64, 3: 48}
_STEPS = 4000
_STEPS_PER_EPOCH = 20  # at least: an epoch ends with a checkpoint, which must not cost more than its steps
_BATCH = 64
_SHOWN = 8  # samples in the picture of the bundle


def train_on_folder(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    model: str = "conditional_vae",
    name: str | None = None,
    size: int | None = None,
    epochs: int | None = None,
    subject: str | None = None,
    seed: int = 0,
    data_licence: str = "NOASSERTION",
    lr: float | None = None,
) -> Path:
    """Trains a generator on a folder of pictures or volumes, and makes a bundle of it.

    All images are opened before anything is trained. A run that was stopped goes on from its last complete epoch when
    it is called again with the same arguments.

    Args:
        data: a sub-folder per class, or images alone for a model without classes: PNG, JPEG, TIFF, BMP or NIfTI.
        out: a folder for all that is written; the bundle is ``out/bundle``.
        model: one of :data:`~monai_genaug.blueprints.models.MODELS`.
        name: of the generator; by default that of ``out``.
        size: pixels or voxels per axis; by default 64 in 2D (pictures are resized), 48 in 3D (volumes are resampled
            so that the largest one fits, and padded).
        epochs: by default as many as make 4000 steps. An epoch has at least 20 steps; few images are shown several
            times in it.
        subject: regular expression with one group that finds a subject in an image's path below ``data``, so that the
            held-out part is of other subjects; by default each file is one of its own.
        seed: of the split and the training.
        data_licence: SPDX identifier, for the record.
        lr: learning rate; by default that of the run that goes on, or of the model. The only argument that may change
            when a run goes on.

    Returns:
        The bundle's folder, for :func:`~monai_genaug.generators.load_generator`.

    Raises:
        ValueError: images that cannot be used (named), classes missing or not wanted, a value that is not allowed, or
            other arguments than those of the run that is in ``out``. Nothing is trained.
        FileExistsError: ``out`` holds a complete training, or something else than a training.
        NonFiniteLossError: the training left the finite numbers; the last good checkpoint is kept and named.
    """
    chosen, root, target = model_named(model), Path(data).expanduser().resolve(), Path(out).expanduser().resolve()
    _check_numbers(epochs, lr)
    _check_target(root, target)
    picture = target / "bundle" / "docs" / "samples.png"
    if not (target / "bundle").exists():
        _train(read_folder(root, subject, chosen, seed), target, chosen, name, size, epochs, seed, data_licence, lr)
    elif picture.exists():
        raise FileExistsError(f"{target / 'bundle'} exists: this training is complete; choose another folder.")
    _draw(target / "bundle", picture)
    return target / "bundle"


def _train(
    data: FolderData,
    target: Path,
    model: BlueprintModel,
    name: str | None,
    size: int | None,
    epochs: int | None,
    seed: int,
    data_licence: str,
    lr: float | None,
) -> None:
    shape = (_SIZES[data.spatial_dims] if size is None else size,) * data.spatial_dims
    check_size(model, shape)
    spec = _spec(name or target.name, data, shape, model, data_licence)
    source, checkpoints = target / "source", checkpoints_of(target)
    before = _config(source, "train") if checkpoints else None
    if lr is None and before is not None:
        lr = float(before["lr"])
    numbers = (shape, data.channels, len(data.classes))
    training = _training(data, model.training(*numbers), epochs, seed, lr)
    datalist = _datalist(data)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".source", dir=target) as temporary:
        fresh = Path(temporary) / source.name
        arguments = model.network_args(*numbers)
        write_untrained_bundle(fresh, model.method, spec, model.network, arguments, training, _metadata(model, spec))
        if before is not None:
            _check_same(fresh, source, datalist, target / "datalist.json")
            rate = _config(fresh, "train")["lr"]
            if rate != before["lr"]:
                for checkpoint in checkpoints:
                    change_learning_rate(checkpoint, rate)
        _install(fresh, source)
    _write_text(target / "datalist.json", datalist)
    try:
        run_training(source, data.root, target)
    except Exception:
        if not checkpoints_of(target):
            name_unusable([*data.train, *data.held_out], spec)
        raise


def _training(
    data: FolderData, model_entries: Mapping[str, Any], epochs: int | None, seed: int, lr: float | None
) -> dict[str, Any]:
    """Entries of ``train.json``."""
    batch = min(int(model_entries.get("batch_size", _BATCH)), len(data.train))
    steps = len(data.train) // batch
    passes = -(-_STEPS_PER_EPOCH // steps)
    return {
        **model_entries,
        **({} if lr is None else {"lr": lr}),
        "datalist": "",
        "batch_size": batch,
        "passes_per_epoch": passes,
        "max_epochs": -(-_STEPS // (passes * steps)) if epochs is None else epochs,
        "seed": seed,
        "class_key": "label" if data.classes else None,
        "train_items": "$monai.data.load_decathlon_datalist(@datalist, False, 'training', @dataset_dir)",
        "val_items": "$monai.data.load_decathlon_datalist(@datalist, False, 'validation', @dataset_dir)",
        "test_items": [],
    }


def _spec(
    name: str, data: FolderData, shape: tuple[int, ...], model: BlueprintModel, data_licence: str
) -> GeneratorSpec:
    return GeneratorSpec(
        name=name,
        version="0.1.0",
        outputs={"image": OutputSpec("image", data.channels, (0.0, 1.0), "float32")},
        spatial_shape=shape,
        classes=dict(enumerate(data.classes)) if data.classes else None,
        truncation=model.truncation,
        encodes=("image",) if model.method == "vae" else (),
        data_licence=data_licence,
        weights_licence=data_licence,
        provenance=Provenance(dataset=name, data_licence=data_licence),
        **data.space(shape),
    )


def _metadata(model: BlueprintModel, spec: GeneratorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "task": "Generation of images",
        "description": f"{model.network} of images, trained by monai_genaug",
        "authors": "not stated",
        "copyright": "not stated",
        "network_data_format#outputs#pred#num_channels": spec.outputs["image"].channels,
        "network_data_format#outputs#pred#spatial_shape": list(spec.spatial_shape),
    }


def _datalist(data: FolderData) -> str:
    """Both parts as JSON, with paths below the data's folder."""
    parts = {"training": data.train, "validation": data.held_out}
    content = {
        name: [{**item, "image": Path(item["image"]).relative_to(data.root).as_posix()} for item in part]
        for name, part in parts.items()
    }
    return json.dumps(content, indent=2) + "\n"


def _check_numbers(epochs: int | None, lr: float | None) -> None:
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs is {epochs}, allowed: 1 and more.")
    if lr is not None and not 0.0 < lr < math.inf:
        raise ValueError(f"lr is {lr}, allowed: positive numbers.")


def _check_target(root: Path, target: Path) -> None:
    """A folder outside the data, that is new, empty, or that of a training."""
    if target.is_relative_to(root):
        raise ValueError(f"out is {target}, which lies inside the data {root}: choose a folder elsewhere.")
    if not target.exists() or (target / "source" / "configs" / "generator.json").is_file():
        return
    if not target.is_dir() or any(not path.name.startswith(".") for path in target.iterdir()):
        raise FileExistsError(f"{target} exists and holds no training: choose a new or empty folder.")


def _check_same(fresh: Path, source: Path, datalist: str, stored: Path) -> None:
    """Refuses to go on with a run that differs in anything but the learning rate."""
    differing = []
    for name in ("train", "generator"):
        new, old = _config(fresh, name), _config(source, name)
        differing += [key for key in sorted({*new, *old} - {"lr"}) if new.get(key) != old.get(key)]
    if not stored.is_file() or stored.read_text() != datalist:
        differing.append("images or split")
    if differing:
        raise ValueError(
            f"{source.parent} holds a run that differs in {', '.join(differing)}: repeat its arguments to go on with "
            "it, or choose another folder."
        )


def _install(fresh: Path, source: Path) -> None:
    """Moves a bundle to its place, or its files over those of the same names."""
    if not source.exists():
        fresh.rename(source)
        return
    for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
        path.replace(source / path.relative_to(fresh))


def _config(bundle: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / f"{name}.json").read_text())
    return content


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _draw(bundle: Path, picture: Path) -> None:
    generator = load_generator(bundle)
    classes = generator.spec.classes
    labels = None if classes is None else [number % len(classes) for number in range(_SHOWN)]
    titles = None if labels is None or classes is None else [classes[label] for label in labels]
    sample_grid(generator.sample(range(_SHOWN), labels), picture, titles)
