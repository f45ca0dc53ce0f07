# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""Features of Inception-v3, which most published Frechet distances use."""

from __future__ import annotations

import os

import torch
from torch import nn

from monai_genaug.metrics.features.module import ModuleFeatures
from monai_genaug.weights import load_strict, read_weights

__all__ = ["InceptionFeatures"]


class InceptionFeatures(ModuleFeatures):
    """The 2048 pooled features of torchvision's Inception-v3, trained on the photographs of ImageNet.

    Constructing it downloads 104 MB once, into torch's cache. The weights are not those of the original FID program,
    nor is its resizing, so that distances are comparable with each other, not with figures in papers. Frechet
    distances need several thousand images with that many features.

    Args:
        weights: a local file with torchvision's state dict, instead of the download.
        batch_size: images per chunk.

    Raises:
        WeightsError: a local file that cannot be used, see :mod:`monai_genaug.weights`.
        URLError: no file, and no network.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None, batch_size: int = 32) -> None:
        from torchvision.models import Inception_V3_Weights, inception_v3

        if weights is None:
            state = Inception_V3_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            state = read_weights(weights)
        with torch.random.fork_rng(devices=[]):  # torch's modules draw when they are made
            network = inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
        load_strict(network, state, "torchvision's weights" if weights is None else os.fspath(weights))
        network.fc, network.AuxLogits = nn.Identity(), None
        super().__init__(network, None, (299, 299), 3, 0.5, 0.5, batch_size, name="inception")
