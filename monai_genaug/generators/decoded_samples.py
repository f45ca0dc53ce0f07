# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What a decoder returns -> samples as the spec describes them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from monai_genaug.generators.base import Samples
from monai_genaug.generators.spec import GeneratorSpec, OutputSpec
from monai_genaug.generators.winning_labels import winning_labels

__all__ = ["Decoded", "decoded_samples", "image_parts", "n_labels"]

Decoded = Tensor | Mapping[str, Tensor]
"""One tensor, the channels of all images and then the logits of all masks; or output name -> tensor."""


def decoded_samples(decoded: Decoded, spec: GeneratorSpec, decoder_range: tuple[float, float] = (0.0, 1.0)) -> Samples:
    """Images mapped linearly from the decoder's range to the spec's and clamped, masks as labels.

    Args:
        decoded: ``(n, channels, *spatial_shape)``: the channels of the images, then one channel of logits per label of
            the masks, both in the order of ``spec.outputs``. Or output name -> its part, where an integer tensor of a
            mask holds the labels themselves.
        spec: what the samples are to be.
        decoder_range: the values of the decoder's images that become the ends of the value range.

    Raises:
        ValueError: another shape, or an output that is missing; the text names both sides.
    """
    parts = _parts(decoded, spec)
    samples = {
        name: _image(parts[name], output, decoder_range) if output.kind == "image" else _labels(parts[name], output)
        for name, output in spec.outputs.items()
    }
    return {name: values.contiguous() for name, values in samples.items()}


def image_parts(decoded: Decoded, spec: GeneratorSpec) -> list[Tensor]:
    """The images of what a decoder returned, as it returned them."""
    parts = _parts(decoded, spec)
    return [parts[name] for name, output in spec.outputs.items() if output.kind == "image"]


def n_labels(output: OutputSpec) -> int:
    """How many labels a mask has."""
    low, high = output.value_range
    return len(output.class_names) or int(high - low) + 1


def _parts(decoded: Decoded, spec: GeneratorSpec) -> Mapping[str, Tensor]:
    if isinstance(decoded, Tensor):
        ordered = sorted(spec.outputs, key=lambda name: spec.outputs[name].kind)  # "image" before "mask"
        sizes = [_channels(spec.outputs[name], is_logits=True) for name in ordered]
        _check_shape(decoded, sum(sizes), spec, "a tensor")
        return dict(zip(ordered, decoded.split(sizes, dim=1), strict=True))
    if not isinstance(decoded, Mapping):
        raise ValueError(
            f"the decoder of {spec.name!r} returned {type(decoded).__name__}, allowed: a tensor, or a dictionary with "
            f"{tuple(spec.outputs)}."
        )
    missing = [name for name in spec.outputs if name not in decoded]
    if missing:
        raise ValueError(f"the decoder of {spec.name!r} returned {sorted(decoded)}, {missing} are missing.")
    for name, output in spec.outputs.items():
        is_logits = decoded[name].is_floating_point()
        _check_shape(decoded[name], _channels(output, is_logits), spec, repr(name))
    return decoded


def _channels(output: OutputSpec, is_logits: bool) -> int:
    return n_labels(output) if output.kind == "mask" and is_logits else output.channels


def _check_shape(decoded: Tensor, channels: int, spec: GeneratorSpec, what: str) -> None:
    if tuple(decoded.shape[1:]) != (channels, *spec.spatial_shape):
        needed = ", ".join(["n", str(channels), *map(str, spec.spatial_shape)])
        raise ValueError(
            f"the decoder of {spec.name!r} returned {what} of shape {tuple(decoded.shape)}, its spec needs ({needed})."
        )


def _image(values: Tensor, output: OutputSpec, decoder_range: tuple[float, float]) -> Tensor:
    low, high = output.value_range
    first, last = decoder_range
    if output.levels is None and decoder_range == (low, high):
        return values.float().clamp(low, high)
    unit = values.float() if decoder_range == (0.0, 1.0) else (values.float() - first) / (last - first)
    if output.levels is not None:
        unit = (unit * (output.levels - 1)).round() / (output.levels - 1)
    return ((high - low) * unit).add_(low).clamp_(low, high)


def _labels(values: Tensor, output: OutputSpec) -> Tensor:
    dtype = getattr(torch, output.dtype)
    if not values.is_floating_point():
        return values.to(dtype)
    labels = winning_labels(values, dtype)
    lowest = int(output.value_range[0])
    return labels + lowest if lowest else labels
