# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DenseNet
from torch import nn
from torchvision.models import VisionTransformer, resnet18

from monai_genaug.metrics import ModuleFeatures


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(320, 2)).eval()


def test_layer_and_output() -> None:
    module, images = network(), torch.rand(4, 3, 10, 10)
    with torch.no_grad():
        output = module((images - 0.5) / 0.25)
        pooled = module[:3]((images - 0.5) / 0.25).mean(dim=(2, 3))
    whole = ModuleFeatures(module, None, (10, 10), 3, 0.5, [0.25] * 3)
    layer = ModuleFeatures(module, "2", (10, 10), 3, 0.5, 0.25)
    assert (whole.n_features, layer.n_features) == (2, 5)
    torch.testing.assert_close(whole(images), output)
    torch.testing.assert_close(layer(images), pooled)


def test_the_module_stays_as_it_is() -> None:
    module = network()
    module.train()
    ModuleFeatures(module, "2", (10, 10))(torch.rand(4, 3, 10, 10))
    assert module.training
    assert int(module[1].num_batches_tracked) == 0
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not any(child._forward_hooks for child in module.modules())


def test_backbones_of_torchvision_and_monai() -> None:
    assert ModuleFeatures(resnet18(weights=None), "avgpool", (32, 32))(torch.rand(2, 1, 28, 28)).shape == (2, 512)
    volumes = DenseNet(3, 1, 2, init_features=4, growth_rate=2, block_config=(1, 1))
    extract = ModuleFeatures(volumes, "features", (16, 16, 16), in_channels=1)
    assert extract(torch.rand(2, 1, 9, 20, 16)).shape == (2, extract.n_features)
    assert extract.name == "DenseNet"
    tokens = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=12, mlp_dim=8)
    assert ModuleFeatures(tokens, "encoder", (32, 32))(torch.rand(2, 3, 32, 32)).shape == (2, 12)


@pytest.mark.parametrize(
    ("layer", "mean", "text"),
    [
        ("9", 0.0, r"layer '9' is not in Sequential, allowed: \['0', '1', '2', '3', '4'\]"),
        ("2", (0.5, 0.5), "mean has 2 values, needed: 1 or 3"),
    ],
)
def test_bad_settings_are_refused(layer: str, mean: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ModuleFeatures(network(), layer, (10, 10), mean=mean)  # type: ignore[arg-type]


def test_a_layer_that_gives_no_rows_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(ValueError, match="gives tuple, needed"):
        ModuleFeatures(Pair(), None, (8, 8))
    unused = nn.Module()
    unused.used, unused.spare, unused.forward = nn.Identity(), nn.Identity(), lambda x: x  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"'spare' .* takes no part"):
        ModuleFeatures(unused, "spare", (8, 8))
