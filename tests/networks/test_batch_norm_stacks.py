# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monai_genaug.networks.layers.batch_norm_stacks import BatchNormDecoder, BatchNormEncoder

PUBLISHED = (32, 64, 128, 256, 512)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def shapes_of(module: nn.Module, x: Tensor, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    """What the layers of a kind give."""
    found: list[tuple[int, ...]] = []
    for layer in module.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda layer, given, made: found.append(tuple(made.shape[1:])))
    module(x)
    return found


@pytest.mark.parametrize(("in_channels", "count"), [(4, 1_570_848), (3, 1_570_560)])
def test_encoder_is_that_of_the_published_tables(in_channels: int, count: int) -> None:
    encoder = BatchNormEncoder((28, 28), in_channels, PUBLISHED)
    assert parameters(encoder) == count
    assert encoder.grid == (1, 1)
    shapes = shapes_of(encoder, torch.rand(2, in_channels, 28, 28), nn.Conv2d)
    assert shapes == [(32, 14, 14), (64, 7, 7), (128, 4, 4), (256, 2, 2), (512, 1, 1)]


def test_decoder_is_that_of_the_published_tables() -> None:
    decoder = BatchNormDecoder((28, 28), PUBLISHED[::-1], 3)
    assert parameters(decoder.blocks) == 1_568_160
    assert parameters(decoder.output) == 19_491
    assert decoder.grid == (2, 2)
    doubled = shapes_of(decoder, torch.rand(2, 512, 2, 2), nn.ConvTranspose2d)
    assert doubled == [(256, 4, 4), (128, 8, 8), (64, 16, 16), (32, 32, 32), (32, 61, 61)]
    assert shapes_of(decoder.output, torch.rand(2, 32, 32, 32), nn.Conv2d) == [(32, 30, 30), (3, 28, 28)]


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (64, 64), (64, 28), (7, 33), (1, 1), (12, 9, 16), (28, 28, 28)])
@pytest.mark.parametrize("depth", [1, 3])
def test_any_size_goes_in_and_comes_out(shape: tuple[int, ...], depth: int) -> None:
    channels = (2, 3, 4)[:depth]
    encoder, decoder = BatchNormEncoder(shape, 1, channels), BatchNormDecoder(shape, channels[::-1], 2)
    assert encoder.eval()(torch.rand(1, 1, *shape)).shape == (1, channels[-1], *encoder.grid)
    assert decoder.eval()(torch.rand(1, channels[-1], *decoder.grid)).shape == (1, 2, *shape)
    pixels, least = torch.tensor(decoder.grid) * 2 ** (depth - 1) - 4, torch.tensor(shape)
    assert (pixels >= least).all()
    assert (pixels - 2 ** (depth - 1) < least).all()  # nothing is made that needn't be


def test_decoder_gives_the_centre() -> None:
    decoder = BatchNormDecoder((9, 10), (3, 3, 3), 1).eval()
    features = torch.rand(2, 3, *decoder.grid)
    whole = decoder.output(decoder.blocks(features))
    assert whole.shape[2:] == (12, 12)
    assert torch.equal(decoder(features), whole[:, :, 1:10, 1:11])


def test_outputs_do_not_depend_on_the_batch_once_trained() -> None:
    encoder = BatchNormEncoder((8, 8), 1, (4, 4))
    x = torch.rand(5, 1, 8, 8)
    assert not torch.allclose(encoder(x)[:2], encoder(x[:2]), atol=1e-3)
    encoder.eval()
    torch.testing.assert_close(encoder(x)[:2], encoder(x[:2]))
