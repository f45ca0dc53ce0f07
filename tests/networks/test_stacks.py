# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from monai_genaug.networks.layers.batch_norm_stacks import BatchNormEncoder
from monai_genaug.networks.layers.conv_stacks import ConvEncoder
from monai_genaug.networks.layers.stacks import STACKS, build_stacks


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("shape", [(8, 16), (8, 16, 24)])
def test_the_two_halves_fit_their_grids(name: str, shape: tuple[int, ...]) -> None:
    stacks = build_stacks(name, shape, (2, 3, 4), in_channels=5, out_channels=6)
    assert isinstance(stacks.encoder, BatchNormEncoder if name == "batch_norm" else ConvEncoder)
    features = stacks.encoder.eval()(torch.rand(2, 5, *shape))
    assert features.shape == (2, 4, *stacks.encoded_grid)
    assert stacks.decoder.eval()(torch.rand(2, 4, *stacks.decoded_grid)).shape == (2, 6, *shape)


@pytest.mark.parametrize(
    ("name", "shape", "channels", "words"),
    [
        ("plain", (8, 8), (4,), r"'plain', allowed: \('residual', 'batch_norm'\)"),
        ("residual", (8, 9), (4,), "9 is not a multiple"),
        ("batch_norm", (8, 9), (), "channels are"),
        ("residual", (8, 8), (4, 0), "channels are"),
    ],
)
def test_bad_arguments(name: str, shape: Sequence[int], channels: Sequence[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_stacks(name, shape, channels, 1, 1)
