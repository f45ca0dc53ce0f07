# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""How good are the samples of a paired 3D generator? One table row per generator, the same for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from monai_genaug.experiments.segmentation import label_dice, predict
from monai_genaug.generators import LatentGenerator
from monai_genaug.metrics import density_and_coverage, frechet_distance

__all__ = ["CENTRAL", "Fidelity", "measure_fidelity", "pooled_activations"]

Pairs = Mapping[str, Tensor]
CENTRAL = (32, 48, 32)
"""Voxels around the centre that nearly every crop measured; outside it, real volumes are padded."""


@dataclass(frozen=True)
class Fidelity:
    """Figures of one generator; images in [0, 1], volumes in mm3 at 1 mm.

    Args:
        reconstruction_rmse: of held-out images, in the central box.
        reconstruction_dice: of held-out masks, mean of the labels.
        mask_agreement: Dice, mean of the labels, between a generated mask and what a network trained on real volumes
            finds in the generated image.
        nearest_training_rmse: median distance of a sample to the nearest training image, central box.
        nearest_training_ratio: that median over the median of real held-out images. It is below 1 for images that are
            smoother than real ones, too.
        nearest_training_decoded_ratio: that median over the median of decoded held-out images, which are as smooth as
            the samples; well below 1 means copies.
        volume_sd_ratio: sd of the whole mask's volume over that of the real volumes; 1 is best.
        volume_mean_ratio: the same of the means.
        sharpness_ratio: mean gradient magnitude in the central box over that of the real images; 1 is best.
        frechet: Frechet distance to the held-out images, see :func:`pooled_activations`.
        density, coverage: of the held-out images.
    """

    reconstruction_rmse: float
    reconstruction_dice: float
    mask_agreement: float
    nearest_training_rmse: float
    nearest_training_ratio: float
    nearest_training_decoded_ratio: float
    volume_sd_ratio: float
    volume_mean_ratio: float
    sharpness_ratio: float
    frechet: float
    density: float
    coverage: float

    def as_dict(self) -> dict[str, float]:
        """Field name -> value."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}


def measure_fidelity(
    generator: LatentGenerator, training: Pairs, held_out: Pairs, segmenter: nn.Module, n_samples: int = 500
) -> Fidelity:
    """Measures one generator.

    Args:
        generator: makes ``image`` and ``mask``.
        training: ``image`` and ``mask`` ``(n, 1, *spatial_shape)`` that the generator was trained on.
        held_out: real ones that neither the generator nor the segmenter has seen.
        segmenter: network trained on real volumes, from images to label logits.
        n_samples: samples drawn, seeds 0 and up.
    """
    classes = len(generator.spec.outputs["mask"].class_names)
    samples = generator.sample(range(n_samples))
    rebuilt = generator.reconstruct(held_out)
    found = predict(segmenter, samples["image"])
    real_images = torch.cat([training["image"], held_out["image"]])
    real_volumes = _volumes(torch.cat([training["mask"], held_out["mask"]]))
    volumes = _volumes(samples["mask"])
    to_training = _nearest_rmse(samples["image"], training["image"]).median()
    real_to_training = _nearest_rmse(held_out["image"], training["image"]).median()
    decoded_to_training = _nearest_rmse(rebuilt["image"], training["image"]).median()
    real_features = pooled_activations(segmenter, held_out["image"])
    features = pooled_activations(segmenter, samples["image"])
    density, coverage = density_and_coverage(real_features, features)
    return Fidelity(
        reconstruction_rmse=float((central(rebuilt["image"]) - central(held_out["image"])).square().mean().sqrt()),
        reconstruction_dice=_mean_dice(rebuilt["mask"], held_out["mask"], classes),
        mask_agreement=_mean_dice(found, samples["mask"], classes),
        nearest_training_rmse=float(to_training),
        nearest_training_ratio=float(to_training / real_to_training),
        nearest_training_decoded_ratio=float(to_training / decoded_to_training),
        volume_sd_ratio=float(volumes.std() / real_volumes.std()),
        volume_mean_ratio=float(volumes.mean() / real_volumes.mean()),
        sharpness_ratio=float(_sharpness(samples["image"]) / _sharpness(real_images)),
        frechet=frechet_distance(real_features, features),
        density=density,
        coverage=coverage,
    )


@torch.no_grad()
def pooled_activations(network: nn.Module, images: Tensor, batch_size: int = 16) -> Tensor:
    """Features of images: mean activation of every channel of every convolution of a segmentation network.

    Computed in the central box, standardised by nothing: the network normalises its activations itself.

    Args:
        network: as :func:`monai_genaug.experiments.segmentation.train_segmenter` returns it.
        images: ``(n, 1, *spatial_shape)``.
        batch_size: images at once.

    Returns:
        ``(n, features)``.
    """
    caught: list[Tensor] = []
    units = [module for module in network.modules() if isinstance(module, Convolution)]
    hooks = [
        unit.register_forward_hook(lambda _m, _i, out: caught.append(out.flatten(2).mean(dim=2))) for unit in units
    ]
    rows = []
    try:
        for batch in central(images).split(batch_size):
            caught.clear()
            network(batch)
            rows.append(torch.cat(caught, dim=1))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(rows)


def central(images: Tensor) -> Tensor:
    """The central box of ``(n, c, *spatial)``."""
    starts = [(whole - part) // 2 for whole, part in zip(images.shape[2:], CENTRAL, strict=True)]
    box = tuple(slice(start, start + size) for start, size in zip(starts, CENTRAL, strict=True))
    inner: Tensor = images[(slice(None), slice(None), *box)]
    return inner


def _nearest_rmse(images: Tensor, training: Tensor) -> Tensor:
    x, y = central(images).flatten(1), central(training).flatten(1)
    nearest: Tensor = torch.cdist(x, y).min(dim=1).values
    return nearest.div(x.shape[1] ** 0.5)


def _volumes(masks: Tensor) -> Tensor:
    return (masks > 0).flatten(1).sum(dim=1).float()


def _sharpness(images: Tensor) -> Tensor:
    box = central(images)
    return torch.stack([box.diff(dim=axis).abs().mean() for axis in (2, 3, 4)]).sum()


def _mean_dice(found: Tensor, labels: Tensor, classes: int) -> float:
    return float(label_dice(found, labels, classes)[:, : classes - 1].nanmean())
