# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How samples are made with a third-party bundle, declared as plain data."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["BundleRecipe", "ConditionRange", "NoiseSource", "merge_recipes", "read_recipe"]

_SHIPPED = Path(__file__).resolve().parent / "recipes"
_DISTRIBUTIONS = ("normal", "uniform")


@dataclass(frozen=True)
class NoiseSource:
    """Where the noise enters that a sample is made of.

    Args:
        id: of the config item that is the noise, with the batch as its first axis; one that the config lacks is added.
        distribution: ``"normal"`` (standard) or ``"uniform"`` (on [0, 1)); None: found by drawing once.
        shape: of the noise of one sample; None: found by drawing once.
        like: id whose value shows shape and distribution, such as a data set of latent codes; None: ``id``.
    """

    id: str
    distribution: Literal["normal", "uniform"] | None = None
    shape: tuple[int, ...] | None = None
    like: str | None = None

    def __post_init__(self) -> None:
        if self.distribution is not None and self.distribution not in _DISTRIBUTIONS:
            raise ValueError(f"noise.distribution is {self.distribution!r}, allowed: {_DISTRIBUTIONS}, None.")
        if self.shape is not None:
            object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
            if not self.shape or min(self.shape) < 1:
                raise ValueError(f"noise.shape is {self.shape}, allowed: positive sizes.")


@dataclass(frozen=True)
class ConditionRange:
    """What a condition is per sample: uniform in ``[low, high]``, or one of ``choices``.

    A number is the condition of all samples.
    """

    low: float = 0.0
    high: float = 0.0
    choices: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, value: Any) -> ConditionRange:
        """From a number, a pair ``[low, high]``, or ``{"choices": [...]}``.

        Raises:
            ValueError: anything else.
        """
        if isinstance(value, ConditionRange):
            return value
        if isinstance(value, Mapping) and set(value) == {"choices"} and value["choices"]:
            return cls(choices=tuple(float(choice) for choice in value["choices"]))
        pair = value if isinstance(value, (list, tuple)) else [value, value]
        numbers = [v for v in pair if isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)]
        if len(numbers) != 2 or len(pair) != 2 or numbers[0] > numbers[1]:
            raise ValueError(
                f'conditions.{name} is {value!r}, allowed: a number, [low, high] or {{"choices": [numbers]}}.'
            )
        return cls(float(numbers[0]), float(numbers[1]))

    def plain(self) -> Any:
        """The inverse of :meth:`of`."""
        if self.choices:
            return {"choices": list(self.choices)}
        return self.low if self.low == self.high else [self.low, self.high]

    def at(self, u: float) -> float:
        """The value at ``u`` in (0, 1)."""
        if self.choices:
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class BundleRecipe:
    """How samples are made with a third-party bundle; plain data with a JSON round trip.

    Config ids are those of the bundle's configs, with ``::`` between the levels.

    Args:
        sample: a config id, or an expression (``"$@network(@noise)"``), whose value is a batch of samples
            ``(n, channels, *spatial)``, or a function that makes one from the noise; with ``output_dir``, file names.
        config_files: relative to the bundle; empty: the usual names.
        noise: where the noise enters; None: whatever the bundle draws, one seed per call.
        overrides: config id -> the value instead of the bundle's.
        setup: ids or expressions that are evaluated once, in order, before the first sample: loading of weights,
            the number of steps. What ``sample`` refers to is evaluated without being listed.
        weights: id of a network -> file in the bundle, for networks that no item of ``setup`` loads.
        postprocessing: id of a MONAI transform that each sample goes through; transforms that save are left out.
        conditions: config id of a number -> what it is per sample, see :class:`ConditionRange`.
        class_id: config id that gets the number of the class; None for an unconditional bundle.
        classes: class id -> class name; given exactly if ``class_id`` is.
        spec: fields of :class:`~monai_genaug.generators.GeneratorSpec` instead of those that the metadata give.
            ``value_range`` stands for that of the image, ``mask_classes`` for the names of the labels 0, 1, ... of the
            mask. A text that begins with ``$`` is an expression of the bundle's config.
        outputs: ``image`` and, if there is one, ``mask`` -> key or position in what ``sample`` gives; empty: it is the
            image.
        output_dir: config id of the folder that ``sample`` writes to, if it writes files and gives their names: one
            item per sample, which is the name of the image, or holds the names of the ``outputs``. The folder is a
            temporary one in every call.
        seed_id: config id that gets a number below 2^32 that is a function of the seed, for bundles that seed
            themselves; None for others.
    """

    sample: str
    config_files: tuple[str, ...] = ()
    noise: NoiseSource | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    postprocessing: str | None = None
    conditions: Mapping[str, ConditionRange] = field(default_factory=dict)
    class_id: str | None = None
    classes: Mapping[int, str] | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, int | str] = field(default_factory=dict)
    output_dir: str | None = None
    seed_id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.sample, str) or not self.sample:
            raise ValueError(f"sample is {self.sample!r}, allowed: a config id or a $expression.")
        for name in ("config_files", "setup"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{name} is {value!r}, allowed: a list of texts.")
            object.__setattr__(self, name, tuple(value))
        self._check_outputs()
        if (self.class_id is None) != (self.classes is None):
            raise ValueError(f"class_id is {self.class_id!r} and classes {self.classes!r}: give both or none.")
        object.__setattr__(
            self, "conditions", {key: ConditionRange.of(key, value) for key, value in self.conditions.items()}
        )
        if self.classes is not None:
            object.__setattr__(self, "classes", {int(k): str(v) for k, v in self.classes.items()})

    def _check_outputs(self) -> None:
        for name in ("output_dir", "seed_id"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value):
                raise ValueError(f"{name} is {value!r}, allowed: a config id.")
        if not isinstance(self.outputs, Mapping) or set(self.outputs) not in (set(), {"image"}, {"image", "mask"}):
            raise ValueError(f"outputs is {self.outputs!r}, allowed: a dict with 'image', or with 'image' and 'mask'.")
        for name, key in self.outputs.items():
            if isinstance(key, bool) or not isinstance(key, (int, str)) or (isinstance(key, int) and key < 0):
                raise ValueError(f"outputs.{name} is {key!r}, allowed: a key or a position 0, 1, ...")
        if ("mask" in self.outputs) != ("mask_classes" in self.spec):
            raise ValueError(
                f"outputs is {dict(self.outputs)} and spec.mask_classes {self.spec.get('mask_classes')!r}: "
                "say for a mask both where it is and how its labels are called."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the inverse of :meth:`from_dict`."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["noise"] = None if self.noise is None else dataclasses.asdict(self.noise)
        values["conditions"] = {key: value.plain() for key, value in self.conditions.items()}
        plain: dict[str, Any] = json.loads(json.dumps(values))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BundleRecipe:
        """From plain values.

        Raises:
            ValueError: an unknown field, no ``sample``, or a value that is not allowed.
        """
        check_recipe_fields(values)
        if "sample" not in values:
            raise ValueError("field sample is missing: the config id or $expression that makes the samples.")
        plain = {key: value for key, value in values.items() if value is not None}
        if isinstance(plain.get("noise"), Mapping):
            plain["noise"] = NoiseSource(**plain["noise"])
        return cls(**plain)


def check_recipe_fields(values: Mapping[str, Any]) -> None:
    """Refuses what is no recipe, nor a part of one.

    Raises:
        ValueError: not a mapping, or an unknown field; the known ones are listed.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"a recipe is {type(values).__name__}, allowed: a dict or the path of a JSON file.")
    known = {
        "recipe": [f.name for f in dataclasses.fields(BundleRecipe)],
        "noise": [f.name for f in dataclasses.fields(NoiseSource)],
    }
    for where, part in (("recipe", values), ("noise", values.get("noise") or {})):
        unknown = sorted(set(part) - set(known[where])) if isinstance(part, Mapping) else [repr(part)]
        if unknown:
            raise ValueError(f"{where}: unknown fields {unknown}, known are {known[where]}.")


def read_recipe(source: BundleRecipe | Mapping[str, Any] | str | os.PathLike[str] | None) -> dict[str, Any]:
    """A recipe, or a part of one, from a dict or a JSON file; None: empty.

    Raises:
        ValueError: no such file, not JSON, or an unknown field.
    """
    if source is None:
        return {}
    if isinstance(source, BundleRecipe):
        return source.to_dict()
    if isinstance(source, (str, os.PathLike)):
        try:
            values = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"recipe {os.fspath(source)!r} cannot be read: {error}") from error
    else:
        values = source
    check_recipe_fields(values)
    return dict(values)


def shipped_recipe(name: str) -> dict[str, Any]:
    """What the package knows about a bundle of the model zoo by its name; empty for any other."""
    path = _SHIPPED / f"{name}.json"
    return read_recipe(path) if name in shipped_recipe_names() else {}


def shipped_recipe_names() -> list[str]:
    """Names of the bundles of the model zoo that the package has a recipe for."""
    return sorted(path.stem for path in _SHIPPED.glob("*.json"))


def merge_recipes(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """One recipe from parts: a later part overrides an earlier one, dictionaries key by key."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
            merged[key] = {**merged[key], **value} if both else value
    return merged
