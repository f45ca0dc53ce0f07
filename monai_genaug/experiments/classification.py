# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
"""A small image classifier: its training, its answers, its features, its recall."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from monai.networks.layers.factories import Norm
from torch import Tensor, nn

from monai_genaug.networks.medmnist_cnn import MedMNISTCNN

__all__ = ["classifier_features", "predict_classes", "recall_per_class", "train_classifier", "untrained_classifier"]

_LEARNING_RATE = 1e-3
_SHIFT = 14
_BATCH = 64
_CHECKS = 15


def train_classifier(
    images: Tensor,
    labels: Tensor,
    n_classes: int,
    steps: int,
    seed: int,
    batch_size: int = 64,
    flip: bool = True,
    held_out: tuple[Tensor, Tensor] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> MedMNISTCNN:
    """Trains a :class:`~monai_genaug.networks.medmnist_cnn.MedMNISTCNN` with Adam and one cosine decay.

    Every class that has images is drawn equally often, so that rare classes count like frequent ones. Images are
    shifted by up to 1/14 of each axis and, if asked for, mirrored along the last one.

    Args:
        images: ``(n, c, *spatial)``, floats in [0, 1] or uint8.
        labels: classes ``(n,)``.
        n_classes: logits; labels are below it.
        steps: optimisation steps.
        seed: of the initial weights, the draws and the augmentation; the global random state is left as it was.
        batch_size: images per step.
        flip: whether to mirror; not for classes that differ by their side.
        held_out: other images and their labels. The weights, out of 15 stages of the training, with the lowest
            cross-entropy on them (mean of the classes) are returned: a network that knows its training images by heart
            moves their features away from those of all other images. None: the last weights.
        on_step: called with the number of each finished step.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        ValueError: labels that don't fit the images or ``n_classes``, or fewer than two classes among them.
    """
    pools = _images_of_classes(images, labels, n_classes)
    network = _network(images, n_classes, seed).train()
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    best, lowest = network, float("inf")
    for step in range(1, steps + 1):
        chosen = _balanced_draw(pools, batch_size, rng)
        batch = _augmented(_as_floats(images[chosen]), flip, rng)
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(network(batch).float(), labels[chosen].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if held_out is not None and step * _CHECKS % steps < _CHECKS:
            reached = _balanced_loss(network, *held_out)
            if reached < lowest:
                best, lowest = copy.deepcopy(network), reached
        if on_step is not None:
            on_step(step)
    return best.eval()


def untrained_classifier(images: Tensor, seed: int) -> MedMNISTCNN:
    """A classifier with random weights for images without classes, of which only the features are of use.

    Naeem et al., arXiv 2002.09797, recommend random features for images far from photographs. The statistics of the
    batch norms are those of the images.

    Args:
        images: ``(n, c, *spatial)``, floats in [0, 1] or uint8.
        seed: of the weights; the global random state is left as it was.
    """
    network = _network(images, 1, seed).train()
    norms = [module for module in network.modules() if isinstance(module, Norm[Norm.BATCH, network.spatial_dims])]
    for norm in norms:
        norm.momentum = None  # the plain average over all batches
    with torch.no_grad():
        for batch in images.split(_BATCH):
            network(_as_floats(batch))
    return network.eval()


def predict_classes(network: MedMNISTCNN, images: Tensor) -> Tensor:
    """The most likely classes ``(n,)`` of ``(n, c, *spatial)`` images, floats in [0, 1] or uint8."""
    found: Tensor = network.to_logits(classifier_features(network, images)).argmax(dim=1)
    return found


@torch.no_grad()
def classifier_features(network: MedMNISTCNN, images: Tensor) -> Tensor:
    """What the last layer reads, ``(n, 128)``, of images as in :func:`predict_classes`."""
    return torch.cat([network.features(_as_floats(batch)) for batch in images.split(_BATCH)])


def recall_per_class(found: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Share of the images of each class that were found to be of it, ``(n_classes,)``; NaN for a class without images.

    Args:
        found: predicted classes ``(n,)``.
        labels: true classes ``(n,)``.
        n_classes: number of classes.
    """
    hits = torch.bincount(labels[found == labels].long(), minlength=n_classes)
    return hits.double() / torch.bincount(labels.long(), minlength=n_classes).double()


def _network(images: Tensor, n_classes: int, seed: int) -> MedMNISTCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MedMNISTCNN(images.ndim - 2, images.shape[1], n_classes)
    layout = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
    moved: MedMNISTCNN = network.to(memory_format=layout)  # the faster one on CPUs
    return moved


def _balanced_loss(network: MedMNISTCNN, images: Tensor, labels: Tensor) -> float:
    """Cross-entropy, mean of the classes; the network is left in training mode."""
    with torch.no_grad():
        logits = network.to_logits(classifier_features(network.eval(), images))
    losses = nn.functional.cross_entropy(logits, labels.long(), reduction="none")
    network.train()
    return float(torch.stack([losses[labels == number].mean() for number in labels.unique()]).mean())


def _images_of_classes(images: Tensor, labels: Tensor, n_classes: int) -> list[Tensor]:
    """Indices of the images of each class that has some."""
    if labels.shape != (len(images),):
        raise ValueError(f"labels are {tuple(labels.shape)}, needed: one per image, ({len(images)},).")
    present = labels.unique().tolist()
    if len(present) < 2 or present[0] < 0 or present[-1] >= n_classes:
        raise ValueError(f"labels hold the classes {present}, needed: two or more of 0 to {n_classes - 1}.")
    return [(labels == number).nonzero()[:, 0] for number in present]


def _balanced_draw(pools: list[Tensor], count: int, rng: torch.Generator) -> Tensor:
    classes = torch.randint(len(pools), (count,), generator=rng).tolist()
    places = torch.rand(count, generator=rng).tolist()
    return torch.stack(
        [pools[number][int(place * len(pools[number]))] for number, place in zip(classes, places, strict=True)]
    )


def _as_floats(images: Tensor) -> Tensor:
    return images.float() / 255.0 if images.dtype == torch.uint8 else images.float()


def _augmented(batch: Tensor, flip: bool, rng: torch.Generator) -> Tensor:
    """Mirrored along the last axis with probability 0.5, then shifted; border pixels are repeated."""
    if flip:
        mirrored = torch.rand(len(batch), generator=rng) < 0.5
        batch = torch.where(mirrored.view(-1, *[1] * (batch.ndim - 1)), batch.flip(-1), batch)
    sizes = batch.shape[2:]
    reach = [max(1, size // _SHIFT) for size in sizes]
    padded = nn.functional.pad(batch, [r for r in reversed(reach) for _ in range(2)], mode="replicate")
    starts = torch.stack([torch.randint(2 * r + 1, (len(batch),), generator=rng) for r in reach], dim=1).tolist()
    boxes = [tuple(slice(a, a + size) for a, size in zip(start, sizes, strict=True)) for start in starts]
    return torch.stack([image[(slice(None), *box)] for image, box in zip(padded, boxes, strict=True)])
