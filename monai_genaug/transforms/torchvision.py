# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The random replacement as a transform of torchvision (v2). Not imported with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms import v2

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.class_labels import ClassLabel
from monai_genaug.generators.loading import load_generator
from monai_genaug.generators.seeding import current_rank, current_worker, derive_seed
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.quality.leakage import OnOverlap
from monai_genaug.transforms.held_out import _check_held_out, _HeldOut
from monai_genaug.transforms.label_maps import LabelMap
from monai_genaug.transforms.matching import Item
from monai_genaug.transforms.shared_probability import _SharedProbability
from monai_genaug.transforms.synthesis import Mode, _Synthesis
from monai_genaug.transforms.torchvision_leaves import (
    _adapt_units,
    _channel_mask,
    _image_like,
    _is_image,
    _is_plain_tensor,
    _mask_like,
    _unit_image,
    _usual_labels,
)

__all__ = ["RandomGenerativeSample"]

_DRAW_LIMIT = 2**63 - 1


class RandomGenerativeSample(v2.Transform):
    """Replaces images, each with probability ``p``, by what a generator makes for their class.

    For single images in a ``v2.Compose`` (a PIL image, a ``tv_tensors.Image`` or a tensor ``(C, H, W)``) and, like
    ``v2.MixUp``, for batches ``(n, C, H, W)`` in a ``collate_fn``, each item with a coin and a seed of its own. Samples
    may have any structure of tuples, lists and dictionaries. What is replaced keeps its type, PIL mode, dtype, device
    and size; everything else passes through.

    Colours follow torchvision: 0 to 255 of uint8 images and PIL images (modes ``"L"`` and ``"RGB"``), and 0 to 1 of
    floating ones, are the ends of the generator's value range. Place it after a ``v2.Resize`` to the generator's size
    and before ``v2.Normalize``.

    Coins and draws come from torch's global random state, as those of all of torchvision's transforms, and no more of
    it is used whatever the coin says: ``torch.manual_seed`` reproduces them, and loader workers, which torch seeds anew
    in every epoch, need nothing. The seed of a sample is a hash of its draw, the rank and the worker's seed, so no two
    workers, ranks or epochs make the same samples, and the generator leaves the global random state alone. A worker
    makes one sample at a time: in a ``collate_fn``, or from a pool (:func:`build_pool`), it costs less.

    Args:
        generator: name of a shipped bundle, path of a bundle or pool folder, or a generator of 2D images.
        p: probability of replacing an image, or class -> probability (0 for other classes, also for those that the
            generator doesn't have).
        outputs: outputs of the generator to use, one image and at most one mask; None for all, so that no image is
            replaced without its mask. The mask goes to the sample's ``tv_tensors.Mask``. A Mask that stays although its
            image is replaced needs ``outputs=("image",)``.
        mode: ``"sample"``, ``"reconstruct"``, ``"perturb"``, ``"edit"`` or ``"interpolate"``, see
            :class:`RandGenerativeSampled`, as for the following.
        class_map: label -> class name for integer labels, or ``"identity"`` if they are the generator's ids. Strings
            match by name.
        mask_map: the same for the values of masks; None if they are the generator's.
        strength: how far the modes ``"perturb"``, ``"edit"`` and ``"interpolate"`` go.
        truncation: in (0, 1], of the mode ``"sample"``.
        adapt: deterministic transform of torchvision, applied first to the generated sample, a dictionary with
            ``tv_tensors.Image`` in [0, 1] and ``tv_tensors.Mask``, for images of another size or number of channels
            than the generator's: ``v2.Resize``, ``v2.Grayscale(3)``, also ``v2.Normalize``.
        labels_getter: ``"default"`` for the second item of a tuple or what is called label in a dictionary, or a
            function of the sample; of a batch it gives one label per image. None for a sample without labels.
        held_out, on_overlap: as in :class:`RandGenerativeSampled`; the key of an item's image is the name of the
            generator's output.

    Raises:
        ValueError: an argument that is not allowed; the text names it and the allowed ones.
        TypeError: a mode that needs an encoder, and a generator without one.

    Example::

        to_generator = [v2.Grayscale(), v2.Resize((28, 28))]
        replace = RandomGenerativeSample("chest_xray_cgan", p=0.3, class_map={0: "normal", 1: "pneumonia"})
        transform = v2.Compose([*to_generator, replace, v2.RandomHorizontalFlip(), v2.ToImage()])
        image, label = transform(pil_image, 1)
    """

    def __init__(
        self,
        generator: str | Path | SampleGenerator,
        p: float | Mapping[Any, float] = 0.1,
        *,
        outputs: str | Sequence[str] | None = None,
        mode: Mode = "sample",
        class_map: LabelMap = None,
        mask_map: LabelMap = None,
        strength: float = 1.0,
        truncation: float = 1.0,
        adapt: Callable[[Any], Any] | None = None,
        labels_getter: Callable[[Any], Any] | Literal["default"] | None = "default",
        held_out: _HeldOut = None,
        on_overlap: OnOverlap = "warn",
    ) -> None:
        super().__init__()
        loaded = load_generator(generator)
        self._image, self._mask = _chosen_outputs(loaded.spec, outputs)
        names = [name for name in (self._image, self._mask) if name is not None]
        self._adapted, self._leaves_masks = adapt is not None, outputs is not None
        self._synthesis = _Synthesis(
            loaded, names, names, mode, class_map, mask_map, strength, truncation, _adapt_of(adapt, loaded.spec)
        )
        _check_held_out(self._synthesis, held_out, on_overlap)
        has_classes = loaded.spec.classes is not None
        self._probability = _SharedProbability(p, self._synthesis.class_map if has_classes else None)
        self._needs_labels = has_classes or self._probability.per_class
        if labels_getter != "default" and labels_getter is not None and not callable(labels_getter):
            raise ValueError(f"labels_getter is {labels_getter!r}, allowed: 'default', a function, or None.")
        if labels_getter is None and self._needs_labels:
            raise ValueError(
                f"labels_getter is None, but p depends on the class or generator {loaded.spec.name!r} has the classes "
                f"{loaded.spec.classes}."
            )
        self._labels_getter = _usual_labels if labels_getter == "default" else labels_getter
        self._home_rank = 0

    def __getstate__(self) -> dict[str, Any]:
        # a spawned worker has no process group, and RANK only under torchrun
        return {**self.__dict__, "_home_rank": self._rank()}

    @property
    def p(self) -> float | dict[ClassLabel, float]:
        """The probability, or class -> probability."""
        return self._probability.current()

    @property
    def generator(self) -> SampleGenerator:
        """The generator that makes the samples."""
        return self._synthesis.generator

    def extra_repr(self) -> str:
        """What the transform's text shows."""
        return f"generator={self.generator.spec.name!r}, p={self.p}, mode={self._synthesis.mode!r}"

    def forward(self, *inputs: Any) -> Any:
        """Returns the sample, or the batch, some of its images replaced.

        Args:
            inputs: a sample of any structure with one image and, for a generator of pairs, one ``tv_tensors.Mask``.

        Raises:
            ValueError: an image, mask or label that doesn't fit the generator, also where the coin says no.
        """
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, structure = tree_flatten(sample)
        places = self._places(leaves)
        image = leaves[places[self._image]]
        is_batch = isinstance(image, Tensor) and image.ndim == 4
        tensors = self._synthesis.read(self._tensors(leaves, places, is_batch), list(places), batched=True)
        count = len(tensors[self._image])
        rows, seeds, classes = self._choose(self._labels(sample, count, is_batch), count)
        if not rows:
            return sample
        plain = {name: tensor.as_subclass(Tensor) for name, tensor in tensors.items()}
        made = self._synthesis.make([{name: plain[name][row] for name in plain} for row in rows], seeds, classes)
        for name, place in places.items():
            values = torch.stack([item[name].as_subclass(Tensor) for item in made])
            leaves[place] = self._written(name, leaves[place], rows, values, is_batch)
        return tree_unflatten(leaves, structure)

    def _places(self, leaves: list[Any]) -> dict[str, int]:
        """Output name -> which of the leaves it replaces."""
        images = [place for place, leaf in enumerate(leaves) if _is_image(leaf)]
        images = images or [place for place, leaf in enumerate(leaves) if _is_plain_tensor(leaf)][:1]
        masks = [place for place, leaf in enumerate(leaves) if isinstance(leaf, tv_tensors.Mask)]
        others = [
            type(leaf).__name__
            for leaf in leaves
            if isinstance(leaf, tv_tensors.TVTensor) and not isinstance(leaf, (tv_tensors.Image, tv_tensors.Mask))
        ]
        name = self.generator.spec.name
        if len(images) != 1:
            raise ValueError(f"the sample has {len(images)} images, generator {name!r} replaces exactly one.")
        if others:
            raise ValueError(f"the sample has {others}, which generator {name!r} does not make: they would be wrong.")
        if self._mask is None:
            if masks and not self._leaves_masks:
                raise ValueError(
                    f"the sample has a Mask, but generator {name!r} makes none: it would belong to another image. If "
                    f"that is meant, give outputs=({self._image!r},)."
                )
            return {self._image: images[0]}
        if len(masks) != 1:
            raise ValueError(
                f"the sample has {len(masks)} masks (tv_tensors.Mask), generator {name!r} makes one to each image: "
                f"give outputs=({self._image!r},) to replace images alone."
            )
        return {self._image: images[0], self._mask: masks[0]}

    def _tensors(self, leaves: list[Any], places: dict[str, int], is_batch: bool) -> Item:
        """What the generator is compared with, as a batch: images in its value range, masks with a channel."""
        image = _unit_image(leaves[places[self._image]], check_range=not self._adapted)
        if not self._adapted:
            low, high = self._range()
            image = low + (high - low) * image
        tensors: Item = {self._image: image if is_batch else image[None]}
        if self._mask is not None:
            mask = _channel_mask(leaves[places[self._mask]], 2 + is_batch)
            tensors[self._mask] = mask if is_batch else mask[None]
            counts = [len(tensor) for tensor in tensors.values()]
            if counts[0] != counts[1]:
                raise ValueError(f"the batch has {counts[0]} images and {counts[1]} masks.")
        return tensors

    def _written(self, name: str, leaf: Any, rows: list[int], values: Tensor, is_batch: bool) -> Any:
        """A leaf in which some rows are replaced; of a single image, all of it."""
        if name == self._image and not self._adapted:
            low, high = self._range()
            values = (values - low) / (high - low)
        if not is_batch:
            return _image_like(values[0], leaf) if name == self._image else _mask_like(values[0], leaf)
        plain = leaf.as_subclass(Tensor)
        part = _image_like(values, plain) if name == self._image else values.to(plain).reshape(plain[rows].shape)
        result = plain.clone()
        result[rows] = part
        return tv_tensors.wrap(result, like=leaf) if isinstance(leaf, tv_tensors.TVTensor) else result

    def _labels(self, sample: Any, count: int, is_batch: bool) -> list[Any]:
        """One label per image, None without labels."""
        if not self._needs_labels or self._labels_getter is None:
            return [None] * count
        labels = self._labels_getter(sample)
        if not is_batch:
            return [labels]
        shape = tuple(labels.shape) if isinstance(labels, Tensor) else (len(labels),)
        if shape != (count,):
            raise ValueError(
                f"the labels have shape {shape}, needed: ({count},), one per image; place this transform before MixUp "
                "and CutMix."
            )
        return list(labels)

    def _choose(self, labels: list[Any], count: int) -> tuple[list[int], list[int], list[int] | None]:
        """Rows to replace, their seeds and classes."""
        ids = [self._synthesis.class_id(label, lenient=self._probability.per_class) for label in labels]
        coins = torch.rand(count, dtype=torch.float64, device="cpu").tolist()
        draws = torch.randint(_DRAW_LIMIT, (count,), device="cpu").tolist()
        rows = [row for row in range(count) if coins[row] < self._probability.of(labels[row])]
        place = (self._rank(), current_worker())
        seeds = [derive_seed("RandomGenerativeSample", draws[row], *place) for row in rows]
        classes = [number for row in rows if (number := ids[row]) is not None]
        return rows, seeds, classes or None

    def _rank(self) -> int:
        return current_rank() or self._home_rank

    def _range(self) -> tuple[float, float]:
        return self.generator.spec.outputs[self._image].value_range


def _chosen_outputs(spec: GeneratorSpec, outputs: str | Sequence[str] | None) -> tuple[str, str | None]:
    """Name of the image, and of the mask if there is one."""
    if len(spec.spatial_shape) != 2:
        raise ValueError(f"generator {spec.name!r} makes {spec.spatial_shape}, but torchvision's images have two axes.")
    names = [outputs] if isinstance(outputs, str) else list(spec.outputs if outputs is None else outputs)
    unknown = [name for name in names if name not in spec.outputs]
    if unknown:
        raise ValueError(f"outputs {unknown} are unknown to generator {spec.name!r}, allowed: {tuple(spec.outputs)}.")
    images = [name for name in names if spec.outputs[name].kind == "image"]
    masks = [name for name in names if spec.outputs[name].kind == "mask"]
    if len(images) != 1 or len(masks) > 1:
        raise ValueError(
            f"outputs are {tuple(names)} of generator {spec.name!r}, allowed: one image and at most one mask."
        )
    return images[0], masks[0] if masks else None


def _adapt_of(adapt: Callable[[Any], Any] | None, spec: GeneratorSpec) -> Callable[[Any], Any] | None:
    if adapt is None:
        return None
    if not callable(adapt):
        raise TypeError(f"adapt is {adapt!r}, allowed: a transform of torchvision, or None.")
    ranges = {name: output.value_range if output.kind == "image" else None for name, output in spec.outputs.items()}
    return partial(_adapt_units, adapt, ranges)
