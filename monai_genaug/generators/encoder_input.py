# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A batch in a generator's space -> what its encoder reads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn.functional import one_hot

from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__ = ["RANGE_TOLERANCE", "encoder_input"]

RANGE_TOLERANCE = 0.05
"""How far intensities may lie outside the value range, as a share of its width; interpolation overshoots a little."""


def encoder_input(batch: Mapping[str, Tensor], spec: GeneratorSpec) -> Tensor:
    """Images scaled to [0, 1] (and clipped), then masks one-hot.

    Args:
        batch: output name -> ``(n, channels, *spatial_shape)``, for every name in ``spec.encodes``.
        spec: the generator's.

    Returns:
        ``(n, image channels + mask classes, *spatial_shape)``, float32, on the device of the batch.

    Raises:
        ValueError: a missing output, a wrong shape, values that are not finite, out of range, or no known label.
    """
    if not spec.encodes:
        raise ValueError(f"generator {spec.name!r} has no encoder.")
    missing = [name for name in spec.encodes if name not in batch]
    if missing:
        raise ValueError(f"the batch has {sorted(batch)}, the encoder of {spec.name!r} also needs {missing}.")
    values = {name: convert_to_tensor(batch[name], track_meta=False) for name in spec.encodes}
    count = len(values[spec.encodes[0]]) if values[spec.encodes[0]].ndim else 0
    for name, value in values.items():
        expected = (count, spec.outputs[name].channels, *spec.spatial_shape)
        if count == 0 or tuple(value.shape) != expected:
            needed = ", ".join(["n", *map(str, expected[1:])])
            raise ValueError(f"{name!r} has shape {tuple(value.shape)}, {spec.name!r} needs ({needed}).")
        if not value.isfinite().all():
            raise ValueError(f"{name!r} holds NaN or infinite values.")
    ordered = sorted(spec.encodes, key=lambda name: spec.outputs[name].kind)  # "image" before "mask"
    parts = [_channels(name, values[name], spec.outputs[name]) for name in ordered]
    return torch.cat(parts, dim=1)


def _channels(name: str, value: Tensor, output: OutputSpec) -> Tensor:
    low, high = output.value_range
    if output.kind == "image":
        slack = RANGE_TOLERANCE * (high - low)
        if value.min() < low - slack or value.max() > high + slack:
            raise ValueError(f"{name!r} spans {_span(value)}, the generator's range is [{low}, {high}].")
        return ((value.float() - low) / (high - low)).clamp(0.0, 1.0)
    labels = value.long()
    if (labels != value).any() or labels.min() < 0 or labels.max() >= len(output.class_names):
        allowed = dict(enumerate(output.class_names))
        raise ValueError(f"{name!r} holds values in {_span(value)}, allowed labels: {allowed}.")
    return one_hot(labels.squeeze(1), len(output.class_names)).movedim(-1, 1).float()


def _span(value: Tensor) -> str:
    return f"[{value.min().item():g}, {value.max().item():g}]"
