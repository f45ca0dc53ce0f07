# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Replaces items, at random and anew in every epoch, by what a generator makes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends, get_seed
from torch import Tensor

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.loading import load_generator
from monai_genaug.quality.leakage import OnOverlap
from monai_genaug.transforms.held_out import _check_held_out, _HeldOut
from monai_genaug.transforms.label_maps import LabelMap, _check_class_key, _item_label
from monai_genaug.transforms.look_ahead import _LookAhead
from monai_genaug.transforms.matching import Item, _present
from monai_genaug.transforms.shared_probability import _SharedProbability
from monai_genaug.transforms.synthesis import Mode, _Synthesis

__all__ = [
    "RandGenerativeSample",
    "RandGenerativeSampled",
    "RandGenerativeSampleD",
    "RandGenerativeSampleDict",
]


class _RandomSample(RandomizableTransform):
    """The randomness of both versions: a coin from ``R`` per call, and a sequence of samples for those that it chooses.

    One more draw from ``R``, after every ``set_random_state``, chooses the stream of the samples' seeds. So the coins
    do not depend on the samples, nor the samples on the coins.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, synthesis: _Synthesis, prob: float | Mapping[Any, float]) -> None:
        has_classes = synthesis.generator.spec.classes is not None
        self._synthesis = synthesis
        self._probability = _SharedProbability(prob, synthesis.class_map if has_classes else None)
        self._samples = _LookAhead(synthesis.generator, tuple(synthesis.outputs.values()), synthesis.truncation)
        self._do_transform = False
        self.set_random_state(seed=get_seed())  # as Compose does; MONAI's own R is shared by all unseeded transforms

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> _RandomSample:
        """Sets the state of the coins, and starts a new stream of samples that depends on it."""
        super().set_random_state(seed, state)
        self._samples.restart(int(self.R.randint(2**63 - 1, dtype=np.int64)))
        return self

    @property
    def prob(self) -> float | dict[ClassLabel, float]:
        """The present probability, or class -> probability.

        Setting a number changes it, also for loader workers that run already; of a probability per class, the number
        is the factor on those given at construction.
        """
        return self._probability.current()

    @prob.setter
    def prob(self, value: float) -> None:
        self._probability.level = value

    @property
    def generator(self) -> SampleGenerator:
        """The generator that makes the samples."""
        return self._synthesis.generator

    def _toss(self, label: Any) -> None:
        """Decides whether an item with this class label (None: it has none) is replaced."""
        self._do_transform = bool(self.R.rand() < self._probability.of(label))

    def _class_id(self, label: Any) -> int | None:
        return self._synthesis.class_id(label, lenient=self._probability.per_class)

    def _next(self, item: Item, class_id: int | None) -> tuple[int, Item]:
        """Seed of the next sample of a class, and the sample in the item's place."""
        if self._synthesis.mode == "sample":
            seed, sample = self._samples.sample(class_id)
            return seed, self._synthesis.fit(sample, item, seed)
        seed = self._samples.seed(class_id)
        return seed, self._again(item, class_id, seed)

    def _again(self, item: Item, class_id: int | None, seed: int) -> Item:
        """The sample of this seed in the item's place."""
        return self._synthesis.make([item], [seed], None if class_id is None else [class_id])[0]


class RandGenerativeSample(_RandomSample):
    """Array version of :class:`RandGenerativeSampled`, for a generator with one output.

    Args:
        generator: name of a shipped bundle, path of a bundle folder, or a generator.
        prob: probability of replacing an item, or class -> probability.
        mode: see :class:`RandGenerativeSampled`, as for the following.
        class_map: item value -> class name, or ``"identity"``.
        mask_map: item value -> class name of the generator's mask, where its output is one.
        strength: how far the modes ``"perturb"``, ``"edit"`` and ``"interpolate"`` go.
        truncation: in (0, 1], of the mode ``"sample"``.
        adapt: deterministic array transform, applied to the generated tensor first.

    Example:
        >>> replace = mg.RandGenerativeSample("breast_us_cgan", prob=1.0)
        >>> replace(torch.zeros(1, 28, 28), "malignant").shape
        torch.Size([1, 28, 28])
    """

    def __init__(
        self,
        generator: str | Path | SampleGenerator,
        prob: float | Mapping[Any, float] = 0.1,
        mode: Mode = "sample",
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        strength: float = 1.0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
    ) -> None:
        synthesis = _Synthesis.of_array(
            load_generator(generator),
            adapt,
            mode=mode,
            class_map=class_map,
            mask_map=mask_map,
            strength=strength,
            truncation=truncation,
        )
        super().__init__(synthesis, prob)
        self._seed: int | None = None

    def randomize(self, data: Any = None) -> None:
        """Tosses the coin; ``data`` is the item's class label. The next call that replaces takes a new sample."""
        self._toss(data)
        self._seed = None

    def __call__(self, img: Any, class_label: Any = None, randomize: bool = True) -> Tensor:
        """Returns the item, or a generated one of its class, type, dtype, device and shape.

        Args:
            img: ``(C, *spatial)`` in the generator's space.
            class_label: the item's class, given exactly if the generator has classes.
            randomize: False to repeat the last draw, coin and sample.

        Raises:
            ValueError: an item or a label that doesn't fit the generator.
        """
        item = self._synthesis.read({"img": img}, ["img"])
        class_id = self._class_id(class_label)
        if randomize:
            self.randomize(class_label)
        if not self._do_transform:
            return item["img"]
        if randomize or self._seed is None:
            self._seed, item = self._next(item, class_id)
            return item["img"]
        return self._again(item, class_id, self._seed)["img"]


class RandGenerativeSampled(_RandomSample, MapTransform):
    """Replaces an item, with probability ``prob``, by what a generator makes for its class.

    Place it after the transforms that bring items into the generator's space (``generator.preprocessing(keys)``) and
    before the random spatial and intensity ones. As a random transform it is where MONAI's caches end: every epoch
    gets new samples. Modes:

    * ``"sample"``: a new draw of the item's class;
    * ``"reconstruct"``: the item, encoded and decoded;
    * ``"perturb"``: a neighbour of the item in latent space;
    * ``"edit"``: the item plus what differs between its own decoding and a neighbour's; keeps its texture, and is the
      identity at ``strength=0``;
    * ``"interpolate"``: between the item's code and a draw of its class, at ``t ~ U(0, strength)``.

    Samples are reproducible for a fixed seed and number of workers and ranks, and no two have the same seed across
    workers, ranks and epochs, with MONAI's DataLoader and with torch's. Only the members of a ``ConcatDataset`` that
    have a ``Compose`` each repeat each other, since MONAI seeds all of them alike: :func:`mix_concatenate` seeds them
    differently (with torch's DataLoader, call its ``set_random_state``), and one ``Compose`` for all needs nothing.
    Coins and samples do not depend on each other: the k-th sample of a class is a function of the random state, the
    rank, the worker, the class and k. So in mode ``"sample"`` the generator makes ``generator.look_ahead`` at once, and
    those that no item needs yet wait in memory.

    A sample takes the item's type, dtype, device, shape and meta data, with ``synthetic_generator`` and
    ``synthetic_seed`` added to those of a MetaTensor.

    Args:
        keys: keys of the tensors to replace, parallel to ``outputs``.
        generator: name of a shipped bundle, path of a bundle folder, or a generator.
        prob: probability of replacing an item, or class -> probability (0 for other classes, also for those that the
            generator doesn't have).
        outputs: outputs of the generator to use, None for all: so that no image is replaced without its mask.
        mode: see above; all but ``"sample"`` need a LatentGenerator.
        class_key: key of the item's class; needed for a generator with classes.
        class_map: item value -> class name for integer classes, or ``"identity"`` if they are the generator's ids.
            Strings match by name.
        mask_map: the same for the values of masks; None if they are the generator's.
        strength: how far the modes ``"perturb"``, ``"edit"`` and ``"interpolate"`` go, in units of the distance
            between neighbouring codes; at most 1 for ``"interpolate"``.
        truncation: in (0, 1], of the mode ``"sample"``: 1 is the whole distribution, towards 0 close to the mean.
        adapt: deterministic dictionary transform, applied first to the generated dictionary (with the item's keys and
            mask values), for items that are not in the generator's space: ``Resized``, ``NormalizeIntensityd`` ... It
            takes over the match of spacing, orientation and intensities, which are not compared then.
        synthetic_key: key of the flag that every item gets, True for a generated one and for one that came as such;
            None for no flag.
        allow_missing_keys: skip keys that an item doesn't have.
        held_out: validation or test items as :func:`check_leakage` takes them, or their :func:`held_out_hashes`: the
            generator must not have been trained on them.
        on_overlap: what happens if it was: ``"warn"`` (:class:`LeakageWarning`) or ``"raise"``
            (:class:`LeakageError`); a provenance without hashes warns.

    Raises:
        ValueError: an argument that is not allowed; the text names it and the allowed ones.
        TypeError: a mode that needs an encoder, and a generator without one.

    Example:
        >>> generator = mg.load_generator("hippocampus_mri_rhvae")
        >>> keys = ("image", "label")
        >>> chain = Compose([
        ...     *generator.preprocessing(keys, load=False).transforms,
        ...     mg.RandGenerativeSampled(keys, generator, prob=1.0),
        ...     RandFlipd(keys, prob=0.5),
        ... ])
        >>> item = chain({"image": torch.rand(1, 40, 50, 40), "label": torch.zeros(1, 40, 50, 40)})
        >>> item["is_synthetic"], item["image"].shape
        (True, torch.Size([1, 48, 64, 48]))
    """

    def __init__(
        self,
        keys: KeysCollection,
        generator: str | Path | SampleGenerator,
        prob: float | Mapping[Any, float] = 0.1,
        outputs: str | Sequence[str] | None = None,
        mode: Mode = "sample",
        class_key: Hashable | None = None,
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        strength: float = 1.0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
        synthetic_key: str | None = "is_synthetic",
        allow_missing_keys: bool = False,
        held_out: _HeldOut = None,
        on_overlap: OnOverlap = "warn",
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        loaded = load_generator(generator)
        synthesis = _Synthesis(loaded, self.keys, outputs, mode, class_map, mask_map, strength, truncation, adapt)
        _RandomSample.__init__(self, synthesis, prob)
        _check_held_out(synthesis, held_out, on_overlap)
        _check_class_key(class_key, loaded.spec, self._probability.per_class)
        self.class_key = class_key
        self.synthetic_key = synthetic_key

    def randomize(self, data: Any = None) -> None:
        """Tosses the coin; ``data`` is the item."""
        self._toss(None if data is None else _item_label(data, self.class_key))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns a copy of the item, its tensors replaced or not, with the flag ``synthetic_key``.

        Raises:
            KeyError: a key that the item doesn't have.
            ValueError: tensors or a class label that don't fit the generator, also where the coin says no.
        """
        d = dict(data)
        item = self._synthesis.read(d, _present(self.keys, d, self.allow_missing_keys))
        class_id = self._class_id(_item_label(d, self.class_key))
        self.randomize(d)
        synthetic = self._do_transform and bool(item)
        d.update(self._next(item, class_id)[1] if synthetic else item)
        if self.synthetic_key is not None:
            d[self.synthetic_key] = synthetic or bool(d.get(self.synthetic_key, False))
        return d


RandGenerativeSampleD = RandGenerativeSampleDict = RandGenerativeSampled
