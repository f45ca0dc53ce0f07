# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Replaces items once and for all: which ones, and by what, depends on their ids alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.class_labels import plain_label
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.seeding import derive_seed
from monai_genaug.latent.draws import uniform
from monai_genaug.quality.leakage import OnOverlap
from monai_genaug.transforms.held_out import _check_held_out, _HeldOut
from monai_genaug.transforms.label_maps import LabelMap, _check_class_key, _item_label
from monai_genaug.transforms.matching import _present
from monai_genaug.transforms.synthesis import _Synthesis

__all__ = [
    "ReplaceWithSynthetic",
    "ReplaceWithSyntheticd",
    "ReplaceWithSyntheticD",
    "ReplaceWithSyntheticDict",
]


class ReplaceWithSynthetic(Transform):
    """Array version of :class:`ReplaceWithSyntheticd`, for a generator with one output.

    Args:
        generator: name of a shipped bundle, path of a bundle folder, or a generator.
        fraction: expected part of the items that is replaced, in [0, 1].
        class_map: see :class:`ReplaceWithSyntheticd`, as for the following.
        mask_map: item value -> class name of the generator's mask, where its output is one.
        seed: another seed replaces other items, by other samples.
        truncation: in (0, 1].
        adapt: deterministic array transform, applied to the generated tensor first.

    Example:
        >>> replace = mg.ReplaceWithSynthetic("breast_us_cgan")
        >>> first, again = (replace(torch.zeros(1, 28, 28), "patient 7", "malignant") for _ in range(2))
        >>> torch.equal(first, again)
        True
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        generator: str | Path | SampleGenerator,
        fraction: float = 1.0,
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        seed: int = 0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
    ) -> None:
        self.fraction, self.seed = _checked_fraction(fraction), int(seed)
        self._synthesis = _Synthesis.of_array(
            load_generator(generator), adapt, class_map=class_map, mask_map=mask_map, truncation=truncation
        )

    def __call__(self, img: Any, item_id: Any, class_label: Any = None) -> Tensor:
        """Returns the item, or the generated one that belongs to its id.

        Args:
            img: ``(C, *spatial)`` in the generator's space.
            item_id: an int or str that no other item has.
            class_label: the item's class, given exactly if the generator has classes.
        """
        item = self._synthesis.read({"img": img}, ["img"])
        classes = _classes(self._synthesis, class_label)
        sample_seed = _sample_seed(self.seed, item_id, self.fraction)
        return item["img"] if sample_seed is None else self._synthesis.make([item], [sample_seed], classes)[0]["img"]


class ReplaceWithSyntheticd(MapTransform):
    """Replaces a fixed part of a data set by generated items.

    Whether an item is replaced, and by which sample, is a function of ``seed`` and the item's id alone. So it is the
    same in every epoch, worker and rank and on every machine, it can be cached (``CacheDataset``; ``PersistentDataset``
    needs ``hash_transform=pickle_hashing``), and a data set can be shared without the patients.

    A sample takes the item's type, dtype, device, shape and meta data, with ``synthetic_generator`` and
    ``synthetic_seed`` added to those of a MetaTensor.

    Args:
        keys: keys of the tensors to replace, parallel to ``outputs``.
        generator: name of a shipped bundle, path of a bundle folder, or a generator.
        id_key: key of the item's id, an int or str that no other item has; see :func:`assign_ids`.
        fraction: expected part of the items that is replaced, in [0, 1].
        outputs: outputs of the generator to use, None for all.
        flag_key: key of a flag: only items where it is true can be replaced. None: all.
        class_key: key of the item's class; needed for a generator with classes.
        class_map: item value -> class name for integer classes, or ``"identity"`` if they are the generator's ids.
        mask_map: the same for the values of masks; None if they are the generator's.
        seed: another seed replaces other items, by other samples.
        truncation: in (0, 1]: 1 is the whole distribution, towards 0 samples are close to the mean.
        adapt: deterministic dictionary transform, applied first to the generated dictionary; see
            :class:`RandGenerativeSampled`.
        synthetic_key: key of the flag that every item gets, True for a generated one and for one that came as such;
            None for no flag.
        allow_missing_keys: skip keys that an item doesn't have.
        held_out: validation or test items as :func:`check_leakage` takes them, or their :func:`held_out_hashes`: the
            generator must not have been trained on them.
        on_overlap: what happens if it was: ``"warn"`` (:class:`LeakageWarning`) or ``"raise"``
            (:class:`LeakageError`); a provenance without hashes warns.

    Raises:
        ValueError: an argument that is not allowed; the text names it and the allowed ones.

    Example:
        >>> replace = mg.ReplaceWithSyntheticd("image", "breast_us_cgan", id_key="id", class_key="class_name")
        >>> item = replace({"image": torch.zeros(1, 28, 28), "id": "patient 7", "class_name": "malignant"})
        >>> item["is_synthetic"]
        True
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        keys: KeysCollection,
        generator: str | Path | SampleGenerator,
        id_key: Hashable,
        fraction: float = 1.0,
        outputs: str | Sequence[str] | None = None,
        flag_key: Hashable | None = None,
        class_key: Hashable | None = None,
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        seed: int = 0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
        synthetic_key: str | None = "is_synthetic",
        allow_missing_keys: bool = False,
        held_out: _HeldOut = None,
        on_overlap: OnOverlap = "warn",
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.fraction, self.seed = _checked_fraction(fraction), int(seed)
        loaded = load_generator(generator)
        _check_class_key(class_key, loaded.spec)
        self._synthesis = _Synthesis(
            loaded, self.keys, outputs, "sample", class_map, mask_map, truncation=truncation, adapt=adapt
        )
        _check_held_out(self._synthesis, held_out, on_overlap)
        self.id_key, self.flag_key, self.class_key = id_key, flag_key, class_key
        self.synthetic_key = synthetic_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns a copy of the item, its tensors replaced or not, with the flag ``synthetic_key``.

        Raises:
            KeyError: a key that the item doesn't have.
            ValueError: tensors, an id or a class label that don't fit.
        """
        d = dict(data)
        _present([key for key in (self.id_key, self.flag_key) if key is not None], d, False)
        item = self._synthesis.read(d, _present(self.keys, d, self.allow_missing_keys))
        classes = _classes(self._synthesis, _item_label(d, self.class_key))
        sample_seed = _sample_seed(self.seed, d[self.id_key], self.fraction)
        if not item or (self.flag_key is not None and not bool(d[self.flag_key])):
            sample_seed = None
        d.update(item if sample_seed is None else self._synthesis.make([item], [sample_seed], classes)[0])
        if self.synthetic_key is not None:
            d[self.synthetic_key] = sample_seed is not None or bool(d.get(self.synthetic_key, False))
        return d


ReplaceWithSyntheticD = ReplaceWithSyntheticDict = ReplaceWithSyntheticd


def _sample_seed(seed: int, item_id: Any, fraction: float) -> int | None:
    """The sample seed that belongs to an item, None if the item stays."""
    key = plain_label(item_id)
    coin = float(uniform([derive_seed("ReplaceWithSynthetic.coin", seed, key)], 1))
    return derive_seed("ReplaceWithSynthetic.sample", seed, key) if coin < fraction else None


def _classes(synthesis: _Synthesis, label: Any) -> list[int] | None:
    class_id = synthesis.class_id(label)
    return None if class_id is None else [class_id]


def _checked_fraction(fraction: float) -> float:
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction is {fraction!r}, allowed: 0 to 1.")
    return float(fraction)
