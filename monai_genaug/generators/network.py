# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A network with its latent distribution, as a generator."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from monai_genaug.generators.base import SampleGenerator, Samples, checked_seeds, collected
from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.channels_last import lay_channels_last
from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.decoded_samples import decoded_samples
from monai_genaug.generators.freed_memory import keep_freed_memory
from monai_genaug.generators.lazy_loading import loading_lock, refuse_gpu_after_fork
from monai_genaug.generators.single_volume import quick_single_volumes
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.networks import DiffusionDecoder, LatentDecoder
from monai_genaug.weights import state_sha256

__all__ = ["NetworkGenerator"]

_CPU_VOXELS = 2**19
"""Voxels that a network makes at once on a CPU: feature maps of more leave its cache, which takes longer."""


class NetworkGenerator(SampleGenerator):
    """Makes samples with any :class:`~monai_genaug.networks.LatentDecoder`, such as a ``DCGANGenerator``.

    Args:
        network: a trained network. It is copied, so that training it further changes no sample.
        spec: what it makes; an empty ``sha256`` becomes the hash of the weights. Its classes are numbered 0, 1, ... as
            the network's.
        device: where samples are made and returned.

    Raises:
        ValueError: the spec does not fit the network; the text names what differs.
    """

    encodes_outputs: ClassVar[bool] = False
    """Whether :attr:`spec` may say that the generator encodes."""

    def __init__(self, network: LatentDecoder, spec: GeneratorSpec, device: str | torch.device = "cpu") -> None:
        self.check_fits(network, spec)
        super().__init__(spec if spec.sha256 else spec.replace(sha256=state_sha256(network.state_dict())), device)
        self._reference: BundleReference | None = None
        self._network: LatentDecoder | None = _frozen(copy.deepcopy(network), self._device)

    @classmethod
    def from_reference(cls, reference: BundleReference, device: str | torch.device = "cpu") -> Self:
        """A generator that reads its weights at the first use, in each process that uses it.

        Pickling it carries the path and the hash of the bundle's ``generator.json``, not the weights.

        Args:
            reference: of a bundle, see :meth:`BundleReference.read`.
            device: where samples are made and returned.
        """
        generator = cls.__new__(cls)
        generator._reference = reference
        generator._network = None
        SampleGenerator.__init__(generator, reference.spec, device)
        return generator

    @classmethod
    def from_bundle(cls, folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> Self:
        """:meth:`from_reference` of a bundle folder.

        Args:
            folder: a bundle with ``configs/generator.json``.
            device: where samples are made and returned.

        Raises:
            ValueError: the config cannot be used, see :class:`BundleReference`.
        """
        return cls.from_reference(BundleReference.read(Path(folder)), device)

    @property
    def network(self) -> LatentDecoder:
        """The network, frozen, on :attr:`device`; loaded at the first use.

        Raises:
            RuntimeError: on a GPU in a forked loader worker.
            ValueError: config or weights that cannot be used.
        """
        refuse_gpu_after_fork(self._device)
        if self._network is None:
            with loading_lock():
                if self._network is None:
                    assert self._reference is not None
                    network = self._reference.build_network()
                    self.check_fits(network, self._spec)
                    self._network = _frozen(network, self._device)
        return self._network

    def codes(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """What the network reads when :meth:`sample` is called with the same arguments: ``(n, code_dim)``, float32."""
        numbers = checked_seeds(seeds)
        classes = resolve_class_labels(class_label, len(numbers), self._spec)
        self._check_truncation(truncation)
        return self._with_class(self._draw(numbers, classes, truncation), classes)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        return self._decode(self._draw(seeds, classes, truncation), classes)

    def _draw(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Tensor:
        return self.network.draw_latent(seeds, classes, truncation).to(self._device)

    def _decode(self, z: Tensor, classes: Sequence[int] | None) -> Samples:
        codes = self._with_class(z.to(self._device, torch.float32), classes)

        def part(chunk: slice) -> Samples:
            return decoded_samples(self.network(codes[chunk]), self._spec)

        at_once = len(codes)
        if self._device.type == "cpu":
            at_once = max(2, _CPU_VOXELS // math.prod(self._spec.spatial_shape))
        n_parts = math.ceil(len(codes) / at_once)
        with quick_single_volumes(self._spec, self._device):
            return collected(part, len(codes), math.ceil(len(codes) / n_parts))

    def _with_class(self, z: Tensor, classes: Sequence[int] | None) -> Tensor:
        numbers = None if classes is None else torch.tensor(classes, device=self._device)
        return self.network.with_class(z, numbers)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._reference is not None:
            del state["_network"], state["_spec"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._reference is not None:
            self._network, self._spec = None, self._reference.spec

    @classmethod
    def check_fits(cls, network: LatentDecoder, spec: GeneratorSpec) -> None:
        """Refuses a spec that says something else than the network.

        Raises:
            ValueError: the text names all that differs.
        """
        wrong = [
            f"{what}: spec {given}, network {own}"
            for what, (given, own) in _facts(network, spec).items()
            if given != own
        ]
        if spec.encodes and not (cls.encodes_outputs and set(spec.encodes) == set(spec.outputs)):
            allowed = [(), tuple(spec.outputs)] if cls.encodes_outputs else [()]
            wrong.append(f"encodes: spec {spec.encodes}, allowed {allowed}")
        if wrong:
            raise ValueError(f"spec {spec.name!r} does not fit {type(network).__name__}: {'; '.join(wrong)}.")


def _frozen(network: LatentDecoder, device: torch.device) -> LatentDecoder:
    keep_freed_memory(device)
    if device.type == "cpu" and not isinstance(network, DiffusionDecoder):
        lay_channels_last(network)
    return network.eval().requires_grad_(False).to(device)


def _facts(network: LatentDecoder, spec: GeneratorSpec) -> dict[str, tuple[Any, Any]]:
    """What spec and network say of the same thing."""
    kinds = [output.kind for output in spec.outputs.values()]
    mask = next((output for output in spec.outputs.values() if output.kind == "mask"), None)
    image_channels = sum(output.channels for output in spec.outputs.values() if output.kind == "image")
    labels = 0 if mask is None else len(mask.class_names)
    return {
        "outputs (one image, at most one mask)": (sorted(kinds), ["image", "mask"][: 1 + (mask is not None)]),
        "image channels": (image_channels, network.image_channels),
        "mask classes": (labels, network.mask_classes),
        "mask channels": (1 if mask is None else mask.channels, 1),
        "spatial_shape": (spec.spatial_shape, network.spatial_shape),
        "numbers of the classes": (sorted(spec.classes or ()), list(range(network.n_classes))),
        "truncation": (spec.truncation, network.supports_truncation),
    }
