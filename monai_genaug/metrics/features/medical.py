# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of the small networks that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monai_genaug.metrics.features.base import FeatureExtractor
from monai_genaug.metrics.features.network import FeatureNetwork
from monai_genaug.weights import load_strict, read_weights

__all__ = ["MedicalFeatures"]

_FOLDER = Path(__file__).parent / "weights"


class MedicalFeatures(FeatureExtractor):
    """Features of a small network trained on medical images; no download.

    It tells modalities and classes, orientation, noise, blur, contrast and colour apart; ``docs/results/features.md``
    has the images and figures of its training. Each feature has mean 0 and variance 1 over its training images. It has
    seen few modalities: look at :class:`RandomFeatures` too where yours is none of them.

    Args:
        spatial_dims: 2 (images of 1 or 3 channels, resized to 64x64) or 3 (1 channel, resized to 32x32x32).
        batch_size: images per chunk.

    Attributes:
        record: data, licence and figures of the training.

    Raises:
        ValueError: other ``spatial_dims``.
        WeightsError: weights that are not those of this version.
    """

    network: FeatureNetwork

    def __init__(self, spatial_dims: int = 2, batch_size: int = 64) -> None:
        with torch.random.fork_rng(devices=[]):  # torch's modules draw when they are made
            network = FeatureNetwork(spatial_dims)
        path = _FOLDER / f"medical_{spatial_dims}d.pt"
        record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        size = tuple(record["size"])
        super().__init__("medical", spatial_dims, network.in_channels, size, network.n_features, batch_size)
        load_strict(network, read_weights(path, record["sha256"]), str(path))
        self.record, self.network = record, network
        self._frozen()

    def features(self, x: Tensor) -> Tensor:
        """Means of the last stage's channels, standardised."""
        rows: Tensor = self.network(x)
        return rows
