# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The step that all transforms share: given items, seeds and classes, make samples that take the items' places."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

import torch
from monai.data import MetaTensor
from monai.utils import ensure_tuple
from torch import Tensor

from monai_genaug.generators.base import LatentGenerator, SampleGenerator
from monai_genaug.generators.class_labels import plain_label
from monai_genaug.generators.spec import OutputSpec
from monai_genaug.transforms.adapting import _adapt_array, _adapted, _check_adapt
from monai_genaug.transforms.label_maps import LabelMap, _ClassMap, _MaskMap
from monai_genaug.transforms.matching import (
    Item,
    _as_tensor,
    _centred,
    _check_axes,
    _check_image,
    _check_shape,
    _copied_like,
    _extended,
    _with_meta_of,
)

__all__: list[str] = []

Mode = Literal["sample", "reconstruct", "perturb", "edit", "interpolate"]


class _Synthesis:
    """What to make and how it is fitted to an item; all arguments are checked here, once.

    Args:
        generator: the generator.
        keys: item keys, parallel to ``outputs``.
        outputs: names of the generator's outputs, None for all of them.
        mode, class_map, mask_map, strength, truncation, adapt: see :class:`RandGenerativeSampled`.

    Raises:
        ValueError: a value that is not allowed; the text names it and the allowed ones.
        TypeError: a mode other than ``"sample"`` and a generator without encoder.
    """

    def __init__(
        self,
        generator: SampleGenerator,
        keys: Sequence[Hashable],
        outputs: str | Sequence[str] | None = None,
        mode: Mode = "sample",
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        strength: float = 1.0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
    ) -> None:
        spec = generator.spec
        self.generator, self.mode, self.strength, self.truncation = generator, mode, float(strength), float(truncation)
        self.adapt = adapt
        self.outputs = _paired(tuple(keys), outputs, spec.outputs, spec.name)
        self.class_map = _ClassMap(spec, class_map)
        masks = {key: spec.outputs[name] for key, name in self.outputs.items() if spec.outputs[name].kind == "mask"}
        if mask_map is not None and not masks:
            raise ValueError(f"mask_map={mask_map!r} was given, but no mask is among outputs {self._names()}.")
        self.mask_maps = {key: _MaskMap(output, mask_map) for key, output in masks.items()}
        self._check_mode()
        self._check_numbers()
        _check_adapt(adapt)

    @classmethod
    def of_array(cls, generator: SampleGenerator, adapt: Callable[[Any], Any] | None, **options: Any) -> _Synthesis:
        """For array transforms: one output, under the key ``"img"``; ``adapt`` takes a tensor.

        Raises:
            ValueError: a generator with several outputs.
        """
        names = tuple(generator.spec.outputs)
        if len(names) != 1:
            raise ValueError(
                f"generator {generator.spec.name!r} makes {names}: array transforms are for one output, use the "
                "dictionary version (name ending in d)."
            )
        _check_adapt(adapt)
        return cls(generator, ("img",), adapt=None if adapt is None else partial(_adapt_array, adapt), **options)

    def read(self, data: Mapping[Hashable, Any], keys: Sequence[Hashable], batched: bool = False) -> Item:
        """The tensors of an item, or of a batch, checked against the generator.

        Args:
            data: ``(C, *spatial)`` by key, ``(n, C, *spatial)`` of a batch.
            keys: which of them.
            batched: whether it is a batch.

        Raises:
            ValueError, TypeError: what doesn't fit, with both sides named.
        """
        tensors = {key: _as_tensor(data[key], key) for key in keys}
        for key, tensor in tensors.items():
            self._check(key, tensor, batched)
        return tensors

    def _check(self, key: Hashable, tensor: Tensor, batched: bool) -> None:
        """Refuses a tensor that samples can't stand in for."""
        spec, output, adapted = self.generator.spec, self._output(key), self.adapt is not None
        plain = tensor.as_subclass(Tensor)
        _check_shape(tuple(plain.shape[int(batched) :]), spec, output, key, adapted)
        if not adapted:
            _check_axes(tensor, spec, key)
        if output.kind == "image":
            _check_image(plain, spec, output, key, adapted)
        elif not adapted:
            self.mask_maps[key].check(plain, key)

    def class_id(self, label: Any, lenient: bool = False) -> int | None:
        """The class to make for an item's label; None for a generator without classes.

        Args:
            label: the item's label, None if it has none.
            lenient: None also for a label that the generator doesn't know, which is then never made.

        Raises:
            ValueError: a label that is missing, not wanted or unknown.
        """
        spec = self.generator.spec
        if spec.classes is None:
            if label is not None and not lenient:
                raise ValueError(f"generator {spec.name!r} has no classes, but an item has the class label {label!r}.")
            return None
        if label is None:
            raise ValueError(f"generator {spec.name!r} needs a class label, one of {spec.classes}.")
        if lenient and self.class_map.find(plain_label(label)) is None:
            return None
        return self.class_map.class_id(label)

    def make(self, items: Sequence[Item], seeds: Sequence[int], classes: Sequence[int] | None) -> list[Item]:
        """One fitted sample per item, in one call of the generator.

        Args:
            items: checked tensors ``(C, *spatial)`` by key; they may have different shapes, but the same keys.
            seeds: one per item.
            classes: the generator's class id per item, None for a generator without classes.
        """
        samples = self._run(items, list(items[0]), seeds, classes)
        return [
            self.fit({name: values[row] for name, values in samples.items()}, item, seed)
            for row, (item, seed) in enumerate(zip(items, seeds, strict=True))
        ]

    def fit(self, sample: Mapping[str, Tensor], item: Item, seed: int) -> Item:
        """A sample in an item's place: with its keys, mask values, shape, type, dtype, device and meta data.

        Args:
            sample: output name -> ``(C, *spatial)``; it is copied.
            item: checked tensors ``(C, *spatial)`` by key.
            seed: the sample's, which the meta data get.
        """
        values = {key: sample[self.outputs[key]] for key in item}
        for key in self.mask_maps.keys() & item.keys():
            values[key] = self.mask_maps[key].to_item(values[key])
        if self.adapt is not None:
            values = _adapted(self.adapt, values, item, self.generator.spec)
        made = {key: _with_meta_of(self._placed(key, values[key], item[key]), item[key]) for key in item}
        _write_provenance(made, self.generator.spec.name, seed)
        return made

    def _placed(self, key: Hashable, sample: Tensor, item: Tensor) -> Tensor:
        """A copy of a sample's tensor with shape, dtype and device of the item's."""
        plain = item.as_subclass(Tensor)
        values = _copied_like(sample, plain)
        if values.shape != plain.shape:
            outside = plain if self.mode == "edit" else torch.full_like(plain, self._fill(key, values))
            values = _centred(values, outside)
        if self.mode == "edit" and key in self.mask_maps:
            self.mask_maps[key].keep(values, plain)
        return values

    def _run(
        self, items: Sequence[Item], keys: Sequence[Hashable], seeds: Sequence[int], classes: Sequence[int] | None
    ) -> dict[str, Tensor]:
        generator = self.generator
        if self.mode == "sample":
            return generator.sample(seeds, classes, self.truncation)
        assert isinstance(generator, LatentGenerator)
        missing = [name for name in generator.spec.encodes if name not in [self.outputs[key] for key in keys]]
        if missing:
            raise KeyError(f"mode {self.mode!r}: the encoder reads {missing}, but the item has only the keys {keys}.")
        batch = {self.outputs[key]: torch.stack([self._own_space(key, item[key]) for item in items]) for key in keys}
        with torch.no_grad():
            if self.mode == "reconstruct":
                return generator.reconstruct(batch, classes)
            vary = {"perturb": generator.perturb, "edit": generator.edit, "interpolate": generator.interpolate}
            return vary[self.mode](batch, seeds, self.strength, classes)

    def _own_space(self, key: Hashable, tensor: Tensor) -> Tensor:
        """An item's tensor as the generator would have made it: its shape, dtype, labels and device."""
        spec, output = self.generator.spec, self._output(key)
        plain = tensor.as_subclass(Tensor)
        if key in self.mask_maps:
            plain = self.mask_maps[key].to_generator(plain)
        elif spec.padding == "edge":
            return _extended(plain, spec.spatial_shape).to(self.generator.device)
        shape = (output.channels, *spec.spatial_shape)
        canvas = torch.full(shape, output.value_range[0], dtype=getattr(torch, output.dtype), device=plain.device)
        return _centred(plain, canvas).to(self.generator.device)

    def _fill(self, key: Hashable, sample: Tensor) -> float:
        """What surrounds a sample that is smaller than the item: the lowest intensity, or the background label."""
        if key in self.mask_maps:
            return self.mask_maps[key].background
        return float(sample.min() if self.adapt is not None else self._output(key).value_range[0])

    def _output(self, key: Hashable) -> OutputSpec:
        return self.generator.spec.outputs[self.outputs[key]]

    def _names(self) -> tuple[str, ...]:
        return tuple(self.outputs.values())

    def _check_mode(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode is {self.mode!r}, allowed: {get_args(Mode)}.")
        if self.mode == "sample":
            return
        spec = self.generator.spec
        if not isinstance(self.generator, LatentGenerator) or not spec.encodes:
            raise TypeError(
                f"mode {self.mode!r} needs an encoder, generator {spec.name!r} has none; allowed: 'sample'."
            )
        missing = [name for name in spec.encodes if name not in self._names()]
        if missing:
            raise ValueError(
                f"mode {self.mode!r}: the encoder of {spec.name!r} reads {spec.encodes}, but outputs {self._names()} "
                f"leave out {missing}."
            )
        if self.adapt is not None:
            raise ValueError(
                f"mode {self.mode!r} encodes the item, which must be in the generator's space: adapt is not allowed."
            )

    def _check_numbers(self) -> None:
        highest = 1.0 if self.mode == "interpolate" else math.inf
        if not (0.0 <= self.strength <= highest and math.isfinite(self.strength)):
            raise ValueError(
                f"strength is {self.strength!r}, allowed for mode {self.mode!r}: 0 to {highest:g}, finite."
            )
        spec = self.generator.spec
        allowed = "(0, 1]" if spec.truncation else "1.0 only, the generator has no truncation"
        if not 0.0 < self.truncation <= 1.0 or (self.truncation != 1.0 and not spec.truncation):
            raise ValueError(f"truncation is {self.truncation!r}, allowed for generator {spec.name!r}: {allowed}.")


def _paired(
    keys: tuple[Hashable, ...], outputs: str | Sequence[str] | None, known: Mapping[str, OutputSpec], name: str
) -> dict[Hashable, str]:
    names = tuple(known) if outputs is None else ensure_tuple(outputs)
    unknown = [output for output in names if output not in known]
    if unknown:
        raise ValueError(f"outputs {unknown} are unknown to generator {name!r}, allowed: {tuple(known)}.")
    if len(set(names)) != len(names) or len(set(keys)) != len(keys):
        raise ValueError(f"keys {keys} and outputs {names} must not repeat.")
    if len(keys) != len(names):
        raise ValueError(
            f"keys {keys} must run parallel to the outputs {names} of generator {name!r}: one key per output, or "
            "outputs=(...) to use only some."
        )
    return dict(zip(keys, names, strict=True))


def _write_provenance(sample: Item, name: str, seed: int) -> None:
    """Adds where a sample comes from to its meta data, as plain str and int, which every cache can store."""
    for tensor in sample.values():
        if isinstance(tensor, MetaTensor):
            tensor.meta.update(synthetic_generator=name, synthetic_seed=int(seed))
