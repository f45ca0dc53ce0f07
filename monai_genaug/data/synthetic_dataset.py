# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A MONAI data set of synthetic items."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import Dataset, MetaTensor, get_track_meta
from monai.data.utils import set_rnd
from monai.utils import MetaKeys
from torch import Tensor

from monai_genaug.data.random_states import _base_seed
from monai_genaug.data.temporary_folder import _TemporaryFolder
from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.class_labels import ClassLabel, plain_label, resolve_class_labels
from monai_genaug.generators.geometry import voxel_affine
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.pool import SamplePool
from monai_genaug.generators.pool_building import build_pool
from monai_genaug.generators.pool_storage import StorageType
from monai_genaug.generators.refreshed_pool import RefreshedPool
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.quality.leakage import HeldOutHashes, OnOverlap, check_leakage

__all__ = ["SyntheticDataset"]

_PROVENANCE = ("is_synthetic", "seed", "generator")


class SyntheticDataset(Dataset):
    """Synthetic items as a data set: a view of a pool of samples, built or opened when constructed.

    An item is a new dictionary: the outputs of the generator under ``keys`` (MetaTensors with the generator's voxel
    spacing and orientation, plain tensors where MONAI's ``track_meta`` is off), the class under ``class_key``,
    ``is_synthetic`` True, and the plain ``seed`` and ``generator`` that it came from. Items lie in the order of the
    plan, class by class. Item i is a function of the generator, ``plan``, ``seed``, ``truncation`` and i, whatever
    the batch size or the number of workers and ranks. No worker makes samples; all of them read the same file.

    ``set_random_state``, which MONAI's ``DataLoader`` calls in every worker, is handed on to the transform, folded with
    what the pool holds: two such data sets in one ``ConcatDataset`` don't repeat each other's augmentations.

    The items can be the data of a ``CacheDataset``. A ``PersistentDataset`` over them needs a ``hash_func`` of
    ``generator``, ``seed`` and class, since MONAI's own hash of a tensor depends on its address.

    Args:
        generator: a generator, or what :func:`load_generator` accepts.
        plan: number of items; ``{class: number}`` for a generator with classes, see :func:`plan_counts`.
        keys: where the outputs go, parallel to ``generator.spec.outputs``; by default an image to ``"image"`` and a
            mask to ``"label"``.
        transform: applied to every item, like that of any MONAI data set.
        class_key: where an item's class goes, only for a generator with classes. By default ``"label"`` if no output
            is a mask; otherwise it must be given.
        seed: another one gives other items.
        truncation: see :meth:`SampleGenerator.sample`.
        cache_dir: folder of the pool, in an existing folder; what is there already is opened or completed. Ranks share
            it and must make the data set together. By default a temporary folder for each rank, which goes with the
            last reference to this data set.
        class_map: how the real data write the classes: {their label: the generator's class}. The plan then names
            those labels, and items carry them. By default the plan names the generator's ids or names, and items carry
            ids.
        dtype: how images are stored, see :func:`build_pool`; items are float32.
        refreshed: make :attr:`pool` a :class:`RefreshedPool`, for new samples during training (:class:`PoolRefresh`).
        held_out: validation or test items as :func:`check_leakage` takes them, or their :func:`held_out_hashes`: the
            generator must not have been trained on them.
        on_overlap: what happens if it was: ``"warn"`` (:class:`LeakageWarning`) or ``"raise"``
            (:class:`LeakageError`); a provenance without hashes warns.

    Raises:
        ValueError: keys, classes, counts or a truncation that are not allowed, or a ``cache_dir`` with another pool.

    Example:
        >>> plan = mg.plan_counts([0] * 10 + [1] * 40, "balance")
        >>> data = mg.SyntheticDataset("breast_us_cgan", plan, class_map={0: "malignant", 1: "normal or benign"})
        >>> len(data), data[0]["label"], data[0]["is_synthetic"]
        (30, 0, True)
        >>> real = [{"image": torch.zeros(1, 28, 28), "label": 1}]
        >>> len(mg.data.mix_concatenate(real, data))
        31
    """

    def __init__(
        self,
        generator: SampleGenerator | str | os.PathLike[str],
        plan: int | Mapping[Any, int],
        keys: str | Sequence[str] | None = None,
        transform: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None,
        class_key: str | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        cache_dir: str | os.PathLike[str] | None = None,
        class_map: Mapping[Any, ClassLabel] | None = None,
        dtype: StorageType = "float32",
        refreshed: bool = False,
        held_out: Sequence[Mapping[str, Any]] | HeldOutHashes | None = None,
        on_overlap: OnOverlap = "warn",
    ) -> None:
        generator = load_generator(generator)
        spec = generator.spec
        self.keys = _checked_keys(keys, spec)
        self.class_key = _checked_class_key(class_key, self.keys, spec)
        if held_out is not None:
            check_leakage(generator, held_out, self.keys, on_overlap=on_overlap)
        names = _labels_by_class(class_map, spec)
        counts = _translated(plan, class_map, spec)
        temporary = _TemporaryFolder() if cache_dir is None else None
        folder = Path(cache_dir) if temporary is None else temporary.path / Path(spec.name).name  # type: ignore[arg-type]
        make: Callable[..., SamplePool | RefreshedPool] = RefreshedPool if refreshed else build_pool
        self.pool = make(
            generator, counts, folder, seed=seed, truncation=truncation, dtype=dtype, distributed=temporary is None
        )
        self._identity = self.pool.record.identity
        self.labels = None if self.pool.classes is None else tuple(names[number] for number in self.pool.classes)
        """The class of every item, as items carry it; None for a generator without classes."""
        super().__init__(_PoolItems(self.pool, self.keys, self.class_key, self.labels, _blank(spec)), transform)
        self._folder = temporary  # after the pool: attributes go in this order, and what is being built goes first

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> SyntheticDataset:
        """Seeds the random transforms."""
        folded = derive_seed("SyntheticDataset", _base_seed(seed, state), self._identity)
        set_rnd(self.transform, folded % 2**32)
        return self


@dataclass(frozen=True, eq=False)
class _PoolItems(Sequence[dict[str, Any]]):
    """The items before the transform."""

    pool: SamplePool | RefreshedPool
    keys: tuple[str, ...]
    class_key: str | None
    labels: tuple[ClassLabel, ...] | None
    blank: MetaTensor

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, index: Any) -> Any:
        number = range(len(self))[index]
        pool = self.pool.present if isinstance(self.pool, RefreshedPool) else self.pool
        item: dict[str, Any] = {}
        for key, tensor in zip(self.keys, pool[number].values(), strict=True):
            values = tensor.clone()  # not the pool's memory: transforms may write into it
            item[key] = _like(self.blank, values) if get_track_meta() else values
        if self.class_key is not None and self.labels is not None:
            item[self.class_key] = self.labels[number]
        provenance = (True, pool.record.item_seed(number), pool.spec.name)
        return {**item, **dict(zip(_PROVENANCE, provenance, strict=True))}


def _blank(spec: GeneratorSpec) -> MetaTensor:
    """One voxel with the meta data of a generator's samples."""
    return MetaTensor(torch.zeros(1, *[1] * len(spec.spatial_shape)), affine=voxel_affine(spec))


def _like(blank: MetaTensor, values: Tensor) -> MetaTensor:
    """The values with meta data of their own; MONAI's constructor takes five times as long to make them."""
    tensor = values.as_subclass(MetaTensor)
    tensor.copy_meta_from(blank)
    tensor.meta[MetaKeys.AFFINE] = blank.meta[MetaKeys.AFFINE].clone()
    return tensor


def _checked_keys(keys: str | Sequence[str] | None, spec: GeneratorSpec) -> tuple[str, ...]:
    kinds = [output.kind for output in spec.outputs.values()]
    if keys is None:
        usual = {"image": "image", "mask": "label"}
        names = tuple(
            usual[kind] if kinds.count(kind) == 1 else name for name, kind in zip(spec.outputs, kinds, strict=True)
        )
    else:
        names = (keys,) if isinstance(keys, str) else tuple(keys)
    if len(names) != len(kinds) or len(set(names)) != len(names) or set(names) & set(_PROVENANCE):
        raise ValueError(
            f"keys are {names}, generator {spec.name!r} needs one for each of its outputs {list(spec.outputs)}, "
            f"all different and none of {_PROVENANCE}."
        )
    return names


def _checked_class_key(class_key: str | None, keys: tuple[str, ...], spec: GeneratorSpec) -> str | None:
    if spec.classes is None:
        if class_key is not None:
            raise ValueError(f"class_key is {class_key!r}, but generator {spec.name!r} has no classes.")
        return None
    if class_key is None:
        if any(output.kind == "mask" for output in spec.outputs.values()):
            raise ValueError(f"generator {spec.name!r} makes masks and has classes: give class_key.")
        class_key = "label"
    if class_key in (*keys, *_PROVENANCE):
        raise ValueError(f"class_key is {class_key!r}, which is taken: keys are {keys}, provenance is {_PROVENANCE}.")
    return class_key


def _labels_by_class(class_map: Mapping[Any, ClassLabel] | None, spec: GeneratorSpec) -> dict[int, ClassLabel]:
    """The generator's class id -> what items carry."""
    if class_map is None:
        return {number: number for number in spec.classes or {}}
    ids = resolve_class_labels(list(class_map.values()), len(class_map), spec) or []
    if len(set(ids)) != len(ids):
        raise ValueError(f"class_map {dict(class_map)} gives one class of the generator two labels.")
    return {number: plain_label(label) for number, label in zip(ids, class_map, strict=True)}


def _translated(
    plan: int | Mapping[Any, int], class_map: Mapping[Any, ClassLabel] | None, spec: GeneratorSpec
) -> int | Mapping[ClassLabel, int]:
    """The plan in the generator's classes."""
    if class_map is None or not isinstance(plan, Mapping):
        return plan
    unknown = [label for label in plan if label not in class_map]
    if unknown:
        raise ValueError(f"plan names {unknown}, class_map of generator {spec.name!r} has {list(class_map)}.")
    return {class_map[label]: count for label, count in plan.items()}
