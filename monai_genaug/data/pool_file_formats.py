# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""One item of a pool as image files, which come back exactly: NIfTI, PNG or NPZ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from monai_genaug.data.augmented_files import _channel_last, _read_file
from monai_genaug.generators.geometry import voxel_affine
from monai_genaug.generators.pool_storage import decode, encode
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__ = ["PoolFileFormat"]

PoolFileFormat = Literal["nifti", "png", "npz"]

Arrays = dict[str, NDArray[Any]]

_SUFFIXES: dict[PoolFileFormat, str] = {"nifti": ".nii.gz", "png": ".png", "npz": ".npz"}
_NUMPY_ARGUMENTS = ("file", "allow_pickle")  # of savez, which takes the arrays by name too
_FOLDERS = {"image": "imagesTr", "label": "labelsTr"}


def _check_format(file_format: str, spec: GeneratorSpec) -> None:
    """Whether such files can hold what a generator makes.

    Raises:
        ValueError: they cannot, an unknown format, or an output whose name is no name of a file.
    """
    if file_format not in get_args(PoolFileFormat):
        raise ValueError(f"file_format is {file_format!r}, allowed: {get_args(PoolFileFormat)}.")
    axes = len(spec.spatial_shape)
    for name, output in spec.outputs.items():
        if not re.fullmatch(r"[\w-]+", name) or name in _NUMPY_ARGUMENTS:
            raise ValueError(
                f"output {name!r} of {spec.name!r} cannot name files, allowed: letters, digits, _ and -, but none of "
                f"{_NUMPY_ARGUMENTS}."
            )
        if file_format == "nifti" and (axes not in (2, 3) or (axes == 2 and output.channels > 1)):
            raise ValueError(
                f"nifti files cannot hold {name!r} with {output.channels} channels and {axes} spatial axes, allowed: "
                "3 axes, or 2 with one channel, since what follows two axes is a third one. Use npz."
            )
        if file_format == "png" and not _fits_png(output, axes):
            raise ValueError(
                f"png files cannot hold the {output.kind} {name!r} with {output.channels} channels, {axes} spatial "
                f"axes and values in {output.value_range}, allowed: 2 axes; images with 1 or 3 channels, masks with 1 "
                "channel and labels in [0, 255]. Use nifti or npz."
            )


def _item_files(file_format: PoolFileFormat, keys: Mapping[str, str], number: int) -> dict[str, tuple[str, ...]]:
    """The files of item ``number``: path relative to the folder -> names of the outputs in it.

    Args:
        file_format: see :func:`_check_format`.
        keys: output name -> key in the data list.
        number: the item's.
    """
    name = f"synthetic_{number:06d}{_SUFFIXES[file_format]}"
    if file_format == "npz":
        return {f"itemsTr/{name}": tuple(keys)}
    return {f"{_FOLDERS.get(key, f'{key}Tr')}/{name}": (output,) for output, key in keys.items()}


def _write_pool_file(path: Path, item: Mapping[str, Tensor], file_format: PoolFileFormat, spec: GeneratorSpec) -> None:
    """Writes one file, which appears complete or not at all.

    Args:
        path: the file, in an existing folder.
        item: the outputs to write, name -> ``(channels, *spatial_shape)``.
        file_format: one that :func:`_check_format` allows.
        spec: the generator's.

    Raises:
        ValueError: a mask with values that the file cannot hold.
    """
    temporary = path.with_name(f".{path.name}")
    _WRITERS[file_format](temporary, item, spec)
    temporary.replace(path)


def _read_pool_file(path: Path, names: Sequence[str], file_format: PoolFileFormat, spec: GeneratorSpec) -> Arrays:
    """Reads what :func:`_write_pool_file` wrote.

    Returns:
        Output name -> ``(channels, *spatial_shape)`` of the spec's type.

    Raises:
        ValueError: a damaged file, or one that holds something else; the text names it.
    """
    try:
        arrays = _READERS[file_format](path, names, spec)
    except Exception as error:  # what the readers raise for damaged files has no common base
        raise ValueError(f"{path} is damaged: {error!r}") from error
    for name in names:
        output = spec.outputs[name]
        shape = (output.channels, *spec.spatial_shape)
        if arrays[name].shape != shape or arrays[name].dtype != np.dtype(output.dtype):
            found = f"{arrays[name].dtype} {arrays[name].shape}"
            raise ValueError(f"{path} holds {name!r} as {found}, expected {output.dtype} {shape}.")
    return arrays


def _fits_png(output: OutputSpec, axes: int) -> bool:
    low, high = output.value_range
    if output.kind == "image":
        return axes == 2 and output.channels in (1, 3)
    return axes == 2 and output.channels == 1 and low >= 0 and high <= 255


def _write_nifti(path: Path, item: Mapping[str, Tensor], spec: GeneratorSpec) -> None:
    (values,) = item.values()
    volume = values.movedim(0, -1).numpy()
    affine = voxel_affine(spec)
    image = nibabel.Nifti1Image(
        volume[..., 0] if volume.shape[-1] == 1 else volume,
        np.eye(4) if affine is None else affine.numpy(),
        dtype=volume.dtype,  # nibabel wants to be told that 64 bits are meant
    )
    image.header.set_xyzt_units("unknown" if affine is None else "mm")
    image.header["descrip"] = f"synthetic: {spec.name} {spec.version}".encode("ascii", "replace")[:79]
    nibabel.save(image, path)


def _read_nifti(path: Path, names: Sequence[str], spec: GeneratorSpec) -> Arrays:
    (name,) = names
    values = np.asanyarray(nibabel.load(path).dataobj)
    return {name: values[None] if values.ndim == len(spec.spatial_shape) else np.moveaxis(values, -1, 0)}


def _write_png(path: Path, item: Mapping[str, Tensor], spec: GeneratorSpec) -> None:
    ((name, values),) = item.items()
    levels = encode(values, spec.outputs[name], "uint8")
    if levels.min() < 0 or levels.max() > 255:
        raise ValueError(f"mask {name!r} spans [{levels.min()}, {levels.max()}], allowed in png files: [0, 255].")
    Image.fromarray(np.ascontiguousarray(_channel_last(levels), dtype=np.uint8)).save(path)


def _read_png(path: Path, names: Sequence[str], spec: GeneratorSpec) -> Arrays:
    (name,) = names
    output, values = spec.outputs[name], _read_file(path)
    if values.dtype != np.uint8:
        raise ValueError(f"pixels are {values.dtype}, expected uint8.")
    return {name: decode(values, output).numpy().astype(output.dtype, copy=False)}


def _write_npz(path: Path, item: Mapping[str, Tensor], spec: GeneratorSpec) -> None:
    arrays: dict[str, Any] = {name: values.numpy() for name, values in item.items()}
    np.savez_compressed(path, **arrays)


def _read_npz(path: Path, names: Sequence[str], spec: GeneratorSpec) -> Arrays:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names}


_WRITERS: dict[PoolFileFormat, Callable[[Path, Mapping[str, Tensor], GeneratorSpec], None]] = {
    "nifti": _write_nifti,
    "png": _write_png,
    "npz": _write_npz,
}
_READERS: dict[PoolFileFormat, Callable[[Path, Sequence[str], GeneratorSpec], Arrays]] = {
    "nifti": _read_nifti,
    "png": _read_png,
    "npz": _read_npz,
}
