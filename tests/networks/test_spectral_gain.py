# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from monai.transforms import GaussianSmooth
from torch import Tensor

from monai_genaug.networks.layers.spectral_gain import SpectralGain


def textures(spatial: tuple[int, ...], count: int = 6) -> Tensor:
    """Smooth random images around 0.5."""
    noise = torch.randn(count, 1, *spatial, generator=torch.Generator().manual_seed(0))
    smooth = torch.stack([torch.as_tensor(GaussianSmooth(0.8)(image)) for image in noise])
    return (0.5 + 0.2 * smooth).clamp(0.05, 0.95)


def blurred(images: Tensor) -> Tensor:
    return torch.stack([torch.as_tensor(GaussianSmooth(0.6)(image)) for image in images])


@pytest.mark.parametrize("spatial", [(48, 40), (24, 32, 24)])
def test_undoes_a_blur(spatial: tuple[int, ...]) -> None:
    real = textures(spatial)
    dull = blurred(real)
    gain = SpectralGain(max_gain=10.0)
    gain.fit([real[:3], real[3:]], [dull[:3], dull[3:]])
    inner = (slice(None), slice(None), *[slice(4, -4)] * len(spatial))
    before, after = (dull - real)[inner].square().mean(), (gain(dull) - real)[inner].square().mean()
    assert after < 0.25 * before


def test_is_the_identity_before_it_is_fitted_and_for_equal_spectra() -> None:
    images = textures((32, 32))
    gain = SpectralGain()
    assert not gain.is_fitted
    torch.testing.assert_close(gain(images), images)
    gain.fit([images], [images])
    torch.testing.assert_close(gain(images), images)


def test_bounded_gain_in_range_mean_kept_and_state_restored() -> None:
    real = textures((32, 32))
    gain = SpectralGain(max_gain=1.5)
    gain.fit([real], [blurred(real)])
    assert gain.is_fitted
    assert 1.0 <= gain.gain.min() <= gain.gain.max() == 1.5
    out = gain(blurred(real))
    assert 0.0 <= out.min() <= out.max() <= 1.0
    torch.testing.assert_close(gain(torch.full((1, 1, 32, 32), 0.3)), torch.full((1, 1, 32, 32), 0.3))
    other = SpectralGain()
    other.load_state_dict(gain.state_dict())
    assert torch.equal(other(real), gain(real))
