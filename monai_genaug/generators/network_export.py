# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a generator's decoder as a program that runs without its Python classes."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from monai_genaug.generators.base import SampleGenerator
from monai_genaug.generators.decoded_samples import decoded_samples
from monai_genaug.generators.decoder_inputs import DecoderInputs
from monai_genaug.generators.decoder_probe import differing_outputs
from monai_genaug.generators.module import ModuleGenerator
from monai_genaug.generators.network import NetworkGenerator
from monai_genaug.generators.network_file import FILE_FORMAT, NETWORK_SUFFIXES, load_program, sidecar_of
from monai_genaug.networks import LatentDecoder, PerClassVAE
from monai_genaug.networks.layers.spectral_gain import SpectralGain
from monai_genaug.weights import write_atomically

__all__ = ["export_network"]

_CPU = torch.device("cpu")
_PROBES = (0, 1, 2)  # seeds by which a program is compared with its generator


def export_network(generator: SampleGenerator, path: str | os.PathLike[str]) -> Path:
    """Writes a generator's decoder to one file, and what else makes the generator into ``<file>.json``.

    ``load_generator(path, trust=True)`` reads both and gives equal samples. Only what makes samples is written: no
    encoder, but all of the latent distribution, which of some kinds holds codes of training items. Before anything is
    written, the program is read back and its samples are compared with the generator's.

    Args:
        generator: a NetworkGenerator or VAEGenerator, such as one of a bundle, or a ModuleGenerator.
        path: the file. Its ending chooses what is written: ``.ts`` or ``.pt`` TorchScript, traced; ``.pt2`` a program
            of ``torch.export``. Both files appear complete, or the previous ones stay.

    Returns:
        The absolute path.

    Raises:
        ValueError: another kind of generator, another ending, a latent distribution that cannot be written, or a
            decoder that cannot be written so, because its steps depend on the values of its input, as of a
            ``PerClassVAE``.
    """
    file = Path(path).resolve()
    if file.suffix not in NETWORK_SUFFIXES:
        raise ValueError(f"{file.name} ends in {file.suffix!r}, allowed: {', '.join(NETWORK_SUFFIXES)}.")
    program = NETWORK_SUFFIXES[file.suffix]
    decoder, inputs, decoder_range = _parts(generator)
    description = inputs.to_dict()
    data = _program(generator, decoder, inputs, program)
    _compare(generator, load_program(data, program, _CPU), inputs, decoder_range)
    spec = generator.spec.replace(sha256=hashlib.sha256(data).hexdigest(), encodes=())
    content = {
        "format": FILE_FORMAT,
        "spec": spec.to_dict(),
        "inputs": description,
        "decoder_range": list(decoder_range),
    }
    write_atomically(data, file)
    write_atomically((json.dumps(content, indent=2) + "\n").encode(), sidecar_of(file))
    return file


def _parts(generator: SampleGenerator) -> tuple[nn.Module, DecoderInputs, tuple[float, float]]:
    """Decoder on the CPU, what it is called with and its range."""
    if isinstance(generator, ModuleGenerator):
        with torch.no_grad():
            return copy.deepcopy(generator.decoder).to(_CPU), generator.inputs, generator.decoder_range
    if isinstance(generator, NetworkGenerator):
        network, n_classes = generator.network, generator.network.n_classes
        if isinstance(network, PerClassVAE):
            raise ValueError(
                f"generator {generator.spec.name!r} has a PerClassVAE, which hands every code to the member of its "
                "class: no program of fixed steps can. Use the bundle itself."
            )
        inputs = DecoderInputs(network.latent, "one_hot" if n_classes else None, n_classes)
        return _decoding_only(copy.deepcopy(network).to(_CPU)), inputs, (0.0, 1.0)
    raise ValueError(
        f"generator {generator.spec.name!r} is a {type(generator).__name__}, allowed: NetworkGenerator, VAEGenerator, "
        "ModuleGenerator."
    )


def _decoding_only(network: LatentDecoder) -> LatentDecoder:
    """Drops those parts of a network that a decoding does not run, and settles whether its gains do anything."""
    ran: set[nn.Module] = set()
    hooks = [part.register_forward_hook(lambda part, _inputs, _output: ran.add(part)) for part in network.modules()]
    with torch.no_grad():
        network(torch.zeros(1, network.code_dim))
    for hook in hooks:
        hook.remove()
    for name, part in list(network.named_children()):
        if isinstance(part, SpectralGain):
            setattr(network, name, _SettledGain(part))
        elif not ran.intersection(part.modules()):
            delattr(network, name)
    return network


class _SettledGain(nn.Module):
    """A gain of which is known whether it does anything; a program must not ask its values."""

    def __init__(self, gain: SpectralGain) -> None:
        super().__init__()
        self.is_fitted = gain.is_fitted
        self.filter = gain if gain.is_fitted else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        filtered: Tensor = self.filter(images)
        return filtered


def _program(generator: SampleGenerator, decoder: nn.Module, inputs: DecoderInputs, program: str) -> bytes:
    count = 2 if generator.spec.reproducible_batches else 1
    example = inputs.arguments(_PROBES[:count], _classes(generator, count), 1.0, _CPU)
    buffer = io.BytesIO()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations, and of constants: the result is compared
            if program == "torchscript":
                if not isinstance(decoder, torch.jit.ScriptModule):
                    decoder = torch.jit.trace(decoder, example, check_trace=False, strict=False)
                torch.jit.save(decoder, buffer)
            else:
                batch = {0: torch.export.Dim("n")} if count > 1 else {}
                torch.export.save(torch.export.export(decoder, example, dynamic_shapes=(batch,) * len(example)), buffer)
    except Exception as error:  # torch has no common class for what it cannot write
        raise ValueError(
            f"the decoder of {generator.spec.name!r}, a {type(decoder).__name__}, cannot be written as {program}: "
            f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        ) from error
    return buffer.getvalue()


def _compare(
    generator: SampleGenerator, program: nn.Module, inputs: DecoderInputs, decoder_range: tuple[float, float]
) -> None:
    """Refuses a program that makes other samples than the generator, one by one or in a batch."""
    spec = generator.spec
    sizes = (1, len(_PROBES)) if spec.reproducible_batches else (1,)
    for count in sizes:
        classes = _classes(generator, count)
        expected = {name: value.cpu() for name, value in generator.sample(_PROBES[:count], classes).items()}
        try:
            with torch.no_grad():
                decoded = program(*inputs.arguments(_PROBES[:count], classes, 1.0, _CPU))
            found = decoded_samples(decoded, spec, decoder_range)
        except Exception as error:  # as above
            raise ValueError(
                f"the decoder of {spec.name!r}, written as a program, fails on a batch of {count}, so its steps depend "
                f"on its input: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}"
            ) from error
        if differing := differing_outputs(found, expected, spec):
            raise ValueError(
                f"the decoder of {spec.name!r}, written as a program, makes another {differing} than the generator, so "
                "its steps depend on the values of its input."
            )


def _classes(generator: SampleGenerator, count: int) -> list[int] | None:
    numbers = sorted(generator.spec.classes or ())
    return [numbers[row % len(numbers)] for row in range(count)] if numbers else None
