# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Feature extractors by name."""

from __future__ import annotations

from collections.abc import Callable

from monai_genaug.metrics.features.base import FeatureExtractor
from monai_genaug.metrics.features.inception import InceptionFeatures
from monai_genaug.metrics.features.medical import MedicalFeatures
from monai_genaug.metrics.features.random_weights import RandomFeatures

__all__ = ["feature_extractor"]

_EXTRACTORS: dict[str, Callable[[int], FeatureExtractor]] = {
    "medical": MedicalFeatures,
    "random": RandomFeatures,
    "inception": lambda _spatial_dims: InceptionFeatures(),
}


def feature_extractor(extractor: str | FeatureExtractor, spatial_dims: int = 2) -> FeatureExtractor:
    """The extractor of a name; an object is returned as it is.

    Args:
        extractor: ``"medical"``, ``"random"``, ``"inception"`` (2D; a download), or an object.
        spatial_dims: of the images, 2 or 3.

    Raises:
        ValueError: another name or object, or one for images of other dimensions.
    """
    if isinstance(extractor, str) and extractor in _EXTRACTORS:
        if extractor == "inception" and spatial_dims != 2:
            raise ValueError(f"extractor 'inception' is for 2D images, spatial_dims is {spatial_dims}.")
        extractor = _EXTRACTORS[extractor](spatial_dims)
    if not isinstance(extractor, FeatureExtractor):
        raise ValueError(
            f"extractor is {extractor!r}, allowed: {', '.join(map(repr, _EXTRACTORS))} and objects such as "
            "ModuleFeatures(network)."
        )
    if extractor.spatial_dims != spatial_dims:
        raise ValueError(f"{extractor.name!r} is for {extractor.spatial_dims}D images, spatial_dims is {spatial_dims}.")
    return extractor
