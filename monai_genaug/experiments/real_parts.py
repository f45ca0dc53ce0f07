# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The real images that a bundle is measured against, read by the bundle's own training config."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.utils import convert_to_tensor
from torch import Tensor

from monai_genaug.experiments.stages import stored_tensors
from monai_genaug.experiments.step_bar import step_bar
from monai_genaug.generators import SampleGenerator
from monai_genaug.generators.class_labels import plain_label
from monai_genaug.weights import state_sha256

__all__ = ["LabelledImages", "RealParts", "as_levels", "load_real_parts"]

Item = Mapping[str, Any]

_IMAGE, _MASK = "image", "mask"
_PARTS = ("train", "val", "test")
_NOT_OF_SPACE = {
    *("name", "version", "sha256", "modality", "anatomy", "data_licence", "weights_licence", "provenance"),
    *("warnings", "classes", "truncation", "encodes", "reproducible_batches"),
}


@dataclass(frozen=True)
class LabelledImages:
    """Images with or without classes.

    Args:
        images: ``(n, c, *spatial)``, uint8 as :func:`as_levels` makes them; at least one.
        labels: class ids ``(n,)``, int64; None for images without classes.
        masks: ``(n, 1, *spatial)``, integer; None for images without masks.
        subjects: whom each image shows, n names; None if each shows somebody else.

    Raises:
        ValueError: tensors that are not of this kind.
    """

    images: Tensor
    labels: Tensor | None = None
    masks: Tensor | None = None
    subjects: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim not in (4, 5) or len(self.images) == 0:
            raise ValueError(
                f"images are {self.images.dtype} of shape {tuple(self.images.shape)}, needed: uint8 (n, c, *spatial)."
            )
        count, labels = len(self.images), self.labels
        if labels is not None and (labels.dtype != torch.int64 or labels.shape != (count,) or labels.min() < 0):
            raise ValueError(
                f"labels are {labels.dtype} of shape {tuple(labels.shape)}, needed: int64 ({count},), 0 and up."
            )
        others = {"masks": self.masks, "subjects": self.subjects}
        wrong = {name: len(values) for name, values in others.items() if values is not None and len(values) != count}
        if wrong:
            raise ValueError(f"there are {count} images, but {wrong}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sha256(self) -> str:
        """Of the images, labels and masks."""
        tensors = {"images": self.images, "labels": self.labels, "masks": self.masks}
        return state_sha256({name: values for name, values in tensors.items() if values is not None})

    def of_class(self, number: int) -> Tensor:
        """The images of a class, ``(m, c, *spatial)``."""
        assert self.labels is not None, "these images have no classes"
        return self.images[self.labels == number]


@dataclass(frozen=True)
class RealParts:
    """The three parts of a data set, all with or all without classes.

    Args:
        train: what the generator was trained on.
        val: used to stop trainings.
        test: what no training has seen.

    Raises:
        ValueError: parts that differ in the shape of their images or in having classes.
    """

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages

    def __post_init__(self) -> None:
        parts = (self.train, self.val, self.test)
        shapes = [tuple(part.images.shape[1:]) for part in parts]
        if len(set(shapes)) > 1:
            raise ValueError(f"images of train, val and test have shapes {shapes}, needed: one shape.")
        if len({part.labels is None for part in parts}) > 1:
            raise ValueError("train, val and test must all have labels, or none of them.")


def as_levels(images: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Images rounded to 256 levels over ``value_range``: uint8, as pictures are stored.

    Raises:
        ValueError: NaN or infinite values.
    """
    if not images.isfinite().all():
        raise ValueError("the images hold NaN or infinite values.")
    low, high = value_range
    return ((images - low) / (high - low) * 255.0).round().clamp(0, 255).to(torch.uint8)


def load_real_parts(
    generator: SampleGenerator, bundle: str | os.PathLike[str], dataset_dir: str | os.PathLike[str], work_dir: Path
) -> RealParts:
    """Reads the parts that ``configs/train.json`` of a bundle lists, in the generator's space.

    The entries ``train_items``, ``val_items`` and ``test_items`` are evaluated with ``bundle_root`` and
    ``dataset_dir`` set: lists of ``{"image": path or channel-first array, <class key>: class id}``. The class key is
    the config's entry ``class_key`` or, without one, ``"label"``. Images have classes if every item has a whole number
    there; paths of masks and lists of several labels are none. A generator of masks without classes gets those under
    the config's entry ``mask_key`` or, without one, ``"label"``. Subjects are taken from ``"subject"`` if some items
    share one.

    Args:
        generator: its ``preprocessing`` is applied.
        bundle: the bundle's folder; it is trusted, its config is evaluated.
        dataset_dir: the data set, as for a training.
        work_dir: keeps the preprocessed parts, which generators of the same space share.

    Raises:
        ValueError: no config, or one without such an entry or with an empty list.
    """
    config = Path(bundle) / "configs" / "train.json"
    if not config.is_file():
        raise ValueError(f"{config} does not exist: it lists the real images to compare with.")
    parser = ConfigParser()
    parser.read_config(str(config))
    names = [f"{part}_items" for part in _PARTS]
    missing = [name for name in names if not parser.get(name)]
    if missing:
        raise ValueError(f"{config} has no entries {missing}, needed: {names}.")
    parser["bundle_root"], parser["dataset_dir"] = str(bundle), str(dataset_dir)
    key = _entry(parser, "class_key") or "label"
    paired = _MASK in generator.spec.outputs and generator.spec.classes is None
    mask_key = (_entry(parser, "mask_key") or "label") if paired else None
    lists = {name: parser.get_parsed_content(name) for name in names}
    subjects = _subjects(list(lists.values()))
    parts = []
    for (name, items), own in zip(lists.items(), subjects, strict=True):
        if not items:
            raise ValueError(f"{name} of {config} is an empty list.")
        own_mask = mask_key if _is_volume(items[0].get(mask_key)) else None
        path = work_dir / f"{name}_{_fingerprint(items, generator, key, own_mask)}.pt"
        tensors = stored_tensors(path, partial(_load, items, generator, key, own_mask, name))
        parts.append(LabelledImages(**tensors, subjects=own))
    return RealParts(*parts)


def _entry(parser: ConfigParser, name: str) -> str | None:
    return parser.get_parsed_content(name) if name in parser else None


def _load(
    items: Sequence[Item], generator: SampleGenerator, key: str, mask_key: str | None, name: str
) -> dict[str, Tensor]:
    """Images and, where there are some, labels and masks."""
    output, keys = generator.spec.outputs[_IMAGE], [_IMAGE, *([mask_key] if mask_key else [])]
    preprocess = generator.preprocessing(keys, load=_is_path(items[0][_IMAGE]), outputs=[_IMAGE, _MASK][: len(keys)])
    levels, masks = [], []
    with step_bar(f"read {name}", len(items)) as move:
        for number, item in enumerate(items, start=1):
            loaded = preprocess({each: item[each] for each in keys})
            levels.append(as_levels(convert_to_tensor(loaded[_IMAGE], track_meta=False), output.value_range))
            masks += [convert_to_tensor(loaded[each], track_meta=False) for each in keys[1:]]
            move(number)
    labels = _labels(items, key)
    tensors = {"images": torch.stack(levels), **({} if labels is None else {"labels": labels})}
    return {**tensors, **({"masks": torch.stack(masks)} if masks else {})}


def _subjects(parts: Sequence[Sequence[Item]]) -> list[tuple[str, ...] | None]:
    """The subjects of each part; None for all where none is of two items, or some item has none."""
    named = [tuple(str(item["subject"]) for item in items if "subject" in item) for items in parts]
    known = [subject for part in named for subject in part]
    if len(known) < sum(map(len, parts)) or len(set(known)) == len(known):
        return [None] * len(parts)
    return list(named)


def _labels(items: Sequence[Item], key: str) -> Tensor | None:
    try:
        labels = [plain_label(item[key]) for item in items]
    except (KeyError, ValueError):
        return None
    return torch.tensor(labels) if all(isinstance(label, int) for label in labels) else None


def _fingerprint(items: Sequence[Item], generator: SampleGenerator, key: str, mask_key: str | None) -> str:
    """Changes with the generator's space and with the items: arrays by content, files by path, size and time.

    What only names or describes a generator is left out, so that those of one data set can share their parts.
    """
    spec = generator.spec.replace(outputs={_IMAGE: generator.spec.outputs[_IMAGE]})
    space = {name: value for name, value in spec.to_dict().items() if name not in _NOT_OF_SPACE}
    keys = [key] if mask_key is None else [key, mask_key]
    digest = hashlib.sha256(json.dumps([space, *keys]).encode())
    for item in items:
        image, label = item[_IMAGE], str(item.get(key))
        if _is_path(image):
            status = Path(image).stat()
            digest.update(json.dumps([str(image), status.st_size, status.st_mtime_ns, label]).encode())
        else:
            array = np.ascontiguousarray(image)
            digest.update(f"{array.dtype}\x1f{array.shape}\x1f{label}\x1f".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _is_volume(value: Any) -> bool:
    return _is_path(value) or np.ndim(value) > 1


def _is_path(image: Any) -> bool:
    return isinstance(image, (str, os.PathLike))
