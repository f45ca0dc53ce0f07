# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""What every network that makes samples promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from monai_genaug.latent import ClassWiseLatent, GaussianMixtureLatent, NormalLatent, TruncatedNormalLatent
from monai_genaug.networks import DCGANGenerator, DiffusionDecoder, LatentDecoder
from tests.toy_families import FAMILIES, family_network

every_family = pytest.mark.parametrize("kind", FAMILIES)


def codes(network: LatentDecoder, count: int = 6) -> torch.Tensor:
    classes = [i % 2 for i in range(count)] if network.n_classes else None
    z = network.draw_latent(range(count), classes)
    return network.with_class(z, None if classes is None else torch.tensor(classes))


@every_family
@pytest.mark.parametrize("shape", [(8, 8), (10, 8, 9)])
def test_codes_become_images_between_0_and_1(kind: str, shape: tuple[int, ...]) -> None:
    network = family_network(kind, shape).eval()
    assert network.code_dim == network.latent_dim + network.n_classes
    assert codes(network).shape == (6, network.code_dim)
    images = network(codes(network))
    assert images.shape == (6, 1, *shape)
    assert images.dtype == torch.float32
    assert 0.0 <= images.min() < images.max() <= 1.0


@every_family
def test_a_sample_does_not_depend_on_its_neighbours(kind: str) -> None:
    network = family_network(kind).eval()
    whole = network(codes(network))
    alone = torch.cat([network(code[None]) for code in codes(network)])
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-4)
    assert (whole[0] - whole[2]).abs().max() > 1e-2


@every_family
def test_class_weights_may_be_any_numbers(kind: str) -> None:
    network = family_network(kind).eval()
    code = codes(network)
    code[:, network.latent_dim :] = torch.rand(6, network.n_classes)
    assert network(code).isfinite().all()


@pytest.mark.parametrize("kind", ["conditional_vae", "conditional_gan", "per_class_vae", "conditional_diffusion"])
def test_the_class_changes_the_sample(kind: str) -> None:
    network = family_network(kind).eval()
    z = network.draw_latent([3, 3], [0, 0])
    one, other = network(network.with_class(z, torch.tensor([0, 1])))
    assert (one - other).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["conditional_vae", "conditional_gan"])
def test_gradients_reach_the_class(kind: str) -> None:
    network = family_network(kind).eval()
    code = codes(network).requires_grad_()
    (gradient,) = torch.autograd.grad(network(code).sum(), code)
    assert (gradient[:, network.latent_dim :].abs() > 0).all()
    assert (gradient[:, : network.latent_dim].abs().amax(dim=1) > 0).all()


def test_with_class_appends_one_hot_columns() -> None:
    network = DCGANGenerator(2, (8, 8), latent_dim=2, channels=(4,), n_classes=3)
    z = torch.rand(2, 2, dtype=torch.float64)
    expected = torch.cat([z, torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).double()], dim=1)
    assert torch.equal(network.with_class(z, torch.tensor([2, 0])), expected)
    assert network.with_class(z[:0], torch.tensor([], dtype=torch.long)).shape == (0, 5)
    plain = DCGANGenerator(2, (8, 8), latent_dim=2, channels=(4,))
    assert plain.with_class(z) is z


@pytest.mark.parametrize(
    ("n_classes", "classes", "words"),
    [
        (3, None, "n_classes is 3, the classes are missing"),
        (0, [0, 0], "n_classes is 0, the classes are given"),
        (3, [0, 3], "classes lie from 0 to 3, allowed: 0 to 2"),
        (3, [-1, 1], "classes lie from -1 to 1, allowed: 0 to 2"),
        (3, [1], r"classes are \(1,\), needed: \(2,\)"),
        (3, [[1], [2]], r"classes are \(2, 1\), needed: \(2,\)"),
    ],
)
def test_classes_that_do_not_fit(n_classes: int, classes: Any, words: str) -> None:
    network = DCGANGenerator(2, (8, 8), latent_dim=2, channels=(4,), n_classes=n_classes)
    with pytest.raises(ValueError, match=words):
        network.with_class(torch.zeros(2, 2), None if classes is None else torch.tensor(classes))


def test_latent_is_an_object_a_name_or_the_standard_normal() -> None:
    def latent_of(**changes: Any) -> Any:
        return DCGANGenerator(2, (8, 8), latent_dim=2, channels=(4,), **changes).latent

    assert isinstance(latent_of(), NormalLatent)
    given = TruncatedNormalLatent(2)
    assert latent_of(latent=given) is given
    assert isinstance(latent_of(latent="gaussian_mixture"), GaussianMixtureLatent)
    assert isinstance(latent_of(latent="gaussian_mixture", n_classes=3), ClassWiseLatent)
    with pytest.raises(ValueError, match="'uniform', allowed"):
        latent_of(latent="uniform")


@every_family
def test_draws_are_the_latent_distributions(kind: str) -> None:
    network = family_network(kind)
    classes = [0, 1, 1] if network.n_classes else None
    assert network.supports_truncation == (not isinstance(network, DiffusionDecoder))
    truncation = 0.5 if network.supports_truncation else 1.0
    z = network.draw_latent([4, 5, 6], classes, truncation)
    assert torch.equal(z, network.latent.sample([4, 5, 6], truncation, classes))
    assert torch.equal(z, network.draw_latent([4, 5, 6], classes)) == (truncation == 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial_dims": 4}, "spatial_dims=4"),
        ({"spatial_shape": (8,)}, r"spatial_shape \(8,\)"),
        ({"image_channels": 0}, "image_channels is 0"),
        ({"n_classes": 1}, r"n_classes is 1, allowed: 0 \(no classes\) or 2 and more"),
        ({"n_classes": -2}, "n_classes is -2"),
        ({"latent": NormalLatent(5)}, "latent has dimension 5, latent_dim is 2"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DCGANGenerator(**{"spatial_dims": 2, "spatial_shape": (8, 8), "latent_dim": 2, "channels": (4,), **changes})
