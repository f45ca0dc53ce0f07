# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import resize

from monai_genaug.latent import TruncatedNormalLatent
from monai_genaug.networks.dcgan_generator import DCGANGenerator
from monai_genaug.networks.layers.conditional_batch_norm import ConditionalBatchNorm

TINY: dict[str, Any] = {"latent_dim": 4, "channels": (4, 3)}


def seeded(*args: Any, **kwargs: Any) -> DCGANGenerator:
    """A generator with contrast, classes that differ and statistics that fit, as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DCGANGenerator(*args, **kwargs)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, ConditionalBatchNorm):
                    module.gain.normal_(1.0, 0.5)
                    module.bias.normal_(0.0, 0.5)
            for parameter in network.to_image.parameters():
                parameter.mul_(10.0)
    count = 32
    network.calibrate(
        [draws(network, [i % network.n_classes for i in range(count)] if network.n_classes else None, count)]
    )
    return network


def draws(network: DCGANGenerator, classes: list[int] | None = None, count: int = 2) -> Tensor:
    z = network.draw_latent(range(count))
    return network.with_class(z, None if classes is None else torch.tensor(classes))


def test_the_parameters_of_the_published_table() -> None:
    network = DCGANGenerator(2, (32, 32), 3, latent_dim=100, channels=(256, 128, 64), n_classes=9, dropout=0.5)
    assert sum(p.numel() for p in network.parameters()) == 1_076_547


def test_parameters_without_classes_and_by_resizing() -> None:
    plain = DCGANGenerator(3, (8, 8, 8), **TINY)
    first, second, last = 4 * 4 * 2**3 + 4, 4 * 3 * 4**3 + 3, 3 * 1 * 4**3 + 1
    assert sum(p.numel() for p in plain.parameters()) == first + 2 * 4 + second + 2 * 3 + last
    resized = DCGANGenerator(3, (8, 8, 8), **TINY, upsampling="resize", n_classes=5, conditioning="product")
    second, last = 4 * 3 * 3**3 + 3, 3 * 1 * 3**3 + 1
    assert sum(p.numel() for p in resized.parameters()) == first + 2 * 4 + second + 2 * 3 + last + 5 * 4


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize(
    ("shape", "image_channels", "doublings"),
    [
        ((28, 28), 1, 3),
        ((32, 32), 3, 3),
        ((64, 48), 3, 4),
        ((128, 128), 1, 5),
        ((256, 256), 3, 6),
        ((28, 28, 28), 1, 3),
        ((5, 9, 16), 2, 2),
    ],
)
def test_shapes_and_range(shape: tuple[int, ...], image_channels: int, doublings: int, upsampling: str) -> None:
    network = seeded(
        len(shape), shape, image_channels, latent_dim=4, channels=(3,) * doublings, n_classes=2, upsampling=upsampling
    )
    with torch.no_grad():
        image = network(draws(network, [0, 1]))
    assert image.shape == (2, image_channels, *shape)
    assert image.dtype == torch.float32
    assert 0.0 <= image.min() < 0.5 < image.max() <= 1.0


def test_sizes_between_are_resized_from_the_next_larger() -> None:
    small, large = (seeded(2, (size, size), latent_dim=4, channels=(4, 4, 3)).eval() for size in (28, 32))
    small.load_state_dict(large.state_dict())
    code = draws(small)
    torch.testing.assert_close(small(code), resize(large(code), [28, 28], antialias=True))
    small, large = (seeded(3, (size,) * 3, latent_dim=4, channels=(4, 3)).eval() for size in (7, 8))
    small.load_state_dict(large.state_dict())
    expected = functional.interpolate(large(code), size=(7, 7, 7), mode="trilinear", align_corners=False)
    torch.testing.assert_close(small(code), expected)


def test_a_single_block_equals_its_formula() -> None:
    network = seeded(2, (4, 6), latent_dim=4, channels=(3,), n_classes=2).eval()
    code = draws(network, [0, 1])
    start = network.blocks[0].layer
    grid = torch.einsum("nz,zcij->ncij", code[:, :4], start.weight) + start.bias[:, None, None]
    norm = network.blocks[0].norm
    mean, variance, gain, bias = (
        table[..., None, None]
        for table in (norm.norm.running_mean, norm.norm.running_var, norm.gain[[0, 1]], norm.bias[[0, 1]])
    )
    grid = gain * (grid - mean) / (variance + 1e-5).sqrt() + bias
    grid = torch.where(grid > 0, grid, 0.2 * grid)
    out = functional.conv_transpose2d(grid, network.to_image.weight, network.to_image.bias, 2, 1)
    torch.testing.assert_close(network(code), torch.sigmoid(2 * out))  # (tanh(t) + 1) / 2


@pytest.mark.parametrize("conditioning", ["batch_norm", "product"])
def test_classes_make_a_difference(conditioning: str) -> None:
    network = seeded(2, (16, 16), n_classes=3, conditioning=conditioning, **TINY).eval()
    z = network.draw_latent([5, 5, 5])
    images = network(network.with_class(z, torch.tensor([0, 1, 2])))
    for one, other in [(0, 1), (1, 2), (0, 2)]:
        assert (images[one] - images[other]).abs().max() > 0.02
    weights = torch.tensor([[0.5, 0.5, 0.0]], requires_grad=True)
    mixed = network(torch.cat([z[:1], weights], dim=1))
    assert torch.isfinite(mixed).all()
    assert all((mixed[0] - images[label]).abs().max() > 0.01 for label in range(3))
    (gradient,) = torch.autograd.grad(mixed.sum(), weights)
    assert (gradient != 0).all()


def test_product_is_z_times_a_row_of_the_table() -> None:
    network = seeded(2, (16, 16), n_classes=3, conditioning="product", **TINY).eval()
    plain = seeded(2, (16, 16), **TINY).eval()
    assert network.embedding is not None
    table = network.embedding.detach()
    plain.load_state_dict({name: value for name, value in network.state_dict().items() if name != "embedding"})
    z = network.draw_latent([1, 2])
    expected = plain(torch.stack([z[0] * table[2], z[1] * table[0]]))
    torch.testing.assert_close(network(network.with_class(z, torch.tensor([2, 0]))), expected)


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    network = seeded(2, (28, 28), n_classes=2, dropout=0.5, **TINY).eval()
    code = draws(network, [0, 1, 0, 1], 4)
    together = network(code)
    for row in range(4):
        torch.testing.assert_close(network(code[row : row + 1]), together[row : row + 1], rtol=0, atol=1e-6)


def test_weights_start_normal_with_a_deviation_of_2_percent() -> None:
    network = DCGANGenerator(2, (32, 32), latent_dim=64, channels=(128, 64), n_classes=2)
    for layer in [network.blocks[0].layer, network.blocks[1].layer]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert (layer.bias == 0).all()
    assert (network.blocks[1].norm.gain == 1).all()


def test_dropout_is_after_every_block_but_the_first() -> None:
    network = DCGANGenerator(2, (32, 32), latent_dim=4, channels=(4, 4, 4), dropout=0.3)
    assert [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)] == [0.0, 0.3, 0.3]


def test_calibrate_takes_the_average_over_batches() -> None:
    network = seeded(2, (4, 6), latent_dim=4, channels=(3,), n_classes=2).train()
    network(draws(network, [0, 1]))  # statistics that must go
    before = {name: value.clone() for name, value in network.named_parameters()}
    code = draws(network, [0, 1] * 5, 10)
    network.calibrate([code[:3], code[3:]])
    start, norm = network.blocks[0].layer, network.blocks[0].norm.norm
    with torch.no_grad():
        grids = [torch.einsum("nz,zcij->cnij", c[:, :4], start.weight).flatten(1) for c in (code[:3], code[3:])]
    torch.testing.assert_close(norm.running_mean, sum(g.mean(dim=1) for g in grids) / 2)
    torch.testing.assert_close(norm.running_var, sum(g.var(dim=1) for g in grids) / 2)
    assert norm.momentum == 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    assert all(value.grad is None for value in network.parameters())


def test_calibrate_makes_eval_equal_training_and_leaves_the_modes() -> None:
    network = seeded(2, (16, 16), dropout=0.0, **TINY)
    code = draws(network, None, 64)
    network.eval().blocks[1].train()
    modes = [module.training for module in network.modules()]
    network.calibrate([code])
    assert [module.training for module in network.modules()] == modes
    trained, evaluated = network.train()(code), network.eval()(code)
    torch.testing.assert_close(trained, evaluated, rtol=0, atol=5e-3)  # the variances are n / (n - 1) apart
    dropping = seeded(2, (16, 16), dropout=0.5, **TINY)
    state = torch.get_rng_state()
    dropping.calibrate([code])
    assert torch.equal(torch.get_rng_state(), state)
    dropping.eval()
    network = seeded(2, (16, 16), **TINY)
    network.calibrate([code])
    assert torch.equal(dropping(code), network.eval()(code))


@pytest.mark.parametrize("codes", [[], [torch.zeros(2, 5)], [torch.zeros(4, 4), torch.zeros(1, 4)], [torch.zeros(4)]])
def test_calibrate_refuses_other_codes_and_changes_nothing(codes: list[Tensor]) -> None:
    network = seeded(2, (16, 16), **TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=r"needed: batches \(n, 4\)"):
        network.calibrate(codes)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("shape", [(28, 28), (8, 8, 8)])
def test_traced(shape: tuple[int, ...]) -> None:
    network = seeded(len(shape), shape, n_classes=2, **TINY).eval()
    traced = torch.jit.trace(network, (draws(network, [0, 1]),))
    code = draws(network, [1, 0, 1], 3)
    torch.testing.assert_close(traced(code), network(code))


def test_latent_is_the_one_given() -> None:
    network = seeded(2, (16, 16), latent=TruncatedNormalLatent(4, bound=0.5), **TINY)
    assert network.draw_latent(range(100)).abs().max() <= 0.5
    assert network.code_dim == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial_dims": 3}, "spatial_dims=3"),
        ({"spatial_shape": (0, 8)}, "allowed: sizes"),
        ({"channels": ()}, "channels are"),
        ({"channels": (4, 0)}, "channels are"),
        ({"conditioning": "film"}, "'film', allowed"),
        ({"upsampling": "shuffle"}, "'shuffle', allowed"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"n_classes": 1}, "n_classes is 1"),
        ({"latent": TruncatedNormalLatent(5)}, "dimension 5"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DCGANGenerator(**{"spatial_dims": 2, "spatial_shape": (8, 8), **TINY, **changes})


def test_bad_codes() -> None:
    network = seeded(2, (16, 16), n_classes=2, **TINY)
    with pytest.raises(ValueError, match=r"needed: \(n, 6\)"):
        network(torch.zeros(2, 4))
