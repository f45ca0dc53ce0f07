# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The spec of the usual generator, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai_genaug.generators.spec import GeneratorSpec, OutputSpec

__all__ = ["image_spec"]


def image_spec(
    name: str,
    spatial_shape: Sequence[int],
    channels: int = 1,
    classes: Sequence[str] = (),
    mask_classes: Sequence[str] = (),
    value_range: tuple[float, float] = (0.0, 1.0),
    **fields: Any,
) -> GeneratorSpec:
    """The spec of a generator of one image and, if asked for, its label map.

    Args:
        name: of the generator.
        spatial_shape: voxels per axis.
        channels: of the image.
        classes: names of the classes 0, 1, ... of samples; none for an unconditional generator.
        mask_classes: names of the labels 0, 1, ... of the mask, the background first; none for images alone.
        value_range: of the image.
        fields: other fields of :class:`GeneratorSpec`, such as ``spacing``, ``truncation`` or ``weights_licence``.

    Returns:
        A spec with the outputs ``image`` and, with ``mask_classes``, ``mask`` (uint8).

    Raises:
        ValueError: a value that is not allowed; one class or label alone.

    Example:
        >>> image_spec("lesions", (64, 64), channels=3, classes=("benign", "malignant")).classes
        {0: 'benign', 1: 'malignant'}
    """
    for what, names in (("classes", classes), ("mask_classes", mask_classes)):
        if isinstance(names, str) or len(names) == 1 or len(names) > 256:
            raise ValueError(f"{what} is {names!r}, allowed: none, or 2 to 256 names.")
    outputs = {"image": OutputSpec("image", channels, value_range, "float32")}
    if mask_classes:
        outputs["mask"] = OutputSpec("mask", 1, (0, len(mask_classes) - 1), "uint8", tuple(mask_classes))
    return GeneratorSpec(
        name=name,
        outputs=outputs,
        spatial_shape=tuple(spatial_shape),
        classes=dict(enumerate(classes)) if classes else None,
        **fields,
    )
