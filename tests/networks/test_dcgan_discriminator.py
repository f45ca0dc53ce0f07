# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from monai_genaug.networks.dcgan_discriminator import DCGANDiscriminator
from monai_genaug.networks.layers.self_attention import SelfAttention

BOTH = ("projection", "auxiliary")
FULL: dict[str, Any] = {"n_classes": 3, "class_heads": BOTH, "stem": True, "attention_after": 1}


def seeded(*args: Any, **kwargs: Any) -> DCGANDiscriminator:
    """A discriminator whose attention does something, as after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DCGANDiscriminator(*args, **kwargs)
        for module in network.modules():
            if isinstance(module, SelfAttention):
                nn.init.normal_(module.value.weight, 0.0, 0.5)
    return network


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_the_parameters_of_the_published_table() -> None:
    network = DCGANDiscriminator(
        2, (32, 32), 3, (32, 64, 128, 256), 9, BOTH, stem=True, attention_after=1, dropout=0.5, spectral_norm=False
    )
    assert sum(p.numel() for p in network.parameters()) == 772_426


@pytest.mark.parametrize(
    ("shape", "image_channels", "halvings"),
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
@pytest.mark.parametrize("stem", [False, True])
def test_shapes(shape: tuple[int, ...], image_channels: int, halvings: int, stem: bool) -> None:
    network = seeded(len(shape), shape, image_channels, (2,) * (halvings + stem), 3, BOTH, stem=stem)
    with torch.no_grad():
        scores, logits = network(images(2, image_channels, *shape), torch.eye(3)[:2])
    assert scores.shape == (2,)
    assert logits is not None
    assert logits.shape == (2, 3)
    assert network.working_shape == tuple(-(-size // 2**halvings) * 2**halvings for size in shape)


@pytest.mark.parametrize("heads", [(), ("projection",), ("auxiliary",), BOTH])
def test_one_layer_equals_its_formula(heads: tuple[str, ...]) -> None:
    network = seeded(2, (4, 6), 2, (3,), 2 if heads else 0, heads)
    image, classes = images(2, 2, 4, 6), torch.tensor([[0.0, 1.0], [0.3, 0.7]])
    conv = network.blocks[0][0]
    scaled = np.pad(2 * image.numpy() - 1, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
    features = np.einsum("ncijkl,ockl->noij", windows, conv.weight.detach().numpy())
    features += conv.bias.detach().numpy()[:, None, None]
    features = np.maximum(features, 0.2 * features).reshape(2, -1)
    expected = features @ network.to_score.weight.detach().numpy()[0] + network.to_score.bias.item()
    if network.to_projection is not None:
        expected = expected + (features * (classes.numpy() @ network.to_projection.weight.detach().numpy().T)).sum(1)
    scores, logits = network(image, classes if heads else None)
    np.testing.assert_allclose(scores.detach().numpy(), expected, rtol=1e-4, atol=1e-6)
    assert (logits is None) == ("auxiliary" not in heads)
    if logits is not None and network.to_logits is not None:
        of_classes = features @ network.to_logits.weight.detach().numpy().T + network.to_logits.bias.detach().numpy()
        np.testing.assert_allclose(logits.detach().numpy(), of_classes, rtol=1e-4, atol=1e-6)


def test_sizes_between_are_enlarged() -> None:
    small, large = (seeded(2, (size, size), 1, (4, 4, 4)) for size in (28, 32))
    small.load_state_dict(large.state_dict())
    image = images(2, 1, 28, 28)
    enlarged = functional.interpolate(image, size=(32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(small(image)[0], large(enlarged)[0])


def test_order_of_the_layers() -> None:
    network = DCGANDiscriminator(2, (16, 16), 1, (4, 8, 8), norm="batch", stem=True, attention_after=1, dropout=0.3)
    kinds = [type(m) for m in network.blocks.modules() if not list(m.children()) and not isinstance(m, nn.Identity)]
    assert kinds == [
        *[nn.Conv2d, nn.LeakyReLU, nn.Dropout],
        *[nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.Dropout, nn.Conv2d, nn.Conv2d, nn.Conv2d],
        *[nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU, nn.Dropout, nn.Flatten],
    ]
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.0, 0.3, 0.3]
    assert [m.stride for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None] == [
        (1, 1),
        (2, 2),
        (2, 2),
    ]


@pytest.mark.parametrize(("norm", "expected"), [(None, False), ("instance", False), ("batch", True)])
def test_has_batch_norm_tells_whether_neighbours_matter(norm: str | None, expected: bool) -> None:
    network = seeded(2, (16, 16), 1, (4, 8), norm=norm)
    assert network.has_batch_norm == expected
    image = images(3, 1, 16, 16)
    together, alone = network(image)[0][:2], network(image[:2])[0]
    assert torch.allclose(together, alone, rtol=0, atol=1e-6) != expected
    assert not DCGANDiscriminator(2, (16, 16), 1, (4,), norm=norm).has_batch_norm


@pytest.mark.parametrize(("norm", "of_norms"), [(None, 0), ("batch", 2 * (8 + 16)), ("instance", 2 * (8 + 16))])
def test_norms_are_affine(norm: str | None, of_norms: int) -> None:
    network = DCGANDiscriminator(2, (16, 16), 1, (4, 8, 16), norm=norm)
    of_layers = (1 * 4 * 16 + 4) + (4 * 8 * 16 + 8) + (8 * 16 * 16 + 16) + (16 * 2 * 2 + 1)
    assert sum(p.numel() for p in network.parameters()) == of_layers + of_norms


@pytest.mark.parametrize("shape", [(16, 16), (8, 8, 8)])
def test_spectral_norm_is_one(shape: tuple[int, ...]) -> None:
    network = seeded(len(shape), shape, 1, (4, 8, 8), spectral_norm=True, **FULL)
    normalised = [m for m in network.modules() if is_parametrized(m, "weight")]
    assert len(normalised) == 3 + 3  # convolutions and heads
    attention = next(m for m in network.modules() if isinstance(m, SelfAttention))
    assert not any(is_parametrized(m) for m in attention.modules())
    with torch.no_grad():
        for _ in range(300):
            network(torch.zeros(1, 1, *shape), torch.eye(3)[:1])
        network.eval()
        for layer in normalised:
            assert isinstance(layer.weight, Tensor)
            largest = np.linalg.svd(layer.weight.flatten(1).numpy(), compute_uv=False)[0]
            assert largest == pytest.approx(1.0, abs=1e-3)


def test_weights_start_normal_with_a_deviation_of_2_percent() -> None:
    network = DCGANDiscriminator(2, (32, 32), 3, (32, 64, 128), **FULL)
    layers = [network.blocks[1][0], network.blocks[3][0], network.to_score, network.to_projection, network.to_logits]
    for layer in layers:
        assert layer is not None
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.equal(network.blocks[2](torch.ones(1, 64, 4, 4)), torch.ones(1, 64, 4, 4))


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("norm", [None, "batch", "instance"])
def test_second_derivatives(norm: str | None, spectral_norm: bool) -> None:
    network = seeded(2, (7, 7), 1, (2, 3, 2), norm=norm, spectral_norm=spectral_norm, **FULL).double().eval()
    classes = torch.tensor([[0.2, 0.8, 0.0]], dtype=torch.float64)
    image = images(1, 1, 7, 7, dtype=torch.float64).requires_grad_()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(20.0)  # so that the derivatives are large enough to be compared
    assert torch.autograd.gradgradcheck(lambda x: network(x, classes), (image,))


@pytest.mark.parametrize("shape", [(14, 14), (6, 6, 6)])
def test_a_gradient_penalty_reaches_the_weights(shape: tuple[int, ...]) -> None:
    network = seeded(len(shape), shape, 1, (4, 4, 4), norm="instance", spectral_norm=True, **FULL)
    image = images(2, 1, *shape).requires_grad_()
    scores, _ = network(image, torch.eye(3)[:2])
    (gradient,) = torch.autograd.grad(scores.sum(), image, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    weights = {name: p for name, p in network.named_parameters() if "weight" in name and "to_logits" not in name}
    silent = [name for name, p in weights.items() if p.grad is None or not p.grad.abs().max() > 0]
    assert not silent
    assert all(torch.isfinite(p.grad).all() for p in weights.values() if p.grad is not None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial_dims": 3}, "spatial_dims=3"),
        ({"spatial_shape": (0, 8)}, "allowed: sizes"),
        ({"image_channels": 0}, "image_channels is 0"),
        ({"channels": ()}, "allowed: 1 and more"),
        ({"channels": (4,), "stem": True}, "allowed: 2 and more"),
        ({"channels": (4, 0)}, "channels are"),
        ({"norm": "group"}, "'group', allowed"),
        ({"norm": "instance", "channels": (4, 4, 4)}, "one position"),
        ({"attention_after": 2}, "attention_after is 2, allowed: None or 0 to 1"),
        ({"attention_after": -1}, "attention_after is -1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"n_classes": 3}, "n_classes is 3 with class_heads"),
        ({"class_heads": BOTH}, "n_classes is 0 with class_heads"),
        ({"class_heads": BOTH, "n_classes": 1}, "n_classes is 1"),
        ({"class_heads": ("concat",), "n_classes": 2}, "concat"),
        ({"class_heads": "projection", "n_classes": 2}, "sequence"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DCGANDiscriminator(**{"spatial_dims": 2, "spatial_shape": (8, 8), "channels": (4, 4), **changes})


def test_bad_inputs() -> None:
    network = seeded(2, (8, 8), 1, (4,), 2, ("projection",))
    for arguments, words in [
        ((images(2, 1, 8, 7), torch.eye(2)), "image is"),
        ((images(2, 1, 8, 8), None), "class_one_hot is None"),
        ((images(2, 1, 8, 8), torch.eye(3)[:2]), r"class_one_hot is \(2, 3\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            network(*arguments)
