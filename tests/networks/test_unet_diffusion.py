# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.schedulers import DDPMScheduler

from monai_genaug.networks import UNetDiffusion


def network_of(shape: tuple[int, ...] = (8, 8), **changes: Any) -> UNetDiffusion:
    arguments = {"channels": [8, 8], "norm_num_groups": 4, "num_head_channels": 4, "num_inference_steps": 2}
    return UNetDiffusion(len(shape), shape, **{**arguments, **changes}).eval()


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 16)])
def test_patches_lose_nothing(shape: tuple[int, ...]) -> None:
    network = network_of(shape, image_channels=2, mask_classes=3, patch_size=2)
    assert network.noise_shape == (5 * 2 ** len(shape), *(size // 2 for size in shape))
    image, mask = torch.rand(2, 2, *shape), torch.randint(0, 3, (2, 1, *shape))
    made = network._decoded(network.model_space(image, mask))
    torch.testing.assert_close(made[:, :2], image)
    assert torch.equal(made[:, 2:].argmax(dim=1, keepdim=True), mask)


def test_a_patch_is_one_grid_point() -> None:
    network = network_of((4, 4), patch_size=2)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 2:, :2] = 1.0
    marked = (network.model_space(image)[0] > 0).all(dim=0)
    assert marked.tolist() == [[False, False], [True, False]]


def test_it_is_monais_network_and_scheduler() -> None:
    network = network_of(n_classes=2, scheduler="ddpm", num_train_timesteps=50, schedule="cosine", guidance=2.0)
    assert isinstance(network.unet, DiffusionModelUNet)
    assert network.unet.num_class_embeds == 3
    assert network.null_class == 2
    assert isinstance(network.process.scheduler, DDPMScheduler)
    assert len(network.process.timesteps) == 2
    assert network.process.scheduler.num_train_timesteps == 50


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (8, 6), "patch_size": 2}, r"spatial_shape is \(8, 6\), allowed: multiples of 4"),
        ({"channels": []}, "channels are"),
        ({"patch_size": 0}, "patch_size is 0, allowed: 1 and more"),
        ({"scheduler": "sde"}, "scheduler is 'sde'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        network_of(**changes)
    with pytest.raises(ValueError, match="spatial_dims=3"):
        UNetDiffusion(3, (8, 8))
