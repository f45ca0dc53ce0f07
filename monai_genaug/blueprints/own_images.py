# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of images -> a trained generator bundle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.bundle import ConfigWorkflow
from PIL import Image

from monai_genaug.blueprints.models import BlueprintModel, model_named
from monai_genaug.blueprints.writing import write_untrained_bundle
from monai_genaug.data import check_images, class_folder_items, class_folder_names, split_by_subject
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec, Provenance
from monai_genaug.plotting import sample_grid

__all__ = ["train_on_folder"]

_SIZES = {2: 64, 3: 48}
_STEPS = 4000
_HELD_OUT = 0.15
_SHOWN = 8  # samples in the picture of the bundle
_WHITE = {"1": 1.0, "L": 255.0, "RGB": 255.0, "LA": 255.0, "RGBA": 255.0, "I": 65535.0, "I;16": 65535.0}
_OTHER_RUN = "{path} is of a run with other arguments or other data: choose another folder for this one."


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
        epochs: by default as many as make 4000 steps.
        subject: regular expression with one group that finds a subject in an image's path below ``data``, so that the
            held-out part is of other subjects; by default each file is one of its own.
        seed: of the split and the training.
        data_licence: SPDX identifier, for the record.

    Returns:
        The bundle's folder, for :func:`~monai_genaug.generators.load_generator`.

    Raises:
        ValueError: images that cannot be used (named), classes missing or not wanted, an unknown model, or other
            arguments than those of the run that is in ``out``. Nothing is trained.
        FileExistsError: ``out/bundle`` exists.
    """
    chosen, root, target = model_named(model), Path(data).expanduser().resolve(), Path(out).expanduser().resolve()
    if (target / "bundle").exists():
        raise FileExistsError(f"{target / 'bundle'} exists: this training is complete; choose another folder.")
    items, classes = _read(root, subject, chosen, model)
    channels, dims = check_images(items)
    shape = (size or _SIZES[dims],) * dims
    spec = _spec(name or target.name, items, shape, channels, classes, chosen, data_licence)
    train, held_out = split_by_subject(
        items, "subject", (1 - _HELD_OUT, _HELD_OUT), seed, stratify="label" if classes else None
    )
    batch = min(int(chosen.training(shape, channels, len(classes)).get("batch_size", 64)), len(train))
    steps_per_epoch = max(len(train) // batch, 1)
    training = {
        **chosen.training(shape, channels, len(classes)),
        "datalist": "",
        "batch_size": batch,
        "max_epochs": epochs or -(-_STEPS // steps_per_epoch),
        "seed": seed,
        "class_key": "label" if classes else None,
        "train_items": "$monai.data.load_decathlon_datalist(@datalist, False, 'training', @dataset_dir)",
        "val_items": "$monai.data.load_decathlon_datalist(@datalist, False, 'validation', @dataset_dir)",
        "test_items": [],
    }
    source = target / "source"
    _write_source(source, chosen, spec, chosen.network_args(shape, channels, len(classes)), training)
    _write_datalist(target / "datalist.json", root, {"training": train, "validation": held_out})
    workflow = ConfigWorkflow(
        config_file=str(source / "configs" / "train.json"),
        workflow_type="train",
        bundle_root=str(source),
        dataset_dir=str(root),
        output_dir=str(target),
        datalist=str(target / "datalist.json"),
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    generator = load_generator(target / "bundle")
    labels = [i % len(classes) for i in range(_SHOWN)] if classes else None
    titles = None if labels is None else [classes[label] for label in labels]
    sample_grid(generator.sample(range(_SHOWN), labels), target / "bundle" / "docs" / "samples.png", titles)
    return target / "bundle"


def _read(
    root: Path, subject: str | None, model: BlueprintModel, name: str
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    classes = class_folder_names(root)
    if model.conditional and len(classes) < 2:
        raise ValueError(f"model {name!r} needs a sub-folder per class, {root} has {list(classes)}.")
    items = class_folder_items(root, subject)
    if model.conditional is False and len(classes) > 1:
        raise ValueError(f"model {name!r} has no classes, {root} has {list(classes)}: train on one of them.")
    return items, classes if len(classes) > 1 else ()


def _spec(
    name: str,
    items: Sequence[Mapping[str, Any]],
    shape: tuple[int, ...],
    channels: int,
    classes: Sequence[str],
    model: BlueprintModel,
    data_licence: str,
) -> GeneratorSpec:
    spec = GeneratorSpec(
        name=name,
        version="0.1.0",
        outputs={"image": OutputSpec("image", channels, (0.0, 1.0), "float32")},
        spatial_shape=shape,
        classes=dict(enumerate(classes)) if classes else None,
        truncation=model.truncation,
        encodes=("image",) if model.method == "vae" else (),
        data_licence=data_licence,
        weights_licence=data_licence,
        provenance=Provenance(dataset=name, data_licence=data_licence),
    )
    if len(shape) == 2:
        largest = max(_largest_value(item["image"]) for item in items)
        return spec.replace(fitting="resize", intensity="range", intensity_range=(0.0, largest))
    extents = np.array([_extent(item["image"]) for item in items]).max(axis=0)
    spacing = float(np.ceil(100.0 * (extents / np.array(shape)).max()) / 100.0)
    return spec.replace(spacing=(spacing,) * 3, orientation="RAS")


def _largest_value(path: str) -> float:
    """White in a picture's format."""
    with Image.open(path) as picture:
        if picture.mode not in _WHITE:
            raise ValueError(f"{path} is a picture of mode {picture.mode!r}, allowed: {tuple(_WHITE)}.")
        return _WHITE[picture.mode]


def _extent(path: str) -> np.ndarray[Any, Any]:
    """Size in mm along right, anterior, superior."""
    volume = nibabel.as_closest_canonical(nibabel.load(path))
    extent: np.ndarray[Any, Any] = np.array(volume.shape[:3]) * np.array(volume.header.get_zooms()[:3])
    return extent


def _write_source(
    source: Path,
    model: BlueprintModel,
    spec: GeneratorSpec,
    arguments: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """The untrained bundle; one that is there already must be the same."""
    metadata = {
        "name": spec.name,
        "task": "Generation of images",
        "description": f"{model.network} of images, trained by monai_genaug",
        "network_data_format#outputs#pred#num_channels": spec.outputs["image"].channels,
        "network_data_format#outputs#pred#spatial_shape": list(spec.spatial_shape),
    }
    source.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".source", dir=source.parent) as temporary:
        fresh = Path(temporary) / source.name
        write_untrained_bundle(fresh, model.method, spec, model.network, arguments, training, metadata)
        if not source.exists():
            fresh.rename(source)
        for name in ("train.json", "generator.json"):
            if fresh.exists() and (fresh / "configs" / name).read_bytes() != (source / "configs" / name).read_bytes():
                raise ValueError(_OTHER_RUN.format(path=source / "configs" / name))


def _write_datalist(path: Path, root: Path, parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The split; one that is there already must be the same."""
    content = {
        name: [{**item, "image": Path(item["image"]).relative_to(root).as_posix()} for item in part]
        for name, part in parts.items()
    }
    text = json.dumps(content, indent=2) + "\n"
    if path.is_file() and path.read_text() != text:
        raise ValueError(_OTHER_RUN.format(path=path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
