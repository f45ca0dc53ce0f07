# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The sets of MedMNIST v2 and MedMNIST+ (Yang et al., Scientific Data 10:41, 2023)."""

from __future__ import annotations

import importlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

__all__ = ["MedMNISTInfo", "medmnist_info", "medmnist_items", "medmnist_names"]

MedMNISTTask = Literal["binary-class", "multi-class", "multi-label", "ordinal-regression"]

_PARTS = ("train", "val", "test")
_SIZES = {2: (28, 64, 128, 224), 3: (28, 64)}


@dataclass(frozen=True)
class MedMNISTInfo:
    """What a set of MedMNIST holds.

    Args:
        name: name of the set and of its file, such as ``"breastmnist"``.
        spatial_dims: 2 or 3.
        channels: 1 (grey) or 3 (RGB).
        task: ``"multi-label"`` items have a 0 or 1 per class; all others have one class id, which of
            ``"ordinal-regression"`` is a grade.
        class_names: official names of the class ids 0, 1, ...
        licence: SPDX identifier of the licence of the images.
    """

    name: str
    spatial_dims: int
    channels: int
    task: MedMNISTTask
    class_names: tuple[str, ...]
    licence: str = "CC-BY-4.0"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes in pixels or voxels in which the set is published."""
        return _SIZES[self.spatial_dims]


def medmnist_names() -> tuple[str, ...]:
    """The names of the 12 sets of images and the 6 sets of volumes."""
    return tuple(_SETS)


def medmnist_info(name: str) -> MedMNISTInfo:
    """What the set ``name`` holds, as in version 3 of the ``medmnist`` package.

    Raises:
        ValueError: a name that is not one of :func:`medmnist_names`.
    """
    if name not in _SETS:
        raise ValueError(f"MedMNIST has no set {name!r}, allowed: {', '.join(_SETS)}.")
    return _SETS[name]


def medmnist_items(
    name: str, folder: str | os.PathLike[str], part: str, size: int = 28, download: bool = False
) -> list[dict[str, Any]]:
    """The items of one part of a set of MedMNIST.

    MedMNIST does not say which images are of one patient: every item is a subject of its own, and the official parts
    are the only split. Some sets have a few images in two parts.

    Args:
        name: one of :func:`medmnist_names`.
        folder: where ``<name>.npz`` lies; ``<name>_<size>.npz`` for sizes above 28.
        part: ``"train"``, ``"val"`` or ``"test"``.
        size: pixels or voxels per axis: 28, 64, 128 or 224; volumes 28 or 64.
        download: get the file, if it is not in the folder, with the package ``medmnist``, which checks its MD5 sum.

    Returns:
        ``{"image": array, "label": class id, "subject": "<name>-<part>-<index>"}`` per item, in the file's order.
        Images are uint8, ``(channels, size, size)`` with rows first, or ``(1, size, size, size)``; they are views of
        one array. The label of a multi-label set is a list with a 0 or 1 per class.

    Raises:
        ValueError: a set, part or size that does not exist, or a file that is not the set's.
        FileNotFoundError: the file is not there.
        ImportError: ``download`` without the package ``medmnist`` of version 3 or newer.
    """
    info = medmnist_info(name)
    if part not in _PARTS:
        raise ValueError(f"part is {part!r}, allowed: {', '.join(_PARTS)}.")
    if size not in info.sizes:
        raise ValueError(f"size is {size}, {name} has {info.sizes}.")
    path = Path(folder).expanduser().resolve() / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    if download and not path.is_file():
        _download(info, path, size)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; download=True gets it with the package medmnist.")
    images, labels = _read_part(path, part)
    images = _channel_first(images, info, size, path)
    return [
        {"image": image, "label": label, "subject": f"{name}-{part}-{index}"}
        for index, (image, label) in enumerate(zip(images, _plain_labels(labels, info, len(images), path), strict=True))
    ]


def _read_part(path: Path, part: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[f"{part}_images"]), np.asarray(arrays[f"{part}_labels"])
    except Exception as error:  # what a damaged zip file raises has no common base
        raise ValueError(f"{path} is no readable MedMNIST file with the part {part!r}: {error}") from error


def _channel_first(
    images: np.ndarray[Any, Any], info: MedMNISTInfo, size: int, path: Path
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    expected = (size,) * info.spatial_dims + (3,) * (info.channels == 3)
    if images.dtype != np.uint8 or images.shape[1:] != expected or not len(images):
        raise ValueError(
            f"{path} holds {images.dtype} images of shape {images.shape}, {info.name} has uint8 images of {expected}."
        )
    return np.moveaxis(images, -1, 1) if info.channels == 3 else images[:, None]


def _plain_labels(labels: np.ndarray[Any, Any], info: MedMNISTInfo, n_items: int, path: Path) -> list[Any]:
    several = info.task == "multi-label"
    n_classes = len(info.class_names)
    shape, top = ((n_items, n_classes), 1) if several else ((n_items, 1), n_classes - 1)
    if labels.shape != shape or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > top:
        raise ValueError(f"{path} holds no labels 0 to {top} of shape {shape}, which {info.name} has.")
    plain: list[Any] = labels.tolist() if several else labels[:, 0].tolist()
    return plain


def _download(info: MedMNISTInfo, path: Path, size: int) -> None:
    try:
        package = importlib.import_module("medmnist")
    except ImportError as error:
        raise ImportError('downloads need the package medmnist: pip install "medmnist>=3".') from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        dataset = getattr(package, package.INFO[info.name]["python_class"])
        try:
            dataset(split="val", root=folder, size=size, download=True)
        except TypeError as error:
            raise ImportError('this package medmnist is too old: pip install -U "medmnist>=3".') from error
        (Path(folder) / path.name).replace(path)


_ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left", "lung-right",
    "pancreas", "spleen",
)  # fmt: skip
_SETS = {
    info.name: info
    for info in (
        MedMNISTInfo("pathmnist", 2, 3, "multi-class", (
            "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
            "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
        )),
        MedMNISTInfo("chestmnist", 2, 1, "multi-label", (
            "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax",
            "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia",
        )),
        MedMNISTInfo("dermamnist", 2, 3, "multi-class", (
            "actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma", "benign keratosis-like lesions",
            "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions",
        ), licence="CC-BY-NC-4.0"),
        MedMNISTInfo("octmnist", 2, 1, "multi-class", (
            "choroidal neovascularization", "diabetic macular edema", "drusen", "normal",
        )),
        MedMNISTInfo("pneumoniamnist", 2, 1, "binary-class", ("normal", "pneumonia")),
        MedMNISTInfo("retinamnist", 2, 3, "ordinal-regression", ("0", "1", "2", "3", "4")),
        MedMNISTInfo("breastmnist", 2, 1, "binary-class", ("malignant", "normal, benign")),
        MedMNISTInfo("bloodmnist", 2, 3, "multi-class", (
            "basophil", "eosinophil", "erythroblast",
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)", "lymphocyte", "monocyte",
            "neutrophil", "platelet",
        )),
        MedMNISTInfo("tissuemnist", 2, 1, "multi-class", (
            "Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells",
            "Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments",
            "Thick Ascending Limb",
        )),
        MedMNISTInfo("organamnist", 2, 1, "multi-class", _ORGANS),
        MedMNISTInfo("organcmnist", 2, 1, "multi-class", _ORGANS),
        MedMNISTInfo("organsmnist", 2, 1, "multi-class", _ORGANS),
        MedMNISTInfo("organmnist3d", 3, 1, "multi-class", (
            "liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder", "heart", "lung-right",
            "lung-left", "spleen", "pancreas",
        )),
        MedMNISTInfo("nodulemnist3d", 3, 1, "binary-class", ("benign", "malignant")),
        MedMNISTInfo("adrenalmnist3d", 3, 1, "binary-class", ("normal", "hyperplasia")),
        MedMNISTInfo("fracturemnist3d", 3, 1, "multi-class", (
            "buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture",
        )),
        MedMNISTInfo("vesselmnist3d", 3, 1, "binary-class", ("vessel", "aneurysm")),
        MedMNISTInfo("synapsemnist3d", 3, 1, "binary-class", ("inhibitory synapse", "excitatory synapse")),
    )
}  # fmt: skip
