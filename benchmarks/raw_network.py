# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of a bundle, without what a generator makes of it."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_genaug.generators.bundle_reference import BundleReference
from monai_genaug.generators.loading import bundle_path
from monai_genaug.networks import LatentDecoder


def raw_network(bundle: str) -> LatentDecoder:
    """The network of a shipped bundle or a bundle folder, as PyTorch loads it."""
    return BundleReference.read(bundle_path(bundle)).build_network().eval()


@torch.no_grad()
def decode(network: torch.nn.Module, codes: Tensor, batch_size: int) -> None:
    """Decodes codes in batches."""
    for batch in codes.split(batch_size):
        network(batch)
