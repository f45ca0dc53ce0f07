# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A variational autoencoder with its latent distribution, as a generator."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from monai_genaug.generators.base import POSTERIOR_STREAM, LatentGenerator, Samples, checked_seeds
from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.class_labels import ClassLabel, resolve_class_labels
from monai_genaug.generators.encoder_input import encoder_input
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.latent.draws import standard_normal
from monai_genaug.networks import VAE
from monai_genaug.weights import state_sha256

__all__ = ["VAEGenerator"]


class VAEGenerator(LatentGenerator):
    """Makes samples with a :class:`~monai_genaug.networks.VAE` or a subclass such as ``RHVAE``.

    Args:
        network: a trained network. It is copied, so that training it further changes no sample.
        spec: what it makes; an empty ``sha256`` becomes the hash of the weights.
        device: where samples are made and returned.

    Raises:
        ValueError: the spec does not fit the network; the text names what differs.
    """

    def __init__(self, network: VAE, spec: GeneratorSpec, device: str | torch.device = "cpu") -> None:
        _check_fits(network, spec)
        super().__init__(spec if spec.sha256 else spec.replace(sha256=state_sha256(network.state_dict())), device)
        self._reference: BundleReference | None = None
        self._network: VAE | None = _frozen(copy.deepcopy(network), self._device)

    @classmethod
    def from_bundle(cls, folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> VAEGenerator:
        """A generator that reads its weights at the first use, in each process that uses it.

        Pickling it carries the path and the hash of the bundle's ``generator.json``, not the weights.

        Args:
            folder: a bundle with ``configs/generator.json``.
            device: where samples are made and returned.

        Raises:
            ValueError: the config cannot be used, see :class:`BundleReference`.
        """
        generator = cls.__new__(cls)
        generator._reference = BundleReference.read(Path(folder))
        generator._network = None
        super().__init__(generator, generator._reference.spec, device)
        return generator

    @property
    def network(self) -> VAE:
        """The network, frozen, on :attr:`device`; loaded at the first use.

        Raises:
            RuntimeError: on a GPU in a forked loader worker.
            ValueError: config or weights that cannot be used.
        """
        _refuse_gpu_after_fork(self._device)
        if self._network is None:
            with _loading:
                if self._network is None:
                    assert self._reference is not None
                    network = self._reference.build_network()
                    _check_fits(network, self._spec)
                    self._network = _frozen(network, self._device)
        return self._network

    @property
    def latent_spread(self) -> Tensor:
        """Typical distance per latent axis between neighbouring codes, ``(d,)``."""
        return self.network.latent.spread

    def encode(
        self,
        batch: Mapping[str, Tensor],
        class_label: ClassLabel | Sequence[ClassLabel] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Codes ``(n, d)``, float32: means of q(z|x), or one draw of it per seed.

        Args:
            batch: output name -> ``(n, channels, *spatial_shape)``, for every name in ``spec.encodes``.
            class_label: must be None, as in :meth:`sample`.
            seeds: None, or n integers in [0, 2^63).

        Raises:
            ValueError: a batch that is not in the generator's space, or a number of seeds that is not n.
        """
        x = encoder_input(batch, self._spec)
        resolve_class_labels(class_label, len(x), self._spec)
        numbers = None if seeds is None else checked_seeds(seeds)
        if numbers is not None and len(numbers) != len(x):
            raise ValueError(f"{len(numbers)} seeds for {len(x)} items: give one per item.")
        with torch.no_grad():
            parts = [self.network.posterior(part.to(self._device)) for part in torch.split(x, self.batch_size)]
        mean, log_variance = (torch.cat(tensors).float() for tensors in zip(*parts, strict=True))
        if numbers is None:
            return mean
        noise = standard_normal(numbers, mean.shape[1], stream=POSTERIOR_STREAM).to(mean)
        return mean + torch.exp(0.5 * log_variance) * noise

    def decode(self, z: Tensor, class_label: ClassLabel | Sequence[ClassLabel] | None = None) -> Samples:
        """The samples at the codes ``z (n, d)``, as :meth:`sample` returns them.

        Raises:
            ValueError: ``z`` has another shape, or is not finite.
        """
        dimension = self.network.latent.latent_dim
        if z.ndim != 2 or z.shape[1] != dimension or len(z) == 0:
            raise ValueError(f"z has shape {tuple(z.shape)}, {self._spec.name!r} needs (n, {dimension}).")
        if not z.isfinite().all():
            raise ValueError("z holds NaN or infinite values.")
        resolve_class_labels(class_label, len(z), self._spec)
        with torch.no_grad():
            parts = [self._decode(part) for part in torch.split(z, self.batch_size)]
        return {name: torch.cat([part[name] for part in parts]) for name in self._spec.outputs}

    def sample_latent(
        self, seeds: Sequence[int], class_label: ClassLabel | Sequence[ClassLabel] | None = None, truncation: float = 1
    ) -> Tensor:
        """The codes ``(n, d)``, float32, that :meth:`sample` decodes for the same arguments."""
        numbers = checked_seeds(seeds)
        resolve_class_labels(class_label, len(numbers), self._spec)
        self._check_truncation(truncation)
        return self._draw(numbers, truncation)

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        return self._decode(self._draw(seeds, truncation))

    def _draw(self, seeds: list[int], truncation: float) -> Tensor:
        return self.network.latent.sample(seeds, truncation).to(self._device)

    def _decode(self, z: Tensor) -> Samples:
        network = self.network
        decoded = network(z.to(self._device, torch.float32))
        samples: Samples = {}
        for name, output in self._spec.outputs.items():
            if output.kind == "image":
                low, high = output.value_range
                samples[name] = (low + (high - low) * decoded[:, : network.image_channels]).clamp(low, high)
            else:
                labels = decoded[:, network.image_channels :].argmax(dim=1, keepdim=True)
                samples[name] = labels.to(getattr(torch, output.dtype))
        return samples

    def __deepcopy__(self, memo: dict[int, Any]) -> VAEGenerator:
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


def _frozen(network: VAE, device: torch.device) -> VAE:
    return network.eval().requires_grad_(False).to(device)


def _check_fits(network: VAE, spec: GeneratorSpec) -> None:
    kinds = [output.kind for output in spec.outputs.values()]
    mask = next((output for output in spec.outputs.values() if output.kind == "mask"), None)
    image_channels = sum(output.channels for output in spec.outputs.values() if output.kind == "image")
    labels = 0 if mask is None else len(mask.class_names)
    facts = {
        "outputs (one image, at most one mask)": (sorted(kinds), ["image", "mask"][: 1 + (mask is not None)]),
        "image channels": (image_channels, network.image_channels),
        "mask classes": (labels, network.mask_classes),
        "mask channels": (1 if mask is None else mask.channels, 1),
        "spatial_shape": (spec.spatial_shape, network.spatial_shape),
        "classes": (spec.classes, None),
        "truncation": (spec.truncation, network.latent.supports_truncation),
        "encodes": (set(spec.encodes), set(spec.outputs) if spec.encodes else set()),
    }
    wrong = [f"{what}: spec {given}, network {own}" for what, (given, own) in facts.items() if given != own]
    if wrong:
        raise ValueError(f"spec {spec.name!r} does not fit {type(network).__name__}: {'; '.join(wrong)}.")


# One lock for all generators, so that none has to be pickled. A child that was forked while another thread of its
# parent held it would wait for ever, hence it gets a new one.
_loading = threading.Lock()
_is_forked = False


def _after_fork() -> None:
    global _loading, _is_forked
    _loading, _is_forked = threading.Lock(), True


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
    os.register_at_fork(after_in_child=_after_fork)


def _refuse_gpu_after_fork(device: torch.device) -> None:
    if device.type == "cuda" and _is_forked and get_worker_info() is not None:
        raise RuntimeError(
            f"a generator on {device} cannot sample in a forked DataLoader worker. Ways out: draw from a pool "
            "(build_pool, SyntheticDataset); sample per batch in the main process (GenerativePrepareBatch); "
            "use monai.data.ThreadDataLoader with num_workers=0; or start workers with "
            "multiprocessing_context='spawn'."
        )
