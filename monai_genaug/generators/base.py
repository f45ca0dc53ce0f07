# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract that everything else is built on: a generator is a function from (seed, class) to a sample."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.spec import GeneratorSpec

if TYPE_CHECKING:
    from monai.transforms import Compose

__all__ = ["LatentGenerator", "SampleGenerator", "Samples", "checked_seeds", "collected"]

Samples = dict[str, Tensor]
"""Output name -> ``(n, channels, *spatial_shape)``."""


class SampleGenerator(ABC):
    """A function from (seed, class) to a sample.

    Sample ``i`` of a call is a function of the weights, ``seeds[i]``, ``class_label[i]`` and ``truncation``, and of
    nothing else: not of the batch that it was made in, its order, the process or the global random state, which is
    neither read nor moved. Latents are bit-equal, pixels equal to 1e-4 of the value range.

    Subclasses implement :meth:`_generate`.

    Args:
        spec: what the generator makes.
        device: where samples are made and returned.

    Example:
        >>> class Grey(mg.SampleGenerator):
        ...     def _generate(self, seeds, classes, truncation):
        ...         return {"image": torch.stack([torch.full((1, 8, 8), seed % 256 / 255) for seed in seeds])}
        >>> image = mg.OutputSpec("image", 1, (0, 1), "float32")
        >>> generator = Grey(mg.GeneratorSpec("grey", {"image": image}, (8, 8)))
        >>> generator.sample([0, 255])["image"].mean(dim=(1, 2, 3))
        tensor([0., 1.])
    """

    batch_size: int = 32
    """How many samples are made at once; it bounds the memory and changes no sample."""

    look_ahead: int = 8
    """How many samples transforms make at once when they need one; it changes no sample."""

    def __init__(self, spec: GeneratorSpec, device: str | torch.device = "cpu") -> None:
        self._spec = spec
        self._device = torch.device(device)

    @property
    def spec(self) -> GeneratorSpec:
        """What the generator makes."""
        return self._spec

    @property
    def device(self) -> torch.device:
        """Where samples are made and returned."""
        return self._device

    @abstractmethod
    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        """Makes one sample per seed; arguments are checked, at most :attr:`batch_size` seeds, no gradients."""

    def sample(
        self,
        seeds: Sequence[int],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        truncation: float = 1.0,
    ) -> Samples:
        """Makes one sample per seed.

        Args:
            seeds: integers in [0, 2^63).
            class_label: one id or name for all samples or one per seed; given exactly if ``spec.classes`` is.
            truncation: in (0, 1]; 1 is the whole distribution, towards 0 samples approach the mean.

        Returns:
            Output name -> detached tensor ``(len(seeds), channels, *spatial_shape)`` on :attr:`device`; images
            float32 within ``value_range``, masks of the spec's integer type.

        Raises:
            ValueError: a seed, class or truncation that is not allowed; the text names it and the allowed ones.
        """
        numbers = checked_seeds(seeds)
        classes = resolve_class_labels(class_label, len(numbers), self.spec)
        self._check_truncation(truncation)

        def part(chunk: slice) -> Samples:
            made = self._generate(numbers[chunk], None if classes is None else classes[chunk], truncation)
            return {name: made[name] for name in self.spec.outputs}

        with torch.no_grad():
            return collected(part, len(numbers), self.batch_size)

    def preprocessing(self, keys: Sequence[str], load: bool = True, outputs: Sequence[str] | None = None) -> Compose:
        """The MONAI transform that brings raw volumes into the generator's space.

        Args:
            keys: dictionary keys, parallel to ``outputs``.
            outputs: names of the outputs whose volumes are there; None: all, in the order of ``spec.outputs``.
            load: whether the values are paths; otherwise they are channel-first arrays or tensors.
        """
        from monai_genaug.generators.preprocessing import preprocessing_for

        return preprocessing_for(self.spec, keys, load, outputs)

    def _check_truncation(self, truncation: float) -> None:
        allowed = "(0, 1]" if self.spec.truncation else "1.0 only: this generator has no truncation"
        if not (0.0 < truncation <= 1.0) or (truncation != 1.0 and not self.spec.truncation):
            raise ValueError(f"truncation is {truncation!r}, allowed for {self.spec.name!r}: {allowed}.")


def collected(part: Callable[[slice], Samples], count: int, size: int) -> Samples:
    """``count`` samples in memory that is taken once, so that what parts of ``size`` were made in can be used again.

    Args:
        part: makes the samples of a slice; where one is enough, they are returned as they are.

    Raises:
        ValueError: a part has not the shape that it must have.
    """
    if count <= size:
        return part(slice(None))
    whole: Samples = {}
    for start in range(0, count, size):
        chunk = slice(start, start + size)
        for name, values in part(chunk).items():
            if start == 0:
                whole[name] = values.new_empty((count, *values.shape[1:]))
            place = whole[name][chunk]
            if place.shape != values.shape:
                raise ValueError(
                    f"{name!r} is {tuple(values.shape)} from sample {start} on, needed {tuple(place.shape)}."
                )
            place.copy_(values)
    return whole


class LatentGenerator(SampleGenerator):
    """A generator with an encoder: it can also reconstruct, vary and mix given samples.

    Batches are dictionaries from output name to ``(n, channels, *spatial_shape)`` in the generator's space.

    Example:
        >>> generator = mg.load_generator("breast_us_cvae")
        >>> batch = generator.sample([1, 2], "malignant")
        >>> generator.perturb(batch, seeds=[3, 4], strength=0.5, class_label="malignant")["image"].shape
        torch.Size([2, 1, 28, 28])
    """

    @property
    @abstractmethod
    def latent_spread(self) -> Tensor:
        """Typical distance per latent axis between neighbouring codes, ``(d,)``: the unit of ``strength``."""

    @abstractmethod
    def encode(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Codes ``(n, d)`` of a batch; the posterior's mean, or its draw per seed if ``seeds`` are given."""

    @abstractmethod
    def decode(self, z: Tensor, class_label: ClassLabel | Sequence[ClassLabel] | None = None) -> Samples:
        """The samples at the codes ``z (n, d)``."""

    @abstractmethod
    def sample_latent(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """The codes ``(n, d)`` that :meth:`sample` decodes."""

    def reconstruct(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Samples:
        """``decode(encode(batch))``."""
        return self.decode(self.encode(batch, class_label, seeds), class_label)

    def perturb(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        strength: float = 1.0,
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
    ) -> Samples:
        """Decodes a neighbour of each item's code, ``strength`` times :attr:`latent_spread` away per axis."""
        return self.decode(self._neighbour(self.encode(batch, class_label), seeds, strength), class_label)

    def edit(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        strength: float = 1.0,
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
    ) -> Samples:
        """Adds to each item what changes between its code and a neighbour: ``x + decode(z') - decode(z)``.

        Keeps the texture that decoding alone would blur. Images are clipped to their value range; a mask changes
        only where the two decoded masks differ. ``strength=0`` is the identity.
        """
        z = self.encode(batch, class_label)
        before, after = self.decode(z, class_label), self.decode(self._neighbour(z, seeds, strength), class_label)
        edited: Samples = {}
        for name, output in self.spec.outputs.items():
            if name not in batch:
                continue
            item = batch[name].to(before[name].device)
            if output.kind == "image":
                edited[name] = (item + (after[name] - before[name]).to(item.dtype)).clamp(*output.value_range)
                edited[name] = torch.where(after[name] == before[name], item, edited[name])
            else:
                edited[name] = torch.where(after[name] == before[name], item, after[name].to(item.dtype))
        return edited

    def interpolate(
        self,
        batch: Mapping[str, Tensor],
        seeds: Sequence[int],
        strength: float = 1.0,
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
    ) -> Samples:
        """Decodes a point between each item's code and a draw of its class, at ``t ~ U(0, strength)``."""
        from monai_genaug.latent.draws import uniform

        z = self.encode(batch, class_label)
        t = strength * uniform(checked_seeds(seeds), 1, stream=INTERPOLATION_STREAM).to(z)
        return self.decode(torch.lerp(z, self.sample_latent(seeds, class_label), t), class_label)

    def _neighbour(self, z: Tensor, seeds: Sequence[int], strength: float) -> Tensor:
        from monai_genaug.latent.draws import standard_normal

        noise = standard_normal(checked_seeds(seeds), z.shape[1], stream=NEIGHBOUR_STREAM).to(z)
        return z + strength * self.latent_spread.to(z) * noise


# Independent streams of one seed, above all that the latent distributions use (chains count their iterations).
NEIGHBOUR_STREAM = 2**32 + 1
INTERPOLATION_STREAM = 2**32 + 2
POSTERIOR_STREAM = 2**32 + 3


def checked_seeds(seeds: Sequence[int]) -> list[int]:
    """The seeds as a list of Python integers.

    Raises:
        ValueError: there is none, or one is no integer in [0, 2^63).
    """
    try:
        numbers = [operator.index(seed) for seed in seeds]
    except TypeError as error:
        raise ValueError(f"seeds must be integers in [0, 2^63), got {seeds!r}.") from error
    if not numbers:
        raise ValueError("seeds is empty, give at least one.")
    bad = [seed for seed in numbers if not 0 <= seed < 2**63]
    if bad:
        raise ValueError(f"seed {bad[0]} is outside the allowed range [0, 2^63).")
    return numbers
