# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The data list of an exported pool, in the way of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_genaug.data.pool_file_formats import PoolFileFormat, _check_format, _item_files
from monai_genaug.data.synthetic_dataset import _checked_class_key, _checked_keys
from monai_genaug.generators.pool_record import PoolRecord
from monai_genaug.generators.spec import GeneratorSpec

__all__: list[str] = []

_FORMAT = "monai_genaug.pool_files/1"
_RECORD_FIELDS = ("plan", "seed", "truncation", "block_size", "dtype")


def _datalist_text(record: PoolRecord, file_format: PoolFileFormat) -> str:
    """The data list, a function of the pool and the format alone.

    Raises:
        ValueError: outputs whose names are those of other fields.
    """
    spec = record.generator
    images = [output for output in spec.outputs.values() if output.kind == "image"]
    content = {
        "name": spec.name,
        "description": _description(spec, file_format),
        "licence": spec.data_licence,
        "release": spec.version,
        "tensorImageSize": f"{len(spec.spatial_shape)}D",
        "modality": {str(channel): spec.modality for channel in range(images[0].channels if images else 0)},
        "labels": _named(_labels(spec)),
        "classes": _named(spec.classes or {}),
        "numTraining": record.count,
        "numTest": 0,
        "format": _FORMAT,
        "file_format": file_format,
        "pool": {"identity": record.identity, **{name: getattr(record, name) for name in _RECORD_FIELDS}},
        "generator": spec.to_dict(),
        "training": _entries(record, file_format),
    }
    return json.dumps(content, indent=1)


def _read_datalist(path: Path) -> tuple[PoolRecord, PoolFileFormat]:
    """What an exported pool holds, and in which files.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not what :func:`_datalist_text` writes, or items that it would not list.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no data list of an exported pool: there is no such file.")
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError(f"format is {content['format']!r}, expected {_FORMAT!r}.")
        fields = {name: content["pool"][name] for name in _RECORD_FIELDS}
        fields["plan"] = tuple((number, int(count)) for number, count in fields["plan"])
        record = PoolRecord(GeneratorSpec.from_dict(content["generator"]), **fields)
        file_format: PoolFileFormat = content["file_format"]
        _check_format(file_format, record.generator)
        _check_entries(content["training"], record, file_format)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no data list of an exported pool: {error!r}") from error
    return record, file_format


def _pool_files(record: PoolRecord, file_format: PoolFileFormat) -> list[dict[str, tuple[str, ...]]]:
    """Of every item: path relative to the folder -> names of the outputs in this file."""
    keys = _keys(record.generator)
    return [_item_files(file_format, keys, number) for number in range(record.count)]


def _item_classes(record: PoolRecord) -> list[int | None]:
    """The class id of every item, None without classes."""
    return list(record.classes or [None] * record.count)


def _entries(record: PoolRecord, file_format: PoolFileFormat) -> list[dict[str, Any]]:
    keys, class_key = _keys(record.generator), _class_key(record.generator)
    entries = []
    places = zip(_item_classes(record), _pool_files(record, file_format), strict=True)
    for number, (class_id, files) in enumerate(places):
        entry: dict[str, Any] = {keys[name]: f"./{path}" for path, names in files.items() for name in names}
        if class_key is not None:
            entry[class_key] = class_id
        entries.append({**entry, "seed": record.item_seed(number), "is_synthetic": True})
    return entries


def _check_entries(found: list[Mapping[str, Any]], record: PoolRecord, file_format: PoolFileFormat) -> None:
    if len(found) != record.count:
        raise ValueError(f"there are {len(found)} items, but the plan has {record.count}.")
    for number, (entry, expected) in enumerate(zip(found, _entries(record, file_format), strict=True)):
        changed = [key for key, value in expected.items() if key not in entry or entry[key] != value]
        if changed:
            values = {key: entry.get(key) for key in changed}
            raise ValueError(f"item {number} has {values}, expected { ({key: expected[key] for key in changed}) }.")


def _keys(spec: GeneratorSpec) -> dict[str, str]:
    """Output name -> key of the items."""
    return dict(zip(spec.outputs, _checked_keys(None, spec), strict=True))


def _class_key(spec: GeneratorSpec) -> str | None:
    """``"label"`` where no mask takes it, as classification pipelines expect."""
    has_mask = any(output.kind == "mask" for output in spec.outputs.values())
    wanted = None if spec.classes is None else "class" if has_mask else "label"
    return _checked_class_key(wanted, tuple(_keys(spec).values()), spec)


def _labels(spec: GeneratorSpec) -> Mapping[int, str]:
    """What the values under ``label`` mean."""
    masks = [output for output in spec.outputs.values() if output.kind == "mask"]
    if not masks:
        return spec.classes or {}
    return dict(enumerate(masks[0].class_names)) if len(masks) == 1 else {}


def _named(names: Mapping[int, str]) -> dict[str, str]:
    return {str(number): name for number, name in names.items()}


def _description(spec: GeneratorSpec, file_format: PoolFileFormat) -> str:
    """What somebody must know who has nothing but the folder."""
    sentences = [f"All items are synthetic: the generator {spec.name} {spec.version} made them, no scanner or camera."]
    ranges = {output.value_range for output in spec.outputs.values() if output.kind == "image"}
    if file_format == "png" and ranges:
        spans = " or ".join(f"[{low:g}, {high:g}]" for low, high in sorted(ranges))
        sentences.append(f"Pixel values 0 to 255 of images stand for {spans}.")
    return " ".join([*sentences, *spec.warnings])
