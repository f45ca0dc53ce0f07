# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a generator makes, and where it comes from: plain frozen records with a JSON round trip."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["GeneratorSpec", "OutputSpec", "Provenance"]

_WORLD_AXES = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}

OutputKind = Literal["image", "mask"]


@dataclass(frozen=True)
class OutputSpec:
    """One named output of a generator.

    Args:
        kind: ``"image"`` (float32 intensities) or ``"mask"`` (integer labels).
        channels: number of channels of the tensor.
        value_range: smallest and largest value that the output can take.
        dtype: name of the torch dtype, ``"float32"`` for images, an integer type for masks.
        class_names: names of the labels ``0..n-1`` of a mask; empty for an image.
        levels: how many equally spaced values an image takes, 2 for shapes; None for all in the range.

    Example:
        >>> mg.OutputSpec("mask", 1, (0, 1), "uint8", ("background", "lesion")).value_range
        (0.0, 1.0)
    """

    kind: OutputKind
    channels: int
    value_range: tuple[float, float]
    dtype: str
    class_names: tuple[str, ...] = ()
    levels: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("image", "mask"):
            raise ValueError(f"OutputSpec.kind is {self.kind!r}, allowed: 'image', 'mask'.")
        if self.channels < 1:
            raise ValueError(f"OutputSpec.channels is {self.channels}, allowed: 1 or more.")
        low, high = self.value_range
        if not low < high:
            raise ValueError(f"OutputSpec.value_range is {self.value_range}, the first must be below the second.")
        allowed = ("float32",) if self.kind == "image" else ("uint8", "int16", "int32", "int64")
        if self.dtype not in allowed:
            raise ValueError(f"OutputSpec.dtype is {self.dtype!r}, allowed for kind {self.kind!r}: {allowed}.")
        if self.levels is not None and (self.levels < 2 or self.kind == "mask"):
            raise ValueError(f"OutputSpec.levels is {self.levels}, allowed: 2 and more for an image, None for a mask.")
        object.__setattr__(self, "value_range", (float(low), float(high)))
        object.__setattr__(self, "class_names", tuple(self.class_names))


@dataclass(frozen=True)
class Provenance:
    """Where the training data of a generator come from.

    ``item_hashes`` are hashes of the preprocessed content of every training item
    (:func:`monai_genaug.generators.hashing.content_hash`), since file names differ between copies of a data set.
    ``subject_hashes`` are salted hashes of subject identifiers; they hide nothing from somebody who can list the ids.

    Example:
        >>> provenance = mg.load_generator("breast_us_cgan").spec.provenance
        >>> provenance.dataset, len(provenance.item_hashes)
        ('BreastMNIST', 546)
    """

    dataset: str
    dataset_version: str = ""
    data_licence: str = ""
    split: str = ""
    item_hashes: tuple[str, ...] = ()
    subject_hashes: tuple[str, ...] = ()
    subject_salt: str = ""
    recipe: str = ""
    seed: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "item_hashes", tuple(self.item_hashes))
        object.__setattr__(self, "subject_hashes", tuple(self.subject_hashes))
        object.__setattr__(self, "metrics", dict(self.metrics))


@dataclass(frozen=True)
class GeneratorSpec:
    """What a generator makes.

    Args:
        name: name of the bundle, or of the generator made in Python.
        outputs: name -> :class:`OutputSpec`, in the order in which the transforms use them.
        spatial_shape: voxels per axis of every output.
        version, sha256: version of the generator and hash of its weights file, or of its weights in memory.
        spacing: size of a voxel in mm along each axis; None where it has no meaning.
        orientation: axis codes of the voxel axes, for example ``"RAS"``; None where it has no meaning.
        modality, anatomy: plain words for people and for listings.
        classes: class id -> class name of a conditional generator, None for an unconditional one.
        intensity: how raw intensities become ``value_range``: ``"percentiles"`` (0.5 to 99.5 of each volume),
            ``"minmax"`` (of each volume) or ``"range"`` (a fixed ``intensity_range``).
        intensity_range: the raw interval that maps to ``value_range`` when ``intensity`` is ``"range"``.
        padding: what surrounds a volume that is smaller than ``spatial_shape``: ``"constant"`` (the lowest value) or
            ``"edge"`` (the image's border voxels repeated, for crops out of a larger image). Masks get background.
        fitting: how an image of another size gets ``spatial_shape``: ``"pad_or_crop"`` (voxels keep their size) or
            ``"resize"`` (for images without physical size).
        truncation: whether ``sample(truncation=...)`` accepts values below 1.
        encodes: names of the outputs that ``encode`` reads; empty for a generator without encoder.
        reproducible_batches: False for a backend that needs one call per seed.
        data_licence, weights_licence: SPDX identifiers.
        warnings: what a user must know before using the samples, one sentence each.
        provenance: see :class:`Provenance`.

    Example:
        >>> spec = mg.load_generator("breast_us_cgan").spec
        >>> spec.spatial_shape, spec.weights_licence
        ((28, 28), 'CC-BY-4.0')
        >>> mg.GeneratorSpec.from_json(spec.to_json()) == spec
        True
    """

    name: str
    outputs: Mapping[str, OutputSpec]
    spatial_shape: tuple[int, ...]
    version: str = "0.0.0"
    sha256: str = ""
    spacing: tuple[float, ...] | None = None
    orientation: str | None = None
    modality: str = ""
    anatomy: str = ""
    classes: Mapping[int, str] | None = None
    intensity: Literal["percentiles", "minmax", "range"] = "percentiles"
    intensity_range: tuple[float, float] | None = None
    padding: Literal["constant", "edge"] = "constant"
    fitting: Literal["pad_or_crop", "resize"] = "pad_or_crop"
    truncation: bool = False
    encodes: tuple[str, ...] = ()
    reproducible_batches: bool = True
    data_licence: str = ""
    weights_licence: str = ""
    warnings: tuple[str, ...] = ()
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError("GeneratorSpec.outputs is empty, a generator needs at least one output.")
        if not self.spatial_shape or min(self.spatial_shape) < 1:
            raise ValueError(f"GeneratorSpec.spatial_shape is {self.spatial_shape}, allowed: positive sizes.")
        if self.spacing is not None and len(self.spacing) != len(self.spatial_shape):
            raise ValueError(f"GeneratorSpec.spacing {self.spacing} does not fit spatial_shape {self.spatial_shape}.")
        if self.spacing is not None and not min(self.spacing) > 0:
            raise ValueError(f"GeneratorSpec.spacing is {self.spacing}, allowed: positive sizes.")
        if self.orientation is not None:
            axes = [_WORLD_AXES.get(code) for code in self.orientation]
            if len(axes) != len(self.spatial_shape) or None in axes or len(set(axes)) != len(axes):
                raise ValueError(
                    f"GeneratorSpec.orientation is {self.orientation!r}, allowed for {self.spatial_shape}: "
                    f"{len(self.spatial_shape)} letters, at most one each of RL, AP and SI."
                )
        if self.intensity not in ("percentiles", "minmax", "range"):
            raise ValueError(
                f"GeneratorSpec.intensity is {self.intensity!r}, allowed: 'percentiles', 'minmax', 'range'."
            )
        if (self.intensity == "range") != (self.intensity_range is not None):
            raise ValueError("GeneratorSpec.intensity_range must be given exactly when intensity is 'range'.")
        if self.padding not in ("constant", "edge"):
            raise ValueError(f"GeneratorSpec.padding is {self.padding!r}, allowed: 'constant', 'edge'.")
        if self.fitting not in ("pad_or_crop", "resize"):
            raise ValueError(f"GeneratorSpec.fitting is {self.fitting!r}, allowed: 'pad_or_crop', 'resize'.")
        for name, value in (("encodes", self.encodes), ("warnings", self.warnings)):
            if isinstance(value, str):
                raise ValueError(f"GeneratorSpec.{name} is {value!r}, allowed: a tuple of texts.")
        object.__setattr__(self, "outputs", dict(self.outputs))
        object.__setattr__(self, "spatial_shape", tuple(int(s) for s in self.spatial_shape))
        if self.spacing is not None:
            object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing))
        if self.classes is not None:
            object.__setattr__(self, "classes", {int(k): str(v) for k, v in self.classes.items()})
        if self.intensity_range is not None:
            object.__setattr__(self, "intensity_range", tuple(float(v) for v in self.intensity_range))
        object.__setattr__(self, "encodes", tuple(self.encodes))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    def replace(self, **changes: Any) -> GeneratorSpec:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers; the inverse of :meth:`from_dict`."""
        plain: dict[str, Any] = json.loads(json.dumps(vars(self), default=vars))
        return plain

    def to_json(self) -> str:
        """The spec as a JSON text; the inverse of :meth:`from_json`."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeneratorSpec:
        """Builds a spec from plain values.

        Raises:
            ValueError: an unknown or missing field (named), or a value that is not allowed.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        missing = sorted({"name", "outputs", "spatial_shape"} - set(values))
        if unknown or missing:
            raise ValueError(f"generator spec: unknown fields {unknown}, missing fields {missing}.")
        plain = dict(values)
        plain["outputs"] = {name: _record(OutputSpec, output) for name, output in values["outputs"].items()}
        if values.get("provenance") is not None:
            plain["provenance"] = _record(Provenance, values["provenance"])
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> GeneratorSpec:
        """Builds a spec from the text that :meth:`to_json` wrote."""
        return cls.from_dict(json.loads(text))


def _record(kind: type[Any], values: Mapping[str, Any]) -> Any:
    fields = dataclasses.fields(kind)
    unknown = sorted(set(values) - {f.name for f in fields})
    required = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    missing = sorted(required - set(values))
    if unknown or missing:
        raise ValueError(f"{kind.__name__}: unknown fields {unknown}, missing fields {missing}.")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
