# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Any network that decodes noise, as a generator."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from typing_extensions import Self

from monai_genaug.generators.base import SampleGenerator, Samples
from monai_genaug.generators.decoded_samples import Decoded, decoded_samples
from monai_genaug.generators.decoder_inputs import Condition, DecoderInputs
from monai_genaug.generators.decoder_probe import check_decoder
from monai_genaug.generators.freed_memory import keep_freed_memory
from monai_genaug.generators.lazy_loading import loading_lock, refuse_gpu_after_fork
from monai_genaug.generators.network_file import NetworkFile
from monai_genaug.generators.single_volume import quick_single_volumes
from monai_genaug.generators.spec import GeneratorSpec
from monai_genaug.latent import LatentDistribution
from monai_genaug.weights import state_sha256

__all__ = ["ModuleGenerator"]

AnyDecoder: TypeAlias = nn.Module | ExportedProgram


class ModuleGenerator(SampleGenerator):
    """Makes samples with any decoder: a module, a TorchScript module or a program of ``torch.export``.

    The decoder is called with codes ``(n, *latent)``, and returns one tensor, the channels of the images and then a
    channel of logits per label of the masks, or output name -> tensor (a mask as logits, or as integer labels). It is
    copied, put into evaluation mode and frozen. Whatever its batches are, a sample must come out the same: that is
    tried at construction.

    Args:
        decoder: the network.
        latent: what a code is drawn from: a :class:`~monai_genaug.latent.LatentDistribution`, or the shape of a code of
            standard normal noise without the batch: 64, ``(100, 1, 1)`` or ``(3, 8, 8)``.
        spec: what the generator makes, see :func:`image_spec`; an empty ``sha256`` becomes the hash of weights, latent
            distribution and the two arguments below. With ``reproducible_batches=False`` the decoder gets one code per
            call, for those whose samples depend on their batch.
        condition: how the class reaches the decoder, given exactly if the spec has classes: ``"one_hot"``, joined to
            the code along its first axis (as planes where a code has more axes), or ``"index"``, as a second argument
            ``(n,)`` with the spec's class numbers, int64.
        decoder_range: the values of the decoder's images that become the ends of the spec's ``value_range``, such as
            (-1, 1) after a tanh; what lies outside is clamped. None: they are the spec's already.
        device: where samples are made and returned.

    Raises:
        ValueError: a spec that does not fit, a decoder that cannot be called so or returns something else, values
            mostly outside ``decoder_range``, or samples that depend on their batch or on the global random state.

    Example:
        >>> from torch import nn
        >>> decoder = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
        >>> generator = ModuleGenerator(decoder, 4, image_spec("tiny", (8, 8)), decoder_range=(-1, 1))
        >>> generator.sample([1, 2, 3])["image"].shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        decoder: AnyDecoder,
        latent: LatentDistribution | int | Sequence[int],
        spec: GeneratorSpec,
        condition: Condition | None = None,
        decoder_range: tuple[float, float] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if spec.encodes:
            raise ValueError(f"spec {spec.name!r} encodes {spec.encodes}, but a ModuleGenerator has no encoder: ().")
        self._inputs = DecoderInputs(latent, condition, len(spec.classes or ()))
        self._inputs.check_fits(spec)
        self._decoder_range = _checked_range(decoder_range, spec)
        super().__init__(spec, device)
        self._file: NetworkFile | None = None
        # in a dictionary, so that MONAI's set_rnd does not walk into the graphs of exported programs
        self._held: dict[str, Any] = {"decoder": _frozen(decoder, self._device)}
        if not spec.sha256:
            self._spec = spec.replace(sha256=self._identity())
        check_decoder(self._run, self._spec, self._decoder_range, self._device)

    @classmethod
    def from_file(cls, file: NetworkFile, device: str | torch.device = "cpu") -> Self:
        """A generator that reads the program at the first use, in each process that uses it.

        Pickling it carries the path and a hash.

        Args:
            file: see :meth:`NetworkFile.read`.
            device: where samples are made and returned.
        """
        generator = cls.__new__(cls)
        SampleGenerator.__init__(generator, file.spec, device)
        generator._file, generator._held = file, {}
        generator._inputs, generator._decoder_range = file.inputs, file.decoder_range
        return generator

    @property
    def decoder(self) -> nn.Module:
        """The decoder, frozen, on :attr:`device`; loaded at the first use.

        Raises:
            RuntimeError: on a GPU in a forked loader worker.
            WeightsError: a file that is missing, or not the one that was promised.
        """
        refuse_gpu_after_fork(self._device)
        if "decoder" not in self._held:
            with loading_lock():
                if "decoder" not in self._held:
                    assert self._file is not None
                    self._held["decoder"] = _frozen(self._file.load(self._device), self._device)
        module: nn.Module = self._held["decoder"]
        return module

    @property
    def inputs(self) -> DecoderInputs:
        """What the decoder is called with."""
        return self._inputs

    @property
    def decoder_range(self) -> tuple[float, float]:
        """The values of the decoder's images that become the ends of the value range."""
        return self._decoder_range

    def _generate(self, seeds: list[int], classes: list[int] | None, truncation: float) -> Samples:
        if self._spec.reproducible_batches:
            return decoded_samples(self._run(seeds, classes, truncation), self._spec, self._decoder_range)
        parts = [
            decoded_samples(
                self._run([seed], None if classes is None else [classes[row]], truncation),
                self._spec,
                self._decoder_range,
            )
            for row, seed in enumerate(seeds)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in self._spec.outputs}

    def _run(self, seeds: list[int], classes: list[int] | None, truncation: float = 1.0) -> Decoded:
        arguments = self._inputs.arguments(seeds, classes, truncation, self._device)
        with quick_single_volumes(self._spec, self._device):
            decoded: Decoded = self.decoder(*arguments)
        return decoded

    def _identity(self) -> str:
        """Hash of what samples depend on besides seed, class and truncation."""
        state = {f"decoder.{name}": tensor for name, tensor in _tensors(self.decoder).items()}
        state |= {f"latent.{name}": tensor for name, tensor in self._inputs.latent.state_dict().items()}
        inputs = self._inputs
        rest = [type(inputs.latent).__name__, inputs.shape, inputs.condition, self._decoder_range]
        return hashlib.sha256(json.dumps([state_sha256(state), *rest]).encode()).hexdigest()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._file is not None:
            return {**{name: state[name] for name in state if name not in ("_spec", "_inputs")}, "_held": {}}
        if isinstance(self.decoder, torch.jit.ScriptModule):
            raise TypeError(
                f"generator {self._spec.name!r} has a TorchScript decoder, which cannot be pickled: write it with "
                "export_network(generator, 'model.ts') and use load_generator('model.ts', trust=True)."
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._file is not None:
            self._spec, self._inputs = self._file.spec, self._file.inputs


def _frozen(decoder: AnyDecoder, device: torch.device) -> nn.Module:
    keep_freed_memory(device)
    with torch.no_grad():  # a copy of a ScriptModule would have a gradient otherwise
        module: nn.Module = decoder.module() if isinstance(decoder, ExportedProgram) else copy.deepcopy(decoder)
    with suppress(NotImplementedError):  # an exported program is what it was when it was exported
        module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.to(device)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}


def _checked_range(decoder_range: tuple[float, float] | None, spec: GeneratorSpec) -> tuple[float, float]:
    images = [output.value_range for output in spec.outputs.values() if output.kind == "image"]
    if decoder_range is None:
        if len(set(images)) > 1:
            raise ValueError(f"the images of spec {spec.name!r} have the ranges {images}: give decoder_range.")
        return images[0] if images else (0.0, 1.0)
    first, last = (float(value) for value in decoder_range)
    if not first < last:
        raise ValueError(f"decoder_range is {decoder_range!r}, the first must be below the second.")
    return first, last
