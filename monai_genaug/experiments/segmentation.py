# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A small segmentation network: its augmentation, its training by MONAI's engine, its Dice scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from monai.losses import DiceCELoss
from monai.metrics import compute_dice
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandBiasFieldd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandSpatialCropd,
    ResizeWithPadOrCropd,
    Transform,
)
from torch import Tensor, nn
from torch.utils.data import RandomSampler

__all__ = [
    "dice_scores",
    "geometric_augmentation",
    "intensity_augmentation",
    "predict",
    "segmentation_network",
    "train_segmenter",
]

Item = Mapping[str, Any]
_BATCH = 4
_CHANNELS = (16, 32, 64, 128)
_LEARNING_RATE = 3e-3


def intensity_augmentation(spatial_shape: Sequence[int]) -> list[Transform]:
    """What differs between scanners: contrast, bias field, sharpness, noise, and how much of the brain is in view."""
    smallest = [int(0.7 * size) for size in spatial_shape]
    return [
        RandSpatialCropd(["image", "label"], smallest, max_roi_size=list(spatial_shape), random_size=True),
        ResizeWithPadOrCropd("image", spatial_shape, mode="edge"),
        ResizeWithPadOrCropd("label", spatial_shape, mode="constant"),
        RandAdjustContrastd("image", prob=0.5, gamma=(0.6, 1.6)),
        RandBiasFieldd("image", prob=0.3, degree=2, coeff_range=(0.0, 0.15)),
        RandGaussianSmoothd("image", prob=0.2, sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8)),
        RandGaussianSharpend("image", prob=0.3),
        RandGaussianNoised("image", prob=0.8, std=0.08),
    ]


def geometric_augmentation() -> list[Transform]:
    """Small rotations, scalings and shifts."""
    return [
        RandAffined(
            ["image", "label"],
            prob=0.8,
            rotate_range=(0.2, 0.2, 0.2),
            scale_range=(0.12, 0.12, 0.12),
            translate_range=(4, 4, 4),
            mode=("bilinear", "nearest"),
            padding_mode=("border", "zeros"),
        )
    ]


def segmentation_network(seed: int, classes: int = 3) -> nn.Module:
    """An untrained 3D U-Net from ``(n, 1, *spatial)`` to logits; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = UNet(
            3, 1, classes, channels=_CHANNELS, strides=(2, 2, 2), num_res_units=0, norm="instance"
        )
    return network


def train_segmenter(
    dataset: Dataset,
    steps: int,
    seed: int,
    classes: int = 3,
    on_step: Callable[[int], None] | None = None,
    device: str | torch.device = "cpu",
) -> nn.Module:
    """Trains a 3D U-Net by :class:`monai.engines.SupervisedTrainer`.

    Args:
        dataset: items with ``image`` ``(1, *spatial)`` and integer ``label`` ``(1, *spatial)``; drawn with
            replacement, so that arms of any size get the same number of steps.
        steps: optimisation steps, with one cosine decay of the learning rate.
        seed: of the initial weights and of the order; the global random state is left as it was.
        classes: labels including background.
        on_step: called with the number of each finished step.
        device: where to train.
    """
    network = segmentation_network(seed, classes)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(dataset.transform, Compose):
        dataset.transform.set_random_state(seed)
    sampler = RandomSampler(dataset, replacement=True, num_samples=steps * _BATCH, generator=generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.1)
    trainer = SupervisedTrainer(
        device=torch.device(device),
        max_epochs=1,
        train_data_loader=DataLoader(dataset, batch_size=_BATCH, sampler=sampler, generator=generator),
        network=network.to(device),
        optimizer=optimizer,
        loss_function=DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True),
        inferer=SimpleInferer(),
        decollate=False,
    )

    @trainer.on(Events.ITERATION_COMPLETED)
    def _advance(engine: SupervisedTrainer) -> None:
        scheduler.step()
        if on_step is not None:
            on_step(engine.state.iteration)

    trainer.run()
    return network.eval()


@torch.no_grad()
def predict(network: nn.Module, images: Tensor) -> Tensor:
    """Labels ``(n, 1, *spatial)`` that the network finds in ``(n, 1, *spatial)`` images."""
    logits = torch.cat([network(batch) for batch in images.split(_BATCH)])
    return logits.argmax(dim=1, keepdim=True)


def dice_scores(network: nn.Module, items: Sequence[Item], classes: int = 3) -> Tensor:
    """Dice per item and label: ``(n, classes)``; the last column is the union of all labels."""
    images = torch.stack([torch.as_tensor(item["image"]) for item in items])
    labels = torch.stack([torch.as_tensor(item["label"]) for item in items])
    return label_dice(predict(network, images), labels, classes)


def label_dice(found: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Dice of label maps ``(n, 1, *spatial)`` per label but background, and of their union: ``(n, classes)``."""
    single = compute_dice(one_hot(found, classes), one_hot(labels, classes), include_background=False)
    union = compute_dice((found > 0).float(), (labels > 0).float())
    return torch.cat([single, union], dim=1)
